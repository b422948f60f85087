//! Events in protobuf.
//!
//! Fields that a newer definition may add are not seen: protobuf's decoder leaves them out.

use super::record::ProtoValue;
use super::source::{Field, Fields, Value};
use super::{Event, EventKind, Reason, Rejection};
use crate::proto::v1;

/// Room for a message's own fields and those that all events share.
pub(super) const CAPACITY: usize = 16;

/// Reads an event from its protobuf form, by the same rules as from JSON. An empty string counts as absent.
///
/// # Errors
///
/// If it breaks a rule, or its `event` is not set.
pub fn from_proto(event: &v1::Event) -> Result<Event, Rejection> {
    let v1::Event { event_id, event_version, timestamp, traceparent, metadata, event: kind } = event;
    let Some(kind) = kind else {
        let error = "event must be set to one of the types of events, and is not, or not to one that is known here";
        return Err(Rejection { field: Some("event".to_owned()), ..Rejection::new(Reason::UnknownEventType, error) });
    };
    let (event_type, mut fields) = EventKind::proto_fields(kind);
    fields.push("event_type".into(), Value::String(event_type.name().into()));
    for (name, text) in [("event_id", event_id), ("event_version", event_version), ("traceparent", traceparent)] {
        fields.push(name.into(), string(text));
    }
    if let Some(timestamp) = timestamp {
        fields.push("timestamp".into(), Value::Instant(timestamp.seconds, timestamp.nanos));
    }
    if metadata.is_some() {
        fields.push("metadata".into(), Value::Object(Fields::default()));
    }
    Event::read(&fields)
}

fn string(text: &str) -> Value<'_> {
    if text.is_empty() { Value::Null } else { Value::String(text.into()) }
}

impl ProtoValue for String {
    fn value<T: Field>(&self) -> Value<'_> {
        string(self)
    }
}

impl ProtoValue for bool {
    fn value<T: Field>(&self) -> Value<'_> {
        Value::Bool(*self)
    }
}

impl ProtoValue for u32 {
    fn value<T: Field>(&self) -> Value<'_> {
        Value::Unsigned((*self).into())
    }
}

impl ProtoValue for u64 {
    fn value<T: Field>(&self) -> Value<'_> {
        Value::Unsigned(*self)
    }
}

impl ProtoValue for f64 {
    fn value<T: Field>(&self) -> Value<'_> {
        Value::Float(*self)
    }
}

/// Enums are the only fields of this type.
impl ProtoValue for i32 {
    fn value<T: Field>(&self) -> Value<'_> {
        T::numbered(*self)
    }
}

impl<P: ProtoValue> ProtoValue for Option<P> {
    fn value<T: Field>(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ProtoValue::value::<T>)
    }
}
