//! The tools that record.

use serde_json::{Value, json};

use crate::client::{Client, every_way};
use crate::tools::definition;

const EVENTS: &str = include_str!("../data/events.ndjson");

/// The arguments of a start that names neither time nor id.
fn start() -> Value {
    json!({
        "component_name": "notes-server",
        "shell_type": "TestShell",
        "pid": 1,
        "user": {"username": "u", "home": "/home/u"},
        "hostname": "h",
        "environment": {"platform": "linux", "cwd": "/"},
    })
}

fn with(mut event: Value, field: &str, value: impl Into<Value>) -> Value {
    event[field] = value.into();
    event
}

/// What a failed recording answers.
fn refused(client: &mut Client, tool: &str, arguments: Value) -> Value {
    let message = client.failed(tool, arguments);
    serde_json::from_str(&message).unwrap_or_else(|error| panic!("{error}: {message}"))
}

#[test]
fn a_session_is_tracked_from_its_start_to_its_end() {
    every_way(|client, bench| {
        let schema = definition(client, "track_session_start")["outputSchema"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let started = client.structured("track_session_start", start());
        assert!(validator.is_valid(&started), "{started}");
        assert_eq!(started["status"], "tracked");
        let id = started["session_id"].as_str().unwrap().to_owned();
        assert!(id.starts_with("notes-server-20"), "{id}");
        assert!(started["traceparent"].is_string() && started["error"].is_null());
        assert_eq!(bench.sum("active_sessions{component_name=\"notes-server\"}"), 1.0);

        // Nothing told its id or time: it is another session.
        let other = client.structured("track_session_start", with(start(), "event_id", Value::Null));
        assert_ne!(other["session_id"], started["session_id"]);

        let ended = client.structured("track_session_end", json!({"session_id": id, "status": "error"}));
        assert!(validator.is_valid(&ended), "{ended}");
        assert_eq!((&ended["status"], &ended["session_id"]), (&json!("ended"), &json!(id)));
        assert_eq!(bench.sum("active_sessions{component_name=\"notes-server\"}"), 1.0);
        assert_eq!(bench.sum("session_end_total{component_name=\"notes-server\",status=\"error\"}"), 1.0);
        assert_eq!(bench.sum("bridge_events_accepted_total{source=\"mcp\"}"), 3.0);
        assert_eq!(bench.sum("bridge_events_accepted_total{source=\"http\"}"), 0.0);
    });
}

#[test]
fn a_start_with_an_id_counts_once() {
    every_way(|client, bench| {
        let start = with(start(), "event_id", "550e8400-e29b-41d4-a716-446655440000");
        let start = with(start, "timestamp", "2026-02-06T12:34:56Z");
        let first = client.structured("track_session_start", start.clone());
        assert_eq!(first["session_id"], "notes-server-20260206-123456-550e8400");
        assert_eq!(client.structured("track_session_start", start), first);
        assert_eq!(bench.sum("session_start_total"), 1.0);
    });
}

#[test]
fn a_session_that_is_not_known_is_an_error_that_says_what_to_do() {
    every_way(|client, bench| {
        let answer = refused(client, "track_session_end", json!({"session_id": "nobody-20260206-123456"}));
        assert_eq!((&answer["status"], &answer["field"]), (&json!("not_found"), &json!("session_id")));
        assert!(answer["error"].as_str().unwrap().contains("session_start"), "{answer}");
        assert_eq!(bench.sum("mcp_event_emit_failure_total"), 1.0);
    });
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    every_way(|client, _| {
        for (tool, arguments, field, told) in [
            ("track_session_start", json!({}), "component_name", "is missing: must be a string of 1 to 128"),
            ("track_session_start", with(start(), "pid", "one"), "pid", "an integer from 0 to 4294967295, got \"one\""),
            ("track_session_start", with(start(), "user", json!({"home": "/"})), "user.username", "is missing"),
            ("track_session_start", with(start(), "event_id", "1"), "event_id", "must be a UUID"),
            ("track_session_start", with(start(), "event_version", "2"), "event_version", "must be \"1.0\""),
            ("track_session_start", with(start(), "event_type", "anomaly"), "event_type", "or be \"session_start\""),
            ("track_session_end", json!({}), "session_id", "is missing"),
            ("track_session_end", json!({"session_id": "a", "status": "ok"}), "status", "success or error, got \"ok\""),
            ("track_session_end", json!({"session_id": "a", "timestamp": "now"}), "timestamp", "RFC 3339"),
            ("record_event", json!({}), "event", "must be an object with an event_type"),
            ("record_event", json!({"event": "search_call"}), "event", "must be an object"),
            ("record_event", json!({"event_type": "search_call"}), "event", "put the fields into it"),
            ("record_event", json!({"event": {}}), "event_type", "is missing"),
            ("record_event", json!({"event": {"event_type": "nonsense"}}), "event_type", "must be one of"),
            ("record_event", json!({"event": {"event_type": "session_start"}}), "event_type", "track_session_start"),
            ("record_event", json!({"event": {"event_type": "session_end"}}), "event_type", "track_session_end"),
            ("record_event", json!({"event": {"event_type": "retry", "service": "a"}}), "attempt", "is missing"),
        ] {
            let answer = refused(client, tool, arguments);
            assert_eq!((&answer["status"], &answer["field"]), (&json!("error"), &json!(field)), "{answer}");
            assert!(answer["error"].as_str().unwrap().contains(told), "{answer}");
        }
    });
}

#[test]
fn every_other_type_of_event_is_recorded_and_fits_the_schema_of_the_argument() {
    every_way(|client, bench| {
        let input = definition(client, "record_event")["inputSchema"].clone();
        let validator = jsonschema::draft202012::new(&input).unwrap();
        let events: Vec<Value> = EVENTS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // The heartbeat is that of the session which starts first.
        assert_eq!(bench.event(&events[0]).status, 200);
        for event in &events {
            let tracked = ["session_start", "session_end"].contains(&event["event_type"].as_str().unwrap());
            let arguments = json!({"event": event});
            assert_eq!(validator.is_valid(&arguments), !tracked, "{event}");
            if !tracked {
                assert_eq!(client.structured("record_event", arguments)["status"], "recorded", "{event}");
            }
        }
        assert_eq!(bench.sum("bridge_events_accepted_total{source=\"mcp\"}"), (events.len() - 2) as f64);
    });
}

#[test]
fn a_field_that_means_nothing_is_a_warning() {
    every_way(|client, _| {
        let event = json!({"event_type": "search_call", "engine": "x"});
        let answer = client.structured("record_event", json!({"event": event}));
        assert_eq!((&answer["status"], &answer["warnings"][0]["field"]), (&json!("recorded"), &json!("engine")));
    });
}
