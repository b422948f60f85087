//! From an event to measurements and spans: one file a group.
//!
//! Deciding is apart from applying. What an event means is decided inside the transaction of its batch and staged in a
//! [`Staged`]; only after the commit is it applied to the instruments, so that what is counted is what is remembered.

mod emit;
mod ledger;
mod llm;
mod session;

pub(crate) use emit::{attributes as emit_attributes, span_name as emit_span_name};
pub(crate) use ledger::Ledger;
pub(crate) use llm::{attributes as llm_attributes, span_name as llm_span_name};
pub(crate) use session::{ERROR as SESSION_ERROR, attributes as session_attributes, span_name as session_span_name};

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::trace::SpanData;

use crate::event::{Event, EventKind, Outcome, Reason, Rejection, Status, Timestamp};
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
    Set(f64),
    Record(f64),
}

impl Staged {
    fn add(&mut self, series: Arc<Series>, value: u64, link: Option<Link>) {
        self.measurements.push(Measurement { series, change: Change::Add(value), link });
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
    emit: Arc<emit::EmitRecorder>,
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
            llm: llm::LlmRecorder::new(telemetry, tracing),
            emit,
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
            _ => Err(Fault::Rejected(not_recorded(&event))),
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

    /// Ends the sessions of which nothing was heard for too long.
    pub(crate) fn time_out(&self, context: &mut Context<'_>) -> Result<(), StoreError> {
        self.session.time_out(context)
    }

    /// Shows what is remembered from before a restart.
    pub(crate) fn restore(&self, context: &mut Context<'_>) {
        self.session.restore(context);
    }

    fn acknowledge_again(&self, context: &mut Context<'_>, event: &Event) -> Result<Outcome, Fault> {
        let mut outcome = match &event.kind {
            EventKind::SessionStart(start) => self.session.started_again(context, event, start)?,
            EventKind::SessionEnd(end) => self.session.ended_again(context, event, end)?,
            EventKind::SessionHeartbeat(heartbeat) => self.session.heard_again(context, heartbeat)?,
            kind => match kind.session_id() {
                Some(id) => Outcome::new(Status::Recorded).with_session_id(id.as_str()),
                None => Outcome::new(Status::Recorded),
            },
        };
        outcome.duplicate = true;
        Ok(outcome)
    }
}

fn not_recorded(event: &Event) -> Rejection {
    let name = event.kind.event_type().name();
    Rejection::of_field(
        Reason::NotRecorded,
        "event_type",
        format!("events of type {name:?} are not recorded by this version of the bridge"),
    )
}
