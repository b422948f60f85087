//! Skills: how often, how long, how well, and what is unusual.

use crate::grafana::{Dashboard, Mark, Row, lines, stat, table};

/// An anomaly, also the first of its kind, with which its series begins: `increase` sees nothing of that one. A series is
/// new where its bridge was scraped at least twice without it, and not where both come back together after a gap.
pub const ANOMALY: Mark = Mark {
    name: "Anomaly",
    query: "\
sum by (skill_name, anomaly_type) (
  (
    sum by (job, instance, skill_name, anomaly_type) (anomalies_detected_total{@job})
    and sum by (job, instance, skill_name, anomaly_type) (count_over_time(anomalies_detected_total{@job}[@rate])) + 1
      < on (job, instance) group_left () sum by (job, instance) (count_over_time(bridge_build_info{@job}[@rate]))
  )
  or sum by (job, instance, skill_name, anomaly_type) (increase(anomalies_detected_total{@job}[@rate]))
) > 0",
    text: "{{skill_name}}: {{anomaly_type}}",
};

pub const DASHBOARD: Dashboard = Dashboard {
    uid: "mcp-otel-skills",
    title: "Skills",
    what: "Invocations of skills, their durations, completion rates and anomalies.",
    component: None,
    marks: &[ANOMALY],
    rows: &[Row {
        title: "Skills",
        panels: &[
            stat("Invocations", "Invocations so far.", "short", &[("sum(skill_invocations_total{@job})", "")]),
            stat(
                "Completed",
                "Share of the invocations that were completed.",
                "percentunit",
                &[(
                    "sum(rate(skill_invocations_total{@job, completed=\"true\"}[@rate])) / sum(rate(skill_invocations_total{@job}[@rate]))",
                    "",
                )],
            ),
            stat(
                "Active sessions",
                "Sessions in which skills are used now.",
                "short",
                &[("sum(active_sessions_total{@job})", "")],
            ),
            stat(
                "Anomalies",
                "Anomalies found or reported so far.",
                "short",
                &[("sum(anomalies_detected_total{@job})", "")],
            ),
            lines(
                "Invocation rate",
                "Invocations a second.",
                "ops",
                &[("sum by (skill_name) (rate(skill_invocations_total{@job}[@rate]))", "{{skill_name}}")],
            ),
            lines(
                "Invocations by phase",
                "Invocations a second, by the phase of the workflow.",
                "ops",
                &[("sum by (workflow_phase) (rate(skill_invocations_total{@job}[@rate]))", "{{workflow_phase}}")],
            ),
            lines(
                "Completion rate",
                "Completion rate as last worked out or reported.",
                "percentunit",
                &[("avg by (skill_name) (skill_completion_rate{@job})", "{{skill_name}}")],
            ),
            lines(
                "Duration",
                "Quantiles of the durations of invocations.",
                "s",
                &[
                    (
                        "histogram_quantile(0.5, sum by (skill_name, le) (rate(skill_duration_seconds_bucket{@job}[@rate])))",
                        "50th percentile - {{skill_name}}",
                    ),
                    (
                        "histogram_quantile(0.95, sum by (skill_name, le) (rate(skill_duration_seconds_bucket{@job}[@rate])))",
                        "95th percentile - {{skill_name}}",
                    ),
                ],
            ),
            lines(
                "Mean duration",
                "Mean duration of invocations.",
                "s",
                &[(
                    "sum by (skill_name) (rate(skill_duration_seconds_sum{@job}[@rate])) / sum by (skill_name) (rate(skill_duration_seconds_count{@job}[@rate]))",
                    "{{skill_name}}",
                )],
            ),
            lines(
                "Active sessions over time",
                "Sessions in which skills are used.",
                "short",
                &[("sum(active_sessions_total{@job})", "sessions")],
            ),
            table(
                "Skills with most anomalies",
                "The ten skills with most anomalies so far.",
                "short",
                &[("topk(10, sum by (skill_name) (anomalies_detected_total{@job}))", "")],
            ),
        ],
    }],
};
