//! The push: metrics and spans on their way to an OpenTelemetry collector, over OTLP gRPC.
//!
//! ```text
//!  collect ──► stock MetricExporter ─┐  pipe in memory   ┌─► decorate ─► filer ─┐  orders   ┌─────────┐
//!                                    ├──────────────────►│ relay                ├─────────► │ outbox, │ ──► senders ──► collector
//!  SDK spans ─► stock SpanExporter ──┘                   └──────────────────────┘           │ kept by │
//!  finished spans of events ── in the transaction of their events ────────────────────────► │ a Shelf │
//!                                                                                           └─────────┘
//! ```
//!
//! What must always hold:
//!
//! - Every item that comes in meets one end: `queued = taken + rejected + superseded + dropped + waiting`. Metrics are
//!   counted in data points, spans in spans. Under delta temporality only points that changed since the last filing
//!   are counted.
//! - What waits, waits without a limit of time, in order, up to the budget of the outbox. Of cumulative snapshots that
//!   wait the last of each minute is kept, after an hour the last of each hour. An outage is logged once when it begins
//!   and once when it ends.
//! - What was settled is kept as settled before the next request of its signal leaves: after a crash only the request
//!   in flight may reach the collector twice. So may a request that the collector took without an answer in time, or
//!   with one that was lost on the way: nobody can tell that from one that it did not take.
//! - Items are given up as rejected only where the collector speaks of them: in a partial success, as too large alone,
//!   or as an invalid argument. A refusal of the client or the route (a token, a path, a broken server) waits until
//!   somebody has mended it.
//! - A request that is too large for the collector is sent in parts. Only an item that is too large alone is rejected.
//! - A signal has one request in flight. Connecting is within its timeout.
//! - Nothing that calls the push waits for the network, but for [`Push::flush`] and [`Push::shutdown`], which keep
//!   their timeouts. All the work is done on one thread with a runtime of its own, so that the push works in any
//!   application, also one without a runtime. Memory is bounded by one request a signal, however much waits.

mod delta;
mod engine;
mod error;
mod filer;
mod health;
mod http_error;
mod metrics;
mod observe;
pub(crate) mod outbox;
mod quiet;
mod relay;
mod retry;
mod sender;
mod size;
mod spans;
mod target;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use tokio::sync::watch;

use crate::config::{PushMetrics, PushSpans};

pub use crate::state::MemoryShelf;
pub use error::PushError;
pub use metrics::Collect;
pub use observe::{Decorate, ItemOutcome, PushStatus, RequestOutcome, Signal, SignalStatus, Stats};
pub use outbox::{Level, Order, Shelf};
pub use spans::{PushSpanProcessor, SpanSink};

/// How long an end waits for the answer to a request in flight, where the collector did not take all that waited.
const MOMENT: Duration = Duration::from_millis(250);

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
    /// Keeps the items until the collector has them, and counts what becomes of them.
    pub shelf: Arc<dyn Shelf>,
    /// Takes how the requests fare.
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

    /// Flushes once more as [`flush`](Self::flush) does, then ends the push. What could not be delivered within
    /// `timeout` waits on disk for the next start, or is counted as dropped where nothing outlives the process.
    /// Further calls do nothing.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush); the push has ended all the same.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), PushError> {
        if self.0.ended.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let began = Instant::now();
        let result = self.0.engine.flush(timeout);
        let left = timeout.saturating_sub(began.elapsed());
        // A collector that does not answer is not waited for once more.
        self.0.engine.end(if result.is_ok() { left } else { left.min(MOMENT) });
        self.0.engine.close();
        self.0.stop.send_replace(true);
        result
    }
}

/// Locks; a panic of another holder left nothing half done that matters here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
