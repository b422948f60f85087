//! The push: metrics and spans on their way to an OpenTelemetry collector, over OTLP gRPC.
//!
//! ```text
//!  collect ──► stock MetricExporter ─┐  pipe in memory   ┌─► decorate ─► outbox of metrics ─► sender ─┐
//!                                    ├──────────────────►│ relay                                      ├─► collector
//!  SDK spans ─► stock SpanExporter ──┘                   └─────────────► outbox of spans ───► sender ─┘
//!  finished spans of events ────────────────────────────────────────────────▲
//! ```
//!
//! What must always hold:
//!
//! - Every item that comes in meets one end: `queued = taken + rejected + superseded + dropped + waiting`. Metrics are
//!   counted in data points, spans in spans. Under delta temporality a point that did not change since the collector
//!   took its series counts as taken.
//! - An outage loses no metrics, whatever the temporality, and no spans up to the bound of their queue. It is logged
//!   once when it begins and once when it ends.
//! - A snapshot of the metrics is one request, however large: a collector's limit on the size of a message must be
//!   above it.
//! - A signal has one request in flight. Connecting is within its timeout.
//! - Nothing that calls the push waits for the network, but for [`Push::flush`] and [`Push::shutdown`], which keep
//!   their timeouts. All the work is done on one thread with a runtime of its own, so that the push works in any
//!   application, also one without a runtime.
//! - A new kind of outbox (on disk, say) implements one trait; exporters, relay and senders stay as they are.

mod delta;
mod engine;
mod error;
mod health;
mod metrics;
mod observe;
mod outbox;
mod quiet;
mod relay;
mod retry;
mod sender;
mod spans;
mod target;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tokio::sync::watch;

use crate::config::{PushMetrics, PushSpans};

pub use error::PushError;
pub use metrics::Collect;
pub use observe::{Decorate, ItemOutcome, PushStatus, RequestOutcome, Signal, SignalStatus, Stats};
pub use spans::{PushSpanProcessor, SpanSink};

/// What a push is made of.
pub struct PushParts {
    /// What the pushed spans describe; collected metrics bring their own.
    pub resource: Resource,
    /// How metrics are pushed; `None` is not at all.
    pub metrics: Option<PushMetrics>,
    /// How spans are pushed; `None` is not at all.
    pub spans: Option<PushSpans>,
    /// Collects the metrics, cumulative. Called on a thread that may block, never twice at once.
    pub collect: Arc<Collect>,
    /// Adds to the metrics what the SDK does not know.
    pub decorate: Arc<dyn Decorate>,
    /// Takes what the push counts about itself.
    pub stats: Arc<dyn Stats>,
}

/// A running push. Cheap to clone; it ends, without a last push, when the last clone is gone.
#[derive(Clone)]
pub struct Push(Arc<Running>);

struct Running {
    engine: Arc<engine::Engine>,
    /// Its loss ends the thread too.
    stop: watch::Sender<bool>,
    ended: AtomicBool,
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Push").field(&self.status()).finish()
    }
}

impl Push {
    /// Starts to push, on a thread of its own. The collector need not be there.
    ///
    /// # Errors
    ///
    /// A bad endpoint or header, and a certificate or key that cannot be read or used, are named in one line.
    pub fn start(parts: PushParts) -> Result<Self, PushError> {
        let (stop, stopped) = watch::channel(false);
        let engine = engine::start(parts, stopped)?;
        Ok(Self(Arc::new(Running { engine, stop, ended: AtomicBool::new(false) })))
    }

    /// Where finished spans are handed over; `None` if spans are not pushed.
    pub fn spans(&self) -> Option<SpanSink> {
        self.0.engine.sink()
    }

    /// A processor for the SDK's tracer provider; `None` if spans are not pushed.
    pub fn span_processor(&self) -> Option<PushSpanProcessor> {
        let engine = &self.0.engine;
        engine.intake().map(|intake| PushSpanProcessor::new(intake, Arc::clone(engine)))
    }

    /// How the push stands.
    pub fn status(&self) -> PushStatus {
        self.0.engine.status()
    }

    /// Collects the metrics and blocks until the collector has them and all spans that wait, at most for `timeout`.
    ///
    /// It may be called from any thread but the push's own (that is, not from [`Decorate`] and [`Stats`]); in
    /// asynchronous code, call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// [`PushError::Timeout`] when the time is over; [`PushError::Undelivered`] when the collector refuses the items,
    /// or when it was out of reach before and is still; both leave what may yet be delivered waiting.
    /// [`PushError::Collect`] when the metrics could not be collected, [`PushError::Ended`] after a shutdown.
    pub fn flush(&self, timeout: Duration) -> Result<(), PushError> {
        if self.0.ended.load(Ordering::Acquire) {
            return Err(PushError::Ended);
        }
        self.0.engine.flush(timeout)
    }

    /// Flushes once more as [`flush`](Self::flush) does, then ends the push: what could not be delivered within
    /// `timeout` is counted as dropped. Further calls do nothing.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush); the push has ended all the same.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), PushError> {
        if self.0.ended.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let result = self.0.engine.flush(timeout);
        self.0.engine.close();
        self.0.stop.send_replace(true);
        result
    }
}

/// Locks; a panic of another holder left nothing half done that matters here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
