//! All in one look, and where to look next.

use crate::grafana::{Choice, Dashboard, Row, areas, lines, stat};
use crate::skills::ANOMALY;

pub const DASHBOARD: Dashboard = Dashboard {
    uid: "mcp-otel-overview",
    title: "MCP overview",
    what: "Sessions, requests, LLM calls, skills and circuit breakers in one look.",
    component: Some(Choice { name: "component", query: "label_values(session_start_total{@job}, component_name)" }),
    marks: &[ANOMALY],
    rows: &[
        Row {
            title: "Now",
            panels: &[
                stat("Bridges", "Bridges that are scraped, or push.", "short", &[("count(max by (job, instance) (bridge_build_info{@job})) or vector(0)", "")]).at_least(1.0, 1.0),
                stat("Active sessions", "Sessions that have started and not ended.", "short", &[("sum(active_sessions{@component})", "")]),
                stat("Failed sessions", "Share of the sessions that ended with an error.", "percentunit", &[(
                        "sum(rate(session_end_total{@component, status=\"error\"}[@rate])) / sum(rate(session_end_total{@component}[@rate]))",
                        "",
                    )]).limits(0.05, 0.1),
                stat("MCP requests", "Requests to MCP servers, a second.", "reqps", &[("sum(rate(mcp_server_operation_duration_seconds_count{@component}[@rate]))", "")]),
                stat("Open circuit breakers", "Components whose calls are refused now.", "short", &[("count(circuit_breaker_state{@job, state=\"open\"} == 1) or vector(0)", "")]).limits(1.0, 1.0),
                stat("Anomalies", "Anomalies of skills, found or reported so far.", "short", &[("sum(anomalies_detected_total{@job})", "")]),
            ],
        },
        Row {
            title: "Traffic",
            panels: &[
                lines("Sessions started", "Session starts a minute, by component.", "opm", &[("60 * sum by (component_name) (rate(session_start_total{@component}[@rate]))", "{{component_name}}")]),
                lines("LLM calls", "Calls of LLM APIs a second, by model.", "ops", &[("sum by (model) (rate(mcp_hub_llm_api_calls_total{@job}[@rate]))", "{{model}}")]),
                lines("Requests of agents", "Requests started a second, by agent.", "reqps", &[("sum by (agent) (rate(mcp_hub_requests_total{@job}[@rate]))", "{{agent}}")]),
                lines("Skills used", "Invocations of skills a second.", "ops", &[("sum by (skill_name) (rate(skill_invocations_total{@job}[@rate]))", "{{skill_name}}")]),
                lines("Calls through circuit breakers", "Calls a second, refused ones included, by component.", "ops", &[("sum by (component) (rate(circuit_breaker_calls_total{@job}[@rate]))", "{{component}}")]),
                areas("Events taken in", "Events that the bridges received a second, by where they came from.", "ops", &[("sum by (source) (rate(bridge_events_received_total{@job}[@rate]))", "{{source}}")]),
            ],
        },
    ],
};
