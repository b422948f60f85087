//! The types of events as JSON Schema (draft 2020-12), made of their declarations.
//!
//! What a schema takes the bridge takes, and the other way round, but for what JSON Schema cannot tell: a name that
//! stands in an object twice, the days of a month, and what contradicts what the bridge knows.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::field::{EventId, Timestamp, TraceParent};
use super::record::Record;
use super::source::{Field, Fields, Slot};
use super::{EVENT_VERSION, EventType};

/// The draft that the schemas follow.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A field of an event as JSON Schema has it.
#[derive(Debug, Clone)]
pub(crate) struct Property {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    /// What a value must be, in words.
    pub(super) expected: &'static str,
    schema: Value,
    /// What stands there when it is absent, where that is said.
    pub(super) default: Option<Value>,
    pub(super) optional: bool,
    /// The fields of what stands there, where it is an object.
    pub(super) parts: Vec<Property>,
    /// The name of what may stand there, where many fields share it.
    shared: Option<&'static str>,
}

impl Property {
    /// A field of that type.
    pub(super) fn of<T: Slot>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc: doc.trim(),
            expected: T::Field::EXPECTED,
            schema: T::Field::schema(),
            default: None,
            optional: T::OPTIONAL,
            parts: T::Field::parts(),
            shared: T::Field::SHARED,
        }
    }

    /// The field may be left out, and then holds this.
    pub(super) fn with_default(self, default: &impl Serialize) -> Self {
        Self { default: Some(json!(default)), optional: true, ..self }
    }

    /// What may stand there: in the place of what may be left out, null too.
    fn value(&self) -> Value {
        let mut schema = self.schema.clone();
        if self.optional {
            schema["type"] = json!([schema["type"], "null"]);
            if let Some(choices) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                choices.push(Value::Null);
            }
        }
        schema
    }

    fn described(&self, mut schema: Value) -> Value {
        schema["description"] = self.doc.into();
        if let Some(default) = &self.default {
            schema["default"] = default.clone();
        }
        schema
    }

    /// The schema in full.
    fn in_full(&self) -> Value {
        self.described(self.value())
    }

    /// The schema, the long part of which stands in `defs`.
    fn in_short(&self, defs: &mut Map<String, Value>) -> Value {
        let Some(shared) = self.shared else { return self.in_full() };
        let name = if self.optional { format!("Optional{shared}") } else { shared.to_owned() };
        let reference = reference(&name);
        defs.entry(name).or_insert_with(|| self.value());
        self.described(reference)
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// What every event may carry beside its own fields.
pub(super) fn common() -> [Property; 5] {
    let plain = |name, doc, expected, schema| Property {
        name,
        doc,
        expected,
        schema,
        default: None,
        optional: true,
        parts: Vec::new(),
        shared: None,
    };
    let version = json!({"type": "string", "enum": [EVENT_VERSION]});
    [
        plain("event_version", "The version of the event's form; there is one so far.", "the string \"1.0\"", version),
        Property::of::<Option<EventId>>(
            "event_id",
            "What tells the event from all others: one that is sent again under the same id counts once.",
        ),
        Property::of::<Option<Timestamp>>("timestamp", "When it happened; when it arrives, if absent."),
        Property::of::<Option<TraceParent>>("traceparent", "The span that it belongs under (W3C Trace Context)."),
        plain(
            "metadata",
            "Whatever the sender adds; it is not looked into, and nothing is recorded of it.",
            "an object",
            json!({"type": "object"}),
        ),
    ]
}

/// An object with these fields, and any others.
fn object_of(doc: &str, properties: impl IntoIterator<Item = (&'static str, bool, Value)>) -> Value {
    let mut required = Vec::new();
    let mut schemas = Map::new();
    for (name, optional, schema) in properties {
        if !optional {
            required.push(name);
        }
        schemas.insert(name.to_owned(), schema);
    }
    json!({
        "description": doc.trim(),
        "type": "object",
        "properties": schemas,
        "required": required,
        "maxProperties": Fields::MAX,
    })
}

/// A group of fields that is itself a field.
pub(super) fn object<T: Record>() -> Value {
    object_of(T::DOC, T::properties().iter().map(|property| (property.name, property.optional, property.in_full())))
}

/// The schema of one type, each of its fields as `render` has it: its own, and what it requires of the common ones, or
/// all of them.
fn event(event_type: EventType, all: bool, mut render: impl FnMut(&Property) -> Value) -> Value {
    let name = json!({"type": "string", "const": event_type.name(), "description": "The type of the event."});
    let (doc, own) = event_type.declared();
    let common = common().into_iter().filter_map(|property| {
        let required = event_type.required().contains(&property.name);
        (all || required).then_some(Property { optional: !required, ..property })
    });
    let fields = own.into_iter().chain(common);
    let fields = fields.map(|property| (property.name, property.optional, render(&property)));
    object_of(doc, [("event_type", false, name)].into_iter().chain(fields))
}

/// The schema of the events of one type, complete in itself.
pub fn schema_of(event_type: EventType) -> Value {
    event(event_type, true, Property::in_full)
}

/// The schema of every event: one of the types, each under `$defs` by its name.
pub fn schema() -> Value {
    let mut schema = json!({"$schema": DRAFT, "title": "An event of mcp-otel-bridge"});
    if let (Some(members), Value::Object(any)) = (schema.as_object_mut(), schema_of_any(EventType::ALL)) {
        members.extend(any);
    }
    schema
}

/// The schema of an event of any of these types. Its references are to its own `$defs`.
pub(crate) fn schema_of_any(event_types: &[EventType]) -> Value {
    let names: Vec<&str> = event_types.iter().map(|event_type| event_type.name()).collect();
    let mut defs = Map::new();
    for event_type in event_types {
        let schema = event(*event_type, false, |property| property.in_short(&mut defs));
        defs.insert(event_type.name().to_owned(), schema);
    }
    let mut properties = Map::new();
    let doc = "What the event tells of: it has the fields of that type beside these.";
    properties.insert("event_type".to_owned(), json!({"type": "string", "enum": names, "description": doc}));
    properties.extend(common().map(|property| (property.name.to_owned(), property.in_full())));
    json!({
        "type": "object",
        "properties": properties,
        "required": ["event_type"],
        "oneOf": names.iter().map(|name| reference(name)).collect::<Vec<_>>(),
        "$defs": defs,
    })
}
