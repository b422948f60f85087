//! LLM calls, and the requests, calls and machine of an MCP hub.

use crate::grafana::{Dashboard, Row, areas, lines, stat, table};

pub const DASHBOARD: Dashboard = Dashboard {
    uid: "mcp-otel-hub",
    title: "LLM and hub",
    what: "Calls of LLM APIs with their tokens, the requests of agents, caches, retries, and the machine.",
    component: None,
    marks: &[],
    rows: &[
        Row {
            title: "LLM calls",
            panels: &[
                lines(
                    "Calls by model",
                    "Calls of LLM APIs a second.",
                    "ops",
                    &[("sum by (provider, model) (rate(mcp_hub_llm_api_calls_total{@job}[@rate]))", "{{provider}} {{model}}")],
                ),
                lines(
                    "Failed calls",
                    "Failed calls a second, by type of error.",
                    "ops",
                    &[(
                        "sum by (gen_ai_request_model, error_type) (rate(gen_ai_client_operation_duration_seconds_count{@job, error_type!=\"\"}[@rate]))",
                        "{{gen_ai_request_model}} {{error_type}}",
                    )],
                ),
                areas(
                    "Tokens",
                    "Tokens used a second, by model and type.",
                    "short",
                    &[(
                        "sum by (gen_ai_request_model, gen_ai_token_type) (rate(gen_ai_client_token_usage_sum{@job}[@rate]))",
                        "{{gen_ai_request_model}} {{gen_ai_token_type}}",
                    )],
                ),
                lines(
                    "Time of a call",
                    "Quantiles of the durations of calls.",
                    "s",
                    &[
                        (
                            "histogram_quantile(0.5, sum by (gen_ai_request_model, le) (rate(gen_ai_client_operation_duration_seconds_bucket{@job}[@rate])))",
                            "50th percentile - {{gen_ai_request_model}}",
                        ),
                        (
                            "histogram_quantile(0.95, sum by (gen_ai_request_model, le) (rate(gen_ai_client_operation_duration_seconds_bucket{@job}[@rate])))",
                            "95th percentile - {{gen_ai_request_model}}",
                        ),
                    ],
                ),
                lines(
                    "Time to the first token",
                    "95th percentile of the time to the first chunk of an answer.",
                    "s",
                    &[(
                        "histogram_quantile(0.95, sum by (gen_ai_request_model, le) (rate(gen_ai_client_operation_time_to_first_chunk_seconds_bucket{@job}[@rate])))",
                        "{{gen_ai_request_model}}",
                    )],
                ),
                lines(
                    "Tokens of a call",
                    "Mean number of tokens of a call, by type.",
                    "short",
                    &[(
                        "sum by (gen_ai_token_type) (rate(gen_ai_client_token_usage_sum{@job}[@rate])) / sum by (gen_ai_token_type) (rate(gen_ai_client_token_usage_count{@job}[@rate]))",
                        "{{gen_ai_token_type}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Requests",
            panels: &[
                lines(
                    "Request rate",
                    "Requests started a second.",
                    "reqps",
                    &[("sum by (agent, operation) (rate(mcp_hub_requests_total{@job}[@rate]))", "{{agent}} {{operation}}")],
                ),
                lines(
                    "Success rate",
                    "Share of the requests that succeeded.",
                    "percentunit",
                    &[(
                        "(sum by (agent, operation) (rate(mcp_hub_requests_success_total{@job}[@rate])) or 0 * sum by (agent, operation) (rate(mcp_hub_requests_total{@job}[@rate]))) / sum by (agent, operation) (rate(mcp_hub_requests_total{@job}[@rate]))",
                        "{{agent}} {{operation}}",
                    )],
                )
                .at_least(0.95, 0.9),
                lines(
                    "Error rate",
                    "Share of the requests that failed.",
                    "percentunit",
                    &[(
                        "(sum by (agent, operation) (rate(mcp_hub_requests_failed_total{@job}[@rate])) or 0 * sum by (agent, operation) (rate(mcp_hub_requests_total{@job}[@rate]))) / sum by (agent, operation) (rate(mcp_hub_requests_total{@job}[@rate]))",
                        "{{agent}} {{operation}}",
                    )],
                )
                .limits(0.05, 0.1),
                lines(
                    "Response time",
                    "Quantiles of the durations of requests.",
                    "s",
                    &[
                        (
                            "histogram_quantile(0.5, sum by (agent, operation, le) (rate(mcp_hub_request_duration_seconds_bucket{@job}[@rate])))",
                            "50th percentile - {{agent}} {{operation}}",
                        ),
                        (
                            "histogram_quantile(0.95, sum by (agent, operation, le) (rate(mcp_hub_request_duration_seconds_bucket{@job}[@rate])))",
                            "95th percentile - {{agent}} {{operation}}",
                        ),
                    ],
                )
                .limits(10.0, 30.0),
                lines(
                    "Mean response time",
                    "Mean duration of requests.",
                    "s",
                    &[(
                        "sum by (agent, operation) (rate(mcp_hub_request_duration_seconds_sum{@job}[@rate])) / sum by (agent, operation) (rate(mcp_hub_request_duration_seconds_count{@job}[@rate]))",
                        "{{agent}} {{operation}}",
                    )],
                ),
                areas(
                    "Active operations",
                    "Requests that have started and not ended.",
                    "short",
                    &[("sum by (agent) (mcp_hub_active_operations{@job})", "{{agent}}")],
                ),
                lines(
                    "Errors by type",
                    "Failed requests a second.",
                    "reqps",
                    &[("sum by (error_type) (rate(mcp_hub_requests_failed_total{@job}[@rate]))", "{{error_type}}")],
                ),
            ],
        },
        Row {
            title: "Caches, retries, tools",
            panels: &[
                lines(
                    "Cache hits",
                    "Share of the accesses to a cache that hit.",
                    "percentunit",
                    &[(
                        "sum by (cache_type) (rate(mcp_hub_cache_hits_total{@job}[@rate])) / (sum by (cache_type) (rate(mcp_hub_cache_hits_total{@job}[@rate])) + sum by (cache_type) (rate(mcp_hub_cache_misses_total{@job}[@rate])))",
                        "{{cache_type}}",
                    )],
                ),
                lines(
                    "Retries",
                    "Attempts after a failure a second, by which attempt it was.",
                    "ops",
                    &[("sum by (service, attempt) (rate(mcp_hub_retries_total{@job}[@rate]))", "{{service}} {{attempt}}")],
                ),
                lines(
                    "Retries exhausted",
                    "Calls given up after their last attempt, a second.",
                    "ops",
                    &[("sum by (service) (rate(mcp_hub_retries_exhausted_total{@job}[@rate]))", "{{service}}")],
                ),
                lines(
                    "Code executions",
                    "Code executions a second, by status.",
                    "ops",
                    &[("sum by (status) (rate(mcp_hub_code_executions_total{@job}[@rate]))", "{{status}}")],
                ),
                lines(
                    "Search calls",
                    "Calls of search APIs a second.",
                    "ops",
                    &[("sum(rate(mcp_hub_search_api_calls_total{@job}[@rate]))", "searches")],
                ),
                table(
                    "Applications",
                    "What reports, and in which version.",
                    "short",
                    &[("max by (name, version, instance) (mcp_hub_app_info{@job})", "")],
                ),
            ],
        },
        Row {
            title: "Machine",
            panels: &[
                stat("CPU", "CPU in use.", "percent", &[("max(mcp_hub_cpu_usage_percent{@job})", "")]).limits(80.0, 95.0),
                stat("Memory", "Memory in use.", "percent", &[("max(mcp_hub_memory_usage_percent{@job})", "")]).limits(80.0, 90.0),
                stat("Memory left", "Available memory.", "bytes", &[("min(mcp_hub_memory_available_bytes{@job})", "")]),
                stat("Disk", "Disk in use under the data.", "percent", &[("max(mcp_hub_disk_usage_percent{@job})", "")])
                    .limits(80.0, 90.0),
                stat("Disk left", "Free space under the data.", "bytes", &[("min(mcp_hub_disk_free_bytes{@job})", "")]),
                stat("Uptime", "Time since the youngest bridge started.", "s", &[("min(mcp_hub_uptime_seconds{@job})", "")]),
            ],
        },
    ],
};
