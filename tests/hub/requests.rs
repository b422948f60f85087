//! Requests: whole ones, and those that start and end.

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Requests};
use mcp_otel_bridge::event::Status;
use serde_json::json;

use super::{ACTIVE, COUNT, REQUESTS, SUCCESS, SUM, end, failed, start};
use crate::support::collector::Collector;
use crate::support::events::{send, send_all, warnings, with};
use crate::support::samples::Samples;
use crate::support::traced::{attributes, builder, hex, spans, traceparent};

fn bridge() -> Bridge {
    Bridge::builder().build().unwrap()
}

#[test]
fn a_whole_request_counts_as_started_and_as_what_became_of_it() {
    let bridge = bridge();
    let whole = json!({
        "event_type": "request", "agent": "planner", "operation": "plan", "duration_seconds": 0.5,
    });
    assert_eq!(send(&bridge, whole.clone()).status, Status::Recorded);
    send(&bridge, with(whole, "error_type", "overload"));
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(REQUESTS), samples.get(SUCCESS), samples.get(&failed("overload"))), (2.0, 1.0, 1.0));
    assert_eq!((samples.get(COUNT), samples.get(SUM)), (2.0, 1.0));
    assert_eq!(samples.find(ACTIVE), None);
    let bucket = "mcp_hub_request_duration_seconds_bucket{agent=\"planner\",operation=\"plan\",le=";
    assert_eq!(samples.get(&format!("{bucket}\"0.1\"}}")), 0.0);
    assert_eq!(samples.get(&format!("{bucket}\"0.5\"}}")), 2.0);
}

#[test]
fn a_request_counts_when_it_starts_and_again_when_it_ends() {
    let bridge = bridge();
    send(&bridge, start("r1", "2026-02-06T12:00:00Z"));
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(REQUESTS), samples.get(ACTIVE)), (1.0, 1.0));
    assert_eq!((samples.find(SUCCESS), samples.find(COUNT)), (None, None));

    send(&bridge, start("r2", "2026-02-06T12:00:01Z"));
    assert_eq!(Samples::of(&bridge).get(ACTIVE), 2.0);
    send(&bridge, end("r1", "2026-02-06T12:00:02.5Z"));
    send(&bridge, with(end("r2", "2026-02-06T12:00:02Z"), "error_type", "refused"));
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(REQUESTS), samples.get(ACTIVE)), (2.0, 0.0));
    assert_eq!((samples.get(SUCCESS), samples.get(&failed("refused"))), (1.0, 1.0));
    assert_eq!((samples.get(COUNT), samples.get(SUM)), (2.0, 3.5));
}

#[test]
fn an_end_before_its_start_ends_the_request_with_a_warning_and_no_duration() {
    let bridge = bridge();
    send(&bridge, start("r", "2026-02-06T12:00:01Z"));
    let outcome = send(&bridge, end("r", "2026-02-06T12:00:00Z"));
    assert_eq!((outcome.status, warnings(&outcome)), (Status::Recorded, vec!["clock_skew"]));
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(SUCCESS), samples.get(ACTIVE), samples.find(COUNT)), (1.0, 0.0, None));
    assert_eq!(samples.get("bridge_event_warnings_total{reason=\"clock_skew\"}"), 1.0);
}

#[test]
fn an_end_of_an_unknown_request_is_not_found_and_changes_nothing() {
    let bridge = bridge();
    let outcome = send(&bridge, end("nobody", "2026-02-06T12:00:00Z"));
    assert_eq!((outcome.status, outcome.field.as_deref()), (Status::NotFound, Some("request_id")));
    let samples = Samples::of(&bridge);
    assert_eq!(samples.total("mcp_hub_requests"), 0.0);
    assert_eq!(samples.find(ACTIVE), None);
    assert_eq!(samples.get("bridge_events_accepted_total{source=\"http\"}"), 1.0);
}

#[test]
fn a_repeated_end_is_answered_again_and_counts_nothing() {
    let bridge = bridge();
    let ended = end("r", "2026-02-06T12:00:01Z");
    let first = send_all(&bridge, &[start("r", "2026-02-06T12:00:00Z"), ended.clone()]).pop().unwrap();
    let again = send(&bridge, ended);
    assert_eq!((again.status, again.duplicate, again.traceparent), (Status::Recorded, true, first.traceparent));
    let other = send(&bridge, end("r", "2026-02-06T12:00:02Z"));
    assert_eq!((other.status, other.duplicate), (Status::NotFound, false));
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(SUCCESS), samples.get(COUNT), samples.get(ACTIVE)), (1.0, 1.0, 0.0));
}

#[test]
fn a_repeated_start_is_answered_again_and_counts_nothing_whether_open_or_ended() {
    let bridge = bridge();
    let started = start("r", "2026-02-06T12:00:00Z");
    let first = send(&bridge, started.clone());
    let again = send(&bridge, started.clone());
    assert_eq!((again.duplicate, again.traceparent), (true, first.traceparent));
    send(&bridge, end("r", "2026-02-06T12:00:01Z"));
    let again = send(&bridge, started);
    assert_eq!((again.duplicate, again.traceparent), (true, first.traceparent));
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(REQUESTS), samples.get(ACTIVE)), (1.0, 0.0));
}

#[test]
fn events_with_an_id_are_answered_again_as_they_were_first() {
    let bridge = bridge();
    let id = |n: u8| format!("00000000-0000-4000-8000-00000000000{n}");
    let events = [
        with(start("r", "2026-02-06T12:00:00Z"), "event_id", id(1)),
        with(end("r", "2026-02-06T12:00:01Z"), "event_id", id(2)),
        with(end("nobody", "2026-02-06T12:00:01Z"), "event_id", id(3)),
    ];
    let first = send_all(&bridge, &events);
    let again = send_all(&bridge, &events);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!((again.status, again.traceparent, &again.error), (first.status, first.traceparent, &first.error));
        assert_eq!((first.duplicate, again.duplicate), (false, true));
    }
    assert_eq!(Samples::of(&bridge).get(REQUESTS), 1.0);
}

#[test]
fn an_id_can_be_used_again_once_its_request_has_ended() {
    let bridge = bridge();
    for minute in 0..3 {
        let at = |second: u8| format!("2026-02-06T12:0{minute}:0{second}Z");
        let outcomes = send_all(&bridge, &[start("1", &at(0)), end("1", &at(1))]);
        assert!(outcomes.iter().all(|outcome| outcome.status == Status::Recorded && !outcome.duplicate));
    }
    // The end of an earlier one is not taken for that of the one that is open.
    send(&bridge, start("1", "2026-02-06T12:09:00Z"));
    assert!(send(&bridge, end("1", "2026-02-06T12:02:01Z")).duplicate);
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(REQUESTS), samples.get(SUCCESS), samples.get(ACTIVE)), (4.0, 3.0, 1.0));
}

#[test]
fn what_contradicts_an_open_request_is_rejected() {
    let bridge = bridge();
    send(&bridge, start("r", "2026-02-06T12:00:00Z"));
    let rejected = [
        (start("r", "2026-02-06T12:00:01Z"), "request_id"),
        (with(end("r", "2026-02-06T12:00:01Z"), "agent", "writer"), "agent"),
        (with(end("r", "2026-02-06T12:00:01Z"), "operation", "write"), "operation"),
    ];
    for (event, field) in rejected {
        let outcome = send(&bridge, event);
        assert_eq!((outcome.status, outcome.field.as_deref()), (Status::Error, Some(field)));
    }
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("bridge_events_rejected_total{source=\"http\",reason=\"conflict\"}"), 3.0);
    assert_eq!((samples.get(REQUESTS), samples.get(ACTIVE)), (1.0, 1.0));
}

#[test]
fn no_more_requests_are_open_than_may_be() {
    let requests = Requests { max_active: 2, ..Requests::default() };
    let bridge = Bridge::builder().config(Config { requests, ..Config::default() }).build().unwrap();
    for id in ["a", "b"] {
        assert_eq!(send(&bridge, start(id, "2026-02-06T12:00:00Z")).status, Status::Recorded);
    }
    let refused = send(&bridge, start("c", "2026-02-06T12:00:00Z"));
    assert!(refused.is_rejected() && refused.error.unwrap().contains("requests.max_active"));
    send(&bridge, end("a", "2026-02-06T12:00:01Z"));
    assert_eq!(send(&bridge, start("c", "2026-02-06T12:00:00Z")).status, Status::Recorded);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("bridge_events_rejected_total{source=\"http\",reason=\"request_limit\"}"), 1.0);
    assert_eq!((samples.get(REQUESTS), samples.get(ACTIVE)), (3.0, 2.0));
}

#[test]
fn open_requests_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let built = || Bridge::builder().data_dir(dir.path()).build().unwrap();
    let first = built();
    send_all(&first, &[start("a", "2026-02-06T12:00:00Z"), start("b", "2026-02-06T12:00:00Z")]);
    send(&first, end("a", "2026-02-06T12:00:01Z"));
    first.shutdown(std::time::Duration::ZERO).unwrap();
    drop(first);

    let second = built();
    assert_eq!(Samples::of(&second).get(ACTIVE), 1.0, "shown before anything is sent");
    assert!(send(&second, end("a", "2026-02-06T12:00:01Z")).duplicate);
    assert_eq!(send(&second, end("b", "2026-02-06T12:00:04Z")).status, Status::Recorded);
    let samples = Samples::of(&second);
    assert_eq!((samples.get(ACTIVE), samples.get(SUM)), (0.0, 5.0));
}

#[test]
fn a_request_is_a_span_and_its_metrics_lead_to_it() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let started = send(&bridge, with(start("r", "2026-02-06T12:00:00Z"), "traceparent", parent));
    let inner = json!({
        "event_type": "llm_call", "provider": "p", "model": "m",
        "traceparent": started.traceparent.unwrap().to_string(),
    });
    send(&bridge, inner);
    send(&bridge, with(end("r", "2026-02-06T12:00:02Z"), "error_type", "refused"));

    let spans = spans(&bridge, &collector);
    let span = spans.one("plan planner");
    assert_eq!(traceparent(span), started.traceparent.unwrap().to_string());
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 2_000_000_000);
    let attributes = attributes(span);
    let expected = [
        ("agent", "\"planner\""),
        ("operation", "\"plan\""),
        ("error_type", "\"refused\""),
        ("error.type", "\"refused\""),
        ("request_id", "\"r\""),
    ];
    assert_eq!(attributes.len(), expected.len());
    for (key, value) in expected {
        assert_eq!(attributes[key], value, "{key}");
    }
    assert_eq!(spans.one("chat m").parent_span_id, span.span_id);
    let samples = Samples::of(&bridge);
    for name in ["mcp_hub_requests_total", "mcp_hub_requests_failed_total", "mcp_hub_request_duration_seconds"] {
        let exemplars = samples.exemplars_of(name);
        assert_eq!(exemplars.len(), 1, "{name}");
        assert_eq!(exemplars[0].span_id, hex(&span.span_id), "{name}");
    }
}
