//! Searches, code, caches and retries, through JSON and through the library.

use mcp_otel_bridge::event::Status;
use mcp_otel_bridge::{Bridge, RecordError};
use serde_json::json;

use crate::support::events::{send, send_all, with};
use crate::support::samples::Samples;

fn bridge() -> Bridge {
    Bridge::builder().build().unwrap()
}

#[test]
fn searches_and_executions_are_counted() {
    let bridge = bridge();
    send(&bridge, json!({"event_type": "search_call"}));
    for status in ["success", "failure", "success"] {
        send(&bridge, json!({"event_type": "code_execution", "status": status}));
    }
    bridge.search_call().unwrap();
    bridge.code_execution(true).unwrap();
    bridge.code_execution(false).unwrap();
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("mcp_hub_search_api_calls_total"), 2.0);
    assert_eq!(samples.get("mcp_hub_code_executions_total{status=\"success\"}"), 3.0);
    assert_eq!(samples.get("mcp_hub_code_executions_total{status=\"failure\"}"), 2.0);
}

#[test]
fn a_cache_has_both_its_series_from_its_first_access() {
    let bridge = bridge();
    send(&bridge, json!({"event_type": "cache_access", "cache_type": "llm", "hit": true}));
    send(&bridge, json!({"event_type": "cache_access", "cache_type": "search", "hit": false}));
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("mcp_hub_cache_hits_total{cache_type=\"llm\"}"), 1.0);
    assert_eq!(samples.get("mcp_hub_cache_misses_total{cache_type=\"llm\"}"), 0.0);
    assert_eq!(samples.get("mcp_hub_cache_hits_total{cache_type=\"search\"}"), 0.0);
    assert_eq!(samples.get("mcp_hub_cache_misses_total{cache_type=\"search\"}"), 1.0);
    bridge.cache_access("llm", true).unwrap();
    bridge.cache_access("llm", false).unwrap();
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("mcp_hub_cache_hits_total{cache_type=\"llm\"}"), 2.0);
    assert_eq!(samples.get("mcp_hub_cache_misses_total{cache_type=\"llm\"}"), 1.0);
}

#[test]
fn retries_are_counted_by_attempt_up_to_nine() {
    let bridge = bridge();
    let retries: Vec<_> =
        (1..=12).map(|attempt| json!({"event_type": "retry", "service": "llm_api", "attempt": attempt})).collect();
    send_all(&bridge, &retries);
    let samples = Samples::of(&bridge);
    for attempt in 1..=9 {
        let key = format!("mcp_hub_retries_total{{service=\"llm_api\",attempt=\"{attempt}\"}}");
        assert_eq!(samples.get(&key), 1.0, "{key}");
    }
    assert_eq!(samples.get("mcp_hub_retries_total{service=\"llm_api\",attempt=\"10+\"}"), 3.0);
    assert_eq!(samples.total("mcp_hub_retries_total"), 12.0);
    assert_eq!(samples.total("mcp_hub_retries_exhausted_total"), 0.0);
}

#[test]
fn the_last_retry_is_an_attempt_too() {
    let bridge = bridge();
    send(&bridge, json!({"event_type": "retry", "service": "llm_api", "attempt": 3, "exhausted": true}));
    bridge.retry("llm_api", 3, true).unwrap();
    bridge.retry("llm_api", 1, false).unwrap();
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get("mcp_hub_retries_total{service=\"llm_api\",attempt=\"3\"}"), 2.0);
    assert_eq!(samples.get("mcp_hub_retries_exhausted_total{service=\"llm_api\"}"), 2.0);
    assert_eq!(samples.total("mcp_hub_retries_total"), 3.0);
}

#[test]
fn what_is_out_of_range_is_refused_and_counts_nothing() {
    let bridge = bridge();
    for event in [
        json!({"event_type": "retry", "service": "llm_api", "attempt": 0}),
        json!({"event_type": "retry", "service": "llm_api", "attempt": 1.5}),
        json!({"event_type": "code_execution", "status": "maybe"}),
        json!({"event_type": "cache_access", "cache_type": "", "hit": true}),
        json!({"event_type": "cache_access", "cache_type": "llm"}),
        json!({"event_type": "request", "agent": "a", "operation": "b", "duration_seconds": -1}),
        json!({"event_type": "request_start", "request_id": "", "agent": "a", "operation": "b"}),
    ] {
        assert_eq!(send(&bridge, event.clone()).status, Status::Error, "{event}");
    }
    assert!(matches!(bridge.retry("llm_api", 0, false), Err(RecordError::Invalid(_))));
    assert!(matches!(bridge.cache_access("two\nlines", true), Err(RecordError::Invalid(_))));
    assert!(matches!(bridge.request_event("a", "b", f64::NAN, None), Err(RecordError::Invalid(_))));
    let samples = Samples::of(&bridge);
    let counted: f64 = ["mcp_hub_r", "mcp_hub_c"].iter().map(|name| samples.total(name)).sum();
    assert_eq!(counted, 0.0);
}

#[test]
fn exemplars_point_at_the_span_that_the_event_names() {
    let bridge = bridge();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for event in [
        json!({"event_type": "search_call"}),
        json!({"event_type": "code_execution", "status": "success"}),
        json!({"event_type": "cache_access", "cache_type": "llm", "hit": true}),
        json!({"event_type": "retry", "service": "llm_api", "attempt": 1, "exhausted": true}),
    ] {
        send(&bridge, with(event, "traceparent", parent));
    }
    let samples = Samples::of(&bridge);
    for name in ["search_api_calls", "code_executions", "cache_hits", "retries_total", "retries_exhausted"] {
        let exemplars = samples.exemplars_of(&format!("mcp_hub_{name}"));
        assert_eq!(exemplars.len(), 1, "{name}");
        assert_eq!(exemplars[0].span_id, "b7ad6b7169203331", "{name}");
    }
}
