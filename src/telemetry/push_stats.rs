//! What the push counts about itself, as the bridge's own metrics.

use std::sync::Arc;

use super::push::{ItemOutcome, RequestOutcome, Signal, Stats};
use super::{Instrument, Telemetry};
use crate::catalog::metrics::{BRIDGE_OUTBOX_ITEMS, BRIDGE_OUTBOX_SIZE, BRIDGE_PUSH_ITEMS, BRIDGE_PUSH_REQUESTS};

/// Counts requests and items of the push.
#[derive(Debug)]
pub(crate) struct PushStats {
    requests: Arc<Instrument>,
    items: Arc<Instrument>,
    outbox_items: Arc<Instrument>,
    outbox_size: Arc<Instrument>,
}

impl PushStats {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            requests: telemetry.instrument(&BRIDGE_PUSH_REQUESTS),
            items: telemetry.instrument(&BRIDGE_PUSH_ITEMS),
            outbox_items: telemetry.instrument(&BRIDGE_OUTBOX_ITEMS),
            outbox_size: telemetry.instrument(&BRIDGE_OUTBOX_SIZE),
        }
    }

    /// Shows all that can become of the items of a signal that is pushed, before any does: an alert sees the first loss
    /// only where there was a 0 before it.
    pub(crate) fn pushed(&self, signal: Signal) {
        for outcome in RequestOutcome::ALL {
            self.requests.series(&[signal.as_str(), outcome.as_str()]);
        }
        for outcome in ItemOutcome::ALL {
            self.items.series(&[signal.as_str(), outcome.as_str()]);
        }
        self.outbox(signal, 0, 0);
    }
}

impl Stats for PushStats {
    fn request(&self, signal: Signal, outcome: RequestOutcome) {
        self.requests.add(&[signal.as_str(), outcome.as_str()], 1, None);
    }

    fn items(&self, signal: Signal, outcome: ItemOutcome, n: u64) {
        self.items.add(&[signal.as_str(), outcome.as_str()], n, None);
    }

    fn outbox(&self, signal: Signal, items: u64, bytes: u64) {
        self.outbox_items.set(&[signal.as_str()], items as f64);
        self.outbox_size.set(&[signal.as_str()], bytes as f64);
    }
}
