//! The collection of metrics: each interval, and whenever someone asks.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use super::PushError;

/// Collects into the given metrics; may block for as long as a collection takes.
pub type Collect = dyn Fn(&mut ResourceMetrics) -> OTelSdkResult + Send + Sync;

/// Asks for a collection and learns how it went.
pub(super) type Asked = oneshot::Sender<Result<(), PushError>>;

/// Collects and hands what it collected to the stock exporter.
pub(super) struct Collector {
    pub(super) collect: Arc<Collect>,
    pub(super) exporter: MetricExporter,
    pub(super) interval: Duration,
    pub(super) asked: mpsc::Receiver<Asked>,
}

impl Collector {
    /// Collects until the runtime ends.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval_at(Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The SDK fills what it filled before, which spares it the memory of each collection.
        let mut metrics = ResourceMetrics::default();
        let mut failing = false;
        loop {
            let asked = tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(asked) => Some(asked),
                    None => return,
                },
                _ = ticks.tick() => None,
            };
            let (result, filled) = self.collect(metrics).await;
            metrics = filled;
            if let Err(error) = &result
                && !failing
            {
                tracing::warn!(%error, "OTLP push of metrics; this is not logged again until it works");
            }
            failing = result.is_err();
            if let Some(asked) = asked {
                // Who asked may have stopped waiting.
                let _ = asked.send(result);
            }
        }
    }

    async fn collect(&self, mut metrics: ResourceMetrics) -> (Result<(), PushError>, ResourceMetrics) {
        let collect = Arc::clone(&self.collect);
        // It takes locks and, cold, a good part of a second: the senders go on meanwhile.
        let collected = tokio::task::spawn_blocking(move || {
            let result = collect(&mut metrics);
            (result, metrics)
        });
        match collected.await {
            Ok((Ok(()), metrics)) => {
                let exported = self.exporter.export(&metrics).await;
                (exported.map_err(|e| PushError::Collect(e.to_string())), metrics)
            }
            Ok((Err(e), metrics)) => (Err(PushError::Collect(e.to_string())), metrics),
            Err(e) => (Err(PushError::Collect(e.to_string())), ResourceMetrics::default()),
        }
    }
}
