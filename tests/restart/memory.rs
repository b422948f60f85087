//! Sessions, event ids, ended sessions, hosts' reports and the instance id over a restart.

use std::path::Path;
use std::time::Duration;

use mcp_otel_bridge::config::{Config, Sessions};
use mcp_otel_bridge::event::Status;
use mcp_otel_bridge::{Bridge, BuildError, StoreError};
use serde_json::json;

use crate::support::events::{end, send, session_id, start, until, warnings};
use crate::support::samples::Samples;

fn open(dir: &Path) -> Bridge {
    Bridge::builder().data_dir(dir).build().unwrap()
}

fn restarted(bridge: Bridge, dir: &Path) -> Bridge {
    bridge.shutdown(Duration::from_secs(10)).unwrap();
    open(dir)
}

#[test]
fn active_sessions_stay_active_and_the_first_scrape_shows_them() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path());
    send(&bridge, start("a-b", "2026-02-06T12:34:56.1Z", "00000001"));
    send(&bridge, start("a-b", "2026-02-06T12:34:56.2Z", "00000002"));
    send(&bridge, start("c", "2026-02-06T12:34:56Z", "00000003"));
    send(&bridge, json!({"event_type": "active_sessions", "count": 4, "host": "desk-2"}));
    let bridge = restarted(bridge, dir.path());

    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("active_sessions{component_name=\"a-b\"}"), 2.0);
    assert_eq!(samples.get("active_sessions{component_name=\"c\"}"), 1.0);
    assert_eq!(samples.get("active_sessions_total"), 7.0);
    for status in ["success", "error"] {
        assert_eq!(samples.get(&format!("session_end_total{{component_name=\"a-b\",status=\"{status}\"}}")), 0.0);
    }

    // The oldest first, as before the restart, and by its true duration.
    let ended = send(&bridge, end("a-b-20260206-123456", "2026-02-06T12:35:56.1Z"));
    assert_eq!(session_id(&ended), "a-b-20260206-123456-00000001");
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("session_duration_seconds_sum{component_name=\"a-b\"}"), 60.0);
    assert_eq!(samples.get("active_sessions{component_name=\"a-b\"}"), 1.0);
    assert_eq!(samples.get("active_sessions_total"), 6.0);
}

#[test]
fn a_repeated_event_is_a_duplicate_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path());
    let event = start("a", "2026-02-06T12:34:56Z", "00000001");
    let call = json!({"event_type": "llm_call", "provider": "p", "model": "m",
                      "event_id": "00000009-0000-4000-8000-000000000000"});
    let first = send(&bridge, event.clone());
    send(&bridge, call.clone());
    let bridge = restarted(bridge, dir.path());
    let again = send(&bridge, event);
    assert!(again.duplicate);
    assert_eq!((again.session_id, again.traceparent), (first.session_id, first.traceparent));
    assert!(send(&bridge, call).duplicate);
    let samples = Samples::of(&bridge);
    assert_eq!((samples.total("session_start_total"), samples.total("mcp_hub_llm_api_calls_total")), (1.0, 1.0));
    assert_eq!(samples.get("active_sessions_total"), 1.0);
}

#[test]
fn a_repeated_end_is_recognised_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path());
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    let first = send(&bridge, end("a-20260206-123456", "2026-02-06T12:40:00Z"));
    let bridge = restarted(bridge, dir.path());
    let again = send(&bridge, end("a-20260206-123456-00000001", "2026-02-06T12:40:00Z"));
    assert_eq!((again.status, again.duplicate), (Status::Ended, true));
    assert_eq!(again.traceparent, first.traceparent);
    assert_eq!(Samples::of(&bridge).total("session_end_total"), 1.0);
}

#[test]
fn a_session_from_before_the_restart_times_out_and_its_late_end_is_known_after_another() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = Sessions { timeout: Duration::from_millis(50), ..Sessions::default() };
    let bridge = open(dir.path());
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    bridge.shutdown(Duration::from_secs(10)).unwrap();

    let config = Config { sessions, ..Config::default() };
    let bridge = Bridge::builder().config(config).data_dir(dir.path()).build().unwrap();
    let timed_out = "session_end_total{component_name=\"a\",status=\"timeout\"}";
    until("the session times out", || Samples::of(&bridge).find(timed_out) == Some(1.0));

    let bridge = restarted(bridge, dir.path());
    assert_eq!(Samples::of(&bridge).get("active_sessions_total"), 0.0);
    let late = send(&bridge, end("a-20260206-123456", "2026-02-06T12:35:56Z"));
    assert_eq!((late.status, warnings(&late)), (Status::Ended, vec!["late_end"]));
    assert_eq!(Samples::of(&bridge).get("session_duration_seconds_sum{component_name=\"a\"}"), 60.0);
}

#[test]
fn the_instance_id_stays_and_is_each_directorys_own() {
    let instance = |bridge: &Bridge| {
        let resource = bridge.telemetry().resource().clone();
        resource.get(&"service.instance.id".into()).unwrap().to_string()
    };
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bridge = open(dir.path());
    let first = instance(&bridge);
    let bridge = restarted(bridge, dir.path());
    assert_eq!(instance(&bridge), first);
    assert_ne!(instance(&open(other.path())), first);
}

#[test]
fn a_directory_in_use_says_so_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path());
    let error = Bridge::builder().data_dir(dir.path()).build().unwrap_err();
    assert!(matches!(error, BuildError::Store(StoreError::Locked { .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains(&dir.path().display().to_string()) && text.contains("--data-dir"), "{text}");
    assert_eq!(text.lines().count(), 1);
    restarted(bridge, dir.path());
}

#[test]
fn a_directory_that_cannot_be_written_says_so_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for wrong in [file.join("below"), file] {
        let error = Bridge::builder().data_dir(&wrong).build().unwrap_err();
        assert!(matches!(error, BuildError::Store(StoreError::Unwritable { .. })), "{error}");
        let text = error.to_string();
        assert!(text.contains(&wrong.display().to_string()) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn a_directory_that_is_missing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("one/two");
    let bridge = open(&deep);
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    assert!(deep.join("bridge.db").exists());
}
