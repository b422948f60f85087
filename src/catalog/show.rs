//! The catalog for people and programs: a table, Markdown, JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Group, Metric, all, label_name};

/// The form in which the catalog is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowFormat {
    /// Aligned columns for a terminal.
    Table,
    /// A section and a table a group.
    Markdown,
    /// One object with a `metrics` array.
    Json,
}

/// The whole catalog in that form, ending in a newline.
pub fn show(format: ShowFormat) -> String {
    match format {
        ShowFormat::Table => table(),
        ShowFormat::Markdown => markdown(),
        ShowFormat::Json => format!("{:#}\n", json()),
    }
}

/// The catalog as JSON: `{"metrics": [{group, prometheus, otel, kind, type, unit, labels, attributes, buckets, help}]}`.
pub(crate) fn json() -> Value {
    let metrics: Vec<Value> = all()
        .map(|metric| {
            json!({
                "group": metric.group.name(),
                "prometheus": metric.prometheus,
                "otel": metric.otel,
                "kind": metric.kind.name(),
                "type": metric.kind.prometheus_type(),
                "unit": metric.unit,
                "labels": metric.labels.iter().map(|key| label_name(key)).collect::<Vec<_>>(),
                "attributes": metric.labels,
                "buckets": metric.buckets,
                "help": metric.help,
            })
        })
        .collect();
    json!({ "metrics": metrics })
}

fn labels(metric: &Metric) -> String {
    metric.labels.iter().map(|key| label_name(key)).collect::<Vec<_>>().join(", ")
}

fn table() -> String {
    let rows: Vec<[String; 5]> = all()
        .map(|metric| {
            [
                metric.prometheus.to_owned(),
                metric.kind.name().to_owned(),
                metric.unit.to_owned(),
                labels(metric),
                metric.help.to_owned(),
            ]
        })
        .collect();
    let head = ["METRIC", "KIND", "UNIT", "LABELS", "HELP"].map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let mut text = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\nMade by `mcp-otel-bridge catalog --format markdown`. On `/metrics` a counter's sample ends in \
         `_total`, and a histogram's in `_bucket`, `_sum` and `_count`. No user, host, session or trace id is ever a \
         label.\n",
    );
    for group in Group::ALL {
        let _ = write!(
            text,
            "\n## {}\n\n| metric | OpenTelemetry name | kind | unit | labels | what |\n|---|---|---|---|---|---|\n",
            group.name()
        );
        for metric in all().filter(|metric| metric.group == group) {
            let unit = if metric.unit.is_empty() { String::new() } else { format!("`{}`", metric.unit) };
            let labels =
                metric.labels.iter().map(|key| format!("`{}`", label_name(key))).collect::<Vec<_>>().join(", ");
            let _ = write!(
                text,
                "| `{}` | `{}` | {} | {unit} | {labels} | {}",
                metric.prometheus,
                metric.otel,
                metric.kind.name(),
                metric.help
            );
            if !metric.buckets.is_empty() {
                let bounds = metric.buckets.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
                let _ = write!(text, "; buckets {bounds}");
            }
            text.push_str(" |\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_names_every_metric() {
        for format in [ShowFormat::Table, ShowFormat::Markdown, ShowFormat::Json] {
            let text = show(format);
            for metric in all() {
                assert!(text.contains(metric.prometheus), "{format:?} lacks {}", metric.prometheus);
                assert!(text.contains(metric.help), "{format:?} lacks the help of {}", metric.prometheus);
            }
        }
    }

    #[test]
    fn the_json_form_is_json() {
        let value: Value = serde_json::from_str(&show(ShowFormat::Json)).unwrap();
        assert_eq!(value["metrics"].as_array().unwrap().len(), all().count());
    }
}
