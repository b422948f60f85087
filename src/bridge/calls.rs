//! The typed calls of the library: one for each thing that can be told without a guard.

use super::{Bridge, Refused, Source};
use crate::event::{
    ActiveSessions, ComponentName, Count, Event, EventId, Invalid, Label, LlmCall, McpEvent, Outcome, Score, Seconds,
    SessionEnd, SessionHeartbeat, SessionId, SessionQuality, SessionStart, SessionStatus, Timestamp,
};

/// Why an event was not recorded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// A value is not what it must be.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The bridge rejected the event.
    #[error("{error}")]
    Rejected {
        /// The field at fault, where it is one.
        field: Option<String>,
        /// What was wrong, and what would be right.
        error: String,
    },
    /// The bridge takes no events now.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Bridge {
    /// Records an event and waits for its commit; every type in [`crate::event`] can be given.
    ///
    /// Blocks for the time of a commit: in an async task use [`Bridge::record_async`].
    ///
    /// # Errors
    ///
    /// When the event is rejected, or the bridge takes none now.
    pub fn record(&self, event: impl Into<Event>) -> Result<Outcome, RecordError> {
        one(self.submit_blocking(Source::Library, vec![Ok(event.into())]))
    }

    /// As [`Bridge::record`], for async tasks.
    ///
    /// # Errors
    ///
    /// When the event is rejected, or the bridge takes none now.
    pub async fn record_async(&self, event: impl Into<Event>) -> Result<Outcome, RecordError> {
        one(self.submit(Source::Library, vec![Ok(event.into())]).await)
    }

    /// A session of this process starts now. The answer names it; [`Bridge::session`] is the guard that also ends it.
    ///
    /// # Errors
    ///
    /// When a name cannot be a label, or the bridge takes no events now.
    pub fn session_start(&self, component_name: &str, shell_type: &str) -> Result<Outcome, RecordError> {
        self.record(started_here(ComponentName::new(component_name)?, Label::new(shell_type)?))
    }

    /// A session ends now.
    ///
    /// # Errors
    ///
    /// When the id cannot be one, or the bridge takes no events now. A session that is not known is no error: the
    /// outcome's status is `not_found`.
    pub fn session_end(&self, session_id: &str, status: SessionStatus) -> Result<Outcome, RecordError> {
        let end = SessionEnd { session_id: SessionId::new(session_id)?, status, quality_score: None };
        self.record(Event { timestamp: Some(Timestamp::now()), ..Event::new(end) })
    }

    /// A session is still there.
    ///
    /// # Errors
    ///
    /// When the id cannot be one, or the bridge takes no events now.
    pub fn session_heartbeat(&self, session_id: &str) -> Result<Outcome, RecordError> {
        self.record(SessionHeartbeat { session_id: SessionId::new(session_id)?, dropped: None })
    }

    /// The quality score of a component's sessions, 0 to 100.
    ///
    /// # Errors
    ///
    /// When the name cannot be a component's, the score is out of range, or the bridge takes no events now.
    pub fn session_quality(&self, component_name: &str, score: f64) -> Result<Outcome, RecordError> {
        self.record(SessionQuality {
            component_name: ComponentName::new(component_name)?,
            quality_score: Score::new(score)?,
        })
    }

    /// An MCP event was emitted, in so many seconds; with an error type, it failed. [`Bridge::time_event`] is the guard
    /// that times it.
    ///
    /// # Errors
    ///
    /// When a name cannot be a label, the duration is negative or not finite, or the bridge takes no events now.
    pub fn mcp_event(
        &self,
        component_name: &str,
        emitted_type: &str,
        duration_seconds: f64,
        error_type: Option<&str>,
    ) -> Result<Outcome, RecordError> {
        self.record(McpEvent {
            component_name: ComponentName::new(component_name)?,
            emitted_type: Label::new(emitted_type)?,
            duration_seconds: Seconds::new(duration_seconds)?,
            error_type: error_type.map(Label::new).transpose()?,
        })
    }

    /// How many sessions a host has active, where it sends no starts and ends.
    ///
    /// # Errors
    ///
    /// When the host's name cannot be a label, or the bridge takes no events now.
    pub fn active_sessions(&self, host: Option<&str>, count: u64) -> Result<Outcome, RecordError> {
        self.record(ActiveSessions { count: Count::new(count)?, host: host.map(Label::new).transpose()? })
    }

    /// An LLM call, described in full. [`Bridge::llm_call`] is the guard that times it.
    ///
    /// # Errors
    ///
    /// When the bridge takes no events now.
    pub fn llm_call_event(&self, call: LlmCall) -> Result<Outcome, RecordError> {
        self.record(call)
    }
}

/// A start of a session of this process, now.
pub(crate) fn started_here(component_name: ComponentName, shell_type: Label) -> Event {
    Event {
        id: Some(EventId::random()),
        timestamp: Some(Timestamp::now()),
        ..Event::new(SessionStart::here(component_name, shell_type))
    }
}

fn one(outcomes: Result<Vec<Outcome>, Refused>) -> Result<Outcome, RecordError> {
    let outcome = outcomes?.pop().ok_or(Refused::Stopping)?;
    if outcome.is_rejected() {
        let error = outcome.error.unwrap_or_default();
        return Err(RecordError::Rejected { field: outcome.field, error });
    }
    Ok(outcome)
}
