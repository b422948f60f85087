//! An event that was rejected, and comes again with the same `event_id` because its answer was lost: it is one failure, not
//! two.

use serde_json::Value;

use crate::support::events::{send, start, with};
use crate::support::files::{as_killed, in_memory, open};
use crate::support::samples::Samples;

/// Sends an event that is rejected, kills the bridge, and sends it again; then once more in the same life.
fn rejected_again_after_a_kill(before: Option<Value>, event: &Value) {
    let (dir, killed) = (in_memory(), in_memory());
    let bridge = open(dir.path(), &Default::default());
    if let Some(event) = before {
        assert!(send(&bridge, event).error.is_none());
    }
    let failures = |bridge: &_| Samples::of(bridge).total("mcp_event_emit_failure_total");
    assert!(send(&bridge, event.clone()).error.is_some());
    assert_eq!(failures(&bridge), 1.0);
    let counted = Samples::of(&bridge).named(&["mcp_event_emit_"]);
    as_killed(dir.path(), killed.path());

    let bridge = open(killed.path(), &Default::default());
    assert_eq!(failures(&bridge), 1.0);
    for _ in 0..2 {
        assert!(send(&bridge, event.clone()).error.is_some(), "it is still rejected");
        assert_eq!(Samples::of(&bridge).named(&["mcp_event_emit_"]), counted, "it was counted before");
    }
    // Another one counts.
    let short_id = &event["event_id"].as_str().unwrap()[..8];
    send(&bridge, with(event.clone(), "event_id", format!("{short_id}-2222-4222-8222-222222222222")));
    assert_eq!(failures(&bridge), 2.0);
}

#[test]
fn an_invalid_start_counts_once() {
    let event = with(start("a", "2026-02-06T12:34:56Z", "00000001"), "pid", "none");
    rejected_again_after_a_kill(None, &event);
}

#[test]
fn a_start_that_conflicts_counts_once() {
    let first = start("a", "2026-02-06T12:34:56Z", "00000001");
    let same_session = with(first.clone(), "event_id", "00000001-1111-4111-8111-111111111111");
    rejected_again_after_a_kill(Some(first), &same_session);
}
