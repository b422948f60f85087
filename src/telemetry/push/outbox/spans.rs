//! Spans that wait: a bounded queue, oldest first.
//!
//! A batch is due when it is full, when its oldest span has waited for the delay, or when someone hurries. When the
//! queue is full the oldest spans make room: in an outage the latest are worth the most.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ledger::Ledger;
use super::{Next, Outbox};
use crate::config::PushSpans;
use crate::telemetry::push::{ItemOutcome, Signal, Stats, lock};

/// The waiting spans, in memory.
pub(in crate::telemetry::push) struct SpansOutbox {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    delay: std::time::Duration,
    room: usize,
    batch: usize,
}

struct State {
    ledger: Ledger,
    queue: VecDeque<Waiting>,
    in_flight: Vec<Waiting>,
    /// Spans at the front of the queue that are due whatever their age.
    hurried: usize,
    closed: bool,
}

struct Waiting {
    span: Span,
    origin: Arc<Origin>,
    bytes: u64,
    due: Instant,
}

/// What spans of one tracer have in common.
#[derive(PartialEq)]
struct Origin {
    resource: Option<Resource>,
    resource_schema: String,
    scope: Option<InstrumentationScope>,
    scope_schema: String,
}

impl SpansOutbox {
    pub(in crate::telemetry::push) fn new(push: &PushSpans, stats: Arc<dyn Stats>) -> Self {
        let room = push.max_queue_size.max(1);
        let state = State {
            ledger: Ledger::new(Signal::Spans, stats),
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            hurried: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            changed: watch::channel(()).0,
            delay: push.schedule_delay,
            room,
            batch: push.max_export_batch_size.clamp(1, room),
        }
    }

    /// Files spans. Never blocks for long.
    pub(in crate::telemetry::push) fn file(&self, spans: Vec<ResourceSpans>) {
        // Measuring and sorting are done before the lock is taken.
        let spans = sort(spans, Instant::now() + self.delay);
        if spans.is_empty() {
            return;
        }
        let bytes = spans.iter().map(|s| s.bytes).sum();
        let mut state = lock(&self.state);
        state.ledger.queue(spans.len() as u64, bytes);
        if state.closed {
            state.ledger.settle(ItemOutcome::Dropped, spans.len() as u64, bytes);
            return;
        }
        let before = state.queue.len();
        state.queue.extend(spans);
        let full = before < self.batch && state.queue.len() >= self.batch;
        state.trim(self.room);
        drop(state);
        // The sender sleeps until the oldest span is due: only a first span and a full batch change its mind.
        if before == 0 || full {
            self.changed.send_replace(());
        }
    }

    /// Books spans that were lost before they could be filed.
    pub(in crate::telemetry::push) fn lost(&self, spans: u64) {
        let mut state = lock(&self.state);
        state.ledger.queue(spans, 0);
        state.ledger.settle(ItemOutcome::Dropped, spans, 0);
    }
}

impl State {
    /// Drops the oldest spans that are too many.
    fn trim(&mut self, room: usize) {
        let over = self.queue.len().saturating_sub(room);
        if over > 0 {
            let bytes = self.queue.drain(..over).map(|s| s.bytes).sum();
            self.hurried = self.hurried.saturating_sub(over);
            self.ledger.settle(ItemOutcome::Dropped, over as u64, bytes);
        }
    }
}

impl Outbox for SpansOutbox {
    type Request = ExportTraceServiceRequest;

    fn next(&self) -> Next<Self::Request> {
        let mut state = lock(&self.state);
        let Some(oldest) = state.queue.front() else { return Next::Idle };
        if state.queue.len() < self.batch && state.hurried == 0 && oldest.due > Instant::now() {
            return Next::At(oldest.due);
        }
        let size = state.queue.len().min(self.batch);
        state.in_flight = state.queue.drain(..size).collect();
        state.hurried = state.hurried.saturating_sub(size);
        Next::Send(request(&state.in_flight))
    }

    fn taken(&self, rejected: u64) {
        let mut state = lock(&self.state);
        let (spans, bytes) = state.land();
        state.ledger.take(spans, rejected, bytes);
        drop(state);
        self.changed.send_replace(());
    }

    fn refused(&self) {
        let mut state = lock(&self.state);
        let (spans, bytes) = state.land();
        state.ledger.settle(ItemOutcome::Rejected, spans, bytes);
        drop(state);
        self.changed.send_replace(());
    }

    fn put_back(&self) {
        let mut state = lock(&self.state);
        let spans = std::mem::take(&mut state.in_flight);
        // They were due before, and are at once again.
        state.hurried += spans.len();
        for span in spans.into_iter().rev() {
            state.queue.push_front(span);
        }
        state.trim(self.room);
        drop(state);
        self.changed.send_replace(());
    }

    fn hurry(&self) -> u64 {
        let mut state = lock(&self.state);
        state.hurried = state.queue.len();
        let mark = state.ledger.queued();
        drop(state);
        self.changed.send_replace(());
        mark
    }

    fn reached(&self) -> u64 {
        lock(&self.state).ledger.settled()
    }

    fn waiting(&self) -> u64 {
        lock(&self.state).ledger.waiting()
    }

    fn close(&self) -> u64 {
        let mut state = lock(&self.state);
        state.closed = true;
        let (in_flight, bytes) = state.land();
        state.ledger.settle(ItemOutcome::Dropped, in_flight, bytes);
        let waiting = state.queue.len() as u64;
        state.trim(0);
        drop(state);
        self.changed.send_replace(());
        in_flight + waiting
    }

    fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

impl State {
    /// Lets go of what is in flight: its spans and bytes.
    fn land(&mut self) -> (u64, u64) {
        let spans = std::mem::take(&mut self.in_flight);
        (spans.len() as u64, spans.iter().map(|s| s.bytes).sum())
    }
}

/// Takes spans apart from what they have in common.
fn sort(resources: Vec<ResourceSpans>, due: Instant) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for ResourceSpans { resource, scope_spans, schema_url: resource_schema } in resources {
        for ScopeSpans { scope, spans, schema_url: scope_schema } in scope_spans {
            let origin = Arc::new(Origin {
                resource: resource.clone(),
                resource_schema: resource_schema.clone(),
                scope,
                scope_schema,
            });
            waiting.extend(spans.into_iter().map(|span| {
                let bytes = span.encoded_len() as u64;
                Waiting { span, origin: Arc::clone(&origin), bytes, due }
            }));
        }
    }
    waiting
}

/// A request of spans in their order, grouped by what they have in common.
fn request(spans: &[Waiting]) -> ExportTraceServiceRequest {
    let mut groups: Vec<(&Arc<Origin>, Vec<Span>)> = Vec::new();
    for Waiting { span, origin, .. } in spans {
        // Tracers are few; spans of one mostly follow each other.
        match groups.iter_mut().rev().find(|(seen, _)| Arc::ptr_eq(seen, origin) || *seen == origin) {
            Some((_, group)) => group.push(span.clone()),
            None => groups.push((origin, vec![span.clone()])),
        }
    }
    let resource_spans = groups.into_iter().map(|(origin, spans)| ResourceSpans {
        resource: origin.resource.clone(),
        schema_url: origin.resource_schema.clone(),
        scope_spans: vec![ScopeSpans { scope: origin.scope.clone(), schema_url: origin.scope_schema.clone(), spans }],
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}
