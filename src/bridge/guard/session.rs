//! The guard of a session.

use tracing::Span;
use tracing::field::Empty;

use super::LlmCallGuard;
use super::span::GuardSpan;
use crate::bridge::{Bridge, Source};
use crate::event::{
    ComponentName, Event, EventId, Label, Score, SessionEnd, SessionHeartbeat, SessionId, SessionStart, SessionStatus,
    Timestamp,
};
use crate::record;

impl Bridge {
    /// A session of this process: started now, ended when the guard is dropped or finished.
    ///
    /// Characters that a component's name or a label may not hold are replaced by `_`.
    pub fn session(&self, component_name: &str, shell_type: &str) -> SessionGuard {
        let (event_id, time) = (EventId::random(), Timestamp::now());
        let start = SessionStart::here(ComponentName::lossy(component_name), Label::lossy(shell_type));
        let id = SessionId::derive(&start.component_name, time, event_id);
        let span = GuardSpan::new(tracing::info_span!(
            target: "mcp_otel_bridge",
            "session",
            otel.name = record::session_span_name(start.component_name.as_str()),
            otel.kind = "internal",
            component_name = start.component_name.as_str(),
            shell_type = start.shell_type.as_str(),
            session.id = id.as_str(),
            status = Empty,
        ));
        span.adorn(record::session_attributes(&id, &start));
        let mut event = Event { id: Some(event_id), timestamp: Some(time), ..Event::new(start) };
        span.place(&mut event);
        self.submit_and_forget(Source::Library, event);
        SessionGuard { bridge: self.clone(), id, span, status: None, quality: None }
    }
}

/// An active session of this process.
#[derive(Debug)]
#[must_use = "the session ends when the guard is dropped"]
pub struct SessionGuard {
    bridge: Bridge,
    id: SessionId,
    span: GuardSpan,
    status: Option<SessionStatus>,
    quality: Option<Score>,
}

impl SessionGuard {
    /// The session's id, for events of other processes.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The session's `tracing` span: enter it, or instrument a future with it, to put spans under it.
    pub fn span(&self) -> &Span {
        self.span.tracing()
    }

    /// An LLM call of this session.
    pub fn llm_call(&self, provider: &str, model: &str) -> LlmCallGuard {
        LlmCallGuard::new(&self.bridge, Some((&self.id, self.span.tracing())), provider, model)
    }

    /// Keeps the session from timing out.
    pub fn heartbeat(&self) {
        let beat = SessionHeartbeat { session_id: self.id.clone(), dropped: None };
        self.bridge.submit_and_forget(Source::Library, Event::new(beat));
    }

    /// The session's quality score, 0 to 100, told at its end; one out of range is left out.
    pub fn quality_score(&mut self, score: f64) {
        self.quality = Score::new(score).ok();
    }

    /// Says how the session will have ended. Without a word it is a success, and an error in a panic.
    pub fn status(&mut self, status: SessionStatus) {
        self.status = Some(status);
    }

    /// Ends the session now.
    pub fn finish(mut self, status: SessionStatus) {
        self.status = Some(status);
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let panicked = if std::thread::panicking() { SessionStatus::Error } else { SessionStatus::Success };
        let status = self.status.unwrap_or(panicked);
        let time = Timestamp::now();
        self.span.tracing().record("status", status.name());
        self.span.end((status == SessionStatus::Error).then_some(record::SESSION_ERROR), time);
        let end = SessionEnd { session_id: self.id.clone(), status, quality_score: self.quality };
        self.bridge.submit_and_forget(Source::Library, Event { timestamp: Some(time), ..Event::new(end) });
    }
}
