//! The one reader: opentelemetry-prometheus's exporter, shared.

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, Pipeline, Temporality};

/// A handle on the one reader; the provider holds another.
#[derive(Debug, Clone)]
pub(super) struct SharedReader(Arc<PrometheusExporter>);

impl SharedReader {
    /// A reader whose metrics `registry` shows too; without one, nobody else does.
    pub(super) fn new(registry: Option<prometheus::Registry>) -> Result<Self, OTelSdkError> {
        let exporter = opentelemetry_prometheus::exporter().scope_info_enabled(false);
        let exporter = match registry {
            Some(registry) => exporter.with_registry(registry),
            None => exporter,
        };
        Ok(Self(Arc::new(exporter.build()?)))
    }
}

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
