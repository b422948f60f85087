//! The span that what goes on inside the session belongs under, once it is known.

use std::sync::{Arc, OnceLock};

use crate::event::TraceParent;

/// What `--inject-trace-context` gives to requests that have no trace context: a span that somebody makes.
///
/// That is the span of the session as the bridge named it in its answer to `session_start`; until then the span that
/// `TRACEPARENT` in the environment names, under which the session's will be; and nothing where there is neither.
/// Clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct TraceContext {
    outside: Option<TraceParent>,
    session: Arc<OnceLock<TraceParent>>,
}

impl TraceContext {
    /// The context before the session is known: the span of `TRACEPARENT` in the environment, where it is a valid one.
    pub fn from_environment() -> Self {
        let outside = std::env::var("TRACEPARENT").ok().and_then(|text| text.parse().ok());
        Self { outside, session: Arc::default() }
    }

    /// The span that the session's own is under.
    pub fn outside(&self) -> Option<TraceParent> {
        self.outside
    }

    /// Sets the session's span, as the bridge answered; the first one stays.
    pub fn set_session(&self, span: TraceParent) {
        let _ = self.session.set(span);
    }

    /// The span to give to requests.
    pub fn current(&self) -> Option<TraceParent> {
        self.session.get().copied().or(self.outside)
    }
}
