//! Requests as rows of items: counted, cut, and joined.
//!
//! The order of the items is that of the request: resource by resource, scope by scope, span by span or point by
//! point. A collector that takes less than a whole request is given a part of it, so an item is one data point and not
//! one metric.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;

/// A request whose items can be told apart.
pub(in crate::telemetry::push) trait Items: Message + Clone + Default {
    /// How many items it has.
    fn count(&self) -> u64;

    /// Keeps `most` items after the first `skip`.
    fn cut(&mut self, skip: u64, most: u64);

    /// Says only once what neighbours have in common.
    fn join(&mut self);
}

impl Items for ExportTraceServiceRequest {
    fn count(&self) -> u64 {
        self.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len() as u64).sum()
    }

    fn cut(&mut self, skip: u64, most: u64) {
        let mut window = Window { skip, most };
        self.resource_spans.retain_mut(|resource| {
            resource.scope_spans.retain_mut(|scope| window.keep(&mut scope.spans));
            !resource.scope_spans.is_empty()
        });
    }

    fn join(&mut self) {
        let mut joined: Vec<ResourceSpans> = Vec::new();
        for resource in std::mem::take(&mut self.resource_spans) {
            match joined.last_mut() {
                Some(last) if last.resource == resource.resource && last.schema_url == resource.schema_url => {
                    for scope in resource.scope_spans {
                        match last.scope_spans.last_mut() {
                            Some(last) if last.scope == scope.scope && last.schema_url == scope.schema_url => {
                                last.spans.extend(scope.spans);
                            }
                            _ => last.scope_spans.push(scope),
                        }
                    }
                }
                _ => joined.push(resource),
            }
        }
        self.resource_spans = joined;
    }
}

impl Items for ExportMetricsServiceRequest {
    fn count(&self) -> u64 {
        let metrics = self.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
        metrics
            .map(|metric| match &metric.data {
                Some(Data::Gauge(gauge)) => gauge.data_points.len() as u64,
                Some(Data::Sum(sum)) => sum.data_points.len() as u64,
                Some(Data::Histogram(histogram)) => histogram.data_points.len() as u64,
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len() as u64,
                Some(Data::Summary(summary)) => summary.data_points.len() as u64,
                None => 0,
            })
            .sum()
    }

    fn cut(&mut self, skip: u64, most: u64) {
        let mut window = Window { skip, most };
        self.resource_metrics.retain_mut(|resource| {
            resource.scope_metrics.retain_mut(|scope| {
                scope.metrics.retain_mut(|metric| match &mut metric.data {
                    Some(Data::Gauge(gauge)) => window.keep(&mut gauge.data_points),
                    Some(Data::Sum(sum)) => window.keep(&mut sum.data_points),
                    Some(Data::Histogram(histogram)) => window.keep(&mut histogram.data_points),
                    Some(Data::ExponentialHistogram(histogram)) => window.keep(&mut histogram.data_points),
                    Some(Data::Summary(summary)) => window.keep(&mut summary.data_points),
                    None => false,
                });
                !scope.metrics.is_empty()
            });
            !resource.scope_metrics.is_empty()
        });
    }

    /// A request of metrics is one snapshot, which says nothing twice.
    fn join(&mut self) {}
}

/// The items that are kept, as one list after the other goes by.
struct Window {
    skip: u64,
    most: u64,
}

impl Window {
    /// Cuts the next list; false if nothing is left of it.
    fn keep<T>(&mut self, items: &mut Vec<T>) -> bool {
        let from = items.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.skip -= from as u64;
        items.drain(..from);
        items.truncate(usize::try_from(self.most).unwrap_or(usize::MAX));
        self.most -= items.len() as u64;
        !items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};

    use super::*;

    fn spans(dropped: u32, names: &[&str]) -> ResourceSpans {
        let spans = names.iter().map(|name| Span { name: (*name).to_owned(), ..Default::default() }).collect();
        ResourceSpans {
            resource: Some(Resource { dropped_attributes_count: dropped, ..Default::default() }),
            scope_spans: vec![ScopeSpans { spans, ..Default::default() }],
            ..Default::default()
        }
    }

    fn names(request: &ExportTraceServiceRequest) -> Vec<Vec<&str>> {
        let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
        scopes.map(|s| s.spans.iter().map(|span| span.name.as_str()).collect()).collect()
    }

    #[test]
    fn neighbours_with_one_resource_are_joined_and_the_order_stays() {
        let mut request = ExportTraceServiceRequest {
            resource_spans: vec![spans(0, &["a"]), spans(0, &["b"]), spans(1, &["c"]), spans(0, &["d"])],
        };
        request.join();
        assert_eq!(names(&request), [vec!["a", "b"], vec!["c"], vec!["d"]]);
    }

    #[test]
    fn a_cut_request_of_spans_has_the_items_asked_for_and_nothing_empty() {
        let whole = ExportTraceServiceRequest { resource_spans: vec![spans(0, &["a", "b"]), spans(1, &["c", "d"])] };
        for (skip, most, expected) in [
            (0, 4, vec![vec!["a", "b"], vec!["c", "d"]]),
            (1, 2, vec![vec!["b"], vec!["c"]]),
            (2, 9, vec![vec!["c", "d"]]),
            (4, 1, vec![]),
        ] {
            let mut part = whole.clone();
            part.cut(skip, most);
            assert_eq!(names(&part), expected, "{skip} {most}");
        }
    }

    #[test]
    fn a_snapshot_is_cut_point_by_point() {
        let points = |values: &[u64]| -> Vec<NumberDataPoint> {
            values.iter().map(|&time_unix_nano| NumberDataPoint { time_unix_nano, ..Default::default() }).collect()
        };
        let metric = |name: &str, data| Metric { name: name.to_owned(), data: Some(data), ..Default::default() };
        let metrics = vec![
            metric("sum", Data::Sum(Sum { data_points: points(&[1, 2, 3]), ..Default::default() })),
            metric("gauge", Data::Gauge(Gauge { data_points: points(&[4, 5]) })),
        ];
        let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
        let whole = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }],
        };
        assert_eq!(whole.count(), 5);
        let mut seen = 0;
        for skip in 0..5 {
            let mut part = whole.clone();
            part.cut(skip, 1);
            assert_eq!(part.count(), 1);
            let metrics = &part.resource_metrics[0].scope_metrics[0].metrics;
            assert_eq!((metrics.len(), metrics[0].name == "sum"), (1, skip < 3));
            seen += 1;
        }
        assert_eq!(seen, 5);
    }
}
