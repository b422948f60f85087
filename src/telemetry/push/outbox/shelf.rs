//! What the push asks of whoever keeps its items, and what it is told.
//!
//! The items wait in the store of the bridge, which one thread alone touches: the writer. So the push asks by orders,
//! which are done in turn and answered once they are kept, and looks at a published [`Level`] to know whether there is
//! anything to ask for.

use tokio::sync::{oneshot, watch};

use crate::telemetry::push::Signal;

/// Keeps the items that wait for the collector, and the book of what became of them.
pub trait Shelf: Send + Sync {
    /// Does what is asked, in the order of the calls. Never blocks for long; the answer comes once it is kept.
    fn order(&self, order: Order);

    /// Books spans that were lost before they could be filed.
    fn lost(&self, spans: u64);

    /// How much waits, from now on.
    fn level(&self, signal: Signal) -> watch::Receiver<Level>;

    /// The metrics that the deltas filed so far add up to, as they were kept before the start.
    fn base(&self) -> Option<Vec<u8>>;

    /// Whether what waits outlives the process.
    fn is_durable(&self) -> bool;
}

/// One thing to be done for a signal.
#[derive(Debug)]
pub struct Order {
    pub(crate) signal: Signal,
    pub(crate) work: Work,
    pub(crate) reply: Reply,
}

/// Where the answer to an order goes.
pub(crate) type Reply = oneshot::Sender<Result<Option<Batch>, NotKept>>;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Work {
    /// Put rows behind all that wait, and keep what the deltas filed so far add up to.
    File { rows: Vec<Row>, base: Option<Vec<u8>> },
    /// Read the oldest rows of no more than so many items together, but one at least; they are in flight then.
    Next { most: u64 },
    /// The collector has answered for the first items in flight.
    Settle { taken: u64, rejected: u64 },
    /// What is in flight waits again.
    PutBack,
    /// The push ends: what cannot outlive it is given up, now and from now on.
    Close,
}

/// Items that are filed together: one request, encoded.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) items: u64,
    /// A later row of the kind tells all that this one tells.
    pub(crate) replaceable: bool,
    pub(crate) request: Vec<u8>,
}

/// Rows in flight.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Requests, encoded, the oldest first.
    pub(crate) requests: Vec<Vec<u8>>,
    /// So many items at the front were settled before.
    pub(crate) settled: u64,
    /// The items after those.
    pub(crate) items: u64,
}

/// Why an order was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotKept {
    /// The store failed; it may do it later.
    #[error("the store failed: {0}")]
    Fault(String),
    /// Nobody does orders any more.
    #[error("the store is closed")]
    Ended,
}

/// What waits of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// Items, those in flight included.
    pub(crate) items: u64,
    /// Their size in bytes, rows that were settled in part counted whole.
    pub(crate) bytes: u64,
    /// The oldest row.
    pub(crate) front: Option<Front>,
    /// The number of the row that was filed last.
    pub(crate) newest: i64,
    /// The number of the last row that the collector answered for.
    pub(crate) answered: i64,
}

/// The oldest row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Front {
    pub(crate) id: i64,
    /// When it was filed, by the wall clock in milliseconds since 1970.
    pub(crate) at_ms: i64,
}

impl Level {
    /// The number of the row up to which the collector has answered, where rows that gave way count as answered by
    /// the answer for a later one.
    pub(super) fn reached(&self) -> i64 {
        if self.items == 0 { self.newest } else { self.answered }
    }
}
