//! Every instrument of the catalog, made once.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::metrics::Meter;

use super::instrument::Instrument;
use super::newcomers::Newcomers;
use super::stream::Stream;
use crate::catalog::Metric;
use crate::catalog::metrics::BRIDGE_SERIES_OVERFLOW;

/// All instruments, by OpenTelemetry name.
#[derive(Debug)]
pub(super) struct Instruments {
    by_name: HashMap<&'static str, Arc<Instrument>>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter, streams: Vec<(&'static Metric, Stream)>, newcomers: &Arc<Newcomers>) -> Self {
        // The counter of overflow is made first, because every other instrument counts into it.
        let (overflow, others): (Vec<_>, Vec<_>) =
            streams.into_iter().partition(|(metric, _)| metric.otel == BRIDGE_SERIES_OVERFLOW.otel);
        let mut by_name = HashMap::new();
        for (metric, stream) in overflow.into_iter().chain(others) {
            let overflows: Option<Arc<Instrument>> = by_name.get(BRIDGE_SERIES_OVERFLOW.otel).cloned();
            by_name.insert(metric.otel, Arc::new(Instrument::new(meter, metric, stream, overflows, newcomers)));
        }
        Self { by_name }
    }

    /// The instrument of a metric of the catalog.
    pub(super) fn get(&self, metric: &'static Metric) -> Arc<Instrument> {
        // Every metric of the catalog has its instrument, and a `Metric` cannot be made elsewhere.
        Arc::clone(&self.by_name[metric.otel])
    }

    /// The instrument of that OpenTelemetry name.
    pub(super) fn named(&self, name: &str) -> Option<&Arc<Instrument>> {
        self.by_name.get(name)
    }

    /// All of them, in no telling order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Instrument>> {
        self.by_name.values()
    }
}
