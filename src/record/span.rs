//! The spans of what is over by the time that its event comes: where they belong, and how they are made.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanKind, Status as SpanStatus};

use super::{Context, Staged, Tracing};
use crate::event::{Event, Label, Seconds, SessionId, SpanOwner, Timestamp};
use crate::state::StoreError;
use crate::telemetry::FinishedSpan;

/// What a span tells of something that is over.
#[derive(Debug)]
pub(super) struct Over<'a> {
    pub(super) name: String,
    pub(super) kind: SpanKind,
    pub(super) took: Option<Seconds>,
    pub(super) end: Timestamp,
    pub(super) error_type: Option<&'a Label>,
}

/// Where an event belongs.
#[derive(Debug)]
pub(super) struct Place {
    /// The span that it names, else that of its session.
    pub(super) parent: Option<SpanContext>,
    /// The whole id of its session, where that is known, else the id as it was given.
    pub(super) session_id: Option<Arc<str>>,
}

impl Place {
    /// Finds the place of an event, whose session is thereby heard of.
    pub(super) fn of(
        context: &mut Context<'_>,
        event: &Event,
        session_id: Option<&SessionId>,
        time: Timestamp,
    ) -> Result<Self, StoreError> {
        let parent = event.traceparent.as_ref().map(|parent| parent.span_context());
        let Some(id) = session_id.map(SessionId::as_str) else { return Ok(Self { parent, session_id: None }) };
        let (store, sessions, ..) = context.state.parts();
        sessions.hear(store, id, nanos(time), context.now_ms)?;
        if let Some(session) = sessions.find(id) {
            let parent = parent.or_else(|| Some(session.span.context()));
            return Ok(Self { parent, session_id: Some(Arc::clone(&session.id)) });
        }
        // One that ended is only looked for where its span is wanted.
        let ended = if parent.is_none() { sessions.ended(store, id)?.into_iter().next() } else { None };
        Ok(match ended {
            Some(ended) => Self { parent: Some(ended.span.context()), session_id: Some(ended.id) },
            None => Self { parent, session_id: Some(id.into()) },
        })
    }
}

impl Tracing {
    /// The span of something that is over: the caller's own, or a new one under `parent`, staged where it is sampled.
    pub(super) fn over(
        &self,
        staged: &mut Staged,
        event: &Event,
        parent: Option<SpanContext>,
        over: Over<'_>,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> SpanContext {
        if let (SpanOwner::Caller, Some(own)) = (event.span_owner, &parent) {
            return own.clone();
        }
        let Over { name, kind, took, end, error_type } = over;
        let span = self.tracer.start(parent.as_ref(), &name, &kind);
        if span.is_sampled() {
            let took = took.map_or(Duration::ZERO, |took| Duration::from_secs_f64(took.get()));
            let end = SystemTime::from(end);
            let finished = FinishedSpan {
                name,
                kind,
                start: end.checked_sub(took).unwrap_or(end),
                end,
                status: match error_type {
                    Some(error) => SpanStatus::error(error.as_str().to_owned()),
                    None => SpanStatus::Unset,
                },
                attributes: attributes(),
            };
            let parent = parent.filter(SpanContext::is_valid).map(|parent| parent.span_id());
            staged.spans.push(self.tracer.finish(span.clone(), parent, finished));
        }
        span
    }
}

/// The time in nanoseconds since 1970.
pub(super) fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.unix_nanos()).unwrap_or(i64::MAX)
}
