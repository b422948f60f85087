//! Requests that never end, by the bridge's own clock.

use std::time::{Duration, Instant};

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Requests};
use mcp_otel_bridge::event::Status;

use super::{ACTIVE, COUNT, REQUESTS, SUM, end, failed, start};
use crate::support::events::{send, until, warnings, with};
use crate::support::samples::Samples;

fn config(timeout: Duration) -> Config {
    Config { requests: Requests { timeout, ..Requests::default() }, ..Config::default() }
}

/// A bridge whose one request has timed out.
fn timed_out() -> Bridge {
    let bridge = Bridge::builder().config(config(Duration::from_millis(50))).build().unwrap();
    send(&bridge, start("r", "2026-02-06T12:00:00Z"));
    until("the request times out", || Samples::of(&bridge).find(&failed("timeout")) == Some(1.0));
    bridge
}

#[test]
fn a_request_that_never_ends_has_failed_by_timeout_without_a_duration() {
    let samples = Samples::of(&timed_out());
    assert_eq!((samples.get(REQUESTS), samples.get(ACTIVE)), (1.0, 0.0));
    assert_eq!(samples.total("mcp_hub_requests_failed_total"), 1.0);
    assert_eq!(samples.find(COUNT), None);
}

#[test]
fn old_timestamps_time_nothing_out() {
    let bridge = Bridge::builder().config(config(Duration::from_secs(3600))).build().unwrap();
    send(&bridge, start("r", "1999-12-31T23:59:59Z"));
    let begun = Instant::now();
    until("the writer has looked", || begun.elapsed() > Duration::from_millis(1500));
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(ACTIVE), samples.total("mcp_hub_requests_failed_total")), (1.0, 0.0));
}

#[test]
fn a_late_end_observes_the_true_duration_and_counts_nothing_else() {
    let bridge = timed_out();
    let late = send(&bridge, with(end("r", "2026-02-06T12:10:00Z"), "error_type", "refused"));
    assert_eq!((late.status, late.duplicate, warnings(&late)), (Status::Recorded, false, vec!["late_end"]));
    let again = send(&bridge, end("r", "2026-02-06T12:10:00Z"));
    assert_eq!((again.status, again.duplicate, warnings(&again)), (Status::Recorded, true, vec![]));
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(COUNT), samples.get(SUM)), (1.0, 600.0));
    assert_eq!((samples.get(&failed("timeout")), samples.find(&failed("refused"))), (1.0, None));
    assert_eq!((samples.get(REQUESTS), samples.get(ACTIVE)), (1.0, 0.0));
    assert_eq!(samples.get("bridge_event_warnings_total{reason=\"late_end\"}"), 1.0);
}

#[test]
fn a_late_end_before_its_start_is_warned_of_twice_and_observes_nothing() {
    let late = send(&timed_out(), end("r", "2026-02-06T11:59:59Z"));
    assert_eq!(warnings(&late), ["late_end", "clock_skew"]);
}

#[test]
fn a_request_that_was_open_before_a_restart_times_out_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = Bridge::builder().data_dir(dir.path()).build().unwrap();
    send(&first, start("r", "2026-02-06T12:00:00Z"));
    first.shutdown(Duration::ZERO).unwrap();
    drop(first);
    let config = config(Duration::from_millis(50));
    let second = Bridge::builder().config(config.clone()).data_dir(dir.path()).build().unwrap();
    until("the request times out", || Samples::of(&second).find(&failed("timeout")) == Some(1.0));
    assert_eq!(Samples::of(&second).get(ACTIVE), 0.0);
    second.shutdown(Duration::ZERO).unwrap();
    drop(second);
    let third = Bridge::builder().config(config).data_dir(dir.path()).build().unwrap();
    assert_eq!(warnings(&send(&third, end("r", "2026-02-06T12:10:00Z"))), ["late_end"]);
}
