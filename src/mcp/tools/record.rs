//! The tools that record: the start and the end of a session with their fields as arguments, and every other event.

use rmcp::model::{CallToolResult, JsonObject};
use serde_json::{Map, Value, json};

use super::{Told, Tool, arguments_schema, check_names, object};
use crate::event::{EVENT_VERSION, EventId, EventType, Status, Timestamp, TraceParent, schema_of, schema_of_any};
use crate::mcp::backend::{Backend, Unanswered};

pub(super) fn start_definition() -> Told {
    let doc = "Records that a session has started, and answers with its session_id: keep it for track_session_end.";
    ("Start a session", doc.to_owned(), fields(EventType::SessionStart), Some(outcome()))
}

pub(super) fn end_definition() -> Told {
    let doc = "Records that a session has ended, with success or with an error; its duration is worked out.";
    ("End a session", doc.to_owned(), fields(EventType::SessionEnd), Some(outcome()))
}

pub(super) fn record_definition() -> Told {
    let types: Vec<EventType> =
        EventType::ALL.iter().copied().filter(|event_type| tracker(*event_type).is_none()).collect();
    let mut event = object(schema_of_any(&types));
    // References are to the root of the schema.
    let defs = event.shift_remove("$defs");
    event.insert(
        "description".to_owned(),
        "What happened: event_type says what, and the fields are those of it.".into(),
    );
    let mut input = arguments_schema(json!({"event": event}), &["event"]);
    input["$defs"] = defs.unwrap_or_default();
    let doc = "Records any event but the start and the end of a session: MCP operations, LLM calls, skills, requests, \
        circuit breakers, caches, retries and more.";
    ("Record an event", doc.to_owned(), input, Some(outcome()))
}

/// The tool that records events of this type, where there is one for it alone.
fn tracker(event_type: EventType) -> Option<Tool> {
    match event_type {
        EventType::SessionStart => Some(Tool::Start),
        EventType::SessionEnd => Some(Tool::End),
        _ => None,
    }
}

/// What a model cannot know, or would make up badly: it is made for the event where it is left out.
fn made(name: &str) -> Option<Value> {
    match name {
        "event_version" => Some(EVENT_VERSION.into()),
        "event_id" => Some(EventId::random().to_string().into()),
        "timestamp" => Some(Timestamp::now().to_string().into()),
        _ => None,
    }
}

/// The fields of a type as arguments.
fn fields(event_type: EventType) -> Value {
    let mut schema = schema_of(event_type);
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.shift_remove("event_type");
        if let Some(id) = properties.get_mut("event_id") {
            let doc = id["description"].as_str().unwrap_or_default();
            id["description"] = format!("{doc} A new one is made, if absent.").into();
        }
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name.as_str().is_some_and(|name| name != "event_type" && made(name).is_none()));
    }
    schema
}

/// What the recording tools answer.
fn outcome() -> Value {
    let statuses = Status::ALL.map(Status::name);
    json!({
        "type": "object",
        "properties": {
            "status": {
                "type": "string",
                "enum": statuses,
                "description": "What became of it: not_found is the end of a session that is not known, error an event \
                    that was not recorded.",
            },
            "session_id": {"type": "string", "description": "The session that it belongs to."},
            "traceparent": {"type": "string", "description": "The span that was made of it: the parent of what follows."},
            "warnings": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "reason": {"type": "string"}, "field": {"type": "string"}, "message": {"type": "string"},
                    },
                    "required": ["reason", "message"],
                },
                "description": "What was odd about it, though it was recorded.",
            },
            "error": {"type": "string", "description": "What was wrong, and what would be right."},
            "field": {"type": "string", "description": "The field that was wrong."},
        },
        "required": ["status"],
    })
}

/// Records a session's start or end, whose fields are the arguments.
pub(super) async fn track(
    bridge: &impl Backend,
    event_type: EventType,
    arguments: JsonObject,
    parent: Option<TraceParent>,
) -> CallToolResult {
    if let Some(named) = arguments.get("event_type").filter(|named| **named != event_type.name()) {
        let why = format!("event_type must be left out, or be \"{}\", got {named}", event_type.name());
        return refusal(Some("event_type"), why);
    }
    let mut event = Map::new();
    event.insert("event_type".to_owned(), event_type.name().into());
    event.extend(arguments);
    for name in event_type.required() {
        if event.get(*name).is_none_or(Value::is_null)
            && let Some(value) = made(name)
        {
            event.insert((*name).to_owned(), value);
        }
    }
    submit(bridge, event.into(), parent).await
}

/// Records an event of any other type.
pub(super) async fn record(
    bridge: &impl Backend,
    mut arguments: JsonObject,
    parent: Option<TraceParent>,
) -> CallToolResult {
    if let Some(event_type) = arguments.get("event_type").filter(|_| !arguments.contains_key("event")) {
        let why = format!(
            "event is missing: put the fields into it, as {{\"event\": {{\"event_type\": {event_type}, ...}}}}"
        );
        return refusal(Some("event"), why);
    }
    if let Err(why) = check_names(Tool::Record, &arguments, &["event"]) {
        return refusal(None, why);
    }
    let event = match arguments.remove("event") {
        Some(Value::Object(event)) => event,
        Some(other) => {
            return refusal(Some("event"), format!("event must be an object with an event_type, got {other}"));
        }
        None => {
            let why = "event is missing: it must be an object with an event_type and the fields of that type";
            return refusal(Some("event"), why.to_owned());
        }
    };
    let named = event.get("event_type").and_then(|name| EventType::from_name(name.as_str()?));
    if let Some(tool) = named.and_then(tracker) {
        let why = format!("event_type must be that of another event: {} records this one", tool.name());
        return refusal(Some("event_type"), why);
    }
    submit(bridge, event.into(), parent).await
}

async fn submit(bridge: &impl Backend, event: Value, parent: Option<TraceParent>) -> CallToolResult {
    match bridge.record(event, parent).await {
        Ok(outcome) if [Status::Error, Status::NotFound].iter().any(|bad| outcome["status"] == bad.name()) => {
            CallToolResult::structured_error(outcome)
        }
        Ok(outcome) => CallToolResult::structured(outcome),
        Err(Unanswered(why)) => refusal(None, why),
    }
}

/// The answer to an event that the bridge was not asked to record, or did not answer for.
fn refusal(field: Option<&str>, error: String) -> CallToolResult {
    let mut outcome = json!({"status": Status::Error.name(), "error": error});
    if let Some(field) = field {
        outcome["field"] = field.into();
    }
    CallToolResult::structured_error(outcome)
}
