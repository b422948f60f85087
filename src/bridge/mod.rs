//! The bridge: one meter provider, one writer, and the door between them and every way in and out.
//!
//! A [`Bridge`] is what a Rust program holds, and what the binary serves. It is cheap to clone; the clones are one
//! bridge. Several bridges in one process know nothing of each other.

mod answer;
mod breaker_calls;
mod breakers;
mod build;
mod calls;
mod door;
mod global;
mod guard;
mod here;
mod hub_calls;
mod orders;
mod skill_calls;
mod writer;

pub use answer::Answer;
pub use breakers::Breakers;
pub use build::{BuildError, Builder};
pub use calls::RecordError;
pub use door::{Incoming, Refused, Source};
pub(crate) use guard::current_parent;
pub use guard::{EventTimer, LlmCallGuard, RequestGuard, SessionGuard};

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::breaker::Registry;
use crate::config::Config;
use crate::event::{Event, Outcome};
use crate::expose::Exposed;
use crate::expose::exposition::{Format, NameFilter, encode};
use crate::state::{Session, State, now_ms};
use crate::telemetry::push::{Push, PushStatus};
use crate::telemetry::{Sampler, Telemetry, TelemetryError};
use door::Door;

/// A writer that has not turned for so long hangs.
const HUNG: Duration = Duration::from_secs(15);

/// Takes events, and shows them as metrics and traces.
#[derive(Debug, Clone)]
pub struct Bridge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    telemetry: Arc<Telemetry>,
    door: Door,
    shared: Arc<door::Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    push: Option<Push>,
    tracer_provider: SdkTracerProvider,
    exposed: Exposed,
    /// Measures the machine, where that was asked for.
    sampler: Option<Sampler>,
    breakers: Registry,
}

/// A handle that does not keep the bridge running.
#[derive(Debug, Clone)]
pub(crate) struct WeakBridge(Weak<Inner>);

impl WeakBridge {
    /// The bridge, while someone else holds it.
    pub(crate) fn upgrade(&self) -> Option<Bridge> {
        self.0.upgrade().map(Bridge)
    }
}

/// How a bridge is.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Whether the writer still turns.
    pub live: bool,
    /// Why events cannot be taken and kept, while they cannot.
    pub fault: Option<String>,
    /// How the push stands. An outage of the collector is no fault: it must not cut off ingest.
    pub push: PushStatus,
}

impl Health {
    /// Whether events can be taken and kept.
    pub fn ready(&self) -> bool {
        self.live && self.fault.is_none()
    }
}

impl Bridge {
    /// A bridge yet to be built: in memory, pushing nothing, unless told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What the bridge runs on.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The bridge's own telemetry.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.0.telemetry
    }

    /// The provider of the tracers whose spans this bridge pushes.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.0.tracer_provider
    }

    pub(crate) fn exposed(&self) -> &Exposed {
        &self.0.exposed
    }

    pub(crate) fn breaker_registry(&self) -> &Registry {
        &self.0.breakers
    }

    pub(crate) fn downgrade(&self) -> WeakBridge {
        WeakBridge(Arc::downgrade(&self.0))
    }

    /// Hands over a batch at once; the future waits for its commit. The outcomes are those of the events, in order.
    ///
    /// Batches are recorded in the order of the calls, whenever their futures are polled.
    ///
    /// # Errors
    ///
    /// When the batch as a whole was refused: nothing of it is recorded, and it may be sent again.
    pub fn submit(
        &self,
        source: Source,
        events: Vec<Incoming>,
    ) -> impl Future<Output = Result<Vec<Outcome>, Refused>> + Send + use<> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        // Who no longer waits for the answer misses nothing but the answer.
        self.0.door.submit(source, events, Box::new(|outcome| drop(answer.send(outcome))));
        async { answered.await.unwrap_or(Err(Refused::Stopping)) }
    }

    /// As [`Bridge::submit`], blocking the thread: not for an async task.
    ///
    /// # Errors
    ///
    /// When the batch as a whole was refused.
    pub fn submit_blocking(&self, source: Source, events: Vec<Incoming>) -> Result<Vec<Outcome>, Refused> {
        let (answer, answered) = sync_channel(1);
        self.0.door.submit(source, events, Box::new(move |outcome| drop(answer.send(outcome))));
        answered.recv().unwrap_or(Err(Refused::Stopping))
    }

    /// Hands over an event and does not wait: for places that must not block, such as `Drop`.
    ///
    /// An event that finds no room is counted in `bridge_events_rejected_total{reason="overloaded"}`.
    pub(crate) fn submit_and_forget(&self, source: Source, event: Event) {
        self.0.door.submit(source, vec![Ok(event)], Box::new(|_| ()));
    }

    /// All metrics in that format, as of now. Takes up to 100 ms for 100,000 series.
    ///
    /// # Errors
    ///
    /// After [`Bridge::shutdown`].
    pub fn render(&self, format: Format) -> Result<String, TelemetryError> {
        self.render_filtered(format, &NameFilter::default())
    }

    pub(crate) fn render_filtered(&self, format: Format, filter: &NameFilter) -> Result<String, TelemetryError> {
        let snapshot = self.0.telemetry.collect()?;
        let mut text = String::new();
        encode(&mut text, &snapshot, self.0.telemetry.resource(), format, filter);
        Ok(text)
    }

    /// Reads what the bridge remembers, on the writer's thread between two batches; `None` when it is stopping.
    pub(crate) async fn inspect<R: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.0.door.inspect(Box::new(move |state| drop(answer.send(read(state)))));
        answered.await.ok()
    }

    /// The active sessions, oldest first; empty when the bridge is stopping.
    pub async fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<Session> =
            self.inspect(|state| state.sessions.active().cloned().collect()).await.unwrap_or_default();
        sessions.sort_by(|a, b| (a.start_ns, &a.id).cmp(&(b.start_ns, &b.id)));
        sessions
    }

    /// How the bridge is.
    pub fn health(&self) -> Health {
        let silent_ms = now_ms().saturating_sub(self.0.shared.turned_ms());
        let live = u128::try_from(silent_ms).is_ok_and(|silent| silent < HUNG.as_millis()) || silent_ms < 0;
        let fault = if self.0.shared.is_closed() {
            Some("the bridge is stopping".to_owned())
        } else {
            self.0.shared.store_fault()
        };
        let push = self.0.push.as_ref().map(Push::status).unwrap_or_default();
        Health { live, fault, push }
    }

    /// Pushes what was recorded so far and waits until the collector has it.
    ///
    /// Blocks: not for an async task.
    ///
    /// # Errors
    ///
    /// When the collector did not take everything in time; what it did not take goes on waiting.
    pub fn flush(&self, timeout: Duration) -> Result<(), crate::telemetry::push::PushError> {
        match &self.0.push {
            Some(push) => push.flush(timeout),
            None => Ok(()),
        }
    }

    /// Takes no more events, finishes those that wait, pushes once more, and ends. Safe to call twice.
    ///
    /// Blocks until the disk has what waits, and for the push at most for `timeout`: not for an async task.
    ///
    /// # Errors
    ///
    /// When the collector did not take everything in time.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), crate::telemetry::push::PushError> {
        self.0.shutdown(timeout)
    }
}

impl Inner {
    fn shutdown(&self, timeout: Duration) -> Result<(), crate::telemetry::push::PushError> {
        self.door.close();
        self.door.finish();
        self.exposed.stop();
        if let Some(sampler) = &self.sampler {
            sampler.stop();
        }
        // The writer is still there: it keeps what the push delivers from.
        let result = match &self.push {
            Some(push) => push.shutdown(timeout),
            None => Ok(()),
        };
        self.door.stop();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has said so already.
            let _ = writer.join();
        }
        // It has nothing left to flush: its spans went with the push.
        let _ = self.tracer_provider.shutdown();
        result
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last handle may go inside an async task: the writer finishes by itself, and nothing waits for it here.
        self.door.stop();
    }
}
