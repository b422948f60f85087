//! What the SDK does not know, put right in the metrics that are pushed: above all the exemplars of each series.

use std::time::UNIX_EPOCH;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{self as otlp, exemplar, metric};

use super::push::Decorate;
use super::series::Resolver;
use super::{Exemplar, SCOPE, Telemetry};

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
                point.exemplars = exemplars(resolver, &point.attributes);
            }
        }
        Some(metric::Data::Sum(sum)) if sum.is_monotonic => {
            for point in &mut sum.data_points {
                point.exemplars = exemplars(resolver, &point.attributes);
            }
        }
        _ => {}
    }
}

fn exemplars(resolver: &Resolver<'_>, attributes: &[KeyValue]) -> Vec<otlp::Exemplar> {
    let pairs = attributes.iter().map(|attribute| {
        let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(value)) => Some(value.as_str()),
            _ => None,
        };
        (attribute.key.as_str(), value)
    });
    let Some(series) = resolver.series_of(pairs) else { return Vec::new() };
    series.exemplars(|slots| slots.iter().flatten().map(to_otlp).collect())
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
