//! Deltas, worked out from what was filed before.
//!
//! As OpenTelemetry's delta preference says, monotonic sums and histograms become deltas; sums that may fall and
//! gauges stay as they are. A series that did not change is left out. Each delta is filed once, and in the same
//! transaction the base from which the next one counts: a restart neither repeats a change nor misses one.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, HistogramDataPoint, Metric, NumberDataPoint,
};
use prost::Message;

const DELTA: i32 = AggregationTemporality::Delta as i32;

/// The last values that were filed: for each metric its series, by their attributes.
#[derive(Default)]
pub(super) struct Filed(HashMap<Vec<u8>, HashMap<Vec<u8>, Last>>);

/// The last filed point of one series.
struct Last {
    start: u64,
    time: u64,
    total: Total,
    /// Those that were told. A new one need not be younger: its time is that of its event, which may have come late.
    exemplars: Vec<Told>,
}

/// What tells an exemplar from another of its series: when it was measured, and in which span.
type Told = (u64, Vec<u8>);

enum Total {
    Number(Option<Value>),
    Histogram { count: u64, sum: Option<f64>, buckets: Vec<u64>, bounds: Vec<f64> },
}

impl Filed {
    /// What changed from what was filed before to `snapshot`; no resources at all if nothing did.
    pub(super) fn delta(&self, snapshot: &ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
        let mut request = snapshot.clone();
        for resource in &mut request.resource_metrics {
            for scope in &mut resource.scope_metrics {
                let scope_key = scope.scope.as_ref();
                scope.metrics.retain_mut(|metric| {
                    let key = metric_key(scope_key, metric);
                    subtract(metric, self.0.get(&key))
                });
            }
            resource.scope_metrics.retain(|scope| !scope.metrics.is_empty());
        }
        request.resource_metrics.retain(|resource| !resource.scope_metrics.is_empty());
        request
    }

    /// Lets no series of `snapshot` end before what was filed of it, as it would where the clock was set back: an
    /// interval does not end before it begins, and the next one begins where this one ends.
    pub(super) fn follow(&self, snapshot: &mut ExportMetricsServiceRequest) {
        let scopes = snapshot.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
        for scope in scopes {
            for metric in &mut scope.metrics {
                let key = metric_key(scope.scope.as_ref(), metric);
                let Some(series) = self.0.get(&key) else { continue };
                let after = |attributes: &[KeyValue], start: u64, time: &mut u64| {
                    let last = series.get(&series_key(attributes)).filter(|last| last.start == start);
                    *time = last.map_or(*time, |last| last.time.max(*time));
                };
                match &mut metric.data {
                    Some(Data::Sum(sum)) if sum.is_monotonic => {
                        for point in &mut sum.data_points {
                            after(&point.attributes, point.start_time_unix_nano, &mut point.time_unix_nano);
                        }
                    }
                    Some(Data::Histogram(histogram)) => {
                        for point in &mut histogram.data_points {
                            after(&point.attributes, point.start_time_unix_nano, &mut point.time_unix_nano);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// What of `snapshot` the next delta counts from.
    pub(super) fn base(snapshot: &ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
        let mut base = snapshot.clone();
        for scope in base.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics) {
            scope.metrics.retain_mut(|metric| match &mut metric.data {
                Some(Data::Sum(sum)) if sum.is_monotonic => {
                    sum.data_points.iter_mut().for_each(|point| point.exemplars.clear());
                    true
                }
                Some(Data::Histogram(histogram)) => {
                    histogram.data_points.iter_mut().for_each(|point| point.exemplars.clear());
                    true
                }
                _ => false,
            });
        }
        base
    }

    /// All of `snapshot` is filed.
    pub(super) fn replace(&mut self, snapshot: &ExportMetricsServiceRequest) {
        let mut filed: HashMap<Vec<u8>, HashMap<Vec<u8>, Last>> = HashMap::with_capacity(self.0.len());
        for scope in snapshot.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics) {
            for metric in &scope.metrics {
                let series = filed.entry(metric_key(scope.scope.as_ref(), metric)).or_default();
                match &metric.data {
                    Some(Data::Sum(sum)) if sum.is_monotonic => {
                        series.extend(sum.data_points.iter().map(|p| (series_key(&p.attributes), Last::of_number(p))));
                    }
                    Some(Data::Histogram(histogram)) => {
                        let points = histogram.data_points.iter();
                        series.extend(points.map(|p| (series_key(&p.attributes), Last::of_histogram(p))));
                    }
                    _ => {}
                }
            }
        }
        self.0 = filed;
    }
}

impl Last {
    fn of_number(point: &NumberDataPoint) -> Self {
        Self {
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            total: Total::Number(point.value),
            exemplars: point.exemplars.iter().map(told).collect(),
        }
    }

    fn of_histogram(point: &HistogramDataPoint) -> Self {
        let total = Total::Histogram {
            count: point.count,
            sum: point.sum,
            buckets: point.bucket_counts.clone(),
            bounds: point.explicit_bounds.clone(),
        };
        let exemplars = point.exemplars.iter().map(told).collect();
        Self { start: point.start_time_unix_nano, time: point.time_unix_nano, total, exemplars }
    }
}

/// Makes a metric's points deltas; false if none is left.
fn subtract(metric: &mut Metric, series: Option<&HashMap<Vec<u8>, Last>>) -> bool {
    let last = |attributes: &[KeyValue]| series.and_then(|series| series.get(&series_key(attributes)));
    match &mut metric.data {
        Some(Data::Sum(sum)) if sum.is_monotonic => {
            sum.aggregation_temporality = DELTA;
            sum.data_points.retain_mut(|point| match last(&point.attributes) {
                Some(last) => subtract_number(point, last),
                None => true,
            });
            !sum.data_points.is_empty()
        }
        Some(Data::Histogram(histogram)) => {
            histogram.aggregation_temporality = DELTA;
            histogram.data_points.retain_mut(|point| {
                // The least and the most of an interval cannot be told from those of the whole time.
                (point.min, point.max) = (None, None);
                match last(&point.attributes) {
                    Some(last) => subtract_histogram(point, last),
                    None => true,
                }
            });
            !histogram.data_points.is_empty()
        }
        Some(_) => true,
        None => false,
    }
}

/// Takes `last` off; false if nothing is left. A series that started anew counts from its start.
fn subtract_number(point: &mut NumberDataPoint, last: &Last) -> bool {
    let Total::Number(before) = &last.total else { return true };
    if point.start_time_unix_nano != last.start {
        return true;
    }
    let (changed, delta) = match (point.value, before) {
        (Some(Value::AsInt(now)), Some(Value::AsInt(before))) if now >= *before => {
            (now != *before, Value::AsInt(now - before))
        }
        (Some(Value::AsDouble(now)), Some(Value::AsDouble(before))) if now >= *before => {
            (now != *before, Value::AsDouble(now - before))
        }
        _ => return true,
    };
    point.value = Some(delta);
    point.start_time_unix_nano = last.time;
    leave_untold(&mut point.exemplars, last);
    changed
}

/// Takes `last` off; false if nothing is left. A series that started anew counts from its start.
fn subtract_histogram(point: &mut HistogramDataPoint, last: &Last) -> bool {
    let Total::Histogram { count, sum, buckets, bounds } = &last.total else { return true };
    let same = point.start_time_unix_nano == last.start
        && point.count >= *count
        && point.explicit_bounds == *bounds
        && point.bucket_counts.len() == buckets.len()
        && point.bucket_counts.iter().zip(buckets).all(|(now, before)| now >= before);
    if !same {
        return true;
    }
    let changed = point.count != *count;
    point.count -= count;
    point.sum = point.sum.map(|now| now - sum.unwrap_or(0.0));
    for (now, before) in point.bucket_counts.iter_mut().zip(buckets) {
        *now -= before;
    }
    point.start_time_unix_nano = last.time;
    leave_untold(&mut point.exemplars, last);
    changed
}

/// An interval's exemplars are those that came in it.
fn leave_untold(exemplars: &mut Vec<Exemplar>, last: &Last) {
    exemplars.retain(|exemplar| !last.exemplars.contains(&told(exemplar)));
}

fn told(exemplar: &Exemplar) -> Told {
    (exemplar.time_unix_nano, exemplar.span_id.clone())
}

fn metric_key(scope: Option<&InstrumentationScope>, metric: &Metric) -> Vec<u8> {
    let scope = scope.map_or("", |scope| scope.name.as_str());
    [scope.as_bytes(), &[0], metric.name.as_bytes()].concat()
}

/// Attributes in an order that does not depend on how they were given.
fn series_key(attributes: &[KeyValue]) -> Vec<u8> {
    let mut sorted: Vec<&KeyValue> = attributes.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut key = Vec::with_capacity(attributes.len() * 24);
    for attribute in sorted {
        key.extend_from_slice(&attribute.encode_length_delimited_to_vec());
    }
    key
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, Histogram, ResourceMetrics, ScopeMetrics, Sum};

    use super::*;

    const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

    fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
        let value = |v: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(v.to_owned())) });
        pairs.iter().map(|(k, v)| KeyValue { key: (*k).to_owned(), value: value(v), ..Default::default() }).collect()
    }

    fn number(pairs: &[(&str, &str)], start: u64, time: u64, value: i64) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(pairs),
            start_time_unix_nano: start,
            time_unix_nano: time,
            value: Some(Value::AsInt(value)),
            ..Default::default()
        }
    }

    fn sum(is_monotonic: bool, data_points: Vec<NumberDataPoint>) -> Data {
        Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic })
    }

    fn request(metrics: Vec<(&str, Data)>) -> ExportMetricsServiceRequest {
        let metrics = metrics.into_iter().map(|(name, data)| Metric {
            name: name.to_owned(),
            data: Some(data),
            ..Default::default()
        });
        let scope_metrics = vec![ScopeMetrics { metrics: metrics.collect(), ..Default::default() }];
        ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }
    }

    fn data(request: &ExportMetricsServiceRequest) -> Vec<Data> {
        let scopes = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics);
        scopes.flat_map(|s| &s.metrics).filter_map(|m| m.data.clone()).collect()
    }

    #[test]
    fn a_sum_tells_what_was_added_since_it_was_filed() {
        let mut filed = Filed::default();
        let first = request(vec![("calls", sum(true, vec![number(&[("a", "1"), ("b", "2")], 10, 20, 5)]))]);
        assert_eq!(data(&filed.delta(&first)), [delta_of(vec![number(&[("a", "1"), ("b", "2")], 10, 20, 5)])]);
        filed.replace(&first);
        // The same attributes in another order are the same series; a new one counts from its start.
        let second = request(vec![(
            "calls",
            sum(true, vec![number(&[("b", "2"), ("a", "1")], 10, 30, 12), number(&[("a", "9")], 25, 30, 3)]),
        )]);
        let expected = vec![number(&[("b", "2"), ("a", "1")], 20, 30, 7), number(&[("a", "9")], 25, 30, 3)];
        assert_eq!(data(&filed.delta(&second)), [delta_of(expected)]);
    }

    #[test]
    fn unchanged_series_are_left_out_and_restarted_ones_count_from_their_start() {
        let mut filed = Filed::default();
        filed.replace(&request(vec![("calls", sum(true, vec![number(&[], 10, 20, 5)]))]));
        let same = request(vec![("calls", sum(true, vec![number(&[], 10, 30, 5)]))]);
        assert!(filed.delta(&same).resource_metrics.is_empty());
        let restarted = request(vec![("calls", sum(true, vec![number(&[], 25, 30, 8)]))]);
        assert_eq!(data(&filed.delta(&restarted)), [delta_of(vec![number(&[], 25, 30, 8)])]);
    }

    #[test]
    fn intervals_join_and_none_ends_before_it_begins_where_the_clock_is_set_back() {
        let mut filed = Filed::default();
        let mut file = |time, value| {
            let mut snapshot = request(vec![("calls", sum(true, vec![number(&[], 10, time, value)]))]);
            filed.follow(&mut snapshot);
            let delta = data(&filed.delta(&snapshot));
            filed.replace(&snapshot);
            delta
        };
        assert_eq!(file(100, 5), [delta_of(vec![number(&[], 10, 100, 5)])]);
        assert_eq!(file(40, 6), [delta_of(vec![number(&[], 100, 100, 1)])]);
        assert_eq!(file(60, 8), [delta_of(vec![number(&[], 100, 100, 2)])]);
        assert_eq!(file(120, 9), [delta_of(vec![number(&[], 100, 120, 1)])]);
    }

    #[test]
    fn what_may_fall_stays_as_it_is() {
        let snapshot = request(vec![
            ("level", sum(false, vec![number(&[], 10, 20, 5)])),
            ("gauge", Data::Gauge(Gauge { data_points: vec![number(&[], 0, 20, 5)] })),
        ]);
        let mut filed = Filed::default();
        filed.replace(&snapshot);
        assert_eq!(filed.delta(&snapshot), snapshot);
    }

    #[test]
    fn a_histogram_tells_its_buckets_since_it_was_filed_and_no_extremes() {
        let histogram = |start, time, count, sum: f64, buckets: [u64; 3], exemplars: &[u64]| {
            Data::Histogram(Histogram {
                aggregation_temporality: CUMULATIVE,
                data_points: vec![HistogramDataPoint {
                    start_time_unix_nano: start,
                    time_unix_nano: time,
                    count,
                    sum: Some(sum),
                    bucket_counts: buckets.to_vec(),
                    explicit_bounds: vec![1.0, 2.0],
                    min: Some(0.5),
                    max: Some(3.0),
                    exemplars: exemplars
                        .iter()
                        .map(|&time_unix_nano| Exemplar { time_unix_nano, ..Default::default() })
                        .collect(),
                    ..Default::default()
                }],
            })
        };
        let mut filed = Filed::default();
        filed.replace(&request(vec![("seconds", histogram(10, 20, 3, 5.0, [1, 1, 1], &[15]))]));
        let later = request(vec![("seconds", histogram(10, 30, 5, 8.5, [2, 1, 2], &[15, 25, 12]))]);
        let [Data::Histogram(delta)] = &data(&filed.delta(&later))[..] else { panic!("a histogram") };
        assert_eq!(delta.aggregation_temporality, DELTA);
        let point = &delta.data_points[0];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (20, 30));
        assert_eq!((point.count, point.sum, &point.bucket_counts[..]), (2, Some(3.5), &[1, 0, 1][..]));
        assert_eq!((point.min, point.max), (None, None));
        assert_eq!(point.exemplars.iter().map(|e| e.time_unix_nano).collect::<Vec<_>>(), [25, 12]);
    }

    fn delta_of(data_points: Vec<NumberDataPoint>) -> Data {
        Data::Sum(Sum { data_points, aggregation_temporality: DELTA, is_monotonic: true })
    }
}
