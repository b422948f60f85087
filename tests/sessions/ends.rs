//! How sessions end: status, duration, unknown and repeated ends, and events that come twice.

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::event::Status;
use serde_json::{Value, json};

use crate::support::events::{end, send, send_all, session_id, start, warnings, with};
use crate::support::samples::Samples;

const ID: &str = "notes-server-20260206-123456-00000001";
const SHORT: &str = "notes-server-20260206-123456";

/// A bridge with one active session, which started at 12:34:56.25 UTC.
fn with_session() -> Bridge {
    let bridge = Bridge::builder().build().unwrap();
    send(&bridge, start("notes-server", "2026-02-06T12:34:56.25Z", "00000001"));
    bridge
}

fn counted(bridge: &Bridge) -> Vec<(String, f64)> {
    let names = ["session_", "active_sessions", "mcp_event_emit", "mcp_hub", "gen_ai"];
    Samples::of(bridge).named(&names).into_iter().collect()
}

#[test]
fn a_start_counts_and_shows_both_statuses_of_an_end_at_0() {
    let samples = Samples::of(&with_session());
    assert_eq!(samples.get("session_start_total{component_name=\"notes-server\",shell_type=\"TestShell\"}"), 1.0);
    assert_eq!(samples.get("session_end_total{component_name=\"notes-server\",status=\"success\"}"), 0.0);
    assert_eq!(samples.get("session_end_total{component_name=\"notes-server\",status=\"error\"}"), 0.0);
    assert_eq!(samples.get("active_sessions{component_name=\"notes-server\"}"), 1.0);
    assert_eq!(samples.get("active_sessions_total"), 1.0);
    assert_eq!(samples.total("session_duration_seconds"), 0.0);
    assert_eq!(samples.find("session_end_total{component_name=\"notes-server\",status=\"timeout\"}"), None);
}

#[test]
fn an_end_is_a_success_unless_it_says_otherwise() {
    for (status, label) in [(None, "success"), (Some("success"), "success"), (Some("error"), "error")] {
        let bridge = with_session();
        let mut event = end(ID, "2026-02-06T12:35:00Z");
        if let Some(status) = status {
            event["status"] = status.into();
        }
        let outcome = send(&bridge, event);
        assert_eq!((outcome.status, session_id(&outcome)), (Status::Ended, ID));
        let samples = Samples::of(&bridge);
        let ends = samples.named(&["session_end_total"]);
        assert_eq!(ends.values().sum::<f64>(), 1.0, "{ends:?}");
        assert_eq!(ends[&format!("session_end_total{{component_name=\"notes-server\",status=\"{label}\"}}")], 1.0);
        assert_eq!(samples.get("active_sessions{component_name=\"notes-server\"}"), 0.0);
        assert_eq!(samples.get("active_sessions_total"), 0.0);
    }
}

#[test]
fn the_duration_is_from_timestamp_to_timestamp_across_time_zones() {
    let bridge = with_session();
    // 2 h 5 min later in all, though the clock on the wall went back.
    send(&bridge, end(SHORT, "2026-02-06T09:09:56.25-05:30"));
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("session_duration_seconds_sum{component_name=\"notes-server\"}"), 7500.0);
    assert_eq!(samples.get("session_duration_seconds_bucket{component_name=\"notes-server\",le=\"7200.0\"}"), 0.0);
    assert_eq!(samples.get("session_duration_seconds_bucket{component_name=\"notes-server\",le=\"14400.0\"}"), 1.0);
}

#[test]
fn a_duration_is_rounded_down_and_one_on_a_bound_stays_in_its_bucket() {
    for (end_at, sum, in_first_bucket) in [
        ("2026-02-06T12:35:56.250000000Z", 60.0, 1.0),
        ("2026-02-06T12:35:56.250000900Z", 60.0, 1.0),
        ("2026-02-06T12:35:56.250000954Z", 60.0 + 0.5_f64.powi(20), 0.0),
        ("2026-02-06T12:35:56.249999999Z", 60.0 - 0.5_f64.powi(20), 1.0),
    ] {
        let bridge = with_session();
        send(&bridge, end(ID, end_at));
        let samples = Samples::of(&bridge);
        assert_eq!(samples.get("session_duration_seconds_sum{component_name=\"notes-server\"}"), sum, "{end_at}");
        let first = "session_duration_seconds_bucket{component_name=\"notes-server\",le=\"60.0\"}";
        assert_eq!(samples.get(first), in_first_bucket, "{end_at}");
    }
}

#[test]
fn a_negative_duration_is_warned_of_and_not_observed() {
    let bridge = with_session();
    let outcome = send(&bridge, end(ID, "2026-02-06T12:34:56.249999999Z"));
    assert_eq!((outcome.status, warnings(&outcome)), (Status::Ended, vec!["clock_skew"]));
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("session_end_total{component_name=\"notes-server\",status=\"success\"}"), 1.0);
    assert_eq!(samples.get("active_sessions{component_name=\"notes-server\"}"), 0.0);
    assert_eq!(samples.total("session_duration_seconds"), 0.0);
    assert_eq!(samples.get("bridge_event_warnings_total{reason=\"clock_skew\"}"), 1.0);
}

#[test]
fn a_duration_of_nothing_is_observed() {
    let bridge = with_session();
    let outcome = send(&bridge, end(ID, "2026-02-06T12:34:56.25Z"));
    assert_eq!(warnings(&outcome), Vec::<&str>::new());
    assert_eq!(Samples::of(&bridge).get("session_duration_seconds_count{component_name=\"notes-server\"}"), 1.0);
}

#[test]
fn an_end_for_an_unknown_session_is_the_failure_that_it_is_and_leaves_the_gauge_alone() {
    let bridge = with_session();
    let unknown = [
        ("notes-server-20260206-000000", "notes-server"),
        ("notes-server-20260206-123456-00000009", "notes-server"),
        ("code-review-20260206-123456", "code-review"),
        ("whatever", "unknown"),
        ("two words-20260206-123456", "unknown"),
    ];
    for (id, component) in unknown {
        let outcome = send(&bridge, end(id, "2026-02-06T13:00:00Z"));
        assert_eq!((outcome.status, outcome.duplicate, session_id(&outcome)), (Status::NotFound, false, id));
        let failures = "mcp_event_emit_failure_total";
        let labels =
            format!("component_name=\"{component}\",event_type=\"session_end\",error_type=\"SessionNotFound\"");
        assert!(Samples::of(&bridge).get(&format!("{failures}{{{labels}}}")) >= 1.0, "{id}");
    }
    let samples = Samples::of(&bridge);
    assert_eq!(samples.total("mcp_event_emit_failure_total"), 5.0);
    assert_eq!(samples.total("session_end_total"), 0.0);
    assert_eq!(samples.get("active_sessions{component_name=\"notes-server\"}"), 1.0);
    assert_eq!(samples.named(&["active_sessions"]).len(), 2);
    assert_eq!(samples.get("bridge_events_accepted_total{source=\"http\"}"), 6.0);
}

#[test]
fn a_repeated_end_is_answered_again_and_counts_nothing() {
    let bridge = with_session();
    let first = send(&bridge, end(SHORT, "2026-02-06T13:00:00Z"));
    let before = counted(&bridge);
    // In the other form, in another zone, with a status and an event id that it did not have.
    let again = with(end(ID, "2026-02-06T14:00:00+01:00"), "status", "error");
    for event in [end(SHORT, "2026-02-06T13:00:00Z"), again] {
        let repeated = send(&bridge, event);
        assert_eq!((repeated.status, repeated.duplicate), (Status::Ended, true));
        assert_eq!((session_id(&repeated), repeated.traceparent), (ID, first.traceparent));
    }
    assert_eq!(counted(&bridge), before);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("bridge_events_duplicate_total{source=\"http\"}"), 2.0);
    assert_eq!(samples.get("bridge_events_accepted_total{source=\"http\"}"), 2.0);
}

#[test]
fn another_end_of_an_ended_session_is_no_repeated_one() {
    let bridge = with_session();
    send(&bridge, end(ID, "2026-02-06T13:00:00Z"));
    let other = send(&bridge, end(ID, "2026-02-06T13:00:01Z"));
    assert_eq!((other.status, other.duplicate), (Status::NotFound, false));
    assert_eq!(Samples::of(&bridge).total("session_end_total"), 1.0);
}

#[test]
fn an_event_with_a_known_event_id_is_acknowledged_again_and_recorded_once() {
    let mut events = vec![
        start("notes-server", "2026-02-06T12:34:56.25Z", "00000001"),
        json!({"event_type": "session_heartbeat", "session_id": ID}),
        json!({"event_type": "session_quality", "component_name": "notes-server", "quality_score": 70}),
        json!({"event_type": "mcp_event", "component_name": "notes-server", "emitted_type": "tools/list",
               "duration_seconds": 0.25}),
        json!({"event_type": "active_sessions", "count": 5, "host": "desk-2"}),
        json!({"event_type": "llm_call", "provider": "openai", "model": "gpt-4", "duration_seconds": 1.5,
               "input_tokens": 7, "session_id": ID}),
        with(end(ID, "2026-02-06T13:00:00Z"), "quality_score", 90),
        end("nobody-20260206-123456", "2026-02-06T13:00:00Z"),
    ];
    for (number, event) in events.iter_mut().enumerate().skip(1) {
        event["event_id"] = format!("{number:08}-0000-4000-8000-00000000000a").into();
    }
    let bridge = Bridge::builder().build().unwrap();
    let first = send_all(&bridge, &events);
    let before = counted(&bridge);
    let again = send_all(&bridge, &events);
    for ((first, again), event) in first.iter().zip(&again).zip(&events) {
        assert!(again.duplicate && !first.duplicate, "{event}");
        assert_eq!((again.status, &again.session_id), (first.status, &first.session_id), "{event}");
        if matches!(event["event_type"].as_str(), Some("session_start" | "session_end")) {
            assert_eq!(again.traceparent, first.traceparent, "{event}");
        }
    }
    assert_eq!(counted(&bridge), before);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("bridge_events_duplicate_total{source=\"http\"}"), events.len() as f64);
}

#[test]
fn a_duplicate_within_one_body_is_recognised() {
    let bridge = Bridge::builder().build().unwrap();
    let event = start("a", "2026-02-06T12:34:56Z", "00000001");
    let outcomes = send_all(&bridge, &[event.clone(), event.clone(), event]);
    let duplicates: Vec<bool> = outcomes.iter().map(|outcome| outcome.duplicate).collect();
    assert_eq!(duplicates, [false, true, true]);
    assert_eq!(Samples::of(&bridge).total("session_start_total"), 1.0);
}

#[test]
fn an_event_that_was_rejected_may_come_again_with_its_id() {
    let bridge = Bridge::builder().build().unwrap();
    let event = start("a", "2026-02-06T12:34:56Z", "00000001");
    assert_eq!(send(&bridge, with(event.clone(), "pid", "x")).status, Status::Error);
    let outcome = send(&bridge, event);
    assert_eq!((outcome.status, outcome.duplicate), (Status::Tracked, false));
}

#[test]
fn the_gauge_of_quality_is_the_last_score_told_by_whichever_event() {
    let bridge = Bridge::builder().build().unwrap();
    let score = |bridge: &Bridge| Samples::of(bridge).find("session_quality_score{component_name=\"notes-server\"}");
    send(&bridge, start("notes-server", "2026-02-06T12:34:56Z", "00000002"));
    assert_eq!(score(&bridge), None);
    let told: [(Value, f64); 3] = [
        (with(start("notes-server", "2026-02-06T12:34:56Z", "00000001"), "quality_score", 61.5), 61.5),
        (json!({"event_type": "session_quality", "component_name": "notes-server", "quality_score": 0}), 0.0),
        (with(end(ID, "2026-02-06T13:00:00Z"), "quality_score", 100), 100.0),
    ];
    for (event, expected) in told {
        assert!(!send(&bridge, event).is_rejected());
        assert_eq!(score(&bridge), Some(expected));
    }
}
