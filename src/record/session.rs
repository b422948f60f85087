//! Sessions: their starts, ends, heartbeats and quality, and the span of each.

mod span;

pub(crate) use span::{ERROR, attributes, span_name};

use std::sync::Arc;
use std::time::SystemTime;

use self::span::span_attributes;
use super::emit::EmitRecorder;
use super::span::nanos;
use super::{Context, Fault, Tracing};
use crate::catalog::metrics::{
    ACTIVE_SESSIONS, ACTIVE_SESSIONS_TOTAL, BRIDGE_WRAP_DROPPED, MCP_SERVER_SESSION_DURATION, SESSION_DURATION,
    SESSION_END, SESSION_QUALITY_SCORE, SESSION_START,
};
use crate::event::{
    Dropped, Event, EventId, EventKind, EventType, Outcome, Reason, Rejection, Score, Seconds, SessionEnd,
    SessionHeartbeat, SessionId, SessionStart, SpanOwner, Status, Timestamp, Warning,
};
use crate::state::{Ended, EndedStatus, Session, SpanIds, SpanValue, StartError, StoreError};
use crate::telemetry::{Instrument, Link, Telemetry};

const PROTOCOL_VERSION: &str = "mcp.protocol.version";
const TRANSPORT: &str = "network.transport";
/// OpenTelemetry's `error.type` where none is known: a session's end tells only that there was one.
const UNTYPED_ERROR: &str = "_OTHER";

/// Records sessions.
#[derive(Debug)]
pub(super) struct SessionRecorder {
    start: Arc<Instrument>,
    end: Arc<Instrument>,
    duration: Arc<Instrument>,
    mcp_duration: Arc<Instrument>,
    active: Arc<Instrument>,
    active_total: Arc<Instrument>,
    quality: Arc<Instrument>,
    dropped: Arc<Instrument>,
    tracing: Arc<Tracing>,
    emit: Arc<EmitRecorder>,
}

impl SessionRecorder {
    pub(super) fn new(telemetry: &Telemetry, tracing: Arc<Tracing>, emit: Arc<EmitRecorder>) -> Self {
        Self {
            start: telemetry.instrument(&SESSION_START),
            end: telemetry.instrument(&SESSION_END),
            duration: telemetry.instrument(&SESSION_DURATION),
            mcp_duration: telemetry.instrument(&MCP_SERVER_SESSION_DURATION),
            active: telemetry.instrument(&ACTIVE_SESSIONS),
            active_total: telemetry.instrument(&ACTIVE_SESSIONS_TOTAL),
            quality: telemetry.instrument(&SESSION_QUALITY_SCORE),
            dropped: telemetry.instrument(&BRIDGE_WRAP_DROPPED),
            tracing,
            emit,
        }
    }

    pub(super) fn start(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::SessionStart(start) = &event.kind else { return Ok(Outcome::new(Status::Tracked)) };
        let (id, short_id, time) = identity(&event, start);
        let component = start.component_name.as_str();
        let span = self.span_of_start(&event, component);
        let session = Session {
            id: id.as_str().into(),
            short_id: short_id.as_str().into(),
            component_name: component.into(),
            shell_type: start.shell_type.as_str().into(),
            start_ns: nanos(time),
            last_event_ns: nanos(time),
            heard_ms: context.now_ms,
            stored_ms: context.now_ms,
            span,
            span_elsewhere: event.span_owner == SpanOwner::Caller,
            attributes: span_attributes(&id, start),
        };
        let (store, sessions, ..) = context.state.parts();
        match sessions.start(store, session) {
            Ok(()) => {}
            Err(StartError::Store(error)) => return Err(error.into()),
            Err(StartError::Exists) => {
                let error = format!("a session {id} is active already; give each session_start an event_id of its own");
                return Err(self.start_refused(context, component, event.id, Reason::Conflict, "event_id", error));
            }
            Err(StartError::Full(most)) => {
                let error = format!("{most} sessions are active, which is as many as sessions.max_active allows");
                return Err(self.start_refused(
                    context,
                    component,
                    event.id,
                    Reason::SessionLimit,
                    "event_type",
                    error,
                ));
            }
        }
        let link = self.tracing.link(&span.context(), time);
        context.staged.add(self.start.series(&[component, start.shell_type.as_str()]), 1, link);
        for status in [EndedStatus::Success, EndedStatus::Error] {
            // There before it first counts, so that an error rate has an answer.
            self.end.series(&[component, status.name()]);
        }
        self.show_active(context, component);
        self.show_quality(context, component, start.quality_score);
        self.emit.handled(context, Some(component), EventType::SessionStart, None, link);
        Ok(Outcome::new(Status::Tracked).with_session_id(id.as_str()).with_span(&span.context()))
    }

    pub(super) fn end(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::SessionEnd(end) = &event.kind else { return Ok(Outcome::new(Status::Ended)) };
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let named = end.session_id.as_str();
        let (store, sessions, ..) = context.state.parts();
        let active = sessions.find(named).map(|session| Arc::clone(&session.id));

        // A whole id that is active cannot have ended before; every other end may be a repeated one.
        if active.as_deref() != Some(named) {
            let ended = sessions.ended(store, named)?;
            if let Some(before) = ended.iter().find(|ended| ended.end_ns == nanos(time) && !timed_out(ended)) {
                let mut outcome = ended_outcome(&before.id, before.span);
                outcome.duplicate = true;
                return Ok(outcome);
            }
            if active.is_none() {
                return match ended.iter().find(|ended| timed_out(ended)) {
                    Some(late) => self.end_late(context, end, late, time),
                    None => Ok(self.end_unknown(context, end, ended.first())),
                };
            }
        }
        let Some(id) = active else { return Ok(self.end_unknown(context, end, None)) };
        let status = end.ended_status();
        let now_ms = context.now_ms;
        let Some(session) = sessions.end(store, &id, nanos(time), status, now_ms)? else {
            return Ok(self.end_unknown(context, end, None));
        };
        let component = &*session.component_name;
        let link = self.tracing.link(&session.span.context(), time);
        let mut outcome = ended_outcome(&session.id, session.span);
        context.staged.add(self.end.series(&[component, status.name()]), 1, link);
        self.observe_duration(context, component, session.start_ns, time, session.span, &mut outcome);
        self.observe_mcp_duration(context, &session, status, time, link);
        self.show_active(context, component);
        self.show_quality(context, component, end.quality_score);
        self.emit.handled(context, Some(component), EventType::SessionEnd, None, link);
        self.finish_span(context, &session, status, time.into());
        Ok(outcome)
    }

    pub(super) fn heartbeat(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::SessionHeartbeat(heartbeat) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        // What was dropped counts, whether the session is still known or not.
        for (reason, count) in heartbeat.dropped.iter().flat_map(Dropped::by_reason) {
            context.staged.add(self.dropped.series(&[reason]), count, None);
        }
        let id = heartbeat.session_id.as_str();
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let (store, sessions, ..) = context.state.parts();
        let known = sessions.find(id).map(|session| (Arc::clone(&session.id), session.span));
        let Some((id, span)) = known else {
            return Ok(not_found(id, None));
        };
        sessions.hear(store, &id, nanos(time), context.now_ms)?;
        Ok(Outcome::new(Status::Recorded).with_session_id(&id).with_span(&span.context()))
    }

    pub(super) fn quality(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        if let EventKind::SessionQuality(quality) = &event.kind {
            self.show_quality(context, quality.component_name.as_str(), Some(quality.quality_score));
        }
        Ok(Outcome::new(Status::Recorded))
    }

    pub(super) fn reported(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::ActiveSessions(report) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let host = report.host.as_ref().map_or("", |host| host.as_str());
        let (store, .., hosts) = context.state.parts();
        if !hosts.report(store, host, report.count.get())? {
            let error = "too many hosts report active sessions; their number is bounded";
            return Err(Fault::Rejected(Rejection::of_field(Reason::SessionLimit, "host", error.to_owned())));
        }
        self.show_active_total(context);
        Ok(Outcome::new(Status::Recorded))
    }

    /// The answer to a start that was recorded before.
    pub(super) fn started_again(
        &self,
        context: &mut Context<'_>,
        event: &Event,
        start: &SessionStart,
    ) -> Result<Outcome, StoreError> {
        let (id, ..) = identity(event, start);
        let (store, sessions, ..) = context.state.parts();
        let span = match sessions.find(id.as_str()) {
            Some(session) => Some(session.span),
            None => sessions.ended(store, id.as_str())?.first().map(|ended| ended.span),
        };
        let outcome = Outcome::new(Status::Tracked).with_session_id(id.as_str());
        Ok(match span {
            Some(span) => outcome.with_span(&span.context()),
            None => outcome,
        })
    }

    /// The answer to an end that was recorded before, whether it ended a session or not.
    pub(super) fn ended_again(
        &self,
        context: &mut Context<'_>,
        event: &Event,
        end: &SessionEnd,
    ) -> Result<Outcome, StoreError> {
        let id = end.session_id.as_str();
        let (store, sessions, ..) = context.state.parts();
        let ended = sessions.ended(store, id)?;
        let at = event.timestamp.map(nanos);
        let same = ended.iter().find(|ended| at == Some(ended.end_ns) && !timed_out(ended));
        Ok(match same {
            Some(ended) => ended_outcome(&ended.id, ended.span),
            None => not_found(id, ended.first()),
        })
    }

    /// The answer to a heartbeat that was recorded before.
    pub(super) fn heard_again(
        &self,
        context: &mut Context<'_>,
        heartbeat: &SessionHeartbeat,
    ) -> Result<Outcome, StoreError> {
        let id = heartbeat.session_id.as_str();
        let (store, sessions, ..) = context.state.parts();
        let known = match sessions.find(id) {
            Some(session) => Some((Arc::clone(&session.id), session.span)),
            None => sessions.ended(store, id)?.into_iter().next().map(|ended| (ended.id, ended.span)),
        };
        Ok(match known {
            Some((id, span)) => Outcome::new(Status::Recorded).with_session_id(&id).with_span(&span.context()),
            None => not_found(id, None),
        })
    }

    pub(super) fn time_out(&self, context: &mut Context<'_>) -> Result<(), StoreError> {
        let now_ms = context.now_ms;
        let (_, sessions, ..) = context.state.parts();
        for id in sessions.timed_out(now_ms) {
            let (store, sessions, ..) = context.state.parts();
            let last_ns = sessions.find(&id).map_or(0, |session| session.last_event_ns);
            let Some(session) = sessions.end(store, &id, last_ns, EndedStatus::Timeout, now_ms)? else { continue };
            let component = &*session.component_name;
            context.staged.add(self.end.series(&[component, EndedStatus::Timeout.name()]), 1, None);
            self.show_active(context, component);
            self.finish_span(context, &session, EndedStatus::Timeout, time_of(last_ns));
        }
        Ok(())
    }

    /// Shows how many sessions are active: the store knows better than a gauge that may have been off meanwhile.
    pub(super) fn restore(&self, context: &mut Context<'_>) {
        for series in self.active.all_series() {
            if let Some(component) = self.active.label(&series, "component_name") {
                let count = context.state.sessions.of_component(component);
                context.staged.set(series, count as f64);
            }
        }
        let (_, sessions, ..) = context.state.parts();
        let components: Vec<String> = sessions.by_component().map(|(component, _)| component.to_owned()).collect();
        for component in components {
            for status in [EndedStatus::Success, EndedStatus::Error] {
                self.end.series(&[&component, status.name()]);
            }
            self.show_active(context, &component);
        }
        self.show_active_total(context);
    }

    fn start_refused(
        &self,
        context: &mut Context<'_>,
        component: &str,
        id: Option<EventId>,
        reason: Reason,
        field: &'static str,
        error: String,
    ) -> Fault {
        self.emit.refused(context, Some(component), EventType::SessionStart, id);
        Fault::Rejected(Rejection::of_field(reason, field, error))
    }

    fn end_unknown(&self, context: &mut Context<'_>, end: &SessionEnd, ended: Option<&Ended>) -> Outcome {
        let component = match ended {
            Some(ended) => Some(ended.component_name.to_string()),
            None => end.session_id.component().map(|component| component.as_str().to_owned()),
        };
        self.emit.handled(context, component.as_deref(), EventType::SessionEnd, Some("SessionNotFound"), None);
        not_found(end.session_id.as_str(), ended)
    }

    fn end_late(
        &self,
        context: &mut Context<'_>,
        end: &SessionEnd,
        late: &Ended,
        time: Timestamp,
    ) -> Result<Outcome, Fault> {
        let (store, sessions, ..) = context.state.parts();
        sessions.end_late(store, &late.id, nanos(time), end.ended_status())?;
        let mut outcome = ended_outcome(&late.id, late.span);
        outcome.warnings.push(Warning::LateEnd);
        self.observe_duration(context, &late.component_name, late.start_ns, time, late.span, &mut outcome);
        let link = self.tracing.link(&late.span.context(), time);
        self.emit.handled(context, Some(&late.component_name), EventType::SessionEnd, None, link);
        Ok(outcome)
    }

    /// Observes the time from start to end; a negative one is a clock that went wrong, and only warned of.
    fn observe_duration(
        &self,
        context: &mut Context<'_>,
        component: &str,
        start_ns: i64,
        end: Timestamp,
        span: SpanIds,
        outcome: &mut Outcome,
    ) {
        match u64::try_from(nanos(end) - start_ns) {
            Ok(took) => {
                let took = Seconds::from(std::time::Duration::from_nanos(took));
                let link = self.tracing.link(&span.context(), end);
                context.staged.record(self.duration.series(&[component]), took.get(), link);
            }
            Err(_) => outcome.warnings.push(Warning::ClockSkew),
        }
    }

    /// The same of a session that told of MCP at its start, by the names of MCP's conventions.
    fn observe_mcp_duration(
        &self,
        context: &mut Context<'_>,
        session: &Session,
        status: EndedStatus,
        end: Timestamp,
        link: Option<Link>,
    ) {
        let told = |key: &str| match session.attributes.iter().find(|(known, _)| known == key) {
            Some((_, SpanValue::Text(value))) => value.as_str(),
            _ => "",
        };
        let (version, transport) = (told(PROTOCOL_VERSION), told(TRANSPORT));
        let Ok(took) = u64::try_from(nanos(end) - session.start_ns) else { return };
        if version.is_empty() && transport.is_empty() {
            return;
        }
        let error = if status == EndedStatus::Error { UNTYPED_ERROR } else { "" };
        let took = Seconds::from(std::time::Duration::from_nanos(took));
        let labels = [&*session.component_name, version, transport, error];
        context.staged.record(self.mcp_duration.series(&labels), took.get(), link);
    }

    fn show_active(&self, context: &mut Context<'_>, component: &str) {
        let count = context.state.sessions.of_component(component);
        context.staged.set(self.active.series(&[component]), count as f64);
        self.show_active_total(context);
    }

    fn show_active_total(&self, context: &mut Context<'_>) {
        let total = context.state.active_sessions();
        context.staged.set(self.active_total.series(&[]), total as f64);
    }

    fn show_quality(&self, context: &mut Context<'_>, component: &str, score: Option<Score>) {
        if let Some(score) = score {
            context.staged.set(self.quality.series(&[component]), score.get());
        }
    }
}

/// The whole id, the short id and the time of a start.
fn identity(event: &Event, start: &SessionStart) -> (SessionId, SessionId, Timestamp) {
    let time = event.timestamp.unwrap_or_else(Timestamp::now);
    let event_id = event.id.unwrap_or_else(crate::event::EventId::random);
    (
        SessionId::derive(&start.component_name, time, event_id),
        SessionId::derive_short(&start.component_name, time),
        time,
    )
}

fn ended_outcome(id: &str, span: SpanIds) -> Outcome {
    Outcome::new(Status::Ended).with_session_id(id).with_span(&span.context())
}

/// The answer where no session of that id is active; it may be one that ended.
fn not_found(id: &str, ended: Option<&Ended>) -> Outcome {
    let error = match ended {
        Some(ended) => format!("session {id} ended already, at {}", timestamp_of(ended.end_ns)),
        None => format!("no active session {id}; send its session_start first"),
    };
    Outcome::new(Status::NotFound).with_session_id(id).with_error("session_id", error)
}

fn timed_out(ended: &Ended) -> bool {
    ended.status == EndedStatus::Timeout
}

fn timestamp_of(nanos: i64) -> String {
    u64::try_from(nanos)
        .ok()
        .and_then(|nanos| Timestamp::from_unix_nanos(nanos).ok())
        .map_or_else(String::new, |time| time.to_string())
}

fn time_of(nanos: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

impl SessionEnd {
    fn ended_status(&self) -> EndedStatus {
        match self.status {
            crate::event::SessionStatus::Success => EndedStatus::Success,
            crate::event::SessionStatus::Error => EndedStatus::Error,
        }
    }
}
