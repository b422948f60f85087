//! Sessions of components, and what goes on in MCP sessions.

use crate::grafana::{Choice, Dashboard, Row, areas, lines, stat};

pub const DASHBOARD: Dashboard = Dashboard {
    uid: "mcp-otel-sessions",
    title: "Sessions and MCP",
    what: "Sessions by component, the MCP events that they emit, and the requests and answers of MCP servers.",
    component: Some(Choice { name: "component", query: "label_values(session_start_total{@job}, component_name)" }),
    marks: &[],
    rows: &[
        Row {
            title: "Sessions",
            panels: &[
                stat("Active", "Sessions that have started and not ended.", "short", &[("sum(active_sessions{@component})", "")]),
                stat(
                    "Active, reported too",
                    "The same with those that hosts report of themselves.",
                    "short",
                    &[("sum(active_sessions_total{@job})", "")],
                ),
                stat("Started", "Sessions started so far.", "short", &[("sum(session_start_total{@component})", "")]),
                stat("Ended", "Sessions ended so far.", "short", &[("sum(session_end_total{@component})", "")]),
                stat(
                    "Failed",
                    "Share of the sessions that ended with an error.",
                    "percentunit",
                    &[(
                        "sum(rate(session_end_total{@component, status=\"error\"}[@rate])) / sum(rate(session_end_total{@component}[@rate]))",
                        "",
                    )],
                )
                .limits(0.05, 0.1),
                lines(
                    "Starts",
                    "Session starts a minute.",
                    "opm",
                    &[(
                        "60 * sum by (component_name, shell_type) (rate(session_start_total{@component}[@rate]))",
                        "{{component_name}} - {{shell_type}}",
                    )],
                ),
                lines(
                    "Ends",
                    "Session ends a minute, by status.",
                    "opm",
                    &[(
                        "60 * sum by (component_name, status) (rate(session_end_total{@component}[@rate]))",
                        "{{component_name}} {{status}}",
                    )],
                ),
                lines(
                    "Failed sessions",
                    "Share of the sessions that ended with an error, by component.",
                    "percentunit",
                    &[(
                        "sum by (component_name) (rate(session_end_total{@component, status=\"error\"}[@rate])) / sum by (component_name) (rate(session_end_total{@component}[@rate]))",
                        "{{component_name}}",
                    )],
                )
                .limits(0.05, 0.1),
                areas(
                    "Active sessions",
                    "Sessions that have started and not ended, by component.",
                    "short",
                    &[("sum by (component_name) (active_sessions{@component})", "{{component_name}}")],
                ),
                lines(
                    "Duration",
                    "Quantiles of the durations of the sessions that ended.",
                    "s",
                    &[
                        (
                            "histogram_quantile(0.5, sum by (component_name, le) (rate(session_duration_seconds_bucket{@component}[@rate])))",
                            "50th percentile - {{component_name}}",
                        ),
                        (
                            "histogram_quantile(0.95, sum by (component_name, le) (rate(session_duration_seconds_bucket{@component}[@rate])))",
                            "95th percentile - {{component_name}}",
                        ),
                    ],
                ),
                lines(
                    "Mean duration",
                    "Mean duration of the sessions that ended.",
                    "s",
                    &[(
                        "sum by (component_name) (rate(session_duration_seconds_sum{@component}[@rate])) / sum by (component_name) (rate(session_duration_seconds_count{@component}[@rate]))",
                        "{{component_name}}",
                    )],
                ),
                lines(
                    "Quality",
                    "Last reported quality score, 0 to 100.",
                    "short",
                    &[("avg by (component_name) (session_quality_score{@component})", "{{component_name}}")],
                ),
            ],
        },
        Row {
            title: "MCP events",
            panels: &[
                lines(
                    "Emitted",
                    "MCP events emitted a second.",
                    "ops",
                    &[(
                        "sum by (component_name, event_type) (rate(mcp_event_emit_success_total{@component}[@rate]))",
                        "{{component_name}} {{event_type}}",
                    )],
                ),
                lines(
                    "Failed to emit",
                    "Failed emissions a second, by type of error.",
                    "ops",
                    &[(
                        "sum by (component_name, error_type) (rate(mcp_event_emit_failure_total{@component}[@rate]))",
                        "{{component_name}} {{error_type}}",
                    )],
                ),
                lines(
                    "Time to emit",
                    "95th percentile of the time that an emission takes.",
                    "s",
                    &[(
                        "histogram_quantile(0.95, sum by (component_name, le) (rate(mcp_event_emit_duration_seconds_bucket{@component}[@rate])))",
                        "{{component_name}}",
                    )],
                ),
            ],
        },
        Row {
            title: "MCP requests",
            panels: &[
                lines(
                    "Requests by method",
                    "Requests to the server a second.",
                    "reqps",
                    &[(
                        "sum by (mcp_method_name) (rate(mcp_server_operation_duration_seconds_count{@component}[@rate]))",
                        "{{mcp_method_name}}",
                    )],
                ),
                lines(
                    "Calls by tool",
                    "Tool calls a second.",
                    "reqps",
                    &[(
                        "sum by (component_name, gen_ai_tool_name) (rate(mcp_server_operation_duration_seconds_count{@component, gen_ai_tool_name!=\"\"}[@rate]))",
                        "{{component_name}} {{gen_ai_tool_name}}",
                    )],
                ),
                lines(
                    "Failed requests",
                    "Failed requests a second, by type of error.",
                    "reqps",
                    &[(
                        "sum by (component_name, error_type) (rate(mcp_server_operation_duration_seconds_count{@component, error_type!=\"\"}[@rate]))",
                        "{{component_name}} {{error_type}}",
                    )],
                ),
                lines(
                    "Time to answer",
                    "Quantiles of the time from request to answer.",
                    "s",
                    &[
                        (
                            "histogram_quantile(0.5, sum by (component_name, le) (rate(mcp_server_operation_duration_seconds_bucket{@component}[@rate])))",
                            "50th percentile - {{component_name}}",
                        ),
                        (
                            "histogram_quantile(0.99, sum by (component_name, le) (rate(mcp_server_operation_duration_seconds_bucket{@component}[@rate])))",
                            "99th percentile - {{component_name}}",
                        ),
                    ],
                ),
                lines(
                    "Requests to clients",
                    "Requests of servers to their clients a second: sampling, elicitation, roots.",
                    "reqps",
                    &[(
                        "sum by (mcp_method_name) (rate(mcp_client_operation_duration_seconds_count{@component}[@rate]))",
                        "{{mcp_method_name}}",
                    )],
                ),
                lines(
                    "Length of MCP sessions",
                    "95th percentile of the durations of the MCP sessions that ended.",
                    "s",
                    &[(
                        "histogram_quantile(0.95, sum by (component_name, le) (rate(mcp_server_session_duration_seconds_bucket{@component}[@rate])))",
                        "{{component_name}}",
                    )],
                ),
            ],
        },
    ],
};
