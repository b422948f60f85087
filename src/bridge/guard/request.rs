//! The guard of a request: open from here to its verdict, and failed where none comes.

use std::time::{Instant, SystemTime};

use tracing::Span;

use super::error_at_drop;
use super::span::GuardSpan;
use crate::bridge::{Bridge, Source};
use crate::event::{Event, EventId, Label, RequestEnd, RequestId, RequestStart, Timestamp};
use crate::record;

/// The error type of a request whose guard was dropped without a verdict.
const CANCELLED: &str = "cancelled";

impl Bridge {
    /// A request that an agent handles: open from now on, until the guard tells how it ended or is dropped.
    ///
    /// Characters that a label may not hold are replaced by `_`.
    ///
    /// ```
    /// # fn plan() -> Result<(), std::io::Error> { Ok(()) }
    /// # let bridge = mcp_otel_bridge::Bridge::builder().build()?;
    /// let request = bridge.request("planner", "plan");
    /// match plan() {
    ///     Ok(()) => request.succeed(),
    ///     Err(_) => request.fail("io_error"),
    /// }
    /// # Ok::<(), mcp_otel_bridge::BuildError>(())
    /// ```
    pub fn request(&self, agent: &str, operation: &str) -> RequestGuard {
        let (agent, operation) = (Label::lossy(agent), Label::lossy(operation));
        let id = RequestId::lossy(&EventId::random().to_string());
        let span = GuardSpan::new(tracing::info_span!(
            target: "mcp_otel_bridge",
            "request",
            otel.name = record::request_span_name(agent.as_str(), operation.as_str()),
            otel.kind = "internal",
            agent = agent.as_str(),
            operation = operation.as_str(),
            request_id = id.as_str(),
        ));
        let (time, started) = (SystemTime::now(), Instant::now());
        let start = RequestStart { request_id: id.clone(), agent: agent.clone(), operation: operation.clone() };
        let mut event = Event { timestamp: Some(time.into()), ..Event::new(start) };
        span.place(&mut event);
        self.submit_and_forget(Source::Library, event);
        let end = RequestEnd { request_id: id, agent, operation, error_type: None };
        RequestGuard { bridge: self.clone(), end, succeeded: false, span, time, started }
    }
}

/// A request under way.
///
/// Dropped without [`RequestGuard::succeed`] or [`RequestGuard::fail`], it has failed: with the error type `panic` in a
/// panic, else with `cancelled`, as when a future is dropped before its end or a scope is left early.
#[derive(Debug)]
#[must_use = "the request is cancelled when the guard is dropped"]
pub struct RequestGuard {
    bridge: Bridge,
    end: RequestEnd,
    succeeded: bool,
    span: GuardSpan,
    time: SystemTime,
    started: Instant,
}

impl RequestGuard {
    /// The request's id.
    pub fn id(&self) -> &str {
        self.end.request_id.as_str()
    }

    /// The request's `tracing` span: enter it, or instrument a future with it, to put spans under it.
    pub fn span(&self) -> &Span {
        self.span.tracing()
    }

    /// The request has succeeded.
    pub fn succeed(mut self) {
        self.succeeded = true;
    }

    /// The request has failed, with this kind of error.
    pub fn fail(mut self, error_type: &str) {
        self.end.error_type = Some(Label::lossy(error_type));
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        // By the clock that only goes forward: the wall clock may be set meanwhile.
        let time = self.time.checked_add(self.started.elapsed()).map_or_else(Timestamp::now, Timestamp::from);
        if !self.succeeded {
            let error = error_at_drop(self.end.error_type.take());
            self.end.error_type = Some(error.unwrap_or_else(|| Label::literal(CANCELLED)));
        }
        let RequestEnd { request_id, agent, operation, error_type } = &self.end;
        let error = error_type.as_ref().map(Label::as_str);
        self.span.adorn(record::request_attributes(
            agent.as_str(),
            operation.as_str(),
            error,
            Some(request_id.as_str()),
        ));
        self.span.end(error, time);
        let event = Event { timestamp: Some(time), ..Event::new(self.end.clone()) };
        self.bridge.submit_and_forget(Source::Library, event);
    }
}
