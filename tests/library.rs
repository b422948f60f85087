//! The library, used as a Rust program uses it: typed calls and what they answer.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use mcp_otel_bridge::event::{SessionStatus, Status};
use mcp_otel_bridge::{Bridge, RecordError, Refused};
use support::samples::Samples;

#[test]
fn a_session_that_starts_and_ends_is_counted_and_timed() {
    let bridge = Bridge::builder().build().unwrap();
    let started = bridge.session_start("my-server", "MyShell").unwrap();
    assert_eq!(started.status, Status::Tracked);
    let id = started.session_id.unwrap();
    let now = Samples::of(&bridge);
    assert_eq!(now.get("session_start_total{component_name=\"my-server\",shell_type=\"MyShell\"}"), 1.0);
    assert_eq!(now.get("session_end_total{component_name=\"my-server\",status=\"success\"}"), 0.0);
    assert_eq!(now.get("active_sessions{component_name=\"my-server\"}"), 1.0);
    assert_eq!(now.get("active_sessions_total"), 1.0);

    bridge.session_heartbeat(id.as_str()).unwrap();
    let ended = bridge.session_end(id.as_str(), SessionStatus::Success).unwrap();
    assert_eq!((ended.status, ended.warnings), (Status::Ended, vec![]));
    let now = Samples::of(&bridge);
    assert_eq!(now.get("session_end_total{component_name=\"my-server\",status=\"success\"}"), 1.0);
    assert_eq!(now.get("active_sessions{component_name=\"my-server\"}"), 0.0);
    assert_eq!(now.get("session_duration_seconds_count{component_name=\"my-server\"}"), 1.0);
    assert_eq!(now.get("mcp_event_emit_success_total{component_name=\"my-server\",event_type=\"session_end\"}"), 1.0);
}

#[test]
fn an_unknown_session_is_an_answer_and_no_error() {
    let bridge = Bridge::builder().build().unwrap();
    let outcome = bridge.session_end("nobody-20260206-123456", SessionStatus::Error).unwrap();
    assert_eq!(outcome.status, Status::NotFound);
    assert_eq!(bridge.session_heartbeat("nobody").unwrap().status, Status::NotFound);
}

#[test]
fn bad_values_are_errors_and_cost_nothing() {
    let bridge = Bridge::builder().build().unwrap();
    let before = Samples::of(&bridge);
    assert!(matches!(bridge.session_start("two words", "Shell"), Err(RecordError::Invalid(_))));
    assert!(matches!(bridge.session_quality("a", 101.0), Err(RecordError::Invalid(_))));
    assert!(matches!(bridge.mcp_event("a", "tool_list", f64::NAN, None), Err(RecordError::Invalid(_))));
    assert!(matches!(bridge.active_sessions(Some("line\nbreak"), 1), Err(RecordError::Invalid(_))));
    assert_eq!(Samples::of(&bridge), before);
}

#[test]
fn every_call_records_what_it_says() {
    let bridge = Bridge::builder().build().unwrap();
    bridge.session_quality("a", 72.5).unwrap();
    bridge.mcp_event("a", "tools/list", 0.25, None).unwrap();
    bridge.mcp_event("a", "tools/list", 0.25, Some("Timeout")).unwrap();
    bridge.active_sessions(Some("desk-1"), 4).unwrap();
    let now = Samples::of(&bridge);
    assert_eq!(now.get("session_quality_score{component_name=\"a\"}"), 72.5);
    assert_eq!(now.total("mcp_event_emit_success_total"), 1.0);
    assert_eq!(now.total("mcp_event_emit_failure_total"), 1.0);
    assert_eq!(now.get("active_sessions_total"), 4.0);
    assert_eq!(now.get("bridge_events_accepted_total{source=\"library\"}"), 4.0);
}

#[tokio::test]
async fn after_a_shutdown_nothing_is_taken_and_a_second_one_does_nothing() {
    let bridge = Bridge::builder().build().unwrap();
    let stopped = bridge.clone();
    tokio::task::spawn_blocking(move || {
        stopped.shutdown(Duration::from_secs(5)).unwrap();
        stopped.shutdown(Duration::from_secs(5)).unwrap();
    })
    .await
    .unwrap();
    let event = mcp_otel_bridge::event::SessionHeartbeat { session_id: "a".parse().unwrap(), dropped: None };
    assert_eq!(bridge.record_async(event).await, Err(RecordError::Refused(Refused::Stopping)));
    assert!(bridge.sessions().await.is_empty());
}
