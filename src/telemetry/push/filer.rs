//! Files the collected metrics: whole snapshots, or what changed since the last one that was filed.
//!
//! A task of its own: who hands a snapshot over may stop waiting, but what was ordered from the store is waited for, so
//! that it is always known from where the next delta counts.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::delta::Filed;
use super::outbox::{Items as _, NotKept, Outbox, Row};
use crate::config::Temporality;

/// A snapshot to be filed.
pub(super) struct Filing {
    /// Cumulative.
    pub(super) snapshot: ExportMetricsServiceRequest,
    /// Learns when it is kept.
    pub(super) kept: oneshot::Sender<Result<(), NotKept>>,
}

/// Files snapshots in turn.
pub(super) struct Filer {
    outbox: Arc<Outbox<ExportMetricsServiceRequest>>,
    /// From where deltas count, where they are asked for.
    filed: Option<Filed>,
    snapshots: mpsc::Receiver<Filing>,
}

impl Filer {
    /// A filer, and the way to it; `base` is from where deltas counted before the start.
    pub(super) fn new(
        temporality: Temporality,
        base: Option<&[u8]>,
        outbox: Arc<Outbox<ExportMetricsServiceRequest>>,
    ) -> (Self, mpsc::Sender<Filing>) {
        let filed = match temporality {
            Temporality::Cumulative => None,
            Temporality::Delta => Some(base.map(read).unwrap_or_default()),
        };
        let (filer, snapshots) = mpsc::channel(1);
        (Self { outbox, filed, snapshots }, filer)
    }

    /// Files until nobody hands over anything any more.
    pub(super) async fn run(mut self) {
        while let Some(Filing { mut snapshot, kept }) = self.snapshots.recv().await {
            let result = self.file(&mut snapshot).await;
            // Who handed it over may have stopped waiting.
            let _ = kept.send(result);
        }
    }

    async fn file(&mut self, snapshot: &mut ExportMetricsServiceRequest) -> Result<(), NotKept> {
        let Some(filed) = &mut self.filed else {
            return file(&self.outbox, snapshot, true, None).await;
        };
        filed.follow(snapshot);
        let base = Filed::base(snapshot).encode_to_vec();
        file(&self.outbox, &filed.delta(snapshot), false, Some(base)).await?;
        filed.replace(snapshot);
        Ok(())
    }
}

async fn file(
    outbox: &Outbox<ExportMetricsServiceRequest>,
    request: &ExportMetricsServiceRequest,
    replaceable: bool,
    base: Option<Vec<u8>>,
) -> Result<(), NotKept> {
    let items = request.count();
    if items == 0 {
        return Ok(());
    }
    outbox.file(vec![Row { items, replaceable, request: request.encode_to_vec() }], base).await
}

fn read(base: &[u8]) -> Filed {
    let mut filed = Filed::default();
    match ExportMetricsServiceRequest::decode(base) {
        Ok(base) => filed.replace(&base),
        Err(error) => {
            tracing::error!(%error, "OTLP push: from where deltas count cannot be read; they count from the start");
        }
    }
    filed
}
