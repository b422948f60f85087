//! Watches the numbers as they are shown, scrape by scrape and push by push: nothing that only rises may ever fall, and
//! nothing that was shown may be gone.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use super::books::unbalanced;
use super::ledger::key;

/// No more faults of one watch are kept.
const MOST_FAULTS: usize = 20;

/// The samples of one moment, each under its name and sorted labels, as on `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// What only rises: counters, buckets, counts and sums.
    pub rising: BTreeMap<String, f64>,
    /// What does not.
    pub levels: BTreeMap<String, f64>,
    /// When each series began, where that is told: nanoseconds since 1970.
    pub starts: BTreeMap<String, u64>,
}

impl Shown {
    /// What a scrape answered, in whichever format.
    pub fn of_text(text: &str) -> Self {
        let mut shown = Self::default();
        let mut rises = false;
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                rises = family.ends_with(" counter") || family.ends_with(" histogram");
            }
            if line.starts_with('#') {
                continue;
            }
            let sample = line.split_once(" # {").map_or(line, |(sample, _)| sample);
            let (name, value) = sample.rsplit_once(' ').unwrap();
            let name = match name.split_once('{') {
                None => name.to_owned(),
                Some((name, labels)) => {
                    let labels = labels.strip_suffix("\"}").unwrap().split("\",");
                    key(name, &labels.map(|label| label.split_once("=\"").unwrap()).collect::<Vec<_>>())
                }
            };
            let into = if rises { &mut shown.rising } else { &mut shown.levels };
            let before = into.insert(name, value.parse().unwrap());
            assert!(before.is_none(), "{line} is there twice");
        }
        shown
    }

    /// What a push brought, under the names that Prometheus gives it.
    pub fn of_push(request: &ExportMetricsServiceRequest) -> Self {
        let mut shown = Self::default();
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let name = prometheus_name(&metric.name, &metric.unit);
            match metric.data.as_ref().unwrap() {
                Data::Gauge(gauge) => {
                    for point in &gauge.data_points {
                        shown.levels.insert(series(&name, &point.attributes), number(&point.value));
                    }
                }
                Data::Sum(sum) => {
                    let name = if sum.is_monotonic { format!("{name}_total") } else { name };
                    for point in &sum.data_points {
                        let into = if sum.is_monotonic { &mut shown.rising } else { &mut shown.levels };
                        let series = series(&name, &point.attributes);
                        into.insert(series.clone(), number(&point.value));
                        shown.starts.insert(series, point.start_time_unix_nano);
                    }
                }
                Data::Histogram(histogram) => {
                    for point in &histogram.data_points {
                        let labels = labels(&point.attributes);
                        let mut show = |suffix: &str, le: Option<&str>, value: f64| {
                            let mut labels: Vec<_> =
                                labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
                            labels.extend(le.map(|le| ("le", le)));
                            shown.rising.insert(key(&format!("{name}{suffix}"), &labels), value);
                        };
                        let mut within = 0;
                        for (bound, count) in point.explicit_bounds.iter().zip(&point.bucket_counts) {
                            within += count;
                            show("_bucket", Some(&format!("{bound:?}")), within as f64);
                        }
                        show("_bucket", Some("+Inf"), point.bucket_counts.iter().sum::<u64>() as f64);
                        show("_count", None, point.count as f64);
                        show("_sum", None, point.sum.unwrap());
                        shown.starts.insert(series(&name, &point.attributes), point.start_time_unix_nano);
                    }
                }
                other => panic!("{}: {other:?}", metric.name),
            }
        }
        shown
    }

    /// What is wrong with the bridge's own books.
    pub fn unbalanced(&self) -> Vec<String> {
        unbalanced(self.rising.iter().chain(&self.levels).map(|(key, value)| (key.as_str(), *value)))
    }
}

/// The name that Prometheus gives a metric, but for the `_total` of a counter.
pub fn prometheus_name(name: &str, unit: &str) -> String {
    let name = name.replace('.', "_");
    let suffix = match unit {
        "s" => "_seconds",
        "By" => "_bytes",
        "%" => "_percent",
        _ => "",
    };
    if name.ends_with(suffix) { name } else { name + suffix }
}

fn labels(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Attribute::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.replace('.', "_"), text(&one.value))).collect()
}

fn series(name: &str, attributes: &[KeyValue]) -> String {
    let labels = labels(attributes);
    key(name, &labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect::<Vec<_>>())
}

fn number(value: &Option<Number>) -> f64 {
    match value.as_ref().unwrap() {
        Number::AsDouble(value) => *value,
        Number::AsInt(value) => *value as f64,
    }
}

/// What is shown of the bridge itself and of its machine, which starts anew with the process.
pub fn starts_anew(key: &str) -> bool {
    let names = [
        "bridge_",
        "target_info",
        "mcp_hub_app_info",
        "mcp_hub_cpu_",
        "mcp_hub_memory_",
        "mcp_hub_disk_",
        "mcp_hub_uptime_",
    ];
    names.iter().any(|name| key.starts_with(name))
}

/// One who watches, from the first look to the last.
#[derive(Debug)]
pub struct Watch {
    name: &'static str,
    last: Shown,
    pub looks: usize,
    pub faults: Vec<String>,
}

impl Watch {
    pub fn new(name: &'static str) -> Self {
        Self { name, last: Shown::default(), looks: 0, faults: Vec::new() }
    }

    /// The samples of the last look.
    pub fn last(&self) -> &Shown {
        &self.last
    }

    pub fn fault(&mut self, fault: &str) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(format!("{} {}: {fault}", self.name, self.looks));
        }
    }

    pub fn look(&mut self, shown: Shown) {
        self.looks += 1;
        let last = std::mem::take(&mut self.last);
        for (key, before) in last.rising.iter().filter(|(key, _)| !starts_anew(key)) {
            match shown.rising.get(key) {
                None => self.fault(&format!("{key} is gone; it was {before}")),
                Some(now) if now < before => self.fault(&format!("{key} fell from {before} to {now}")),
                Some(_) => {}
            }
        }
        for key in last.levels.keys().filter(|key| !starts_anew(key) && !shown.levels.contains_key(*key)) {
            self.fault(&format!("{key} is gone"));
        }
        for (key, before) in last.starts.iter().filter(|(key, _)| !starts_anew(key)) {
            if let Some(now) = shown.starts.get(key).filter(|now| *now != before) {
                self.fault(&format!("{key} starts at {now} rather than at {before}"));
            }
        }
        self.last = shown;
    }
}

/// What is shown and should not be, or not so. What only the bridge can know is left out: how long handling took.
pub fn differences(shown: &Shown, expected: &BTreeMap<String, f64>) -> Vec<String> {
    let found: BTreeMap<&String, f64> =
        shown.rising.iter().chain(&shown.levels).map(|(key, value)| (key, *value)).collect();
    let mut wrong = Vec::new();
    for (key, value) in expected {
        // Of quantiles, means and rates the last bit is the division's.
        let divided = ["_seconds_avg{", "latency_seconds{", "_rate{"].iter().any(|name| key.contains(name));
        let near = if divided { 1e-12 * value.abs() } else { 0.0 };
        if !found.get(key).is_some_and(|found| (found - value).abs() <= near) {
            wrong.push(format!("{key} is {:?} rather than {value}", found.get(key)));
        }
    }
    let handling = |key: &str| {
        key.starts_with("mcp_event_emit_duration_seconds_")
            && ["session_start", "session_end"].iter().any(|kind| key.contains(&format!("event_type=\"{kind}\"")))
    };
    let known = |key: &str| expected.contains_key(key) || starts_anew(key) || handling(key);
    wrong.extend(found.iter().filter(|(key, _)| !known(key)).map(|(key, value)| format!("{key} {value} is too much")));
    wrong
}
