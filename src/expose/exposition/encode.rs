//! The encoder: a snapshot as text 0.0.4, text 1.0.0 or OpenMetrics 1.0.0.
//!
//! The labels of a series are kept as they are printed, and numbers go through `itoa` and `zmij`, so that writing a
//! line is a few copies. The specifications: "Exposition formats" of Prometheus, and OpenMetrics 1.0.

use std::collections::HashSet;
use std::time::SystemTime;

use opentelemetry_sdk::Resource;

use super::format::Format;
use crate::catalog::{Kind, Metric, label_name, unit_suffix};
use crate::telemetry::{Exemplar, Family, Point, Snapshot, Value, escape_label_value};

/// Which families are shown: all, or those asked for by `name[]`.
#[derive(Debug, Clone, Default)]
pub struct NameFilter(HashSet<String>);

impl NameFilter {
    /// Shows the families with one of these names, or with a sample of one of these names; all where there are none.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether everything is shown.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shows(&self, family: &str, kind: Kind) -> bool {
        if self.0.is_empty() || self.0.contains(family) {
            return true;
        }
        match kind {
            Kind::Counter => self.0.contains(family.strip_suffix("_total").unwrap_or(family)),
            Kind::Histogram => {
                ["_bucket", "_sum", "_count"].iter().any(|suffix| self.0.contains(&format!("{family}{suffix}")))
            }
            Kind::Gauge | Kind::UpDownCounter => false,
        }
    }
}

/// Appends the snapshot to `text`, with `target_info` first.
pub fn encode(text: &mut String, snapshot: &Snapshot<'_>, resource: &Resource, format: Format, filter: &NameFilter) {
    if filter.shows("target_info", Kind::Gauge) || filter.shows("target", Kind::Gauge) {
        target_info(text, resource, format);
    }
    let mut families = snapshot.families();
    families.retain(|family| {
        let metric = family.instrument.metric();
        filter.shows(metric.prometheus, metric.kind)
    });
    // As much as it was the last time, and some more: growing the text would copy all that is there.
    let printed: usize = families.iter().map(|family| family.instrument.printed()).sum();
    text.reserve(printed + printed / 32 + 4096);
    for family in &families {
        let start = text.len();
        encode_family(text, family, family.instrument.metric(), format);
        family.instrument.remember_printed(text.len() - start);
    }
    if format == Format::OpenMetrics100 {
        text.push_str("# EOF\n");
    }
}

/// Appends `target_info`, which carries the resource's attributes as labels.
///
/// Attributes whose label names are the same share one label, their values joined by `;`, as the OpenTelemetry
/// specification has it.
pub fn target_info(text: &mut String, resource: &Resource, format: Format) {
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut attributes: Vec<_> = resource.iter().collect();
    attributes.sort_by_key(|(key, _)| key.as_str());
    for (key, value) in attributes {
        let name = label_name(key.as_str());
        match labels.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => {
                values.push(';');
                values.push_str(&value.as_str());
            }
            None => labels.push((name, value.as_str().into_owned())),
        }
    }
    let (family, kind) = match format {
        Format::OpenMetrics100 => ("target", "info"),
        Format::Text004 | Format::Text100 => ("target_info", "gauge"),
    };
    text.push_str("# HELP ");
    text.push_str(family);
    text.push_str(" Target metadata\n# TYPE ");
    text.push_str(family);
    text.push(' ');
    text.push_str(kind);
    text.push_str("\ntarget_info{");
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape_label_value(text, value);
        text.push('"');
    }
    text.push_str("} 1\n");
}

fn encode_family(text: &mut String, family: &Family<'_>, metric: &Metric, format: Format) {
    head(text, metric, format);
    match metric.kind {
        Kind::Histogram => {
            let mut lines = HistogramLines::new(metric.prometheus, family.instrument.buckets());
            family.for_each(|point| lines.encode(text, &point, format));
        }
        Kind::Counter | Kind::Gauge | Kind::UpDownCounter => {
            family.for_each(|point| encode_number(text, &point, format));
        }
    }
}

fn head(text: &mut String, metric: &Metric, format: Format) {
    // OpenMetrics names a counter's family without the suffix of its samples.
    let name = match (format, metric.kind) {
        (Format::OpenMetrics100, Kind::Counter) => {
            metric.prometheus.strip_suffix("_total").unwrap_or(metric.prometheus)
        }
        _ => metric.prometheus,
    };
    text.push_str("# HELP ");
    text.push_str(name);
    text.push(' ');
    for c in metric.help.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if format == Format::OpenMetrics100 => text.push_str("\\\""),
            c => text.push(c),
        }
    }
    text.push_str("\n# TYPE ");
    text.push_str(name);
    text.push(' ');
    text.push_str(metric.kind.prometheus_type());
    text.push('\n');
    if format == Format::OpenMetrics100
        && let Some(unit) = unit_suffix(metric.unit)
        && name.ends_with(unit)
    {
        text.push_str("# UNIT ");
        text.push_str(name);
        text.push(' ');
        text.push_str(unit);
        text.push('\n');
    }
}

fn encode_number(text: &mut String, point: &Point<'_>, format: Format) {
    text.push_str(point.head());
    match point.value {
        Value::Counter(value) => {
            push_integer(text, value);
            if format == Format::OpenMetrics100 {
                point.exemplars(|slots| push_exemplar(text, slots.first()));
            }
        }
        Value::Gauge(value) => push_float(text, value),
        Value::Histogram(_) => {}
    }
    text.push('\n');
}

/// What the lines of one histogram family have in common.
struct HistogramLines {
    bucket: String,
    sum: String,
    count: String,
    /// `le="..."} ` of each bucket, the infinite one included.
    bounds: Vec<String>,
    /// The head of every bucket line of the series at hand.
    head: String,
}

impl HistogramLines {
    fn new(name: &str, buckets: &[f64]) -> Self {
        let mut bounds: Vec<String> = buckets.iter().map(|bound| format!("le=\"{}\"}} ", float(*bound))).collect();
        bounds.push("le=\"+Inf\"} ".to_owned());
        Self {
            bucket: format!("{name}_bucket"),
            sum: format!("{name}_sum"),
            count: format!("{name}_count"),
            bounds,
            head: String::new(),
        }
    }

    fn encode(&mut self, text: &mut String, point: &Point<'_>, format: Format) {
        let Value::Histogram(histogram) = point.value else { return };
        let Self { bucket, sum, count, bounds, head } = self;
        head.clear();
        head.push_str(bucket);
        match point.head().strip_suffix("} ") {
            Some(labels) => {
                head.push_str(labels);
                head.push(',');
            }
            None => head.push('{'),
        }
        let mut buckets = |slots: &[Option<Exemplar>]| {
            let mut total = 0;
            for (index, (bound, count)) in bounds.iter().zip(histogram.bucket_counts()).enumerate() {
                total += count;
                text.push_str(head);
                text.push_str(bound);
                push_integer(text, total);
                push_exemplar(text, slots.get(index));
                text.push('\n');
            }
        };
        match format {
            Format::OpenMetrics100 => point.exemplars(buckets),
            Format::Text004 | Format::Text100 => buckets(&[]),
        }
        text.push_str(sum);
        text.push_str(point.head());
        push_float(text, histogram.sum());
        text.push('\n');
        text.push_str(count);
        text.push_str(point.head());
        push_integer(text, histogram.count());
        text.push('\n');
    }
}

fn push_exemplar(text: &mut String, slot: Option<&Option<Exemplar>>) {
    let Some(Some(exemplar)) = slot else { return };
    use std::fmt::Write as _;
    // Writing into a String does not fail.
    let _ = write!(text, " # {{trace_id=\"{}\",span_id=\"{}\"}} ", exemplar.trace_id, exemplar.span_id);
    push_float(text, exemplar.value);
    let since = exemplar.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let _ = write!(text, " {}.{:03}", since.as_secs(), since.subsec_millis());
}

fn push_integer(text: &mut String, value: u64) {
    text.push_str(itoa::Buffer::new().format(value));
}

fn push_float(text: &mut String, value: f64) {
    if value.is_finite() {
        text.push_str(zmij::Buffer::new().format_finite(value));
    } else if value.is_nan() {
        text.push_str("NaN");
    } else {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
}

fn float(value: f64) -> String {
    let mut text = String::new();
    push_float(&mut text, value);
    text
}
