//! Events in JSON: what is taken, and what is said of what is not.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::event::*;

fn one(body: impl AsRef<[u8]>) -> Result<Event, Rejection> {
    let mut body = parse_body(body.as_ref(), BodyForm::Json).unwrap();
    assert!(body.single && body.events.len() == 1);
    body.events.remove(0)
}

fn rejected(body: impl AsRef<[u8]>) -> (Reason, Option<String>, String) {
    let rejection = one(body).unwrap_err();
    (rejection.reason, rejection.field, rejection.error)
}

#[track_caller]
fn assert_rejected(body: Json, reason: Reason, field: &str, error: &str) {
    let (got_reason, got_field, got_error) = rejected(body.to_string());
    assert_eq!((got_reason, got_field.as_deref()), (reason, Some(field)), "{got_error}");
    assert_eq!(got_error, format!("{field} {error}"));
}

fn start() -> Json {
    let line = include_str!("../../../tests/data/events.ndjson").lines().next().unwrap();
    serde_json::from_str(line).unwrap()
}

fn start_with(field: &str, value: Json) -> Json {
    let mut event = start();
    event[field] = value;
    event
}

#[test]
fn a_session_start_has_its_fields() {
    let event = one(start().to_string()).unwrap();
    assert_eq!(event.timestamp.unwrap().to_string(), "2026-02-06T12:34:56.789Z");
    assert_eq!(event.id.unwrap().prefix(), "6f1c0a52");
    assert!(event.unknown_fields.is_empty());
    let EventKind::SessionStart(start) = event.kind else { panic!("{event:?}") };
    assert_eq!(start.component_name.as_str(), "session-buddy");
    assert_eq!(start.user.username.as_str(), "operator");
    assert_eq!(start.environment.python_version.unwrap().as_str(), "3.13.0");
    assert_eq!(start.transport, Some(Transport::Stdio));
}

#[test]
fn every_required_field_of_a_session_start_is_required() {
    for field in start().as_object().unwrap().keys() {
        let mut event = start();
        event.as_object_mut().unwrap().remove(field);
        let without = one(event.to_string());
        if ["quality_score", "protocol_version", "transport", "server", "client", "metadata"].contains(&field.as_str())
        {
            assert!(without.is_ok(), "{field}");
        } else {
            let rejection = without.unwrap_err();
            assert_eq!((rejection.reason, rejection.field.as_deref()), (Reason::MissingField, Some(field.as_str())));
            let null = one(start_with(field, Json::Null).to_string()).unwrap_err();
            assert_eq!(null, rejection, "null counts as absent");
        }
    }
}

#[test]
fn absent_fields_have_their_defaults() {
    let end = json!({"event_type": "session_end", "session_id": "x", "timestamp": "2026-02-06T12:00:00Z"});
    let EventKind::SessionEnd(end) = one(end.to_string()).unwrap().kind else { panic!() };
    assert_eq!((end.status, end.quality_score), (SessionStatus::Success, None));
    let call = json!({"event_type": "llm_call", "provider": "p", "model": "m", "operation": null});
    let EventKind::LlmCall(call) = one(call.to_string()).unwrap().kind else { panic!() };
    assert_eq!(call.operation.as_str(), "chat");
}

#[test]
fn what_is_missing_is_named() {
    let end = json!({"event_type": "session_end"});
    let expected = "is missing: must be a string of 1 to 256 printable characters";
    assert_rejected(end, Reason::MissingField, "session_id", expected);
    let user = start_with("user", json!({"home": "/"}));
    let expected = "is missing: must be a string of 1 to 1024 printable characters";
    assert_rejected(user, Reason::MissingField, "user.username", expected);
    assert_eq!(rejected("{}").0, Reason::MissingField);
    assert_eq!(rejected("{}").1.unwrap(), "event_type");
}

#[test]
fn wrong_types_are_told_apart_from_bad_values() {
    let wrong = Reason::WrongType;
    assert_rejected(start_with("user", json!("user")), wrong, "user", "must be an object, got \"user\"");
    assert_rejected(start_with("metadata", json!([1])), wrong, "metadata", "must be an object, got an array");
    assert_rejected(start_with("pid", json!("1")), wrong, "pid", "must be an integer from 0 to 4294967295, got \"1\"");
    let bad = Reason::InvalidValue;
    assert_rejected(start_with("pid", json!(-1)), bad, "pid", "must be an integer from 0 to 4294967295, got -1");
    assert_rejected(start_with("pid", json!(1.5)), bad, "pid", "must be an integer from 0 to 4294967295, got 1.5");
    assert!(one(start_with("pid", json!(7.0)).to_string()).is_ok());
    assert_rejected(
        start_with("quality_score", json!(100.5)),
        bad,
        "quality_score",
        "must be a number from 0 to 100, got 100.5",
    );
    assert_rejected(start_with("transport", json!("tcp")), bad, "transport", "must be stdio or http, got \"tcp\"");
    assert_rejected(
        json!({"event_type": 7}),
        wrong,
        "event_type",
        "must be a string that names a type of event, got 7",
    );
    let cache = json!({"event_type": "cache_access", "cache_type": "llm", "hit": 1});
    assert_rejected(cache, wrong, "hit", "must be true or false, got 1");
}

#[test]
fn bad_values_are_refused_wherever_they_stand() {
    let call = json!({"event_type": "mcp_event", "component_name": "a", "emitted_type": "t", "duration_seconds": 1});
    let cases = [
        (start_with("event_id", json!("not-a-uuid")), "event_id"),
        (start_with("timestamp", json!("2026-02-06 12:00:00")), "timestamp"),
        (start_with("timestamp", json!("2026-02-06T12:00:00")), "timestamp"),
        (start_with("traceparent", json!("00-0-0-0")), "traceparent"),
        (start_with("component_name", json!("a b")), "component_name"),
        (start_with("shell_type", json!("a".repeat(10_000))), "shell_type"),
        (start_with("shell_type", json!("a\u{0}b")), "shell_type"),
        (start_with("hostname", json!("a\nb")), "hostname"),
        (json!({"event_type": "retry", "service": "s", "attempt": 0}), "attempt"),
        (json!({"event_type": "active_sessions", "count": -1}), "count"),
        (json!({"event_type": "skill_completion_rate", "skill_name": "s", "rate": 1.01}), "rate"),
    ];
    for (event, field) in cases {
        let (reason, at, error) = rejected(event.to_string());
        assert_eq!((reason, at.as_deref()), (Reason::InvalidValue, Some(field)), "{error}");
        assert!(error.chars().count() < 300, "{error}");
    }
    let mut negative = call;
    negative["duration_seconds"] = json!(-0.5);
    assert_rejected(
        negative,
        Reason::InvalidValue,
        "duration_seconds",
        "must be a number of seconds from 0 to 1e9, got -0.5",
    );
}

#[test]
fn numbers_that_no_float_can_hold_are_blamed_on_their_field() {
    let text = r#"{"event_type":"skill_completion_rate","skill_name":"s","rate":1e999}"#;
    let (reason, field, error) = rejected(text);
    assert_eq!((reason, field.as_deref()), (Reason::InvalidValue, Some("rate")));
    assert_eq!(error, "rate must be a number that a 64-bit float can hold");
    let nan = r#"{"event_type":"skill_completion_rate","skill_name":"s","rate":NaN}"#;
    assert!(matches!(parse_body(nan.as_bytes(), BodyForm::Json), Err(BodyError::NotJson { line: 1, .. })));
}

#[test]
fn other_versions_and_types_are_refused() {
    let expected = "must be \"1.0\", the only version so far, got \"2.0\"";
    assert_rejected(start_with("event_version", json!("2.0")), Reason::UnsupportedVersion, "event_version", expected);
    let brief = json!({"event_version": "2.0", "event_type": "session_start"});
    assert_rejected(brief, Reason::UnsupportedVersion, "event_version", expected);
    let heartbeat = json!({"event_version": "1.1", "event_type": "session_heartbeat", "session_id": "x"});
    assert_eq!(rejected(heartbeat.to_string()).0, Reason::UnsupportedVersion);
    let (reason, field, error) = rejected(r#"{"event_type":"session_begin"}"#);
    assert_eq!((reason, field.as_deref()), (Reason::UnknownEventType, Some("event_type")));
    assert!(error.contains("session_start, session_end") && error.ends_with("got \"session_begin\""), "{error}");
}

#[test]
fn a_rejection_tells_what_could_be_read() {
    let rejection = one(start_with("pid", json!("x")).to_string()).unwrap_err();
    assert_eq!(rejection.event_type, Some(EventType::SessionStart));
    assert_eq!(rejection.component.unwrap().as_str(), "session-buddy");
    let end = r#"{"event_type":"session_end","session_id":"a-b-20260206-123456-6f1c0a52"}"#;
    assert_eq!(one(end).unwrap_err().component.unwrap().as_str(), "a-b");
    let rejection = one(r#"{"event_type":"x","component_name":"a b"}"#).unwrap_err();
    assert_eq!((rejection.event_type, rejection.component), (None, None));
}

#[test]
fn unknown_fields_are_named_and_cost_nothing() {
    let mut event = start();
    event["shel_type"] = json!("typo");
    event["status"] = json!("success");
    event["user"]["shell"] = json!({"inner": 1});
    event["a".repeat(1000)] = json!(1);
    let names = one(event.to_string()).unwrap().unknown_fields;
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, ["a".repeat(64).as_str(), "shel_type", "status", "user.shell"]);
    for n in 0..50 {
        event[format!("unknown_{n}")] = Json::Null;
    }
    assert_eq!(one(event.to_string()).unwrap().unknown_fields.len(), 16);
    for n in 0..300 {
        event[format!("more_{n}")] = Json::Null;
    }
    assert_eq!(rejected(event.to_string()).0, Reason::TooLarge);
}

#[test]
fn metadata_may_be_anything_an_object_can_hold() {
    let deep = format!("{{{}1{}}}", "\"a\":[{".repeat(500), "}]".repeat(500)).replace("{1}", "{}");
    let text = start_with("metadata", json!({"x": {"y": {"z": [1, {"deep": true}]}}})).to_string();
    assert!(one(&text).is_ok());
    let text = start_with("metadata", json!("here")).to_string().replace("\"here\"", &deep);
    assert!(one(&text).is_ok(), "depth is no matter");
}

#[test]
fn a_name_twice_is_refused() {
    let (reason, field, error) = rejected(r#"{"event_type":"search_call","event_type":"search_call"}"#);
    assert_eq!((reason, field.as_deref()), (Reason::Malformed, Some("event_type")));
    assert_eq!(error, "event_type stands in the object twice");
    let user = start().to_string().replace(r#""username":"#, r#""home":"/","username":"#);
    assert_eq!(rejected(user).1.unwrap(), "user.home");
}

#[test]
fn a_body_that_is_not_json_is_refused_with_the_place() {
    for (body, at) in [
        (&b""[..], (1, 0)),
        (b"{not json", (1, 2)),
        (b"{\n  \"event_type\": nope\n}", (2, 18)),
        (b"{\"event_type\":\"search_call\"} x", (1, 30)),
        (b"[{\"event_type\":\"search_call\"},", (1, 30)),
        (b"{\"event_type\":\n\"\xff\"}", (2, 2)),
        (b"[] []", (1, 4)),
    ] {
        let Err(BodyError::NotJson { line, column, message }) = parse_body(body, BodyForm::Json) else {
            panic!("{body:?}");
        };
        assert_eq!((line, column), at, "{message}");
    }
    let error = parse_body(b"{not json", BodyForm::Json).unwrap_err();
    assert_eq!(error.to_string(), "the body is not valid JSON: key must be a string at line 1 column 2");
    assert_eq!(Rejection::from(error).reason, Reason::Malformed);
}

#[test]
fn a_value_that_is_no_object_is_one_event_at_fault() {
    for body in ["42", "null", "\"text\""] {
        assert_eq!(rejected(body).0, Reason::Malformed, "{body}");
    }
    let lone = r#"{"event_type":"\ud800"}"#;
    assert_eq!((rejected(lone).0, rejected(lone).1.as_deref()), (Reason::Malformed, Some("event_type")));
    assert_eq!(rejected(r#"{"\ud800":1}"#).0, Reason::Malformed);
}

#[test]
fn members_of_an_array_stand_on_their_own() {
    let text = r#" [{"event_type":"search_call"}, 7, {"event_type":"anomaly","skill_name":"s","anomaly_type":"a",
        "deviation_score":1e999}, [], {"event_type":"\ud800"}, {"event_type":"search_call"}]"#;
    let body = parse_body(text.as_bytes(), BodyForm::Json).unwrap();
    assert!(!body.single);
    let taken: Vec<bool> = body.events.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, false, false, false, true]);
    assert!(parse_body(b"[]", BodyForm::Json).unwrap().events.is_empty());
}

#[test]
fn lines_stand_on_their_own() {
    let text = b"{\"event_type\":\"search_call\"}\r\n\n{not json\n \t\n\xff\n42\n{\"event_type\":\"search_call\"} {}\n\
        {\"event_type\":\"search_call\"}";
    let body = parse_body(text, BodyForm::Ndjson).unwrap();
    assert!(!body.single);
    let taken: Vec<bool> = body.events.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, false, false, false, true]);
    assert_eq!(body.events[1].as_ref().unwrap_err().error, "not valid JSON: key must be a string at column 2");
    assert_eq!(body.events[2].as_ref().unwrap_err().error, "the line is not valid UTF-8 at byte 1");
    let reasons = body.events.iter().filter_map(|event| event.as_ref().err()).map(|rejection| rejection.reason);
    assert!(reasons.into_iter().all(|reason| reason == Reason::Malformed));
    assert!(parse_body(b"\n\r\n", BodyForm::Ndjson).unwrap().events.is_empty());
}

#[test]
fn a_body_of_too_many_events_is_refused() {
    let line = "{}\n".repeat(Body::MAX_EVENTS + 1);
    assert_eq!(parse_body(line.as_bytes(), BodyForm::Ndjson).unwrap_err(), BodyError::TooManyEvents);
    let array = format!("[0{}]", ",0".repeat(Body::MAX_EVENTS));
    assert_eq!(parse_body(array.as_bytes(), BodyForm::Json).unwrap_err(), BodyError::TooManyEvents);
}

#[test]
fn content_types_tell_the_form() {
    assert_eq!(BodyForm::from_content_type("Application/JSON; charset=utf-8"), Some(BodyForm::Json));
    assert_eq!(BodyForm::from_content_type("application/x-ndjson"), Some(BodyForm::Ndjson));
    assert_eq!(BodyForm::from_content_type("text/plain"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (parse_body(&bytes, BodyForm::Json), parse_body(&bytes, BodyForm::Ndjson));
    }

    #[test]
    fn any_damage_to_real_events_is_parsed_without_panic(
        at in 0..1000usize, bytes in prop::collection::vec(any::<u8>(), 0..4), cut in 0..8usize,
    ) {
        let mut body = include_bytes!("../../../tests/data/events.ndjson").to_vec();
        body.splice(at..at + cut, bytes);
        let _ = parse_body(&body, BodyForm::Json);
        let body = parse_body(&body, BodyForm::Ndjson).unwrap();
        // Damage reaches at most the two lines where it was done, and can split one of them in up to four more.
        prop_assert!(body.events.iter().filter(|event| event.is_ok()).count() >= EventType::COUNT - 2);
    }
}
