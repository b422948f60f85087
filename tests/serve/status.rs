//! Health, the catalog, the summary and the index; and what is at no path.

use serde_json::json;

use crate::bench::{Bench, mcp_event, session_start};

#[test]
fn health_is_told_with_the_push() {
    let bench = Bench::start();
    let answer = bench.get("/livez");
    assert_eq!((answer.status, answer.json()), (200, json!({"live": true})));
    let answer = bench.get("/readyz");
    assert_eq!((answer.status, answer.json()), (200, json!({"ready": true, "push": {}})));
}

#[test]
fn a_push_that_fails_is_told_and_fails_no_readiness() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bridge = Bench::with(|config| {
        let otlp = mcp_otel_bridge::config::Otlp::new(format!("http://{nobody}"));
        let mut push = mcp_otel_bridge::config::PushMetrics::new(otlp);
        push.interval = std::time::Duration::from_millis(50);
        config.push_metrics = Some(push);
    });
    crate::bench::until("a failed push", || {
        let answer = bridge.get("/readyz");
        assert_eq!(answer.status, 200);
        let push = &answer.json()["push"]["metrics"];
        assert_eq!(push["endpoint"].as_str().map(|url| url.contains(&nobody.to_string())), Some(true));
        push["healthy"] == json!(false) && push["failing_since"].is_string() && push["last_error"].is_string()
    });
}

#[test]
fn a_bridge_that_stops_is_not_ready() {
    let bench = Bench::start();
    let addr = bench.bridge.serve_metrics(([127, 0, 0, 1], 0)).unwrap();
    assert_ne!(addr, bench.addr);
    bench.bridge.shutdown(std::time::Duration::from_secs(1)).unwrap();
    let answer = bench.get("/readyz");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json(), json!({"ready": false, "fault": "the bridge is stopping", "push": {}}));
    let answer = bench.event(&mcp_event("a"));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
}

#[test]
fn the_catalog_is_the_catalog() {
    let bench = Bench::start();
    let answer = bench.get("/v1/metrics/catalog");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let metrics = answer.json()["metrics"].as_array().unwrap().clone();
    assert_eq!(metrics.len(), mcp_otel_bridge::catalog::all().count());
}

#[test]
fn the_summary_has_the_seeds_keys_then_the_other_groups() {
    let bench = Bench::start();
    for component in ["a", "a", "b"] {
        let mut start = session_start(component);
        start["quality_score"] = json!(85.5);
        let id = bench.event(&start).json()["session_id"].clone();
        if component == "b" {
            bench.event(&json!({"event_type": "session_end", "session_id": id, "timestamp": "2026-03-01T11:00:00Z"}));
        }
    }
    bench.event(
        &json!({"event_type": "session_end", "session_id": "a-20200101-000000", "timestamp": "2026-03-01T11:00:00Z"}),
    );
    for hit in [true, true, false] {
        bench.event(&json!({"event_type": "cache_access", "cache_type": "llm", "hit": hit}));
    }
    for seconds in [0.25, 0.5] {
        bench.event(&json!({"event_type": "circuit_breaker_call", "component": "x", "latency_seconds": seconds,
            "success": true}));
    }
    let answer = bench.get("/v1/metrics/summary");
    let mut summary = answer.json();
    let mut groups = serde_json::Map::new();
    for group in ["skill", "circuit_breaker", "mcp_hub"] {
        groups.insert(group.to_owned(), summary.as_object_mut().unwrap().remove(group).unwrap());
    }
    assert_eq!(groups["skill"], json!({"active_sessions_total": 2.0}));
    assert_eq!(groups["mcp_hub"]["mcp_hub_cache_hits_total"], 2);
    assert_eq!(groups["mcp_hub"]["mcp_hub_cache_misses_total"], 1);
    assert_eq!(groups["circuit_breaker"]["circuit_breaker_calls_total"], 2);
    let calls = &groups["circuit_breaker"]["circuit_breaker_call_duration_seconds"];
    assert_eq!(*calls, json!({"count": 2, "sum": 0.75}));
    assert_eq!(
        summary,
        json!({
            "total_sessions_started": 3,
            "total_sessions_ended": 1,
            "active_sessions": {"a": 2, "b": 0},
            "quality_scores": {"a": 85.5, "b": 85.5},
            "mcp_events_success": 4,
            "mcp_events_failure": 1,
        })
    );
}

#[test]
fn the_index_names_what_there_is_and_other_paths_name_the_index() {
    let bench = Bench::start();
    let index = bench.get("/").text();
    for path in ["/metrics", "/v1/events", "/v1/sessions", "/v1/metrics/catalog", "/v1/metrics/summary", "/readyz"] {
        assert!(index.contains(path), "{index}");
    }
    let answer = bench.get("/metric");
    assert_eq!((answer.status, answer.text().contains("GET /")), (404, true));
}
