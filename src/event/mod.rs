//! What can be reported: the types of events, their rules, and their JSON and protobuf forms.
//!
//! An [`Event`] that exists is valid: its fields have types that hold nothing else. Both forms are read through one set
//! of rules, so what one refuses the other refuses too.

mod answer;
mod field;
mod json;
mod proto;
mod record;
mod reference;
mod rejection;
mod schema;
mod source;
mod types;

use serde::{Serialize, Serializer};

pub use answer::{Outcome, Status, Warning, batch_json, record_response};
pub use field::{
    Attempt, BreakerState, ComponentName, Count, Direction, EventId, ExecutionStatus, Finite, Invalid, Label, Rate,
    RequestId, Score, Seconds, SessionId, SessionStatus, Text, Timestamp, TraceParent, Transport,
};
pub use json::{Body, BodyError, BodyForm, parse_body};
pub use proto::from_proto;
pub use reference::reference_markdown;
pub use rejection::{Reason, Rejection};
pub(crate) use schema::schema_of_any;
pub use schema::{schema, schema_of};
pub use types::*;

use source::{Fault, Fields, Slot, Value, quoted};

/// The one `event_version`.
pub const EVENT_VERSION: &str = "1.0";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What tells it from all others: a repeated one is recorded once. Events that were read from a form carry one
    /// wherever their type requires it.
    pub id: Option<EventId>,
    /// When it happened; when it arrived, if `None`.
    pub timestamp: Option<Timestamp>,
    /// The span that it belongs under, or that it is: `span_owner` tells.
    pub traceparent: Option<TraceParent>,
    /// Who makes the span of the event.
    pub span_owner: SpanOwner,
    /// The call that it tells of never happened, because an open circuit breaker refused it: it counts as failed, and has
    /// no latency. Only the library says so.
    pub refused_call: bool,
    /// What happened.
    pub kind: EventKind,
    /// Fields that came with it and mean nothing, as paths: the first 16, each name cut at 64 characters.
    pub unknown_fields: Vec<String>,
}

/// Who makes the span of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpanOwner {
    /// The bridge, under the event's `traceparent`.
    #[default]
    Bridge,
    /// The caller has made it: the event's `traceparent` names the span itself. Only the library says so.
    Caller,
}

impl Event {
    /// An event without id, time and parent.
    pub fn new(kind: impl Into<EventKind>) -> Self {
        Self {
            id: None,
            timestamp: None,
            traceparent: None,
            span_owner: SpanOwner::Bridge,
            refused_call: false,
            kind: kind.into(),
            unknown_fields: Vec::new(),
        }
    }

    /// Its type.
    pub const fn event_type(&self) -> EventType {
        self.kind.event_type()
    }

    /// Reads an event of either form.
    fn read(fields: &Fields<'_>) -> Result<Self, Rejection> {
        Self::read_fields(fields).map_err(|fault| {
            let mut rejection = Rejection::from(fault);
            rejection.id = Slot::read_from(fields, "event_id").ok();
            rejection.event_type = Slot::read_from(fields, "event_type").ok();
            rejection.component = component(fields);
            rejection
        })
    }

    fn read_fields(fields: &Fields<'_>) -> Result<Self, Fault> {
        // A wrong version explains whatever else is wrong.
        check_version(fields)?;
        let event_type = EventType::read_from(fields, "event_type")?;
        let id = Option::<EventId>::read_from(fields, "event_id")?;
        let timestamp = Option::<Timestamp>::read_from(fields, "timestamp")?;
        let traceparent = Option::<TraceParent>::read_from(fields, "traceparent")?;
        match fields.get("metadata") {
            None | Some(Value::Object(_)) => {}
            Some(other) => return Err(Fault::wrong_type("an object", other).within("metadata")),
        }
        let kind = EventKind::read(event_type, fields)?;
        if let Some(name) = event_type.required().iter().find(|name| fields.get(name).is_none()) {
            let expected = match *name {
                "event_id" => <EventId as source::Field>::EXPECTED,
                "timestamp" => <Timestamp as source::Field>::EXPECTED,
                _ => "\"1.0\"",
            };
            return Err(Fault::missing(name, expected));
        }
        Ok(Self { id, timestamp, traceparent, unknown_fields: fields.unknown(), ..Self::new(kind) })
    }
}

fn check_version(fields: &Fields<'_>) -> Result<(), Fault> {
    match fields.get("event_version") {
        None => Ok(()),
        Some(Value::String(version)) if version == EVENT_VERSION => Ok(()),
        Some(Value::String(version)) => {
            let message = format!("must be \"{EVENT_VERSION}\", the only version so far, got {}", quoted(version));
            Err(Fault::new("event_version", Reason::UnsupportedVersion, message))
        }
        Some(other) => Err(Fault::wrong_type("the string \"1.0\"", other).within("event_version")),
    }
}

/// The component of an event that could not be read: the one that it names, or that its session's id tells.
fn component(fields: &Fields<'_>) -> Option<ComponentName> {
    let named = ComponentName::read_from(fields, "component_name").ok();
    named.or_else(|| SessionId::read_from(fields, "session_id").ok()?.component())
}

impl source::Field for EventType {
    const EXPECTED: &'static str = "a string that names a type of event";

    fn schema() -> serde_json::Value {
        serde_json::json!({"type": "string", "enum": Self::NAMES})
    }

    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value {
            Value::String(name) => Self::from_name(name).ok_or_else(|| {
                let message = format!("must be one of {}, got {}", Self::NAMES.join(", "), quoted(name));
                Fault::new("", Reason::UnknownEventType, message)
            }),
            other => Err(Fault::wrong_type(Self::EXPECTED, other)),
        }
    }
}

/// The JSON form, as it can be read again; unknown fields are left out.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            #[serde(flatten)]
            kind: &'a EventKind,
            event_version: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            event_id: Option<EventId>,
            #[serde(skip_serializing_if = "Option::is_none")]
            timestamp: Option<Timestamp>,
            #[serde(skip_serializing_if = "Option::is_none")]
            traceparent: Option<TraceParent>,
        }
        let Self { id, timestamp, traceparent, span_owner: _, refused_call: _, kind, unknown_fields: _ } = self;
        Wire { kind, event_version: EVENT_VERSION, event_id: *id, timestamp: *timestamp, traceparent: *traceparent }
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests;
