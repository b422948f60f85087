//! What each expression must give, worked out from raw samples by hand.

use std::collections::BTreeMap;

use crate::peers::labels;
use crate::peers::raw::{Raw, Vector};

const MINUTE: f64 = 60.0;
const FIVE: f64 = 300.0;

/// Works out what an expression must give.
pub type Right = fn(&Raw) -> Vector;

/// Every expression, the right ones of those that cannot give what their titles say among them.
pub const RIGHT: &[(&str, Right)] = &[
    ("rate(session_start_total[5m])", |raw| raw.rate("session_start_total", FIVE)),
    ("rate(session_start_total[1m])", |raw| raw.rate("session_start_total", MINUTE)),
    ("active_sessions", |raw| raw.last("active_sessions")),
    ("session_quality_score", |raw| raw.last("session_quality_score")),
    ("histogram_quantile(0.95, rate(session_duration_seconds_bucket[5m]))", |raw| {
        raw.rate("session_duration_seconds_bucket", FIVE).quantile(0.95)
    }),
    ("rate(session_duration_seconds_sum[5m]) / rate(session_duration_seconds_count[5m])", |raw| {
        raw.rate("session_duration_seconds_sum", FIVE).over(&raw.rate("session_duration_seconds_count", FIVE))
    }),
    ("sum(rate(session_end_total{status=\"error\"}[5m])) / sum(rate(session_end_total[5m])) * 100", |raw| {
        failed_sessions(raw).map(|share| share * 100.0)
    }),
    ("sum(rate(session_end_total{status=\"error\"}[5m])) / sum(rate(session_end_total[5m]))", failed_sessions),
    ("skill_completion_rate{skill_name=\"pytest-run\"}", |raw| {
        raw.last("skill_completion_rate").with("skill_name", "pytest-run")
    }),
    ("histogram_quantile(0.95, sum(rate(skill_duration_seconds_bucket[5m])) by (skill_name, le) )", |raw| {
        raw.rate("skill_duration_seconds_bucket", FIVE).sum_by(&["skill_name", "le"]).quantile(0.95)
    }),
    ("topk(10, sum(anomalies_detected_total) by (skill_name))", |raw| {
        raw.last("anomalies_detected_total").sum_by(&["skill_name"]).greatest(10)
    }),
    ("sum(rate(skill_invocations_total[5m])) by (skill_name)", |raw| {
        raw.rate("skill_invocations_total", FIVE).sum_by(&["skill_name"])
    }),
    ("active_sessions_total", |raw| raw.last("active_sessions_total")),
    ("100 - circuit_breaker_failure_rate{job=\"mcp_server\"}", |raw| {
        raw.last("circuit_breaker_failure_rate").with("job", "mcp_server").map(|rate| 100.0 - rate)
    }),
    ("circuit_breaker_latency_seconds{component=~\".+\",quantile=\"0.95\"}", |raw| {
        raw.last("circuit_breaker_latency_seconds").with("quantile", "0.95")
    }),
    ("circuit_breaker_calls_total{job=\"mcp_server\"}", |raw| {
        raw.last("circuit_breaker_calls_total").with("job", "mcp_server")
    }),
    ("rate(circuit_breaker_calls_failed{job=\"mcp_server\"}[1m])", |raw| {
        raw.rate("circuit_breaker_calls_failed", MINUTE).with("job", "mcp_server")
    }),
    ("100 - circuit_breaker_failure_rate", |raw| raw.last("circuit_breaker_failure_rate").map(|rate| 100.0 - rate)),
    ("circuit_breaker_latency_seconds{quantile=\"0.99\"} * 1000", |raw| {
        raw.last("circuit_breaker_latency_seconds").with("quantile", "0.99").map(|seconds| seconds * 1000.0)
    }),
    ("circuit_breaker_state", |raw| raw.last("circuit_breaker_state")),
    ("circuit_breaker_state{state=\"open\"} > 0", |raw| {
        raw.last("circuit_breaker_state").with("state", "open").above(0.0)
    }),
    ("circuit_breaker_failure_rate > 10", |raw| raw.last("circuit_breaker_failure_rate").above(10.0)),
    ("circuit_breaker_latency_seconds_avg > 1.0", |raw| raw.last("circuit_breaker_latency_seconds_avg").above(1.0)),
    ("rate(mcp_hub_requests_total[5m])", |raw| raw.rate("mcp_hub_requests_total", FIVE)),
    (FAILED_REQUESTS, failed_requests),
    ("rate(mcp_hub_request_duration_seconds_sum[5m]) / rate(mcp_hub_request_duration_seconds_count[5m])", |raw| {
        let count = raw.rate("mcp_hub_request_duration_seconds_count", FIVE);
        raw.rate("mcp_hub_request_duration_seconds_sum", FIVE).over(&count)
    }),
    ("mcp_hub_memory_usage_percent", |raw| raw.last("mcp_hub_memory_usage_percent")),
    ("histogram_quantile(0.95, rate(mcp_hub_request_duration_seconds_bucket[5m]))", slow_requests),
    (
        "sum by (agent, operation) (rate(mcp_hub_requests_failed_total[5m])) \
         / sum by (agent, operation) (rate(mcp_hub_requests_total[5m])) > 0.1",
        |raw| failed_requests(raw).above(0.1),
    ),
    ("mcp_hub_memory_usage_percent > 90", |raw| raw.last("mcp_hub_memory_usage_percent").above(90.0)),
    ("histogram_quantile(0.95, rate(mcp_hub_request_duration_seconds_bucket[5m])) > 30", |raw| {
        slow_requests(raw).above(30.0)
    }),
    ("up{job=\"mcp-hub\"} == 0 or absent(up{job=\"mcp-hub\"})", |raw| {
        let mut up = raw.last("up").with("job", "mcp-hub");
        if up.0.is_empty() {
            return Vector(BTreeMap::from([(labels(&[("job", "mcp-hub")]), 1.0)]));
        }
        up.0.retain(|_, value| *value == 0.0);
        up
    }),
];

const FAILED_REQUESTS: &str = "sum by (agent, operation) (rate(mcp_hub_requests_failed_total[5m])) \
                               / sum by (agent, operation) (rate(mcp_hub_requests_total[5m]))";

fn failed_sessions(raw: &Raw) -> Vector {
    let ends = raw.rate("session_end_total", FIVE);
    let failed = ends.clone().with("status", "error").sum_by(&[]).single();
    ends.sum_by(&[]).map(|all| failed / all)
}

fn failed_requests(raw: &Raw) -> Vector {
    let by = |name| raw.rate(name, FIVE).sum_by(&["agent", "operation"]);
    by("mcp_hub_requests_failed_total").over(&by("mcp_hub_requests_total"))
}

fn slow_requests(raw: &Raw) -> Vector {
    raw.rate("mcp_hub_request_duration_seconds_bucket", FIVE).quantile(0.95)
}
