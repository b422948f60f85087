//! A trace id ties the scrape and the push together: exemplars in Prometheus name spans that the collector has.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::BTreeMap;

use peers::bridge::Bridge;
use peers::collector::{Collector, Span};
use peers::fleet::{self, end_event, now_millis, sessions, start_event};
use peers::prometheus::{Exemplar, Prometheus};
use peers::until;
use serde_json::json;

const PARENT_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn exemplars_in_prometheus_name_the_spans_that_the_collector_has() {
    let collector = Collector::start();
    let bridge = Bridge::options().push_to(&collector).start();
    let prometheus = Prometheus::scraping(&bridge.address);

    let plans = [
        sessions("mahavishnu", "MahavishnuShell", "success", &[30.0, 1000.0, 5000.0]),
        sessions("crackerjack", "CrackerjackShell", "error", &[90.0]),
    ]
    .concat();
    let sent = fleet::send(&bridge, &plans);
    send_with_parent(&bridge, "traced-elsewhere", "01");
    send_with_parent(&bridge, "unsampled", "00");

    let spans = until("the spans", || Some(collector.spans()).filter(|spans| spans.len() == plans.len() + 1));
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let of = |exemplars: &[Exemplar], component: &str| {
        exemplars.iter().filter(|exemplar| exemplar.series["component_name"] == component).count()
    };
    // Each session fell into a bucket of its own, so each has its exemplar.
    let exemplars = until("the exemplars", || {
        Some(prometheus.exemplars("session_duration_seconds_bucket")).filter(|found| found.len() == plans.len() + 1)
    });
    assert_eq!(of(&exemplars, "mahavishnu"), 3);
    assert_eq!(of(&exemplars, "crackerjack"), 1);
    assert_eq!(of(&exemplars, "unsampled"), 0);
    for exemplar in &exemplars {
        let span = by_id.get(exemplar.labels["span_id"].as_str()).unwrap_or_else(|| panic!("{exemplar:?}"));
        assert_eq!(span.trace_id, exemplar.labels["trace_id"]);
        assert_eq!(span.attributes["component_name"], exemplar.series["component_name"]);
        let took = (span.nanos("endTimeUnixNano") - span.nanos("startTimeUnixNano")) as f64 / 1e9;
        assert!((took - exemplar.value).abs() < 1e-5, "{took} s, and the exemplar says {}", exemplar.value);
        match exemplar.series["component_name"].as_str() {
            "traced-elsewhere" => assert_eq!(span.trace_id, PARENT_TRACE),
            _ => assert!(sent.iter().any(|sent| (&sent.trace_id, &sent.span_id) == (&span.trace_id, &span.span_id))),
        }
    }

    // Counters have them too: the last start and the last end of each series.
    for counter in ["session_start_total", "session_end_total", "mcp_event_emit_success_total"] {
        let exemplars = prometheus.exemplars(counter);
        assert!(!exemplars.is_empty(), "{counter}");
        assert_eq!(of(&exemplars, "unsampled"), 0, "{counter}");
        assert!(exemplars.iter().all(|one| by_id.contains_key(one.labels["span_id"].as_str())), "{counter}");
    }
    assert!(collector.spans().iter().all(|span| span.attributes["component_name"] != "unsampled"));
}

#[test]
fn exemplars_of_llm_calls_name_spans_under_their_session() {
    let collector = Collector::start();
    let bridge = Bridge::options().push_to(&collector).start();
    let prometheus = Prometheus::scraping(&bridge.address);

    let started = bridge.send(&[start_event("mahavishnu", "MahavishnuShell", now_millis())]);
    let session_id = started["results"][0]["session_id"].as_str().unwrap().to_owned();
    let call = json!({
        "event_type": "llm_call", "provider": "openai", "model": "gpt-5", "session_id": session_id,
        "duration_seconds": 1.5, "input_tokens": 100, "output_tokens": 20, "time_to_first_token_seconds": 0.25,
    });
    assert_eq!(bridge.send(&[call])["accepted"], 1);
    bridge.send(&[end_event(&session_id, "success", now_millis())]);

    let spans = until("the spans", || Some(collector.spans()).filter(|spans| spans.len() == 2));
    let session = spans.iter().find(|span| span.name == "session mahavishnu").unwrap();
    let call = spans.iter().find(|span| span.name == "chat gpt-5").unwrap();
    assert_eq!(call.data["parentSpanId"], session.span_id);
    assert_eq!((call.data["kind"].as_u64(), &call.trace_id), (Some(3), &session.trace_id));
    for histogram in [
        "gen_ai_client_operation_duration_seconds_bucket",
        "gen_ai_client_token_usage_bucket",
        "gen_ai_client_operation_time_to_first_chunk_seconds_bucket",
    ] {
        let found = until(histogram, || Some(prometheus.exemplars(histogram)).filter(|found| !found.is_empty()));
        for exemplar in found {
            let ids = (&exemplar.labels["trace_id"], &exemplar.labels["span_id"]);
            assert_eq!(ids, (&call.trace_id, &call.span_id), "{histogram}");
            for key in ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"] {
                assert_eq!(exemplar.series[&key.replace('.', "_")], call.attributes[key], "{histogram}");
            }
        }
    }
}

/// Sends a session whose remote parent is sampled or not.
fn send_with_parent(bridge: &Bridge, component: &str, flags: &str) {
    let now = now_millis();
    let mut start = start_event(component, "Shell", now - 400_000);
    start["traceparent"] = json!(format!("00-{PARENT_TRACE}-00f067aa0ba902b7-{flags}"));
    let started = bridge.send(&[start]);
    let session_id = started["results"][0]["session_id"].as_str().unwrap();
    assert_eq!(bridge.send(&[end_event(session_id, "success", now)])["accepted"], 1);
}
