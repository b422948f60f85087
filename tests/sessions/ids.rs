//! The ids of sessions, long and short.

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::event::Status;

use crate::support::events::{end, send, session_id, start};
use crate::support::samples::Samples;

fn bridge() -> Bridge {
    Bridge::builder().build().unwrap()
}

async fn active(bridge: &Bridge) -> Vec<String> {
    bridge.sessions().await.iter().map(|session| session.id.to_string()).collect()
}

#[test]
fn an_id_is_the_component_the_time_in_utc_and_eight_digits_of_the_event_id() {
    let outcome = send(&bridge(), start("session-buddy", "2026-02-06T01:04:56.789+02:00", "6f1c0a52"));
    assert_eq!(outcome.status, Status::Tracked);
    assert_eq!(session_id(&outcome), "session-buddy-20260205-230456-6f1c0a52");
}

#[test]
fn the_digits_are_in_lower_case_however_the_event_id_is_written() {
    let outcome = send(&bridge(), start("a", "2026-02-06T12:34:56Z", "6F1C0A5B"));
    assert_eq!(session_id(&outcome), "a-20260206-123456-6f1c0a5b");
}

#[tokio::test]
async fn two_sessions_that_start_in_one_second_stay_two() {
    let bridge = bridge();
    let one = start("a-b-c", "2026-02-06T12:34:56.1Z", "00000001");
    let two = start("a-b-c", "2026-02-06T12:34:56.9Z", "00000002");
    tokio::task::spawn_blocking({
        let bridge = bridge.clone();
        move || [one, two].map(|event| send(&bridge, event))
    })
    .await
    .unwrap();
    assert_eq!(active(&bridge).await, ["a-b-c-20260206-123456-00000001", "a-b-c-20260206-123456-00000002"]);
    assert_eq!(Samples::of(&bridge).get("active_sessions{component_name=\"a-b-c\"}"), 2.0);
}

#[test]
fn an_end_by_the_short_form_ends_the_oldest_of_several_whichever_came_first() {
    let bridge = bridge();
    // The younger one is told of first.
    send(&bridge, start("a-b", "2026-02-06T12:34:56.9Z", "00000001"));
    send(&bridge, start("a-b", "2026-02-06T12:34:56.1Z", "00000002"));
    let first = send(&bridge, end("a-b-20260206-123456", "2026-02-06T12:40:00Z"));
    let second = send(&bridge, end("a-b-20260206-123456", "2026-02-06T12:41:00Z"));
    let third = send(&bridge, end("a-b-20260206-123456", "2026-02-06T12:42:00Z"));
    assert_eq!(session_id(&first), "a-b-20260206-123456-00000002");
    assert_eq!(session_id(&second), "a-b-20260206-123456-00000001");
    assert_eq!(third.status, Status::NotFound);
}

#[test]
fn an_end_by_the_long_form_ends_that_very_one() {
    let bridge = bridge();
    send(&bridge, start("a-b", "2026-02-06T12:34:56.1Z", "00000001"));
    send(&bridge, start("a-b", "2026-02-06T12:34:56.9Z", "00000002"));
    let ended = send(&bridge, end("a-b-20260206-123456-00000002", "2026-02-06T12:40:00Z"));
    assert_eq!((ended.status, session_id(&ended)), (Status::Ended, "a-b-20260206-123456-00000002"));
    let other = send(&bridge, end("a-b-20260206-123456", "2026-02-06T12:40:01Z"));
    assert_eq!((other.status, session_id(&other)), (Status::Ended, "a-b-20260206-123456-00000001"));
}

#[test]
fn the_short_form_of_one_component_never_ends_a_session_of_another() {
    let bridge = bridge();
    send(&bridge, start("a-b", "2026-02-06T12:34:56Z", "00000001"));
    assert_eq!(send(&bridge, end("a-20260206-123456", "2026-02-06T12:40:00Z")).status, Status::NotFound);
    assert_eq!(send(&bridge, end("b-20260206-123456", "2026-02-06T12:40:00Z")).status, Status::NotFound);
    assert_eq!(Samples::of(&bridge).get("active_sessions_total"), 1.0);
}

#[test]
fn a_second_start_with_the_very_id_of_an_active_session_is_rejected() {
    let bridge = bridge();
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    let mut other = start("a", "2026-02-06T12:34:56Z", "00000001");
    other["event_id"] = "00000001-0000-4000-8000-000000000009".into();
    let outcome = send(&bridge, other);
    assert_eq!((outcome.status, outcome.field.as_deref()), (Status::Error, Some("event_id")));
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("active_sessions{component_name=\"a\"}"), 1.0);
    assert_eq!(samples.get("bridge_events_rejected_total{source=\"http\",reason=\"conflict\"}"), 1.0);
}
