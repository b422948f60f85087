//! What becomes of one instrument's measurements: its declaration, changed by the first user view that matches it.

use opentelemetry_sdk::metrics::{Aggregation, Stream as SdkStream};

use crate::catalog::{Metric, label_name};
use crate::config::{Metrics, View};

/// The effective stream of one instrument. The SDK's view and the bridge's own series are both made from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stream {
    /// Whether anything is recorded.
    pub(super) enabled: bool,
    /// The indices of the declared labels that are kept.
    pub(super) kept: Vec<usize>,
    /// The bounds of a histogram's buckets.
    pub(super) buckets: Vec<f64>,
    /// The most series, overflow apart.
    pub(super) limit: usize,
}

impl Stream {
    pub(super) fn new(metric: &Metric, config: &Metrics, views: &[View]) -> Self {
        let mut stream = Self {
            enabled: config.groups.contains(&metric.group),
            kept: (0..metric.labels.len()).collect(),
            buckets: metric.buckets.to_vec(),
            limit: config.series_limit,
        };
        if let Some(View { stream: view, .. }) = views.iter().find(|view| view.selector.matches(metric)) {
            stream.enabled &= !view.drop;
            if let Some(boundaries) = &view.boundaries
                && !metric.buckets.is_empty()
            {
                stream.buckets.clone_from(boundaries);
            }
            stream.limit = view.cardinality_limit.unwrap_or(stream.limit);
            stream.kept.retain(|&index| {
                let key = metric.labels[index];
                let listed = |keys: &[String]| keys.iter().any(|listed| listed == key || *listed == label_name(key));
                view.included.as_deref().is_none_or(listed) && !listed(&view.excluded)
            });
        }
        stream
    }

    /// The SDK's view of the instrument.
    ///
    /// Its own limit leaves room for the overflow series, so that the SDK never folds a series by itself.
    pub(super) fn view(&self, metric: &Metric) -> Option<SdkStream> {
        let mut view = SdkStream::builder().with_cardinality_limit(self.limit.saturating_add(2));
        if !metric.buckets.is_empty() {
            view = view.with_aggregation(Aggregation::ExplicitBucketHistogram {
                boundaries: self.buckets.clone(),
                record_min_max: true,
            });
        }
        if self.kept.len() < metric.labels.len() {
            let mut keys: Vec<_> = self.kept.iter().map(|&index| metric.labels[index].into()).collect();
            keys.push(super::instrument::OVERFLOW_KEY.into());
            view = view.with_allowed_attribute_keys(keys);
        }
        view.build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::metrics::{SESSION_DURATION, SESSION_START};
    use crate::config::{self, Selector};

    #[test]
    fn the_first_view_that_matches_holds() {
        let view = |name: &str, stream: config::Stream| View {
            selector: Selector { instrument_name: Some(name.to_owned()), ..Selector::default() },
            stream,
        };
        let views = [
            view("session.duration", config::Stream { boundaries: Some(vec![1.0, 2.0]), ..Default::default() }),
            view("session.*", config::Stream { excluded: vec!["shell_type".to_owned()], ..Default::default() }),
        ];
        let metrics = Metrics::default();
        let duration = Stream::new(&SESSION_DURATION, &metrics, &views);
        assert_eq!((duration.buckets, duration.kept), (vec![1.0, 2.0], vec![0]));
        let start = Stream::new(&SESSION_START, &metrics, &views);
        assert_eq!((start.buckets, start.kept), (vec![], vec![0]));
    }
}
