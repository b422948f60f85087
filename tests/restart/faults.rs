//! A batch that cannot be kept is refused as a whole, counts nothing, and the bridge goes on when it can be kept again.
//!
//! The database itself is made to fail: a second connection adds triggers to it, as a full disk or a failing one would
//! let a write or a commit fail.

use std::path::Path;
use std::time::Duration;

use mcp_otel_bridge::event::Status;
use mcp_otel_bridge::{Bridge, Refused};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::events::{end, send, start, try_send, until, with};
use crate::support::samples::Samples;

/// Fails the commit itself: a foreign key that is looked at only then.
const COMMIT_FAILS: &str = "
    CREATE TABLE poison_of (id INTEGER PRIMARY KEY);
    CREATE TABLE poison (id INTEGER REFERENCES poison_of (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER poisoned AFTER INSERT ON event_ids BEGIN INSERT INTO poison VALUES (1); END;
    CREATE TRIGGER poisoned_too AFTER INSERT ON meta BEGIN INSERT INTO poison VALUES (1); END;";
/// Fails a write in the middle of a batch.
const WRITE_FAILS: &str = "
    CREATE TRIGGER poisoned BEFORE INSERT ON sessions WHEN NEW.component_name = 'poison'
    BEGIN SELECT RAISE(ABORT, 'no room on the disk'); END;
    CREATE TRIGGER poisoned_too BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'no room on the disk'); END;";
const WELL_AGAIN: &str = "DROP TRIGGER poisoned; DROP TRIGGER IF EXISTS poisoned_too;";

fn open(dir: &Path) -> Bridge {
    Bridge::builder().data_dir(dir).build().unwrap()
}

fn tell(dir: &Path, sql: &str) {
    Connection::open(dir.join("bridge.db")).unwrap().execute_batch(sql).unwrap();
}

/// One batch that changes everything there is to change, in a bridge that knows session `a` and host `desk-1`.
fn batch() -> Vec<Value> {
    vec![
        with(start("new", "2026-02-06T12:35:00Z", "00000002"), "quality_score", 50),
        with(end("a-20260206-123456", "2026-02-06T12:40:00Z"), "quality_score", 90),
        json!({"event_type": "active_sessions", "count": 9, "host": "desk-1"}),
        json!({"event_type": "llm_call", "provider": "p", "model": "m", "duration_seconds": 2.5, "input_tokens": 3,
               "event_id": "00000009-0000-4000-8000-000000000000"}),
        json!({"event_type": "nonsense"}),
        start("poison", "2026-02-06T12:35:00Z", "00000003"),
    ]
}

/// What a scrape shows of all that was counted, but for the bridge's own account. Series at 0 may be there before they count, but for gauges: a gauge at
/// 0 says something.
fn counted(bridge: &Bridge) -> Vec<(String, f64)> {
    let samples = Samples::of(bridge);
    let gauge = |key: &str| key.starts_with("active_sessions") || key.starts_with("session_quality");
    let counts = |key: &str, value: f64| !key.starts_with("bridge_") && (value != 0.0 || gauge(key));
    samples.values.into_iter().filter(|(key, value)| counts(key, *value)).collect()
}

fn refused_and_taken_later(fails: &str) {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path());
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    send(&bridge, json!({"event_type": "active_sessions", "count": 2, "host": "desk-1"}));
    let before = counted(&bridge);
    assert_eq!(bridge.health().fault, None);

    tell(dir.path(), fails);
    for tries in 1..=2 {
        let refused = try_send(&bridge, &batch()).unwrap_err();
        assert!(matches!(refused, Refused::Storage(_)), "{refused}");
        assert_eq!(counted(&bridge), before);
        assert!(bridge.health().fault.is_some());
        // All are refused: what was decided on, what failed, and what never had its turn.
        let samples = Samples::of(&bridge);
        let refused = f64::from(tries) * batch().len() as f64;
        assert_eq!(samples.get("bridge_events_rejected_total{source=\"http\",reason=\"storage\"}"), refused);
        assert_eq!(samples.total("bridge_events_received_total"), 2.0 + refused);
        assert_eq!(samples.get("bridge_ready"), 0.0);
    }

    tell(dir.path(), WELL_AGAIN);
    let outcomes = try_send(&bridge, &batch()).unwrap();
    assert!(outcomes.iter().all(|outcome| !outcome.duplicate), "{outcomes:?}");
    let statuses: Vec<Status> = outcomes.iter().map(|outcome| outcome.status).collect();
    let expected = [Status::Tracked, Status::Ended, Status::Recorded, Status::Recorded, Status::Error, Status::Tracked];
    assert_eq!(statuses, expected);
    assert_eq!(bridge.health().fault, None);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("active_sessions{component_name=\"a\"}"), 0.0);
    assert_eq!(samples.get("active_sessions_total"), 11.0);
    assert_eq!(samples.get("session_duration_seconds_count{component_name=\"a\"}"), 1.0);
    assert_eq!(samples.get("mcp_hub_llm_api_calls_total{provider=\"p\",model=\"m\"}"), 1.0);
    assert_eq!(samples.total("bridge_events_received_total"), 2.0 + 3.0 * batch().len() as f64);
    assert_eq!(samples.get("bridge_ready"), 1.0);

    // What was refused left nothing behind on the disk either.
    bridge.shutdown(Duration::from_secs(10)).unwrap();
    assert_eq!(Samples::of(&open(dir.path())).get("active_sessions_total"), 11.0);
}

#[test]
fn a_commit_that_fails_refuses_the_batch_and_counts_nothing() {
    refused_and_taken_later(COMMIT_FAILS);
}

#[test]
fn a_write_that_fails_refuses_the_batch_and_counts_nothing() {
    refused_and_taken_later(WRITE_FAILS);
}

#[test]
fn a_fault_that_is_over_is_noticed_without_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path());
    tell(dir.path(), COMMIT_FAILS);
    try_send(&bridge, &batch()).unwrap_err();
    assert!(bridge.health().fault.is_some());
    tell(dir.path(), WELL_AGAIN);
    // Whoever is told that nothing can be kept sends nothing: the bridge must find out by itself.
    until("the fault is gone", || bridge.health().fault.is_none());
    assert_eq!(Samples::of(&bridge).get("bridge_ready"), 1.0);
}

#[test]
fn sessions_that_cannot_be_timed_out_now_are_timed_out_later() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = mcp_otel_bridge::config::Sessions { timeout: Duration::from_millis(1500), ..Default::default() };
    let config = mcp_otel_bridge::config::Config { sessions, ..Default::default() };
    let bridge = Bridge::builder().config(config).data_dir(dir.path()).build().unwrap();
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    tell(
        dir.path(),
        "CREATE TRIGGER poisoned BEFORE INSERT ON ended_sessions BEGIN SELECT RAISE(ABORT, 'no room'); END;",
    );
    until("the fault is noticed", || bridge.health().fault.is_some());
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("active_sessions{component_name=\"a\"}"), 1.0);
    tell(dir.path(), WELL_AGAIN);
    let timed_out = "session_end_total{component_name=\"a\",status=\"timeout\"}";
    until("the session times out", || Samples::of(&bridge).find(timed_out) == Some(1.0));
    assert_eq!(Samples::of(&bridge).get("active_sessions{component_name=\"a\"}"), 0.0);
    assert_eq!(bridge.health().fault, None);
}
