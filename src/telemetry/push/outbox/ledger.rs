//! The book of an outbox: every item that comes in goes out under one outcome.

use std::sync::Arc;

use crate::telemetry::push::{ItemOutcome, Signal, Stats};

/// Counts items in and out and reports both. It lives behind the outbox's lock, so that the reports come in order.
pub(super) struct Ledger {
    signal: Signal,
    stats: Arc<dyn Stats>,
    queued: u64,
    settled: u64,
    bytes: u64,
}

impl Ledger {
    pub(super) fn new(signal: Signal, stats: Arc<dyn Stats>) -> Self {
        Self { signal, stats, queued: 0, settled: 0, bytes: 0 }
    }

    /// Items came in.
    pub(super) fn queue(&mut self, items: u64, bytes: u64) {
        self.queued += items;
        self.bytes += bytes;
        self.stats.items(self.signal, ItemOutcome::Queued, items);
        self.report();
    }

    /// Items met their end.
    pub(super) fn settle(&mut self, outcome: ItemOutcome, items: u64, bytes: u64) {
        self.settled += items;
        self.bytes -= bytes;
        if items > 0 {
            self.stats.items(self.signal, outcome, items);
        }
        self.report();
    }

    /// The collector took so many items but rejected some of them.
    pub(super) fn take(&mut self, items: u64, rejected: u64, bytes: u64) {
        let rejected = rejected.min(items);
        self.settle(ItemOutcome::Rejected, rejected, 0);
        self.settle(ItemOutcome::Taken, items - rejected, bytes);
    }

    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    pub(super) fn waiting(&self) -> u64 {
        self.queued - self.settled
    }

    fn report(&self) {
        self.stats.outbox(self.signal, self.waiting(), self.bytes);
    }
}
