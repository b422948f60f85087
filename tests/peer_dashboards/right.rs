//! What each panel and annotation must show, worked out from raw samples by hand: one account an expression.

use std::collections::BTreeSet;

use crate::peers::raw::{Raw, Vector};

const FIVE: f64 = 300.0;

/// Works out what an expression must give.
pub type Right = fn(&Raw) -> Vector;

/// From a second to a minute.
fn a_minute(rate: f64) -> f64 {
    rate * 60.0
}

/// By dashboard and title; an annotation comes after the panel of its name.
const RIGHT: &[(&str, &str, &[Right])] = &[
    // Each of the job's targets is one that answers.
    ("mcp-otel-overview", "Bridges", &[|raw| raw.last("up").sum_by(&[])]),
    ("mcp-otel-overview", "Active sessions", &[|raw| raw.last("active_sessions").sum_by(&[])]),
    (
        "mcp-otel-overview",
        "Failed sessions",
        &[|raw| {
            raw.rate("session_end_total", FIVE)
                .with("status", "error")
                .sum_by(&[])
                .over(&raw.rate("session_end_total", FIVE).sum_by(&[]))
        }],
    ),
    (
        "mcp-otel-overview",
        "MCP requests",
        &[|raw| raw.rate("mcp_server_operation_duration_seconds_count", FIVE).sum_by(&[])],
    ),
    (
        "mcp-otel-overview",
        "Open circuit breakers",
        &[|raw| raw.last("circuit_breaker_state").with("state", "open").above(0.5).number()],
    ),
    ("mcp-otel-overview", "Anomalies", &[|raw| raw.last("anomalies_detected_total").sum_by(&[])]),
    (
        "mcp-otel-overview",
        "Sessions started",
        &[|raw| raw.rate("session_start_total", FIVE).sum_by(&["component_name"]).map(a_minute)],
    ),
    ("mcp-otel-overview", "LLM calls", &[|raw| raw.rate("mcp_hub_llm_api_calls_total", FIVE).sum_by(&["model"])]),
    ("mcp-otel-overview", "Requests of agents", &[|raw| raw.rate("mcp_hub_requests_total", FIVE).sum_by(&["agent"])]),
    ("mcp-otel-overview", "Skills used", &[|raw| raw.rate("skill_invocations_total", FIVE).sum_by(&["skill_name"])]),
    (
        "mcp-otel-overview",
        "Calls through circuit breakers",
        &[|raw| raw.rate("circuit_breaker_calls_total", FIVE).sum_by(&["component"])],
    ),
    (
        "mcp-otel-overview",
        "Events taken in",
        &[|raw| raw.rate("bridge_events_received_total", FIVE).sum_by(&["source"])],
    ),
    (
        "mcp-otel-overview",
        "Anomaly",
        &[|raw| {
            raw.rise("anomalies_detected_total", FIVE, "bridge_build_info")
                .sum_by(&["skill_name", "anomaly_type"])
                .above(0.0)
        }],
    ),
    ("mcp-otel-sessions", "Active", &[|raw| raw.last("active_sessions").sum_by(&[])]),
    ("mcp-otel-sessions", "Active, reported too", &[|raw| raw.last("active_sessions_total").sum_by(&[])]),
    ("mcp-otel-sessions", "Started", &[|raw| raw.last("session_start_total").sum_by(&[])]),
    ("mcp-otel-sessions", "Ended", &[|raw| raw.last("session_end_total").sum_by(&[])]),
    (
        "mcp-otel-sessions",
        "Failed",
        &[|raw| {
            raw.rate("session_end_total", FIVE)
                .with("status", "error")
                .sum_by(&[])
                .over(&raw.rate("session_end_total", FIVE).sum_by(&[]))
        }],
    ),
    (
        "mcp-otel-sessions",
        "Starts",
        &[|raw| raw.rate("session_start_total", FIVE).sum_by(&["component_name", "shell_type"]).map(a_minute)],
    ),
    (
        "mcp-otel-sessions",
        "Ends",
        &[|raw| raw.rate("session_end_total", FIVE).sum_by(&["component_name", "status"]).map(a_minute)],
    ),
    (
        "mcp-otel-sessions",
        "Failed sessions",
        &[|raw| {
            raw.rate("session_end_total", FIVE)
                .with("status", "error")
                .sum_by(&["component_name"])
                .over(&raw.rate("session_end_total", FIVE).sum_by(&["component_name"]))
        }],
    ),
    ("mcp-otel-sessions", "Active sessions", &[|raw| raw.last("active_sessions").sum_by(&["component_name"])]),
    (
        "mcp-otel-sessions",
        "Duration",
        &[
            |raw| raw.rate("session_duration_seconds_bucket", FIVE).sum_by(&["component_name", "le"]).quantile(0.5),
            |raw| raw.rate("session_duration_seconds_bucket", FIVE).sum_by(&["component_name", "le"]).quantile(0.95),
        ],
    ),
    (
        "mcp-otel-sessions",
        "Mean duration",
        &[|raw| {
            raw.rate("session_duration_seconds_sum", FIVE)
                .sum_by(&["component_name"])
                .over(&raw.rate("session_duration_seconds_count", FIVE).sum_by(&["component_name"]))
        }],
    ),
    ("mcp-otel-sessions", "Quality", &[|raw| raw.last("session_quality_score").mean_by(&["component_name"])]),
    (
        "mcp-otel-sessions",
        "Emitted",
        &[|raw| raw.rate("mcp_event_emit_success_total", FIVE).sum_by(&["component_name", "event_type"])],
    ),
    (
        "mcp-otel-sessions",
        "Failed to emit",
        &[|raw| raw.rate("mcp_event_emit_failure_total", FIVE).sum_by(&["component_name", "error_type"])],
    ),
    (
        "mcp-otel-sessions",
        "Time to emit",
        &[|raw| {
            raw.rate("mcp_event_emit_duration_seconds_bucket", FIVE).sum_by(&["component_name", "le"]).quantile(0.95)
        }],
    ),
    (
        "mcp-otel-sessions",
        "Requests by method",
        &[|raw| raw.rate("mcp_server_operation_duration_seconds_count", FIVE).sum_by(&["mcp_method_name"])],
    ),
    (
        "mcp-otel-sessions",
        "Calls by tool",
        &[|raw| {
            raw.rate("mcp_server_operation_duration_seconds_count", FIVE)
                .having("gen_ai_tool_name")
                .sum_by(&["component_name", "gen_ai_tool_name"])
        }],
    ),
    (
        "mcp-otel-sessions",
        "Failed requests",
        &[|raw| {
            raw.rate("mcp_server_operation_duration_seconds_count", FIVE)
                .having("error_type")
                .sum_by(&["component_name", "error_type"])
        }],
    ),
    (
        "mcp-otel-sessions",
        "Time to answer",
        &[
            |raw| {
                raw.rate("mcp_server_operation_duration_seconds_bucket", FIVE)
                    .sum_by(&["component_name", "le"])
                    .quantile(0.5)
            },
            |raw| {
                raw.rate("mcp_server_operation_duration_seconds_bucket", FIVE)
                    .sum_by(&["component_name", "le"])
                    .quantile(0.99)
            },
        ],
    ),
    (
        "mcp-otel-sessions",
        "Requests to clients",
        &[|raw| raw.rate("mcp_client_operation_duration_seconds_count", FIVE).sum_by(&["mcp_method_name"])],
    ),
    (
        "mcp-otel-sessions",
        "Length of MCP sessions",
        &[|raw| {
            raw.rate("mcp_server_session_duration_seconds_bucket", FIVE)
                .sum_by(&["component_name", "le"])
                .quantile(0.95)
        }],
    ),
    (
        "mcp-otel-hub",
        "Calls by model",
        &[|raw| raw.rate("mcp_hub_llm_api_calls_total", FIVE).sum_by(&["provider", "model"])],
    ),
    (
        "mcp-otel-hub",
        "Failed calls",
        &[|raw| {
            raw.rate("gen_ai_client_operation_duration_seconds_count", FIVE)
                .having("error_type")
                .sum_by(&["gen_ai_request_model", "error_type"])
        }],
    ),
    (
        "mcp-otel-hub",
        "Tokens",
        &[|raw| raw.rate("gen_ai_client_token_usage_sum", FIVE).sum_by(&["gen_ai_request_model", "gen_ai_token_type"])],
    ),
    (
        "mcp-otel-hub",
        "Time of a call",
        &[
            |raw| {
                raw.rate("gen_ai_client_operation_duration_seconds_bucket", FIVE)
                    .sum_by(&["gen_ai_request_model", "le"])
                    .quantile(0.5)
            },
            |raw| {
                raw.rate("gen_ai_client_operation_duration_seconds_bucket", FIVE)
                    .sum_by(&["gen_ai_request_model", "le"])
                    .quantile(0.95)
            },
        ],
    ),
    (
        "mcp-otel-hub",
        "Time to the first token",
        &[|raw| {
            raw.rate("gen_ai_client_operation_time_to_first_chunk_seconds_bucket", FIVE)
                .sum_by(&["gen_ai_request_model", "le"])
                .quantile(0.95)
        }],
    ),
    (
        "mcp-otel-hub",
        "Tokens of a call",
        &[|raw| {
            raw.rate("gen_ai_client_token_usage_sum", FIVE)
                .sum_by(&["gen_ai_token_type"])
                .over(&raw.rate("gen_ai_client_token_usage_count", FIVE).sum_by(&["gen_ai_token_type"]))
        }],
    ),
    ("mcp-otel-hub", "Request rate", &[|raw| raw.rate("mcp_hub_requests_total", FIVE).sum_by(&["agent", "operation"])]),
    (
        "mcp-otel-hub",
        "Success rate",
        &[|raw| {
            let requests = raw.rate("mcp_hub_requests_total", FIVE).sum_by(&["agent", "operation"]);
            raw.rate("mcp_hub_requests_success_total", FIVE)
                .sum_by(&["agent", "operation"])
                .or_zero_of(&requests)
                .over(&requests)
        }],
    ),
    (
        "mcp-otel-hub",
        "Error rate",
        &[|raw| {
            let requests = raw.rate("mcp_hub_requests_total", FIVE).sum_by(&["agent", "operation"]);
            raw.rate("mcp_hub_requests_failed_total", FIVE)
                .sum_by(&["agent", "operation"])
                .or_zero_of(&requests)
                .over(&requests)
        }],
    ),
    (
        "mcp-otel-hub",
        "Response time",
        &[
            |raw| {
                raw.rate("mcp_hub_request_duration_seconds_bucket", FIVE)
                    .sum_by(&["agent", "operation", "le"])
                    .quantile(0.5)
            },
            |raw| {
                raw.rate("mcp_hub_request_duration_seconds_bucket", FIVE)
                    .sum_by(&["agent", "operation", "le"])
                    .quantile(0.95)
            },
        ],
    ),
    (
        "mcp-otel-hub",
        "Mean response time",
        &[|raw| {
            raw.rate("mcp_hub_request_duration_seconds_sum", FIVE)
                .sum_by(&["agent", "operation"])
                .over(&raw.rate("mcp_hub_request_duration_seconds_count", FIVE).sum_by(&["agent", "operation"]))
        }],
    ),
    ("mcp-otel-hub", "Active operations", &[|raw| raw.last("mcp_hub_active_operations").sum_by(&["agent"])]),
    (
        "mcp-otel-hub",
        "Errors by type",
        &[|raw| raw.rate("mcp_hub_requests_failed_total", FIVE).sum_by(&["error_type"])],
    ),
    (
        "mcp-otel-hub",
        "Cache hits",
        &[|raw| {
            raw.rate("mcp_hub_cache_hits_total", FIVE).sum_by(&["cache_type"]).over(
                &raw.rate("mcp_hub_cache_hits_total", FIVE)
                    .sum_by(&["cache_type"])
                    .plus(&raw.rate("mcp_hub_cache_misses_total", FIVE).sum_by(&["cache_type"])),
            )
        }],
    ),
    ("mcp-otel-hub", "Retries", &[|raw| raw.rate("mcp_hub_retries_total", FIVE).sum_by(&["service", "attempt"])]),
    (
        "mcp-otel-hub",
        "Retries exhausted",
        &[|raw| raw.rate("mcp_hub_retries_exhausted_total", FIVE).sum_by(&["service"])],
    ),
    ("mcp-otel-hub", "Code executions", &[|raw| raw.rate("mcp_hub_code_executions_total", FIVE).sum_by(&["status"])]),
    ("mcp-otel-hub", "Search calls", &[|raw| raw.rate("mcp_hub_search_api_calls_total", FIVE).sum_by(&[])]),
    ("mcp-otel-hub", "Applications", &[|raw| raw.last("mcp_hub_app_info").max_by(&["name", "version", "instance"])]),
    ("mcp-otel-hub", "CPU", &[|raw| raw.last("mcp_hub_cpu_usage_percent").max_by(&[])]),
    ("mcp-otel-hub", "Memory", &[|raw| raw.last("mcp_hub_memory_usage_percent").max_by(&[])]),
    ("mcp-otel-hub", "Memory left", &[|raw| raw.last("mcp_hub_memory_available_bytes").min_by(&[])]),
    ("mcp-otel-hub", "Disk", &[|raw| raw.last("mcp_hub_disk_usage_percent").max_by(&[])]),
    ("mcp-otel-hub", "Disk left", &[|raw| raw.last("mcp_hub_disk_free_bytes").min_by(&[])]),
    ("mcp-otel-hub", "Uptime", &[|raw| raw.last("mcp_hub_uptime_seconds").min_by(&[])]),
    ("mcp-otel-skills", "Invocations", &[|raw| raw.last("skill_invocations_total").sum_by(&[])]),
    (
        "mcp-otel-skills",
        "Completed",
        &[|raw| {
            raw.rate("skill_invocations_total", FIVE)
                .with("completed", "true")
                .sum_by(&[])
                .over(&raw.rate("skill_invocations_total", FIVE).sum_by(&[]))
        }],
    ),
    ("mcp-otel-skills", "Active sessions", &[|raw| raw.last("active_sessions_total").sum_by(&[])]),
    ("mcp-otel-skills", "Anomalies", &[|raw| raw.last("anomalies_detected_total").sum_by(&[])]),
    ("mcp-otel-skills", "Invocation rate", &[|raw| raw.rate("skill_invocations_total", FIVE).sum_by(&["skill_name"])]),
    (
        "mcp-otel-skills",
        "Invocations by phase",
        &[|raw| raw.rate("skill_invocations_total", FIVE).sum_by(&["workflow_phase"])],
    ),
    ("mcp-otel-skills", "Completion rate", &[|raw| raw.last("skill_completion_rate").mean_by(&["skill_name"])]),
    (
        "mcp-otel-skills",
        "Duration",
        &[
            |raw| raw.rate("skill_duration_seconds_bucket", FIVE).sum_by(&["skill_name", "le"]).quantile(0.5),
            |raw| raw.rate("skill_duration_seconds_bucket", FIVE).sum_by(&["skill_name", "le"]).quantile(0.95),
        ],
    ),
    (
        "mcp-otel-skills",
        "Mean duration",
        &[|raw| {
            raw.rate("skill_duration_seconds_sum", FIVE)
                .sum_by(&["skill_name"])
                .over(&raw.rate("skill_duration_seconds_count", FIVE).sum_by(&["skill_name"]))
        }],
    ),
    ("mcp-otel-skills", "Active sessions over time", &[|raw| raw.last("active_sessions_total").sum_by(&[])]),
    (
        "mcp-otel-skills",
        "Skills with most anomalies",
        &[|raw| raw.last("anomalies_detected_total").sum_by(&["skill_name"]).greatest(10)],
    ),
    (
        "mcp-otel-skills",
        "Anomaly",
        &[|raw| {
            raw.rise("anomalies_detected_total", FIVE, "bridge_build_info")
                .sum_by(&["skill_name", "anomaly_type"])
                .above(0.0)
        }],
    ),
    (
        "mcp-otel-breakers",
        "Open",
        &[
            |raw| raw.last("circuit_breaker_state").with("state", "open").above(0.5).number(),
            |raw| raw.last("circuit_breaker_state").with("state", "open").max_by(&["component"]).above(0.5),
        ],
    ),
    (
        "mcp-otel-breakers",
        "Failed calls",
        &[|raw| {
            raw.rate("circuit_breaker_calls_failed", FIVE)
                .sum_by(&[])
                .over(&raw.rate("circuit_breaker_calls_total", FIVE).sum_by(&[]))
                .map(|share| 100.0 * share)
        }],
    ),
    ("mcp-otel-breakers", "Total calls", &[|raw| raw.last("circuit_breaker_calls_total").sum_by(&[])]),
    (
        "mcp-otel-breakers",
        "Success rate",
        &[|raw| {
            raw.rate("circuit_breaker_calls_success", FIVE)
                .sum_by(&["component"])
                .over(&raw.rate("circuit_breaker_calls_total", FIVE).sum_by(&["component"]))
                .map(|share| 100.0 * share)
        }],
    ),
    (
        "mcp-otel-breakers",
        "P99 latency",
        &[|raw| {
            raw.rate("circuit_breaker_call_duration_seconds_bucket", FIVE).sum_by(&["component", "le"]).quantile(0.99)
        }],
    ),
    ("mcp-otel-breakers", "State", &[|raw| raw.last("circuit_breaker_state").max_by(&["component", "state"])]),
    (
        "mcp-otel-breakers",
        "Latency",
        &[
            |raw| {
                raw.rate("circuit_breaker_call_duration_seconds_bucket", FIVE)
                    .sum_by(&["component", "le"])
                    .quantile(0.5)
            },
            |raw| {
                raw.rate("circuit_breaker_call_duration_seconds_bucket", FIVE)
                    .sum_by(&["component", "le"])
                    .quantile(0.95)
            },
        ],
    ),
    (
        "mcp-otel-breakers",
        "Mean latency",
        &[|raw| {
            raw.rate("circuit_breaker_call_duration_seconds_sum", FIVE)
                .sum_by(&["component"])
                .over(&raw.rate("circuit_breaker_call_duration_seconds_count", FIVE).sum_by(&["component"]))
        }],
    ),
    (
        "mcp-otel-breakers",
        "Latency of the last calls",
        &[
            |raw| raw.last("circuit_breaker_latency_seconds").max_by(&["component", "quantile"]),
            |raw| raw.last("circuit_breaker_latency_seconds_avg").max_by(&["component"]),
        ],
    ),
    ("mcp-otel-breakers", "Calls", &[|raw| raw.rate("circuit_breaker_calls_total", FIVE).sum_by(&["component"])]),
    (
        "mcp-otel-breakers",
        "Successful calls",
        &[|raw| raw.rate("circuit_breaker_calls_success", FIVE).sum_by(&["component"])],
    ),
    (
        "mcp-otel-breakers",
        "Failures",
        &[|raw| raw.rate("circuit_breaker_calls_failed", FIVE).sum_by(&["component"]).map(a_minute)],
    ),
    (
        "mcp-otel-breakers",
        "Failure rate",
        &[|raw| {
            raw.rate("circuit_breaker_calls_failed", FIVE)
                .sum_by(&["component"])
                .over(&raw.rate("circuit_breaker_calls_total", FIVE).sum_by(&["component"]))
                .map(|share| 100.0 * share)
        }],
    ),
    ("mcp-otel-breakers", "Failed so far", &[|raw| raw.last("circuit_breaker_failure_rate").max_by(&["component"])]),
    (
        "mcp-otel-breakers",
        "Error types",
        &[|raw| raw.rate("mcp_hub_requests_failed_total", FIVE).sum_by(&["error_type"])],
    ),
    (
        "mcp-otel-breakers",
        "Recovery time",
        &[|raw| raw.rate("circuit_breaker_recovery_seconds_bucket", FIVE).sum_by(&["component", "le"]).quantile(0.95)],
    ),
    ("mcp-otel-breakers", "Memory", &[|raw| raw.last("mcp_hub_memory_usage_percent").max_by(&["instance"])]),
    ("mcp-otel-breakers", "Concurrent operations", &[|raw| raw.last("mcp_hub_active_operations").sum_by(&["agent"])]),
    ("mcp-otel-breakers", "Queue depth", &[|raw| raw.last("bridge_outbox_items").sum_by(&["signal"])]),
    ("mcp-otel-bridge", "Ready", &[|raw| raw.last("bridge_ready").min_by(&[])]),
    ("mcp-otel-bridge", "Accepted", &[|raw| raw.rate("bridge_events_accepted_total", FIVE).sum_by(&[])]),
    (
        "mcp-otel-bridge",
        "Rejected events",
        &[|raw| {
            raw.rate("bridge_events_rejected_total", FIVE)
                .sum_by(&[])
                .over(&raw.rate("bridge_events_received_total", FIVE).sum_by(&[]))
        }],
    ),
    ("mcp-otel-bridge", "Versions", &[|raw| raw.last("bridge_build_info").max_by(&["instance", "version", "rustc"])]),
    ("mcp-otel-bridge", "Received", &[|raw| raw.rate("bridge_events_received_total", FIVE).sum_by(&["event_type"])]),
    ("mcp-otel-bridge", "Repeated", &[|raw| raw.rate("bridge_events_duplicate_total", FIVE).sum_by(&["source"])]),
    (
        "mcp-otel-bridge",
        "Rejected",
        &[|raw| raw.rate("bridge_events_rejected_total", FIVE).sum_by(&["source", "reason"])],
    ),
    ("mcp-otel-bridge", "Warnings", &[|raw| raw.rate("bridge_event_warnings_total", FIVE).sum_by(&["reason"])]),
    (
        "mcp-otel-bridge",
        "Past the limit of series",
        &[|raw| raw.rate("bridge_series_overflow_total", FIVE).sum_by(&["instrument"])],
    ),
    (
        "mcp-otel-bridge",
        "Dropped by wrappers",
        &[|raw| raw.rate("bridge_wrap_dropped_total", FIVE).sum_by(&["reason"])],
    ),
    ("mcp-otel-bridge", "Scrapes", &[|raw| raw.rate("bridge_scrapes_total", FIVE).sum_by(&["format", "outcome"])]),
    (
        "mcp-otel-bridge",
        "Time of a scrape",
        &[|raw| raw.rate("bridge_scrape_duration_seconds_bucket", FIVE).sum_by(&["format", "le"]).quantile(0.99)],
    ),
    ("mcp-otel-bridge", "Missed by viewers", &[|raw| raw.rate("bridge_live_dropped_total", FIVE).sum_by(&[])]),
    (
        "mcp-otel-bridge",
        "Requests",
        &[|raw| raw.rate("bridge_push_requests_total", FIVE).sum_by(&["signal", "outcome"])],
    ),
    ("mcp-otel-bridge", "Items", &[|raw| raw.rate("bridge_push_items_total", FIVE).sum_by(&["signal", "outcome"])]),
    ("mcp-otel-bridge", "Waiting", &[|raw| raw.last("bridge_outbox_items").sum_by(&["signal"])]),
    ("mcp-otel-bridge", "Size of the outbox", &[|raw| raw.last("bridge_outbox_size_bytes").sum_by(&["signal"])]),
];

/// The account of one expression: the panel's so manieth.
pub fn of(dashboard: &str, title: &str, at: usize) -> Right {
    let known = RIGHT.iter().find(|known| (known.0, known.1) == (dashboard, title));
    let rights = known.unwrap_or_else(|| panic!("nobody worked out {title:?} of {dashboard}")).2;
    *rights.get(at).unwrap_or_else(|| panic!("nobody worked out expression {at} of {title:?} of {dashboard}"))
}

/// Every panel and annotation that is worked out.
pub fn places() -> BTreeSet<(String, String)> {
    RIGHT.iter().map(|known| (known.0.to_owned(), known.1.to_owned())).collect()
}
