//! The way of the push's orders to the writer, which alone touches the store.
//!
//! They lie in a tray beside the queue of events and are done in the next transaction, so that a queue full of events
//! does not keep the push from its outbox. The push has one order a task under way: the tray needs no other bound.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::door::{Command, Shared};
use crate::state::{Orders, Outbox};
use crate::telemetry::push::{Level, Order, Shelf, Signal};

/// Orders that wait for the writer.
#[derive(Debug)]
pub(super) struct Tray {
    /// `None` once nobody does them any more.
    orders: Mutex<Option<VecDeque<Order>>>,
    lost: AtomicU64,
}

impl Tray {
    pub(super) fn new() -> Self {
        Self { orders: Mutex::new(Some(VecDeque::new())), lost: AtomicU64::new(0) }
    }

    /// Takes all that wait.
    pub(super) fn take(&self) -> Orders {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        Orders::new(orders.as_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Takes the number of spans that were lost since the last time.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Nothing is done any more: who waits for an answer learns so.
    pub(super) fn close(&self) {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// True if it lay empty: whoever does the orders is to be told.
    fn put(&self, order: Order) -> bool {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(orders) = orders.as_mut() else { return false };
        orders.push_back(order);
        orders.len() == 1
    }
}

/// The outbox behind the writer, as the push sees it.
pub(super) struct WriterShelf {
    shared: Arc<Shared>,
    queue: SyncSender<Command>,
    spans: watch::Receiver<Level>,
    metrics: watch::Receiver<Level>,
    durable: bool,
    base: Option<Vec<u8>>,
}

impl WriterShelf {
    pub(super) fn new(outbox: &Outbox, base: Option<Vec<u8>>, shared: Arc<Shared>, queue: SyncSender<Command>) -> Self {
        let (spans, metrics) = (outbox.subscribe(Signal::Spans), outbox.subscribe(Signal::Metrics));
        Self { shared, queue, spans, metrics, durable: outbox.is_durable(), base }
    }
}

impl Shelf for WriterShelf {
    fn order(&self, order: Order) {
        if self.shared.tray.put(order) {
            // Where the queue is full the writer is awake, and looks into the tray after the next batch.
            let _ = self.queue.try_send(Command::Wake);
        }
    }

    fn lost(&self, spans: u64) {
        self.shared.tray.lost.fetch_add(spans, Ordering::Relaxed);
    }

    fn level(&self, signal: Signal) -> watch::Receiver<Level> {
        match signal {
            Signal::Metrics => self.metrics.clone(),
            Signal::Spans => self.spans.clone(),
        }
    }

    fn base(&self) -> Option<Vec<u8>> {
        self.base.clone()
    }

    fn is_durable(&self) -> bool {
        self.durable
    }
}
