//! Events as clients send them, and the answers that they get.

use std::time::{Duration, Instant};

use mcp_otel_bridge::event::{BodyForm, Outcome, parse_body};
use mcp_otel_bridge::{Bridge, Refused, Source};
use serde_json::{Value, json};

/// A start of a session of `component`, whose event id begins with `prefix`.
pub fn start(component: &str, timestamp: &str, prefix: &str) -> Value {
    json!({
        "event_version": "1.0",
        "event_id": format!("{prefix}-0000-4000-8000-000000000000"),
        "event_type": "session_start",
        "component_name": component,
        "shell_type": "TestShell",
        "timestamp": timestamp,
        "pid": 4711,
        "user": {"username": "user", "home": "/home/user"},
        "hostname": "desk-1",
        "environment": {"python_version": "3.13.0", "platform": "Linux-6.8", "cwd": "/home/user/src"},
        "metadata": {},
    })
}

/// An end of a session.
pub fn end(session_id: &str, timestamp: &str) -> Value {
    json!({"event_type": "session_end", "session_id": session_id, "timestamp": timestamp})
}

/// The event with one more field, or another value in it.
pub fn with(mut event: Value, field: &str, value: impl Into<Value>) -> Value {
    event[field] = value.into();
    event
}

/// Sends events as one body of NDJSON.
pub fn try_send(bridge: &Bridge, events: &[Value]) -> Result<Vec<Outcome>, Refused> {
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let body = parse_body(lines.as_bytes(), BodyForm::Ndjson).unwrap();
    bridge.submit_blocking(Source::Http, body.events)
}

/// Sends events as one body of NDJSON, which is taken.
pub fn send_all(bridge: &Bridge, events: &[Value]) -> Vec<Outcome> {
    try_send(bridge, events).unwrap()
}

/// Sends one event.
pub fn send(bridge: &Bridge, event: Value) -> Outcome {
    send_all(bridge, &[event]).pop().unwrap()
}

/// The names of an answer's warnings.
pub fn warnings(outcome: &Outcome) -> Vec<&'static str> {
    outcome.warnings.iter().map(|warning| warning.reason()).collect()
}

/// The id of the session in an answer.
pub fn session_id(outcome: &Outcome) -> &str {
    outcome.session_id.as_ref().unwrap().as_str()
}

/// Waits until `done`.
pub fn until(what: &str, done: impl FnMut() -> bool) {
    until_within(Duration::from_secs(20), what, done);
}

/// Waits until `done`, so long at most.
pub fn until_within(long: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + long;
    while !done() {
        assert!(Instant::now() < deadline, "not within {long:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
