//! The metrics in short: the keys of Session-Buddy's `get_metrics_summary`, then each further group under its own.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::metrics::{
    ACTIVE_SESSIONS, MCP_EVENT_EMIT_FAILURE, MCP_EVENT_EMIT_SUCCESS, SESSION_END, SESSION_QUALITY_SCORE, SESSION_START,
};
use crate::catalog::{Group, Metric};
use crate::telemetry::{Family, Snapshot, Value};

/// Totals over all components, and the state of each.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    total_sessions_started: u64,
    total_sessions_ended: u64,
    active_sessions: BTreeMap<String, i64>,
    quality_scores: BTreeMap<String, f64>,
    mcp_events_success: u64,
    mcp_events_failure: u64,
    /// By group, then by metric: a counter's total, a histogram's count and sum, a gauge that has no labels.
    #[serde(flatten)]
    groups: BTreeMap<&'static str, BTreeMap<&'static str, Total>>,
}

/// What is told of a metric over all its series.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Total {
    Counter(u64),
    Histogram { count: u64, sum: f64 },
    Gauge(f64),
}

/// The summary of a snapshot.
pub(crate) fn of(snapshot: &Snapshot<'_>) -> Summary {
    let mut summary = Summary::default();
    for family in snapshot.families() {
        let metric = family.instrument.metric();
        if !matches!(metric.group, Group::Session | Group::Bridge) {
            if let Some(total) = total(&family) {
                summary.groups.entry(metric.group.name()).or_default().insert(metric.prometheus, total);
            }
            continue;
        }
        let is = |other: &Metric| metric.otel == other.otel;
        let mut total = 0;
        let mut by_component = BTreeMap::new();
        family.for_each(|point| match point.value {
            Value::Counter(value) => total += value,
            Value::Gauge(value) => {
                // Where a view dropped the label there is nothing to tell components apart by.
                let component = family.instrument.label(point.series, "component_name");
                by_component.insert(component.unwrap_or_default().to_owned(), value);
            }
            Value::Histogram(_) => {}
        });
        if is(&SESSION_START) {
            summary.total_sessions_started = total;
        } else if is(&SESSION_END) {
            summary.total_sessions_ended = total;
        } else if is(&ACTIVE_SESSIONS) {
            summary.active_sessions =
                by_component.into_iter().map(|(component, active)| (component, active as i64)).collect();
        } else if is(&SESSION_QUALITY_SCORE) {
            summary.quality_scores = by_component;
        } else if is(&MCP_EVENT_EMIT_SUCCESS) {
            summary.mcp_events_success = total;
        } else if is(&MCP_EVENT_EMIT_FAILURE) {
            summary.mcp_events_failure = total;
        }
    }
    summary
}

fn total(family: &Family<'_>) -> Option<Total> {
    let mut all = None;
    family.for_each(|point| {
        all = match (point.value, all.take()) {
            (Value::Counter(value), Some(Total::Counter(total))) => Some(Total::Counter(total + value)),
            (Value::Counter(value), _) => Some(Total::Counter(value)),
            (Value::Histogram(histogram), Some(Total::Histogram { count, sum })) => {
                Some(Total::Histogram { count: count + histogram.count(), sum: sum + histogram.sum() })
            }
            (Value::Histogram(histogram), _) => {
                Some(Total::Histogram { count: histogram.count(), sum: histogram.sum() })
            }
            (Value::Gauge(value), _) if family.instrument.metric().labels.is_empty() => Some(Total::Gauge(value)),
            (Value::Gauge(_), _) => None,
        };
    });
    all
}
