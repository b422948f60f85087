//! What is counted beside the sessions: emissions, the account of events, hosts' reports, and the bound on sessions.

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Sessions};
use mcp_otel_bridge::event::{BodyForm, Status, parse_body};
use mcp_otel_bridge::{Refused, Source};
use serde_json::{Value, json};

use crate::support::events::{end, send, send_all, start, with};
use crate::support::samples::Samples;

fn bridge() -> Bridge {
    Bridge::builder().build().unwrap()
}

fn without(mut event: Value, field: &str) -> Value {
    event.as_object_mut().unwrap().remove(field);
    event
}

fn failed(component: &str, event_type: &str) -> String {
    format!(
        "mcp_event_emit_failure_total{{component_name=\"{component}\",event_type=\"{event_type}\",\
         error_type=\"ValidationError\"}}"
    )
}

#[test]
fn starts_and_ends_are_emissions_of_their_component() {
    let bridge = bridge();
    send(&bridge, start("a-b", "2026-02-06T12:34:56Z", "00000001"));
    send(&bridge, end("a-b-20260206-123456", "2026-02-06T22:34:56Z"));
    let samples = Samples::of(&bridge);
    for event_type in ["session_start", "session_end"] {
        let labels = format!("component_name=\"a-b\",event_type=\"{event_type}\"");
        assert_eq!(samples.get(&format!("mcp_event_emit_success_total{{{labels}}}")), 1.0);
        assert_eq!(samples.get(&format!("mcp_event_emit_duration_seconds_count{{{labels}}}")), 1.0);
        // The time that handling took, which has nothing to do with the ten hours of the session.
        let took = samples.get(&format!("mcp_event_emit_duration_seconds_sum{{{labels}}}"));
        assert!((0.0..10.0).contains(&took), "{took}");
    }
    assert_eq!(samples.total("mcp_event_emit_failure_total"), 0.0);
}

#[test]
fn what_a_host_had_to_leave_out_counts_once_for_each_heartbeat_that_tells_of_it() {
    let bridge = bridge();
    let id = send(&bridge, start("a-b", "2026-02-06T12:34:56Z", "00000001")).session_id.unwrap();
    let beat = |session: &str, id: &str, dropped: Value| {
        let event_id = format!("{id}-0000-4000-8000-000000000000");
        json!({"event_type": "session_heartbeat", "event_id": event_id, "session_id": session, "dropped": dropped})
    };
    let first = beat(id.as_str(), "00000002", json!({"spool_full": 7, "unread": 0}));
    for _ in 0..2 {
        send(&bridge, first.clone());
    }
    // It counts for a session that is over, too.
    send(&bridge, beat("gone", "00000003", json!({"spool_full": 1, "rejected": 2})));
    let samples = Samples::of(&bridge);
    let dropped = samples.named(&["bridge_wrap_dropped_total"]);
    let expected = [("rejected", 2.0), ("spool_full", 8.0)];
    let expected = expected.map(|(reason, count)| (format!("bridge_wrap_dropped_total{{reason=\"{reason}\"}}"), count));
    assert_eq!(dropped.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_start_or_end_that_cannot_be_understood_is_a_failed_emission() {
    let good = start("a-b", "2026-02-06T12:34:56Z", "00000001");
    let bad = [
        (without(good.clone(), "pid"), failed("a-b", "session_start")),
        (with(good.clone(), "event_version", "2.0"), failed("a-b", "session_start")),
        (with(good.clone(), "event_id", "x"), failed("a-b", "session_start")),
        (without(good.clone(), "component_name"), failed("unknown", "session_start")),
        (with(good, "component_name", "two words"), failed("unknown", "session_start")),
        (end("c-d-20260206-123456", "yesterday"), failed("c-d", "session_end")),
        (without(end("c-d-20260206-123456", ""), "timestamp"), failed("c-d", "session_end")),
        (end("e", "yesterday"), failed("unknown", "session_end")),
        (without(end("", "2026-02-06T12:34:56Z"), "session_id"), failed("unknown", "session_end")),
    ];
    for (event, key) in bad {
        let bridge = bridge();
        assert_eq!(send(&bridge, event.clone()).status, Status::Error, "{event}");
        let samples = Samples::of(&bridge);
        assert_eq!(samples.named(&["mcp_event_emit_failure_total"]).into_iter().collect::<Vec<_>>(), [(key, 1.0)]);
        assert_eq!(samples.total("mcp_event_emit_success_total"), 0.0);
        assert_eq!(samples.total("session_"), 0.0);
    }
}

#[test]
fn other_events_that_cannot_be_understood_are_no_emissions() {
    let bridge = bridge();
    let bad = [
        json!({"event_type": "session_quality", "component_name": "a", "quality_score": 101}),
        json!({"event_type": "session_began", "component_name": "a"}),
        json!({"component_name": "a"}),
        json!([]),
    ];
    assert!(send_all(&bridge, &bad).iter().all(|outcome| outcome.is_rejected()));
    let samples = Samples::of(&bridge);
    assert!(samples.named(&["mcp_event_emit"]).is_empty());
    let received = "bridge_events_received_total{source=\"http\",event_type=";
    assert_eq!(samples.get(&format!("{received}\"session_quality\"}}")), 1.0);
    assert_eq!(samples.get(&format!("{received}\"_other\"}}")), 3.0);
}

#[test]
fn a_mcp_event_counts_under_its_own_type_with_its_own_duration() {
    let bridge = bridge();
    let event = json!({"event_type": "mcp_event", "component_name": "a", "emitted_type": "tools/list",
                       "duration_seconds": 0.25});
    send_all(&bridge, &[event.clone(), with(event, "error_type", "Timeout")]);
    let samples = Samples::of(&bridge);
    let labels = "component_name=\"a\",event_type=\"tools/list\"";
    assert_eq!(samples.get(&format!("mcp_event_emit_success_total{{{labels}}}")), 1.0);
    assert_eq!(samples.get(&format!("mcp_event_emit_failure_total{{{labels},error_type=\"Timeout\"}}")), 1.0);
    assert_eq!(samples.get(&format!("mcp_event_emit_duration_seconds_sum{{{labels}}}")), 0.5);
    assert_eq!(samples.get(&format!("mcp_event_emit_duration_seconds_count{{{labels}}}")), 2.0);
}

#[test]
fn received_is_accepted_and_duplicates_and_rejected_for_each_source() {
    let bridge = bridge();
    let one = start("a", "2026-02-06T12:34:56Z", "00000001");
    let events = [
        one.clone(),
        one,
        end("nobody", "2026-02-06T12:34:56Z"),
        end("a-20260206-123456", "2026-02-06T12:40:00Z"),
        end("a-20260206-123456", "2026-02-06T12:40:00Z"),
        json!({"event_type": "nonsense"}),
        json!(7),
    ];
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    for source in Source::ALL {
        bridge.submit_blocking(source, parse_body(lines.as_bytes(), BodyForm::Ndjson).unwrap().events).unwrap();
    }
    let samples = Samples::of(&bridge);
    for (number, source) in Source::ALL.into_iter().enumerate() {
        let of = |name: &str| samples.total(&format!("bridge_events_{name}_total{{source=\"{}\"", source.name()));
        // The second source and those after it repeat what the first has told.
        let (accepted, duplicates) = if number == 0 { (3.0, 2.0) } else { (1.0, 4.0) };
        assert_eq!((of("accepted"), of("duplicate"), of("rejected")), (accepted, duplicates, 2.0), "{source:?}");
        assert_eq!(of("received"), of("accepted") + of("duplicate") + of("rejected"), "{source:?}");
    }
}

#[test]
fn after_the_end_events_are_refused_and_not_counted() {
    let bridge = bridge();
    send(&bridge, end("nobody", "2026-02-06T12:34:56Z"));
    let before = Samples::of(&bridge);
    bridge.shutdown(std::time::Duration::from_secs(5)).unwrap();
    let body = parse_body(b"{\"event_type\":\"search_call\"}", BodyForm::Json).unwrap();
    assert_eq!(bridge.submit_blocking(Source::Http, body.events), Err(Refused::Stopping));
    let of_events = |samples: &Samples| {
        ["received", "accepted", "duplicate", "rejected"]
            .map(|name| samples.total(&format!("bridge_events_{name}_total")))
    };
    let after = Samples::of(&bridge);
    assert_eq!(of_events(&after), of_events(&before));
    assert_eq!(after.total("mcp_hub_search_api_calls_total"), 0.0);
    assert!(bridge.health().fault.is_some());
}

#[test]
fn unknown_fields_are_accepted_named_and_counted() {
    let bridge = bridge();
    let mut event = with(start("a", "2026-02-06T12:34:56Z", "00000001"), "colour", "red");
    event["user"]["shoe_size"] = 42.into();
    let outcome = send(&bridge, event);
    let mut named: Vec<&str> = outcome.warnings.iter().filter_map(|warning| warning.field()).collect();
    named.sort_unstable();
    assert_eq!((outcome.status, named), (Status::Tracked, vec!["colour", "user.shoe_size"]));
    assert_eq!(Samples::of(&bridge).get("bridge_event_warnings_total{reason=\"unknown_field\"}"), 2.0);
}

#[test]
fn the_total_is_the_tracked_sessions_and_the_last_report_of_each_host() {
    let bridge = bridge();
    let total = |bridge: &Bridge| Samples::of(bridge).get("active_sessions_total");
    assert_eq!(total(&bridge), 0.0);
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    let report = |count: u64, host: Option<&str>| {
        let event = json!({"event_type": "active_sessions", "count": count});
        host.map_or(event.clone(), |host| with(event, "host", host))
    };
    for (event, expected) in [
        (report(5, Some("desk-1")), 6.0),
        (report(7, Some("desk-2")), 13.0),
        (report(2, Some("desk-1")), 10.0),
        (report(3, None), 13.0),
        (report(1, None), 11.0),
        (report(0, Some("desk-2")), 4.0),
        (end("a-20260206-123456", "2026-02-06T12:40:00Z"), 3.0),
    ] {
        send(&bridge, event.clone());
        assert_eq!(total(&bridge), expected, "{event}");
    }
    assert_eq!(Samples::of(&bridge).named(&["active_sessions{"]).len(), 1);
}

#[test]
fn no_more_sessions_are_active_than_may_be() {
    let sessions = Sessions { max_active: 2, ..Sessions::default() };
    let bridge = Bridge::builder().config(Config { sessions, ..Config::default() }).build().unwrap();
    let third = start("a", "2026-02-06T12:34:58Z", "00000003");
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    send(&bridge, start("a", "2026-02-06T12:34:57Z", "00000002"));
    assert_eq!(send(&bridge, third.clone()).status, Status::Error);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("active_sessions{component_name=\"a\"}"), 2.0);
    assert_eq!(samples.get("bridge_events_rejected_total{source=\"http\",reason=\"session_limit\"}"), 1.0);
    assert_eq!(samples.get(&failed("a", "session_start")), 1.0);

    send(&bridge, end("a-20260206-123456", "2026-02-06T12:40:00Z"));
    let taken = send(&bridge, third);
    assert_eq!((taken.status, taken.duplicate), (Status::Tracked, false), "there is room, and it was never taken");
}
