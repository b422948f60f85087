//! The inside of a running push: its tasks, its lanes, and the thread they live on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use super::filer::Filer;
use super::metrics::{Asked, Collector};
use super::outbox::{Outbox, Pace};
use super::sender::{Lane, Sender};
use super::spans::{Feeder, Intake};
use super::target::Target;
use super::{PushError, PushParts, PushStatus, Signal, SpanSink, quiet, relay};
use crate::config::{PushMetrics, PushSpans};

/// By how much a caller may outwait the timeout that the thread of the push keeps itself.
const GRACE: Duration = Duration::from_millis(50);

/// What the handles of a running push share. It does not keep the push running.
pub(super) struct Engine {
    runtime: Handle,
    metrics: Option<MetricsLane>,
    spans: Option<SpansLane>,
    closed: AtomicBool,
}

struct MetricsLane {
    lane: Lane<ExportMetricsServiceRequest>,
    collect: mpsc::Sender<Asked>,
}

struct SpansLane {
    lane: Lane<ExportTraceServiceRequest>,
    feed: mpsc::Sender<oneshot::Sender<()>>,
    sink: SpanSink,
    intake: Arc<Intake>,
}

/// Starts the thread; the push ends when `stop` says so or its sender is gone.
pub(super) fn start(parts: PushParts, stop: watch::Receiver<bool>) -> Result<Arc<Engine>, PushError> {
    let (started, engine) = std_mpsc::sync_channel(1);
    std::thread::Builder::new().name("mcp-otel-push".to_owned()).spawn(move || run(parts, stop, &started))?;
    engine.recv().unwrap_or(Err(PushError::Ended))
}

fn run(
    parts: PushParts,
    mut stop: watch::Receiver<bool>,
    started: &std_mpsc::SyncSender<Result<Arc<Engine>, PushError>>,
) {
    quiet::begin();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            let _ = started.send(Err(e.into()));
            return;
        }
    };
    let engine = {
        let _inside = runtime.enter();
        Engine::new(parts, runtime.handle().clone())
    };
    match engine {
        Ok(engine) => {
            let engine = Arc::new(engine);
            // Who started the push waits for this answer.
            let _ = started.send(Ok(Arc::clone(&engine)));
            runtime.block_on(async {
                while !*stop.borrow_and_update() {
                    if stop.changed().await.is_err() {
                        break;
                    }
                }
            });
            engine.close();
        }
        Err(e) => {
            let _ = started.send(Err(e));
        }
    }
    // A name that is still being resolved, or a collection that hangs, must not keep the thread.
    runtime.shutdown_background();
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_name("mcp-otel-push-b")
        .max_blocking_threads(16)
        .on_thread_start(quiet::begin)
        .build()
}

impl Engine {
    /// Checks everything, then starts the tasks.
    fn new(parts: PushParts, runtime: Handle) -> Result<Self, PushError> {
        let metrics_target =
            parts.metrics.as_ref().map(|m| Target::new(Signal::Metrics, &m.otlp, m.timeout)).transpose()?;
        let spans_target =
            parts.spans.as_ref().map(|s| Target::new(Signal::Spans, &s.otlp, s.export_timeout)).transpose()?;
        let metrics = match (&parts.metrics, metrics_target) {
            (Some(push), Some(target)) => Some(MetricsLane::start(&parts, push, target)?),
            _ => None,
        };
        let spans = match (&parts.spans, spans_target) {
            (Some(push), Some(target)) => Some(SpansLane::start(&parts, push, target)?),
            _ => None,
        };
        Ok(Self { runtime, metrics, spans, closed: AtomicBool::new(false) })
    }

    pub(super) fn sink(&self) -> Option<SpanSink> {
        self.spans.as_ref().map(|spans| spans.sink.clone())
    }

    pub(super) fn intake(&self) -> Option<Arc<Intake>> {
        self.spans.as_ref().map(|spans| Arc::clone(&spans.intake))
    }

    pub(super) fn status(&self) -> PushStatus {
        PushStatus {
            metrics: self.metrics.as_ref().map(|metrics| metrics.lane.status()),
            spans: self.spans.as_ref().map(|spans| spans.lane.status()),
        }
    }

    /// Collects and delivers all.
    pub(super) fn flush(self: &Arc<Self>, timeout: Duration) -> Result<(), PushError> {
        let engine = Arc::clone(self);
        self.wait(timeout, async move {
            let (metrics, spans) = tokio::join!(engine.drain_metrics(), engine.drain_spans());
            metrics.and(spans)
        })
    }

    /// Delivers the spans alone.
    pub(super) fn flush_spans(self: &Arc<Self>, timeout: Duration) -> Result<(), PushError> {
        let engine = Arc::clone(self);
        self.wait(timeout, async move { engine.drain_spans().await })
    }

    /// Lets no further request leave, and waits for the answers to those in flight: what the collector took is not to be
    /// sent again by the next process.
    pub(super) fn end(self: &Arc<Self>, timeout: Duration) {
        let engine = Arc::clone(self);
        let ended = self.wait(timeout, async move {
            let metrics = async {
                if let Some(metrics) = &engine.metrics {
                    metrics.lane.end().await;
                }
            };
            let spans = async {
                if let Some(spans) = &engine.spans {
                    spans.lane.end().await;
                }
            };
            tokio::join!(metrics, spans);
            Ok(())
        });
        if ended.is_err() {
            tracing::debug!("OTLP push ends with a request in flight");
        }
    }

    /// Gives up what cannot outlive the process; nothing is sent any more. Only the first call does anything.
    pub(super) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(metrics) = &self.metrics {
            metrics.lane.close();
        }
        if let Some(spans) = &self.spans {
            spans.intake.close();
            spans.lane.close();
        }
    }

    async fn drain_metrics(&self) -> Result<(), PushError> {
        let Some(metrics) = &self.metrics else { return Ok(()) };
        let (ask, answer) = oneshot::channel();
        metrics.collect.send(ask).await.map_err(|_| PushError::Ended)?;
        answer.await.map_err(|_| PushError::Ended)??;
        metrics.lane.drain().await
    }

    async fn drain_spans(&self) -> Result<(), PushError> {
        let Some(spans) = &self.spans else { return Ok(()) };
        let (ask, answer) = oneshot::channel();
        spans.feed.send(ask).await.map_err(|_| PushError::Ended)?;
        answer.await.map_err(|_| PushError::Ended)?;
        spans.lane.drain().await
    }

    /// Runs `work` on the thread of the push and blocks the caller for it, at most for `timeout`.
    fn wait<F>(&self, timeout: Duration, work: F) -> Result<(), PushError>
    where
        F: Future<Output = Result<(), PushError>> + Send + 'static,
    {
        let (done, result) = std_mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let result = tokio::time::timeout(timeout, work).await;
            // Who waits may have given up.
            let _ = done.send(result.unwrap_or(Err(PushError::Timeout(timeout))));
        });
        match result.recv_timeout(timeout.saturating_add(GRACE)) {
            Ok(result) => result,
            Err(std_mpsc::RecvTimeoutError::Timeout) => Err(PushError::Timeout(timeout)),
            Err(std_mpsc::RecvTimeoutError::Disconnected) => Err(PushError::Ended),
        }
    }
}

impl MetricsLane {
    fn start(parts: &PushParts, push: &PushMetrics, target: Target) -> Result<Self, PushError> {
        // A snapshot is a request of its own, and is sent at once.
        let pace = Pace { batch: 0, delay: Duration::ZERO };
        let outbox = Arc::new(Outbox::new(Signal::Metrics, Arc::clone(&parts.shelf), pace));
        let (filer, snapshots) = Filer::new(push.temporality, parts.shelf.base().as_deref(), Arc::clone(&outbox));
        let exporter = relay::metric_exporter(Arc::clone(&parts.decorate), snapshots)?;
        let (sender, lane) = Sender::new(Signal::Metrics, outbox, target, push.interval, Arc::clone(&parts.stats));
        let (collect, asked) = mpsc::channel(16);
        // An interval of nothing would collect without a pause.
        let interval = push.interval.max(Duration::from_millis(1));
        tokio::spawn(filer.run());
        tokio::spawn(Collector { collect: Arc::clone(&parts.collect), exporter, interval, asked }.run());
        tokio::spawn(sender.run());
        Ok(Self { lane, collect })
    }
}

impl SpansLane {
    fn start(parts: &PushParts, push: &PushSpans, target: Target) -> Result<Self, PushError> {
        let batch = push.max_export_batch_size.max(1);
        let pace = Pace { batch: batch as u64, delay: push.schedule_delay };
        let outbox = Arc::new(Outbox::new(Signal::Spans, Arc::clone(&parts.shelf), pace));
        let exporter = relay::span_exporter(&parts.resource, Arc::clone(&outbox))?;
        let sink = SpanSink::new(&parts.resource, Arc::clone(&parts.shelf), batch);
        let intake = Arc::new(Intake::new(push.max_queue_size, Arc::clone(&outbox)));
        let (sender, lane) = Sender::new(Signal::Spans, outbox, target, push.schedule_delay, Arc::clone(&parts.stats));
        let (feed, asked) = mpsc::channel(16);
        tokio::spawn(Feeder { intake: Arc::clone(&intake), exporter, batch, asked }.run());
        tokio::spawn(sender.run());
        Ok(Self { lane, feed, sink, intake })
    }
}
