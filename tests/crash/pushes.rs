//! What the collector got, looked at once and then let go.

use std::collections::{BTreeMap, HashSet};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use crate::collector::Collector;
use crate::load::watch::{Shown, Watch};
use crate::spans::Arrived;

/// All of it, and what is wrong with it.
pub struct Pushes {
    metrics: Metrics,
    pub spans: Arrived,
    metrics_taken: usize,
    spans_taken: usize,
}

/// What the metrics come to.
enum Metrics {
    /// Each push tells the totals.
    Totals(Watch),
    /// Each tells what changed.
    Changes { sum: Shown, came: HashSet<Vec<u8>>, looks: usize },
}

impl Pushes {
    pub fn of_totals() -> Self {
        Self::of(Metrics::Totals(Watch::new("push")))
    }

    pub fn of_changes() -> Self {
        Self::of(Metrics::Changes { sum: Shown::default(), came: HashSet::new(), looks: 0 })
    }

    /// The setting that a bridge is told by to push so.
    pub fn temporality(&self) -> (&'static str, &'static str) {
        let temporality = match self.metrics {
            Metrics::Totals(_) => "cumulative",
            Metrics::Changes { .. } => "delta",
        };
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality)
    }

    fn of(metrics: Metrics) -> Self {
        Self { metrics, spans: Arrived::default(), metrics_taken: 0, spans_taken: 0 }
    }

    pub fn take(&mut self, collector: &Collector) {
        let (metrics, spans) = collector.seen(|seen| {
            let metrics = seen.metrics[self.metrics_taken..].iter_mut().map(|got| std::mem::take(&mut got.request));
            let spans = seen.spans[self.spans_taken..].iter_mut();
            let spans = spans.map(|got| (got.connection, std::mem::take(&mut got.request)));
            (metrics.collect::<Vec<_>>(), spans.collect::<Vec<_>>())
        });
        self.metrics_taken += metrics.len();
        self.spans_taken += spans.len();
        metrics.iter().for_each(|request| self.metrics.look(request));
        spans.iter().for_each(|(connection, request)| self.spans.request(*connection, request));
    }

    /// What the metrics come to by now.
    pub fn shown(&self) -> &Shown {
        match &self.metrics {
            Metrics::Totals(watch) => watch.last(),
            Metrics::Changes { sum, .. } => sum,
        }
    }

    pub fn looks(&self) -> usize {
        match &self.metrics {
            Metrics::Totals(watch) => watch.looks,
            Metrics::Changes { looks, .. } => *looks,
        }
    }

    /// What is wrong with the metrics, while it went on; of changes no more may come twice than was cut off.
    pub fn faults(&self, cuts: usize) -> Vec<String> {
        match &self.metrics {
            Metrics::Totals(watch) => watch.faults.clone(),
            Metrics::Changes { came, looks, .. } => {
                let repeated = looks - came.len();
                let fault = format!("{repeated} requests came again, and only {cuts} may have been cut off");
                Vec::from_iter((repeated > cuts).then_some(fault))
            }
        }
    }
}

impl Metrics {
    fn look(&mut self, request: &ExportMetricsServiceRequest) {
        match self {
            Self::Totals(watch) => watch.look(Shown::of_push(request)),
            Self::Changes { sum, came, looks } => {
                *looks += 1;
                // What was cut off comes again just as it was.
                if came.insert(request.encode_to_vec()) {
                    let Shown { rising, levels, .. } = Shown::of_push(request);
                    add(&mut sum.rising, rising);
                    sum.levels.extend(levels);
                }
            }
        }
    }
}

fn add(sum: &mut BTreeMap<String, f64>, changes: BTreeMap<String, f64>) {
    for (key, change) in changes {
        *sum.entry(key).or_default() += change;
    }
}
