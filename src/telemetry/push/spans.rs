//! How spans come in: finished ones of the bridge's own making, and those that the SDK makes.
//!
//! The bridge's own are turned into OTLP by the thread that makes them: that thread is the writer, which files them in
//! the transaction of the events that they tell of. The SDK's spans end on threads of the application, in the middle of its
//! work: those only put the span into a bounded queue, from which the thread of the push feeds the stock exporter.
//! The queue is emptied into the outbox even while the collector is away.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use prost::Message as _;
use tokio::sync::{Notify, mpsc, oneshot};

use super::engine::Engine;
use super::outbox::{Order, Outbox, Row, Shelf, Work};
use super::{PushError, Signal, lock, quiet};

/// Takes finished spans for the push. Cheap to clone.
#[derive(Clone)]
pub struct SpanSink {
    resource: Arc<ResourceAttributesWithSchema>,
    shelf: Arc<dyn Shelf>,
    batch: usize,
}

impl fmt::Debug for SpanSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpanSink")
    }
}

impl SpanSink {
    pub(super) fn new(resource: &opentelemetry_sdk::Resource, shelf: Arc<dyn Shelf>, batch: usize) -> Self {
        Self { resource: Arc::new(resource.into()), shelf, batch: batch.max(1) }
    }

    /// Files finished spans, with the ids and times they carry. Unsampled ones are left out.
    ///
    /// Never blocks; when the outbox is full, its oldest spans make room and are counted as dropped.
    pub fn send(&self, spans: Vec<SpanData>) {
        let rows = self.rows(spans);
        if !rows.is_empty() {
            // Nobody waits for the answer.
            let reply = oneshot::channel().0;
            self.shelf.order(Order { signal: Signal::Spans, work: Work::File { rows, base: None }, reply });
        }
    }

    /// Finished spans as they are filed, without unsampled ones.
    pub(crate) fn rows(&self, mut spans: Vec<SpanData>) -> Vec<Row> {
        spans.retain(|span| span.span_context.is_sampled());
        let mut rows = Vec::with_capacity(spans.len().div_ceil(self.batch));
        while !spans.is_empty() {
            let later = spans.split_off(spans.len().min(self.batch));
            let items = spans.len() as u64;
            let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
            let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
            rows.push(Row { items, replaceable: false, request });
            spans = later;
        }
        rows
    }
}

/// Takes the spans of an SDK tracer provider for the push.
///
/// The spans are sent with the resource of the push.
#[derive(Clone)]
pub struct PushSpanProcessor {
    intake: Arc<Intake>,
    engine: Arc<Engine>,
}

impl fmt::Debug for PushSpanProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushSpanProcessor")
    }
}

/// The bound on a flush for which the SDK gives none.
const FLUSH: Duration = Duration::from_secs(5);

impl PushSpanProcessor {
    pub(super) fn new(intake: Arc<Intake>, engine: Arc<Engine>) -> Self {
        Self { intake, engine }
    }

    fn flush(&self, timeout: Duration) -> OTelSdkResult {
        match self.engine.flush_spans(timeout) {
            Ok(()) => Ok(()),
            // The push is shut down by who started it, mostly before the tracer provider.
            Err(PushError::Ended) => Ok(()),
            Err(PushError::Timeout(timeout)) => Err(OTelSdkError::Timeout(timeout)),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        }
    }
}

impl SpanProcessor for PushSpanProcessor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && !quiet::here() {
            self.intake.put(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }
}

/// Spans of the SDK on their way to the stock exporter.
pub(super) struct Intake {
    queue: Mutex<VecDeque<SpanData>>,
    filled: Notify,
    room: usize,
    outbox: Arc<Outbox<ExportTraceServiceRequest>>,
}

impl Intake {
    pub(super) fn new(room: usize, outbox: Arc<Outbox<ExportTraceServiceRequest>>) -> Self {
        Self { queue: Mutex::default(), filled: Notify::new(), room: room.max(1), outbox }
    }

    fn put(&self, span: SpanData) {
        let (first, lost) = {
            let mut queue = lock(&self.queue);
            let lost = if queue.len() < self.room { None } else { queue.pop_front() };
            queue.push_back(span);
            (queue.len() == 1, lost)
        };
        if lost.is_some() {
            self.outbox.lost(1);
        }
        if first {
            self.filled.notify_one();
        }
    }

    fn take(&self, at_most: usize) -> Vec<SpanData> {
        let mut queue = lock(&self.queue);
        let size = queue.len().min(at_most);
        queue.drain(..size).collect()
    }

    /// Gives up what is left.
    pub(super) fn close(&self) {
        let lost = std::mem::take(&mut *lock(&self.queue)).len();
        if lost > 0 {
            self.outbox.lost(lost as u64);
        }
    }
}

/// Feeds the stock exporter from the intake.
pub(super) struct Feeder {
    pub(super) intake: Arc<Intake>,
    pub(super) exporter: SpanExporter,
    pub(super) batch: usize,
    pub(super) asked: mpsc::Receiver<oneshot::Sender<()>>,
}

impl Feeder {
    /// Feeds until the runtime ends.
    pub(super) async fn run(mut self) {
        loop {
            let asked = tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(asked) => Some(asked),
                    None => return,
                },
                () = self.intake.filled.notified() => None,
            };
            loop {
                let spans = self.intake.take(self.batch.max(1));
                if spans.is_empty() {
                    break;
                }
                let count = spans.len() as u64;
                if self.exporter.export(spans).await.is_err() {
                    self.intake.outbox.lost(count);
                }
            }
            if let Some(asked) = asked {
                // Who asked may have stopped waiting.
                let _ = asked.send(());
            }
        }
    }
}
