//! Sessions of which nothing is heard any more, by the bridge's own clock.

use std::time::{Duration, Instant};

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Sessions};
use mcp_otel_bridge::event::Status;
use serde_json::json;

use crate::support::events::{end, send, session_id, start, until, warnings, with};
use crate::support::samples::Samples;

const ID: &str = "notes-server-20260206-123456-00000001";
const TIMED_OUT: &str = "session_end_total{component_name=\"notes-server\",status=\"timeout\"}";

fn with_timeout(timeout: Duration) -> Bridge {
    let sessions = Sessions { timeout, ..Sessions::default() };
    Bridge::builder().config(Config { sessions, ..Config::default() }).build().unwrap()
}

/// A bridge whose one session has timed out.
fn timed_out() -> Bridge {
    let bridge = with_timeout(Duration::from_millis(50));
    send(&bridge, start("notes-server", "2026-02-06T12:34:56Z", "00000001"));
    until("the session times out", || Samples::of(&bridge).find(TIMED_OUT) == Some(1.0));
    bridge
}

#[test]
fn a_session_of_which_nothing_is_heard_ends_as_timed_out_without_a_duration() {
    let samples = Samples::of(&timed_out());
    assert_eq!(samples.total("session_end_total"), 1.0);
    assert_eq!(samples.get("active_sessions{component_name=\"notes-server\"}"), 0.0);
    assert_eq!(samples.get("active_sessions_total"), 0.0);
    assert_eq!(samples.total("session_duration_seconds"), 0.0);
}

#[test]
fn old_timestamps_time_nothing_out() {
    let bridge = with_timeout(Duration::from_secs(3600));
    send(&bridge, start("notes-server", "1999-12-31T23:59:59Z", "00000001"));
    // Longer than from one look at the sessions to the next.
    let begun = Instant::now();
    until("more than a second has gone by", || begun.elapsed() > Duration::from_millis(1500));
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("active_sessions{component_name=\"notes-server\"}"), 1.0);
    assert_eq!(samples.find(TIMED_OUT), None);
}

#[test]
fn whatever_names_the_session_keeps_it_alive() {
    let beats = [
        json!({"event_type": "session_heartbeat", "session_id": ID}),
        json!({"event_type": "session_heartbeat", "session_id": "notes-server-20260206-123456"}),
        json!({"event_type": "llm_call", "provider": "p", "model": "m", "session_id": ID}),
    ];
    let bridge = with_timeout(Duration::from_millis(1500));
    let begun = Instant::now();
    let names = ["a", "b", "c", "d"];
    for (number, name) in names.iter().enumerate() {
        send(&bridge, start(name, "2026-02-06T12:34:56Z", &format!("0000000{number}")));
    }
    // The heartbeats of three of them are as old as they can be: it is the bridge's clock that counts.
    until("twice the timeout has gone by", || {
        for (name, beat) in names.iter().zip(&beats) {
            let id = beat["session_id"].as_str().unwrap().replace("notes-server", name);
            let id = id.replace("00000001", &format!("0000000{}", names.iter().position(|n| n == name).unwrap()));
            let beat = with(with(beat.clone(), "session_id", id), "timestamp", "2026-02-06T12:34:56Z");
            assert_eq!(send(&bridge, beat).status, Status::Recorded);
        }
        begun.elapsed() > Duration::from_secs(3)
    });
    until("the silent one times out", || {
        Samples::of(&bridge).find("session_end_total{component_name=\"d\",status=\"timeout\"}") == Some(1.0)
    });
    let samples = Samples::of(&bridge);
    for name in ["a", "b", "c"] {
        assert_eq!(samples.get(&format!("active_sessions{{component_name=\"{name}\"}}")), 1.0, "{name}");
    }
}

#[test]
fn a_late_end_observes_the_true_duration_and_ends_nothing_again() {
    let bridge = timed_out();
    let late = send(&bridge, with(end(ID, "2026-02-06T12:44:56Z"), "status", "error"));
    assert_eq!((late.status, late.duplicate, session_id(&late)), (Status::Ended, false, ID));
    assert_eq!(warnings(&late), ["late_end"]);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("session_duration_seconds_count{component_name=\"notes-server\"}"), 1.0);
    assert_eq!(samples.get("session_duration_seconds_sum{component_name=\"notes-server\"}"), 600.0);
    assert_eq!(samples.get(TIMED_OUT), 1.0);
    assert_eq!(samples.total("session_end_total"), 1.0);
    assert_eq!(samples.get("active_sessions{component_name=\"notes-server\"}"), 0.0);
    assert_eq!(samples.get("bridge_event_warnings_total{reason=\"late_end\"}"), 1.0);
    assert_eq!(samples.get("bridge_events_accepted_total{source=\"http\"}"), 2.0);
}

#[test]
fn a_late_end_that_comes_again_is_a_repeated_one() {
    let bridge = timed_out();
    send(&bridge, end("notes-server-20260206-123456", "2026-02-06T12:44:56Z"));
    let again = send(&bridge, end(ID, "2026-02-06T12:44:56Z"));
    assert_eq!((again.status, again.duplicate), (Status::Ended, true));
    assert_eq!(Samples::of(&bridge).get("session_duration_seconds_count{component_name=\"notes-server\"}"), 1.0);
}

#[test]
fn a_late_end_at_the_very_time_of_the_last_word_still_tells_the_duration() {
    // Nothing was heard after the start: the timed-out session is over at the time of its start.
    let bridge = timed_out();
    let late = send(&bridge, end(ID, "2026-02-06T12:34:56Z"));
    assert_eq!((late.duplicate, warnings(&late)), (false, vec!["late_end"]));
    assert_eq!(Samples::of(&bridge).get("session_duration_seconds_count{component_name=\"notes-server\"}"), 1.0);
}

#[test]
fn a_heartbeat_of_no_active_session_is_not_found() {
    let outcome = send(&timed_out(), json!({"event_type": "session_heartbeat", "session_id": ID}));
    assert_eq!(outcome.status, Status::NotFound);
}
