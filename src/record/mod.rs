//! From an event to measurements and spans: one file a group.
//!
//! Deciding is apart from applying. What an event means is decided inside the transaction of its batch and staged in a
//! [`Staged`]; only after the commit is it applied to the instruments, so that what is counted is what is remembered.

mod breaker;
mod durable;
mod emit;
mod hub;
mod ledger;
mod llm;
mod mcp;
mod request;
mod session;
mod skill;
mod span;

pub(crate) use durable::restore_series;
pub(crate) use emit::{attributes as emit_attributes, span_name as emit_span_name};
pub(crate) use ledger::Ledger;
pub(crate) use llm::{attributes as llm_attributes, span_name as llm_span_name};
pub(crate) use request::{attributes as request_attributes, span_name as request_span_name};
pub(crate) use session::{ERROR as SESSION_ERROR, attributes as session_attributes, span_name as session_span_name};

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::trace::SpanData;

use crate::event::{Event, EventKind, Outcome, Rejection, Status, Timestamp};
use crate::state::{State, StoreError};
use crate::telemetry::{EventTracer, Link, Series, Telemetry};

/// What a batch will change, once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    measurements: Vec<Measurement>,
    /// The spans that are over.
    pub(crate) spans: Vec<SpanData>,
}

/// One change of one series.
#[derive(Debug)]
struct Measurement {
    series: Arc<Series>,
    change: Change,
    link: Option<Link>,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Add(u64),
    Shift(i64),
    Set(f64),
    Record(f64),
}

impl Staged {
    fn add(&mut self, series: Arc<Series>, value: u64, link: Option<Link>) {
        self.measurements.push(Measurement { series, change: Change::Add(value), link });
    }

    fn change(&mut self, series: Arc<Series>, value: i64) {
        self.measurements.push(Measurement { series, change: Change::Shift(value), link: None });
    }

    fn set(&mut self, series: Arc<Series>, value: f64) {
        self.measurements.push(Measurement { series, change: Change::Set(value), link: None });
    }

    fn record(&mut self, series: Arc<Series>, value: f64, link: Option<Link>) {
        self.measurements.push(Measurement { series, change: Change::Record(value), link });
    }

    /// Makes the changes. The caller keeps collections out meanwhile.
    pub(crate) fn apply(&mut self) {
        for Measurement { series, change, link } in self.measurements.drain(..) {
            match change {
                Change::Add(value) => series.add(value, link),
                Change::Shift(value) => series.change(value),
                Change::Set(value) => series.set(value),
                Change::Record(value) => series.record(value, link),
            }
        }
    }
}

/// Why an event was not recorded.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The event is at fault.
    Rejected(Rejection),
    /// The store is; nothing of the batch can be kept.
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Where an event is recorded: the memory it changes, the batch it is staged in, and when it came in.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) staged: &'a mut Staged,
    /// When the event was handed to the door.
    pub(crate) received: Instant,
    /// The bridge's own clock at the start of the batch, in milliseconds since 1970.
    pub(crate) now_ms: i64,
}

impl Context<'_> {
    /// How long the handling of the event has taken.
    fn handling(&self) -> Duration {
        self.received.elapsed()
    }
}

/// Records events of every kind.
#[derive(Debug)]
pub(crate) struct Recorder {
    session: session::SessionRecorder,
    llm: llm::LlmRecorder,
    request: request::RequestRecorder,
    hub: hub::HubRecorder,
    mcp: mcp::McpRecorder,
    skill: skill::SkillRecorder,
    emit: Arc<emit::EmitRecorder>,
    breaker: breaker::BreakerRecorder,
}

/// What all recorders share.
#[derive(Debug)]
struct Tracing {
    tracer: EventTracer,
    exemplars: bool,
}

impl Tracing {
    /// The link that an exemplar of a measurement in `span` gets.
    ///
    /// Its time is never in the future: a scraper takes no older exemplar after that one.
    fn link(&self, span: &SpanContext, time: Timestamp) -> Option<Link> {
        if self.exemplars { Link::to(span, SystemTime::from(time).min(SystemTime::now())) } else { None }
    }
}

impl Recorder {
    pub(crate) fn new(telemetry: &Telemetry, tracer: EventTracer) -> Self {
        let tracing = Arc::new(Tracing { tracer, exemplars: telemetry.exemplars() });
        let emit = Arc::new(emit::EmitRecorder::new(telemetry, Arc::clone(&tracing)));
        Self {
            session: session::SessionRecorder::new(telemetry, Arc::clone(&tracing), Arc::clone(&emit)),
            llm: llm::LlmRecorder::new(telemetry, Arc::clone(&tracing)),
            request: request::RequestRecorder::new(telemetry, Arc::clone(&tracing)),
            hub: hub::HubRecorder::new(telemetry, Arc::clone(&tracing)),
            mcp: mcp::McpRecorder::new(telemetry, Arc::clone(&tracing), Arc::clone(&emit)),
            skill: skill::SkillRecorder::new(telemetry, Arc::clone(&tracing)),
            emit,
            breaker: breaker::BreakerRecorder::new(telemetry, tracing),
        }
    }

    /// Records an event that the door took, or acknowledges it again where it is a repeated one.
    pub(crate) fn record(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let id = event.id.map(|id| id.as_u128());
        if let Some(id) = id
            && context.state.event_ids.contains(id)
        {
            return self.acknowledge_again(context, &event);
        }
        let outcome = match event.kind {
            EventKind::SessionStart(_) => self.session.start(context, event),
            EventKind::SessionEnd(_) => self.session.end(context, event),
            EventKind::SessionHeartbeat(_) => self.session.heartbeat(context, event),
            EventKind::SessionQuality(_) => self.session.quality(context, event),
            EventKind::ActiveSessions(_) => self.session.reported(context, event),
            EventKind::McpEvent(_) => self.emit.mcp_event(context, event),
            EventKind::LlmCall(_) => self.llm.call(context, event),
            EventKind::Request(_) => self.request.whole(context, event),
            EventKind::RequestStart(_) => self.request.start(context, event),
            EventKind::RequestEnd(_) => self.request.end(context, event),
            EventKind::McpOperation(_) => self.mcp.operation(context, event),
            EventKind::SearchCall(_)
            | EventKind::CodeExecution(_)
            | EventKind::CacheAccess(_)
            | EventKind::Retry(_) => self.hub.used(context, event),
            EventKind::CircuitBreakerCall(_) => self.breaker.call(context, event),
            EventKind::CircuitBreakerState(_) => self.breaker.state(context, event),
            EventKind::SkillInvocation(_) => self.skill.invocation(context, event),
            EventKind::SkillCompletionRate(_) => self.skill.completion_rate(context, event),
            EventKind::Anomaly(_) => self.skill.anomaly(context, event),
        }?;
        if let Some(id) = id {
            context.state.event_ids.insert(id);
        }
        Ok(outcome)
    }

    /// Counts an event that the door could not take as the failed emission that it is.
    pub(crate) fn rejected(&self, context: &mut Context<'_>, rejection: &Rejection) {
        self.emit.rejected(context, rejection);
    }

    /// Ends the sessions of which nothing was heard for too long, and the requests that never ended.
    pub(crate) fn time_out(&self, context: &mut Context<'_>) -> Result<(), StoreError> {
        self.session.time_out(context)?;
        self.request.time_out(context)
    }

    /// Shows what the batch makes of gauges that are too dear to set at every event.
    pub(crate) fn refresh(&self, state: &mut State, staged: &mut Staged) {
        self.breaker.refresh(state, staged);
    }

    /// Works out completion rates and searches skills for anomalies, where that is due.
    pub(crate) fn watch_skills(&self, context: &mut Context<'_>) -> Result<(), StoreError> {
        self.skill.watch(context)
    }

    /// Shows what is remembered from before a restart.
    pub(crate) fn restore(&self, context: &mut Context<'_>) {
        self.session.restore(context);
        self.request.restore(context);
        self.skill.restore(context);
    }

    fn acknowledge_again(&self, context: &mut Context<'_>, event: &Event) -> Result<Outcome, Fault> {
        let mut outcome = match &event.kind {
            EventKind::SessionStart(start) => self.session.started_again(context, event, start)?,
            EventKind::SessionEnd(end) => self.session.ended_again(context, event, end)?,
            EventKind::SessionHeartbeat(heartbeat) => self.session.heard_again(context, heartbeat)?,
            EventKind::RequestStart(start) => self.request.started_again(context, start)?,
            EventKind::RequestEnd(end) => self.request.ended_again(context, event, end)?,
            kind => match kind.session_id() {
                Some(id) => Outcome::new(Status::Recorded).with_session_id(id.as_str()),
                None => Outcome::new(Status::Recorded),
            },
        };
        outcome.duplicate = true;
        Ok(outcome)
    }
}
