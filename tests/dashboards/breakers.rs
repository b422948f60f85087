//! Circuit breakers, as those who run what is behind them look at them: overview, performance, errors, capacity.

use crate::grafana::{Choice, Dashboard, Mark, Row, areas, lines, stat};

pub const DASHBOARD: Dashboard = Dashboard {
    uid: "mcp-otel-breakers",
    title: "Circuit breakers",
    what: "Calls through circuit breakers: success, latency, states, recovery, errors, what waits.",
    component: Some(Choice { name: "breaker", query: "label_values(circuit_breaker_calls_total{@job}, component)" }),
    marks: &[Mark {
        name: "Open",
        query: "max by (component) (circuit_breaker_state{@breaker, state=\"open\"}) == 1",
        text: "{{component}}",
    }],
    rows: &[
        Row {
            title: "Overview",
            panels: &[
                stat(
                    "Open",
                    "Components whose calls are refused now.",
                    "short",
                    &[("count(circuit_breaker_state{@breaker, state=\"open\"} == 1) or vector(0)", "")],
                )
                .limits(1.0, 1.0),
                stat(
                    "Failed calls",
                    "Share of the calls that failed or were refused.",
                    "percent",
                    &[(
                        "100 * sum(rate(circuit_breaker_calls_failed{@breaker}[@rate])) / sum(rate(circuit_breaker_calls_total{@breaker}[@rate]))",
                        "",
                    )],
                )
                .limits(5.0, 10.0),
                stat(
                    "Total calls",
                    "Calls so far, refused ones included.",
                    "short",
                    &[("sum(circuit_breaker_calls_total{@breaker})", "")],
                ),
                lines(
                    "Success rate",
                    "Share of the calls in the window that succeeded.",
                    "percent",
                    &[(
                        "100 * sum by (component) (rate(circuit_breaker_calls_success{@breaker}[@rate])) / sum by (component) (rate(circuit_breaker_calls_total{@breaker}[@rate]))",
                        "{{component}}",
                    )],
                )
                .at_least(95.0, 90.0),
                lines(
                    "P99 latency",
                    "99th percentile of the latencies of the calls in the window, over all bridges.",
                    "s",
                    &[(
                        "histogram_quantile(0.99, sum by (component, le) (rate(circuit_breaker_call_duration_seconds_bucket{@breaker}[@rate])))",
                        "{{component}}",
                    )],
                ),
                lines(
                    "State",
                    "1 for the state that a circuit breaker is in.",
                    "short",
                    &[("max by (component, state) (circuit_breaker_state{@breaker})", "{{component}} {{state}}")],
                ),
            ],
        },
        Row {
            title: "Performance",
            panels: &[
                lines(
                    "Latency",
                    "Quantiles of the latencies of the calls in the window.",
                    "s",
                    &[
                        (
                            "histogram_quantile(0.5, sum by (component, le) (rate(circuit_breaker_call_duration_seconds_bucket{@breaker}[@rate])))",
                            "50th percentile - {{component}}",
                        ),
                        (
                            "histogram_quantile(0.95, sum by (component, le) (rate(circuit_breaker_call_duration_seconds_bucket{@breaker}[@rate])))",
                            "95th percentile - {{component}}",
                        ),
                    ],
                ),
                lines(
                    "Mean latency",
                    "Mean latency of the calls in the window.",
                    "s",
                    &[(
                        "sum by (component) (rate(circuit_breaker_call_duration_seconds_sum{@breaker}[@rate])) / sum by (component) (rate(circuit_breaker_call_duration_seconds_count{@breaker}[@rate]))",
                        "{{component}}",
                    )],
                )
                .limits(0.5, 1.0),
                lines(
                    "Latency of the last calls",
                    "Quantiles and mean of the latencies of the last calls, however long ago these were.",
                    "s",
                    &[
                        ("max by (component, quantile) (circuit_breaker_latency_seconds{@breaker})", "{{component}} {{quantile}}"),
                        ("max by (component) (circuit_breaker_latency_seconds_avg{@breaker})", "{{component}} mean"),
                    ],
                ),
                lines(
                    "Calls",
                    "Calls a second, refused ones included.",
                    "ops",
                    &[("sum by (component) (rate(circuit_breaker_calls_total{@breaker}[@rate]))", "{{component}}")],
                ),
                lines(
                    "Successful calls",
                    "Calls that succeeded, a second.",
                    "ops",
                    &[("sum by (component) (rate(circuit_breaker_calls_success{@breaker}[@rate]))", "{{component}}")],
                ),
            ],
        },
        Row {
            title: "Errors",
            panels: &[
                lines(
                    "Failures",
                    "Calls that failed or were refused, a minute.",
                    "opm",
                    &[("60 * sum by (component) (rate(circuit_breaker_calls_failed{@breaker}[@rate]))", "{{component}}")],
                ),
                lines(
                    "Failure rate",
                    "Share of the calls in the window that failed or were refused.",
                    "percent",
                    &[(
                        "100 * sum by (component) (rate(circuit_breaker_calls_failed{@breaker}[@rate])) / sum by (component) (rate(circuit_breaker_calls_total{@breaker}[@rate]))",
                        "{{component}}",
                    )],
                )
                .limits(5.0, 10.0),
                lines(
                    "Failed so far",
                    "Share of all calls that failed or were refused, since the start or the last reset.",
                    "percent",
                    &[("max by (component) (circuit_breaker_failure_rate{@breaker})", "{{component}}")],
                ),
                lines(
                    "Error types",
                    "Failed requests a second, by type of error.",
                    "ops",
                    &[("sum by (error_type) (rate(mcp_hub_requests_failed_total{@job}[@rate]))", "{{error_type}}")],
                ),
                lines(
                    "Recovery time",
                    "95th percentile of the time from the opening of a circuit breaker until it closed again.",
                    "s",
                    &[(
                        "histogram_quantile(0.95, sum by (component, le) (rate(circuit_breaker_recovery_seconds_bucket{@breaker}[@rate])))",
                        "{{component}}",
                    )],
                ),
            ],
        },
        Row {
            title: "Capacity",
            panels: &[
                lines("Memory", "Memory in use.", "percent", &[("max by (instance) (mcp_hub_memory_usage_percent{@job})", "{{instance}}")])
                    .limits(80.0, 90.0),
                areas(
                    "Concurrent operations",
                    "Requests that have started and not ended.",
                    "short",
                    &[("sum by (agent) (mcp_hub_active_operations{@job})", "{{agent}}")],
                ),
                areas(
                    "Queue depth",
                    "What waits in the bridges for the collector.",
                    "short",
                    &[("sum by (signal) (bridge_outbox_items{@job})", "{{signal}}")],
                ),
            ],
        },
    ],
};
