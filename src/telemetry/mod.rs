//! The OpenTelemetry SDK, set up from the catalog: one meter provider, one reader, and what the SDK does not know.
//!
//! The reader is opentelemetry-prometheus's exporter, shared: the scrape, the push and an application's own
//! `prometheus::Registry` all collect through it, because a second reader would double the cost of every measurement
//! and its memory. The provider is never set as the global one.

mod base;
mod decorate;
mod exemplar;
mod instrument;
mod instruments;
mod intern;
mod newcomers;
mod order;
pub mod push;
mod push_stats;
mod reader;
mod resource;
mod series;
mod snapshot;
mod stream;
mod system;
mod tracer;

pub use base::HistogramValue;
pub(crate) use base::{Base, Distribution, sum};
pub use exemplar::{Exemplar, Link};
pub use instrument::Instrument;
pub(crate) use instrument::escape_label_value;
pub(crate) use newcomers::Newcomer;
pub(crate) use push_stats::PushStats;
pub use resource::{instance_id, resource};
pub use series::Series;
pub use snapshot::{Family, Point, Snapshot, Value};
pub(crate) use system::Sampler;
pub use tracer::{EventTracer, FinishedSpan, sdk_sampler};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader as _;
use opentelemetry_sdk::metrics::{Instrument as SdkInstrument, SdkMeterProvider};

use crate::catalog::Metric;
use crate::config::{ExemplarFilter, Metrics, View};
use instruments::Instruments;
use newcomers::Newcomers;
use reader::SharedReader;
use stream::Stream;

/// The name of the instrumentation scope of all that the bridge records.
pub const SCOPE: &str = crate::config::METER_NAME;

/// The bridge's own telemetry: its meter provider, instruments and reader.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkMeterProvider,
    reader: SharedReader,
    instruments: Instruments,
    resource: Resource,
    exemplars: bool,
    newcomers: Arc<Newcomers>,
    /// Held while a batch is applied and while everything is collected: what is collected is whole batches.
    gate: Mutex<()>,
}

/// Why the telemetry could not be set up or collected.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be {action}: {source}")]
pub struct TelemetryError {
    action: &'static str,
    source: OTelSdkError,
}

impl Telemetry {
    /// Sets the SDK up for the whole catalog.
    ///
    /// With `registry`, an application's `prometheus::Registry` shows the same metrics.
    ///
    /// # Errors
    ///
    /// When the registry holds an OpenTelemetry exporter already.
    pub fn new(
        resource: Resource,
        metrics: &Metrics,
        views: &[View],
        exemplar_filter: ExemplarFilter,
        registry: Option<prometheus::Registry>,
    ) -> Result<Self, TelemetryError> {
        let reader = SharedReader::new(registry).map_err(|source| TelemetryError { action: "set up", source })?;
        let streams: Vec<(&'static Metric, Stream)> =
            crate::catalog::all().map(|metric| (metric, Stream::new(metric, metrics, views))).collect();
        let provider = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(reader.clone())
            .with_view({
                let streams = streams.clone();
                move |instrument: &SdkInstrument| {
                    let (metric, stream) = streams.iter().find(|(metric, _)| metric.otel == instrument.name())?;
                    stream.view(metric)
                }
            })
            .build();
        let newcomers = Arc::<Newcomers>::default();
        let instruments = Instruments::new(&provider.meter(SCOPE), streams, &newcomers);
        let exemplars = exemplar_filter == ExemplarFilter::TraceBased;
        Ok(Self { provider, reader, instruments, resource, exemplars, newcomers, gate: Mutex::default() })
    }

    /// The instrument of a metric of the catalog.
    pub fn instrument(&self, metric: &'static Metric) -> Arc<Instrument> {
        self.instruments.get(metric)
    }

    /// All instruments, in no telling order.
    pub(crate) fn instruments(&self) -> impl Iterator<Item = &Arc<Instrument>> {
        self.instruments.all()
    }

    /// The series that came since the last time and outlive a restart, in the order of their coming.
    pub(crate) fn take_newcomers(&self) -> Vec<Newcomer> {
        self.newcomers.take()
    }

    /// What the telemetry describes.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Whether measurements leave exemplars.
    pub fn exemplars(&self) -> bool {
        self.exemplars
    }

    /// Keeps collections out until the guard is dropped.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects everything, between two batches. Takes up to 100 ms for 100,000 series: not for an async task.
    ///
    /// # Errors
    ///
    /// After [`Telemetry::shutdown`].
    pub fn collect(&self) -> Result<Snapshot<'_>, TelemetryError> {
        let mut metrics = ResourceMetrics::default();
        self.collect_into(&mut metrics).map_err(|source| TelemetryError { action: "collected", source })?;
        Ok(Snapshot::new(metrics, &self.instruments))
    }

    /// Collects everything into the SDK's own form, between two batches.
    ///
    /// # Errors
    ///
    /// After [`Telemetry::shutdown`].
    pub fn collect_into(&self, metrics: &mut ResourceMetrics) -> Result<(), OTelSdkError> {
        let _gate = self.hold();
        self.reader.collect(metrics)
    }

    /// The collection as the push calls it.
    pub(crate) fn collector(self: &Arc<Self>) -> Arc<push::Collect> {
        let telemetry = Arc::clone(self);
        Arc::new(move |metrics| telemetry.collect_into(metrics))
    }

    /// Ends the provider; later collections fail.
    pub fn shutdown(&self) {
        // The only error says that it was shut down before.
        let _ = self.provider.shutdown();
    }
}
