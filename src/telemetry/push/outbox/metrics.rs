//! Metrics that wait: the latest cumulative snapshot.
//!
//! A cumulative snapshot tells all that an earlier one told, so a later one takes its place. What is sent under delta
//! temporality is worked out only then, against what the collector has taken: an outage of any length costs one
//! snapshot of memory and loses nothing.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use tokio::sync::watch;

use super::ledger::Ledger;
use super::{Next, Outbox};
use crate::config::Temporality;
use crate::telemetry::push::delta::Taken;
use crate::telemetry::push::{ItemOutcome, Signal, Stats, lock};

/// The waiting metrics, in memory.
pub(in crate::telemetry::push) struct MetricsOutbox {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

struct State {
    ledger: Ledger,
    waiting: Option<Snapshot>,
    in_flight: Option<Snapshot>,
    /// What the collector has, where deltas are asked for.
    taken: Option<Taken>,
    /// The mark of the latest snapshot that the collector has answered for.
    reached: u64,
    closed: bool,
}

struct Snapshot {
    request: ExportMetricsServiceRequest,
    points: u64,
    bytes: u64,
    /// All points that were ever queued, this snapshot's the last of them. What a later snapshot takes the place of
    /// is delivered only with that one, so the points that met their end cannot serve as the mark.
    mark: u64,
}

impl MetricsOutbox {
    pub(in crate::telemetry::push) fn new(temporality: Temporality, stats: Arc<dyn Stats>) -> Self {
        let taken = match temporality {
            Temporality::Cumulative => None,
            Temporality::Delta => Some(Taken::default()),
        };
        let state = State {
            ledger: Ledger::new(Signal::Metrics, stats),
            waiting: None,
            in_flight: None,
            taken,
            reached: 0,
            closed: false,
        };
        Self { state: Mutex::new(state), changed: watch::channel(()).0 }
    }

    /// Files a cumulative snapshot.
    pub(in crate::telemetry::push) fn file(&self, request: ExportMetricsServiceRequest) {
        let points = points(&request);
        if points == 0 {
            return;
        }
        let bytes = request.encoded_len() as u64;
        let mut state = lock(&self.state);
        state.ledger.queue(points, bytes);
        let snapshot = Snapshot { request, points, bytes, mark: state.ledger.queued() };
        if state.closed {
            state.ledger.settle(ItemOutcome::Dropped, snapshot.points, snapshot.bytes);
        } else if let Some(earlier) = state.waiting.replace(snapshot) {
            state.ledger.settle(ItemOutcome::Superseded, earlier.points, earlier.bytes);
        }
        drop(state);
        self.changed.send_replace(());
    }
}

impl Outbox for MetricsOutbox {
    type Request = ExportMetricsServiceRequest;

    fn next(&self) -> Next<Self::Request> {
        let mut state = lock(&self.state);
        let Some(snapshot) = state.waiting.take() else { return Next::Idle };
        let request = match &state.taken {
            None => snapshot.request.clone(),
            Some(taken) => taken.delta(&snapshot.request),
        };
        let nothing_new = request.resource_metrics.is_empty();
        state.in_flight = Some(snapshot);
        drop(state);
        if nothing_new {
            self.taken(0);
            return Next::Idle;
        }
        Next::Send(request)
    }

    fn taken(&self, rejected: u64) {
        let mut state = lock(&self.state);
        if let Some(snapshot) = state.in_flight.take() {
            state.ledger.take(snapshot.points, rejected, snapshot.bytes);
            state.reached = snapshot.mark;
            if let Some(taken) = &mut state.taken {
                taken.replace(&snapshot.request);
            }
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn refused(&self) {
        let mut state = lock(&self.state);
        if let Some(snapshot) = state.in_flight.take() {
            state.ledger.settle(ItemOutcome::Rejected, snapshot.points, snapshot.bytes);
            state.reached = snapshot.mark;
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn put_back(&self) {
        let mut state = lock(&self.state);
        if let Some(snapshot) = state.in_flight.take() {
            if state.waiting.is_some() {
                state.ledger.settle(ItemOutcome::Superseded, snapshot.points, snapshot.bytes);
            } else {
                state.waiting = Some(snapshot);
            }
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn hurry(&self) -> u64 {
        lock(&self.state).ledger.queued()
    }

    fn reached(&self) -> u64 {
        lock(&self.state).reached
    }

    fn waiting(&self) -> u64 {
        lock(&self.state).ledger.waiting()
    }

    fn close(&self) -> u64 {
        let mut state = lock(&self.state);
        state.closed = true;
        let mut lost = 0;
        for snapshot in [state.in_flight.take(), state.waiting.take()].into_iter().flatten() {
            state.ledger.settle(ItemOutcome::Dropped, snapshot.points, snapshot.bytes);
            lost += snapshot.points;
        }
        state.reached = state.ledger.queued();
        drop(state);
        self.changed.send_replace(());
        lost
    }

    fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// The data points of a request.
fn points(request: &ExportMetricsServiceRequest) -> u64 {
    let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    metrics
        .map(|metric| match &metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.len() as u64,
            Some(Data::Sum(sum)) => sum.data_points.len() as u64,
            Some(Data::Histogram(histogram)) => histogram.data_points.len() as u64,
            Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len() as u64,
            Some(Data::Summary(summary)) => summary.data_points.len() as u64,
            None => 0,
        })
        .sum()
}
