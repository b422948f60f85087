//! The tools that read.

use mcp_otel_bridge::catalog;
use serde_json::{Value, json};

use crate::bench::{mcp_event, session_start};
use crate::client::{every_way, text};
use crate::tools::definition;

#[track_caller]
fn fits(schema: &Value, answer: &Value) {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let faults: Vec<_> = validator.iter_errors(answer).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?} in {answer}");
}

#[test]
fn the_metrics_come_as_prometheus_has_them() {
    every_way(|client, bench| {
        bench.event(&session_start("a"));
        let result = client.call("get_prometheus_metrics", json!({}));
        assert_eq!((&result["isError"], &result["structuredContent"]), (&json!(false), &Value::Null));
        let sample = "session_start_total{component_name=\"a\",shell_type=\"TestShell\"} 1";
        assert!(text(&result).lines().any(|line| line == sample), "{result}");
        assert!(text(&result).contains("# TYPE session_start_total counter"));
        assert!(text(&result).contains("active_sessions{"));

        for name in ["session_start_total", "session_start"] {
            let result = client.call("get_prometheus_metrics", json!({"names": [name]}));
            let lines: Vec<_> = text(&result).lines().collect();
            assert!(lines.contains(&sample) && lines.len() == 3, "{lines:?}");
        }
        let none = client.call("get_prometheus_metrics", json!({"names": ["llm", "session_duration_seconds"]}));
        assert_eq!(none["isError"], true);
        let none = client.call("get_prometheus_metrics", json!({"names": ["session_duration_seconds_bucket"]}));
        assert_eq!((text(&none), &none["isError"]), ("# no samples of these metrics yet\n", &json!(false)));
    });
}

#[test]
fn wrong_arguments_are_named_with_what_would_be_right() {
    every_way(|client, _| {
        for (arguments, told) in [
            (json!({"names": "up"}), "names must be an array"),
            (json!({"names": ["active_sessions", 1]}), "names[1] must be a string"),
            (json!({"names": ["active_sessions", "up"]}), "names[1] must be the name of a metric, got \"up\"; list_"),
            (json!({"name": "up"}), "\"name\" is no argument of get_prometheus_metrics, which takes names"),
        ] {
            let message = client.failed("get_prometheus_metrics", arguments);
            assert!(message.contains(told), "{message}");
        }
        for tool in ["list_session_metrics", "get_metrics_summary"] {
            let message = client.failed(tool, json!({"component": "a"}));
            assert_eq!(message, format!("\"component\" is no argument of {tool}, which takes no arguments"));
        }
    });
}

#[test]
fn the_list_nests_as_session_buddys_does_and_holds_every_metric() {
    every_way(|client, _| {
        let list = client.structured("list_session_metrics", json!({}));
        fits(&definition(client, "list_session_metrics")["outputSchema"], &list);
        let groups: Vec<_> = list.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(groups[..3], ["session_lifecycle_metrics", "mcp_event_metrics", "system_health_metrics"]);
        // The very metrics that Session-Buddy's answer shows.
        for (group, metric, expected) in [
            (
                "session_lifecycle_metrics",
                "session_start_total",
                json!({
                    "type": "Counter",
                    "description": "Total number of session start events tracked",
                    "labels": ["component_name", "shell_type"],
                }),
            ),
            (
                "mcp_event_metrics",
                "mcp_event_emit_success_total",
                json!({
                    "type": "Counter",
                    "description": "Total number of successful MCP event emissions",
                    "labels": ["component_name", "event_type"],
                }),
            ),
            (
                "system_health_metrics",
                "active_sessions",
                json!({
                    "type": "Gauge",
                    "description": "Number of currently active sessions",
                    "labels": ["component_name"],
                }),
            ),
        ] {
            assert_eq!(list[group][metric], expected);
        }
        let count = |group: &str| list[group].as_object().unwrap().len();
        assert_eq!([count(groups[0]), count(groups[1]), count(groups[2])], [3, 3, 2]);
        assert_eq!(groups.iter().map(|group| count(group)).sum::<usize>(), catalog::all().count());
        for metric in catalog::all() {
            assert!(groups.iter().any(|group| list[group][metric.prometheus].is_object()), "{}", metric.prometheus);
        }
        // Names as they stand on /metrics, not as OpenTelemetry has them.
        let labels = &list["mcp_metrics"]["mcp_server_operation_duration_seconds"]["labels"];
        assert!(labels.as_array().unwrap().contains(&json!("mcp_method_name")), "{labels}");
    });
}

#[test]
fn the_summary_has_the_six_keys_first() {
    every_way(|client, bench| {
        bench.event(&session_start("a"));
        bench.event(&mcp_event("a"));
        let summary = client.structured("get_metrics_summary", json!({}));
        fits(&definition(client, "get_metrics_summary")["outputSchema"], &summary);
        let keys: Vec<_> = summary.as_object().unwrap().keys().map(String::as_str).collect();
        let first = [
            "total_sessions_started",
            "total_sessions_ended",
            "active_sessions",
            "quality_scores",
            "mcp_events_success",
            "mcp_events_failure",
        ];
        assert_eq!(keys[..6], first);
        assert_eq!((&summary["total_sessions_started"], &summary["active_sessions"]), (&json!(1), &json!({"a": 1})));
        // The start's own emission, and the one that was reported.
        assert_eq!((&summary["mcp_events_success"], &summary["mcp_events_failure"]), (&json!(2), &json!(0)));
        assert_eq!(summary, bench.get("/v1/metrics/summary").json());
    });
}
