//! A bridge that is killed and started again on the same data remembers active sessions and what it has had already.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use peers::bridge::Bridge;
use peers::collector::Collector;
use peers::fleet::{end_event, now_millis, start_event};
use peers::until;

#[test]
fn active_sessions_and_duplicates_survive_a_crash() {
    let data = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let start = || Bridge::options().data_dir(data.path()).push_to(&collector).start();
    let now = now_millis();
    let events: Vec<_> = (0..3).map(|_| start_event("mahavishnu", "MahavishnuShell", now - 90_000)).collect();

    let mut bridge = start();
    let started = bridge.send(&events);
    let session = |index: usize| started["results"][index]["session_id"].as_str().unwrap().to_owned();
    let first_end = end_event(&session(0), "success", now);
    assert_eq!(bridge.send(std::slice::from_ref(&first_end))["results"][0]["status"], "ended");
    bridge.process.kill();

    let bridge = start();
    let active = "active_sessions{component_name=\"mahavishnu\"}";
    assert_eq!(bridge.samples().get(active), Some(&2.0));
    let again = bridge.send(&[events.clone(), vec![first_end]].concat());
    assert_eq!((again["duplicates"].as_u64(), again["accepted"].as_u64()), (Some(4), Some(0)), "{again}");
    for (index, result) in again["results"].as_array().unwrap().iter().take(3).enumerate() {
        assert_eq!(result["session_id"], session(index));
        assert_eq!(result["traceparent"], started["results"][index]["traceparent"]);
    }

    // A session that began before the crash ends after it, in the span that its start was answered with.
    let ended = bridge.send(&[end_event(&session(1), "error", now)]);
    assert_eq!(ended["results"][0]["status"], "ended");
    let samples = bridge.samples();
    assert_eq!(samples.get(active), Some(&1.0));
    assert_eq!(samples.get("session_duration_seconds_sum{component_name=\"mahavishnu\"}"), Some(&180.0));
    let span =
        until("the span", || collector.spans().into_iter().find(|span| span.attributes["session.id"] == session(1)));
    let parts = format!("00-{}-{}-01", span.trace_id, span.span_id);
    assert_eq!(started["results"][1]["traceparent"], parts);
    // The books are balanced in each scrape.
    bridge.samples();
}
