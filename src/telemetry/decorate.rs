//! What the SDK does not know, put right in the metrics that are pushed: what each series had counted before this process
//! started, when it began, and its exemplars.

use std::time::UNIX_EPOCH;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{self as otlp, exemplar, metric, number_data_point};

use super::base::{Distribution, sum};
use super::instrument::Resolver;
use super::push::Decorate;
use super::{Exemplar, SCOPE, Series, Telemetry};

impl Decorate for Telemetry {
    fn decorate(&self, request: &mut ExportMetricsServiceRequest) {
        let scopes = request.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
        for scope in scopes.filter(|scope| scope.scope.as_ref().is_some_and(|scope| scope.name == SCOPE)) {
            for metric in &mut scope.metrics {
                if let Some(instrument) = self.instruments.named(&metric.name) {
                    decorate(metric, &instrument.resolver());
                }
            }
        }
    }
}

fn decorate(metric: &mut otlp::Metric, resolver: &Resolver<'_>) {
    match &mut metric.data {
        Some(metric::Data::Histogram(histogram)) => {
            for point in &mut histogram.data_points {
                if point.count == 0 {
                    // The SDK starts from the extremes of the type, which nothing has measured.
                    (point.min, point.max) = (None, None);
                }
                let Some(series) = series(resolver, &point.attributes) else { continue };
                begin(&mut point.start_time_unix_nano, &mut point.time_unix_nano, series);
                if let Some(base) = series.base().distribution() {
                    add_base(point, base);
                }
                point.exemplars = exemplars(series, point.time_unix_nano);
            }
        }
        Some(metric::Data::Sum(sum)) => {
            for point in &mut sum.data_points {
                let Some(series) = series(resolver, &point.attributes) else { continue };
                begin(&mut point.start_time_unix_nano, &mut point.time_unix_nano, series);
                if let Some(number_data_point::Value::AsInt(value)) = &mut point.value {
                    *value = if sum.is_monotonic {
                        // OTLP has no unsigned numbers.
                        i64::try_from(series.base().counter(value.cast_unsigned())).unwrap_or(i64::MAX)
                    } else {
                        series.base().up_down_counter(*value)
                    };
                }
                if sum.is_monotonic {
                    point.exemplars = exemplars(series, point.time_unix_nano);
                }
            }
        }
        Some(metric::Data::Gauge(gauge)) => {
            for point in &mut gauge.data_points {
                let Some(series) = series(resolver, &point.attributes) else { continue };
                begin(&mut point.start_time_unix_nano, &mut point.time_unix_nano, series);
            }
        }
        _ => {}
    }
}

/// A point begins with its series. Where the clock was set back it also ends there: no point ends before it begins.
fn begin(start_ns: &mut u64, time_ns: &mut u64, series: &Series) {
    *start_ns = series.start_ns();
    *time_ns = series.start_ns().max(*time_ns);
}

fn add_base(point: &mut otlp::HistogramDataPoint, base: &Distribution) {
    point.count = point.count.wrapping_add(base.count);
    point.sum = Some(point.sum.map_or(base.sum, |since| sum(base.sum, since)));
    for (count, base) in point.bucket_counts.iter_mut().zip(&base.buckets) {
        *count = count.wrapping_add(*base);
    }
    if base.count > 0 {
        point.min = Some(point.min.map_or(base.min, |since| since.min(base.min)));
        point.max = Some(point.max.map_or(base.max, |since| since.max(base.max)));
    }
}

fn series<'r>(resolver: &'r Resolver<'_>, attributes: &[KeyValue]) -> Option<&'r Series> {
    let pairs = attributes.iter().map(|attribute| {
        let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(value)) => Some(value.as_str()),
            _ => None,
        };
        (attribute.key.as_str(), value)
    });
    resolver.series_of(pairs).map(|series| &**series)
}

fn exemplars(series: &Series, until_ns: u64) -> Vec<otlp::Exemplar> {
    series.exemplars(|slots| until(slots, until_ns))
}

/// The exemplars up to the time of their point. What was measured since it was collected belongs to the next point;
/// here, a delta would tell it, and the next delta once more.
fn until(slots: &[Option<Exemplar>], until_ns: u64) -> Vec<otlp::Exemplar> {
    slots.iter().flatten().map(to_otlp).filter(|exemplar| exemplar.time_unix_nano <= until_ns).collect()
}

fn to_otlp(exemplar: &Exemplar) -> otlp::Exemplar {
    let since = exemplar.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    otlp::Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        span_id: exemplar.span_id.to_bytes().to_vec(),
        trace_id: exemplar.trace_id.to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanId, TraceId};

    use super::*;

    #[test]
    fn a_point_has_no_exemplar_that_was_measured_after_it() {
        let exemplar = |seconds| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            Some(Exemplar { value: 1.0, time, trace_id: TraceId::from(1), span_id: SpanId::from(2) })
        };
        let slots = [exemplar(10), None, exemplar(20), exemplar(21)];
        let times: Vec<_> = until(&slots, 20_000_000_000).into_iter().map(|one| one.time_unix_nano).collect();
        assert_eq!(times, [10_000_000_000, 20_000_000_000]);
    }
}
