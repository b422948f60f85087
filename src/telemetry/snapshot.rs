//! One collection of all metrics, joined with the side records of their series.
//!
//! Every way out that shows numbers reads a [`Snapshot`]: it is the one place where what the SDK counted and what the
//! bridge knows beside it come together.

use std::sync::Arc;

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric as SdkMetric, MetricData, ResourceMetrics};

use super::base::HistogramValue;
use super::exemplar::Exemplar;
use super::instrument::Instrument;
use super::instruments::Instruments;
use super::series::Series;

/// What the SDK had counted at one moment.
#[derive(Debug)]
pub struct Snapshot<'t> {
    metrics: ResourceMetrics,
    instruments: &'t Instruments,
}

/// One metric of a snapshot that has at least one series.
#[derive(Debug)]
pub struct Family<'s> {
    /// The instrument that recorded it.
    pub instrument: &'s Arc<Instrument>,
    data: &'s SdkMetric,
}

/// One series of a family.
#[derive(Debug)]
pub struct Point<'p> {
    /// The side record.
    pub series: &'p Series,
    /// What was counted.
    pub value: Value<'p>,
    /// See [`Point::head`].
    pub(super) head: &'p str,
    /// Whether any series of the family has an exemplar.
    pub(super) exemplified: bool,
}

impl Point<'_> {
    /// What is printed before the value: `name{label="value",...} `, without labels `name `.
    ///
    /// The samples of a histogram have several names: its head begins after the name.
    pub(crate) fn head(&self) -> &str {
        self.head
    }

    /// Hands the exemplars to `read`: one slot a bucket (a counter has one), or none at all.
    pub(crate) fn exemplars<R>(&self, read: impl FnOnce(&[Option<Exemplar>]) -> R) -> R {
        if self.exemplified { self.series.exemplars(read) } else { read(&[]) }
    }
}

/// What was counted in one series.
#[derive(Debug, Clone, Copy)]
pub enum Value<'p> {
    /// A counter's total.
    Counter(u64),
    /// A gauge's or an up-down counter's value.
    Gauge(f64),
    /// A histogram.
    Histogram(HistogramValue<'p>),
}

impl<'t> Snapshot<'t> {
    pub(super) fn new(metrics: ResourceMetrics, instruments: &'t Instruments) -> Self {
        Self { metrics, instruments }
    }

    /// The families that have series, in the order of the catalog.
    pub fn families(&self) -> Vec<Family<'_>> {
        let mut families: Vec<Family<'_>> = self
            .metrics
            .scope_metrics()
            .flat_map(|scope| scope.metrics())
            .filter_map(|data| Some(Family { instrument: self.instruments.named(data.name())?, data }))
            .collect();
        families.sort_by_key(|family| family.instrument.place());
        families
    }
}

impl Family<'_> {
    /// Hands every series that has a side record to `each`.
    pub fn for_each(&self, each: impl FnMut(Point<'_>)) {
        match self.data.data() {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => self.instrument.walk(sum.data_points(), each),
            AggregatedMetrics::I64(MetricData::Sum(sum)) => self.instrument.walk(sum.data_points(), each),
            AggregatedMetrics::F64(MetricData::Gauge(gauge)) => self.instrument.walk(gauge.data_points(), each),
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                self.instrument.walk(histogram.data_points(), each);
            }
            // No instrument of the catalog aggregates in another way.
            _ => {}
        }
    }
}
