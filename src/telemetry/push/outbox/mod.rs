//! What waits for the collector, a signal each.
//!
//! The items are kept by a [`Shelf`]; an [`Outbox`] is the push's way to those of one signal. One batch at most is in
//! flight. Until it is settled it stays on the shelf, so that nothing is lost between the two, and what was settled is
//! kept as settled before the next batch leaves: after a crash only the batch in flight may leave twice.

mod items;
mod shelf;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

pub(super) use items::Items;
pub(crate) use shelf::{Batch, Front, NotKept, Reply, Row, Work};
pub use shelf::{Level, Order, Shelf};

use super::Signal;
use crate::state::now_ms;

/// When items leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// So many leave at once, and no more than that.
    pub(super) batch: u64,
    /// The longest that fewer wait for others.
    pub(super) delay: Duration,
}

/// Whether something is to be sent.
pub(super) enum Due {
    /// Now.
    Now,
    /// At this time, unless something changes.
    At(Instant),
    /// When something changes.
    Idle,
}

/// A request in flight, whole.
pub(super) struct Delivery<R> {
    pub(super) request: R,
    pub(super) items: u64,
}

/// The waiting items of one signal.
pub(super) struct Outbox<R> {
    signal: Signal,
    shelf: Arc<dyn Shelf>,
    level: watch::Receiver<Level>,
    pace: Pace,
    /// Rows up to this one leave without waiting for others.
    hurried: AtomicI64,
    request: PhantomData<fn() -> R>,
}

impl<R: Items> Outbox<R> {
    pub(super) fn new(signal: Signal, shelf: Arc<dyn Shelf>, pace: Pace) -> Self {
        let level = shelf.level(signal);
        Self { signal, shelf, level, pace, hurried: AtomicI64::new(0), request: PhantomData }
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Files rows; they are kept when this returns.
    pub(super) async fn file(&self, rows: Vec<Row>, base: Option<Vec<u8>>) -> Result<(), NotKept> {
        self.ask(Work::File { rows, base }).await.map(drop)
    }

    /// Books items that were lost before they could be filed.
    pub(super) fn lost(&self, items: u64) {
        self.shelf.lost(items);
    }

    /// Whether something is to be sent. Nothing may be in flight.
    pub(super) fn due(&self) -> Due {
        let level = *self.level.borrow();
        let Some(front) = level.front else { return Due::Idle };
        if level.items >= self.pace.batch || front.id <= self.hurried.load(Ordering::Acquire) {
            return Due::Now;
        }
        // Filed by a clock that was set back since: its age is unknown, and the time at which it would be due may be far.
        let Ok(age) = u64::try_from(now_ms().saturating_sub(front.at_ms)) else { return Due::Now };
        match self.pace.delay.checked_sub(Duration::from_millis(age)) {
            Some(left) if !left.is_zero() => Due::At(Instant::now() + left),
            _ => Due::Now,
        }
    }

    /// The oldest items, which are in flight then; nothing where nothing waits.
    pub(super) async fn next(&self) -> Result<Option<Delivery<R>>, NotKept> {
        let Some(batch) = self.ask(Work::Next { most: self.pace.batch }).await? else { return Ok(None) };
        let mut request = R::default();
        let read: Result<(), _> = batch.requests.iter().try_for_each(|row| request.merge(row.as_slice()));
        request.cut(batch.settled, u64::MAX);
        if read.is_err() || request.count() != batch.items {
            // Nobody can send it, and what comes after must not be held up by it.
            let (signal, items) = (self.signal.as_str(), batch.items);
            tracing::error!(signal, items, "OTLP push: what waited cannot be read; it is counted as rejected");
            self.settle(0, items).await?;
            return Ok(None);
        }
        request.join();
        Ok(Some(Delivery { items: batch.items, request }))
    }

    /// The collector has answered for the first items in flight: took some and rejected others for good.
    pub(super) async fn settle(&self, taken: u64, rejected: u64) -> Result<(), NotKept> {
        self.ask(Work::Settle { taken, rejected }).await.map(drop)
    }

    /// What is in flight could not be delivered, and waits again.
    pub(super) async fn put_back(&self) -> Result<(), NotKept> {
        self.ask(Work::PutBack).await.map(drop)
    }

    /// Makes all that waits due now; gives the mark that [`Level::reached`] comes to once the collector has answered
    /// for all of it.
    pub(super) fn hurry(&self) -> i64 {
        let mark = self.level.borrow().newest;
        self.hurried.fetch_max(mark, Ordering::AcqRel);
        mark
    }

    /// Whether the collector has answered for all up to the mark.
    pub(super) fn has_reached(&self, mark: i64) -> bool {
        self.level.borrow().reached() >= mark
    }

    /// Items that wait, those in flight included.
    pub(super) fn waiting(&self) -> u64 {
        self.level.borrow().items
    }

    /// Ends the outbox: gives up what cannot outlive the process, and says aloud what becomes of the rest.
    pub(super) fn close(&self) {
        let (signal, waiting) = (self.signal.as_str(), self.waiting());
        // Nobody waits for the answer.
        self.shelf.order(Order { signal: self.signal, work: Work::Close, reply: oneshot::channel().0 });
        match (waiting, self.shelf.is_durable()) {
            (0, _) => {}
            (_, true) => {
                tracing::info!(signal, waiting, "OTLP push ends; what the collector has not taken waits on disk")
            }
            (_, false) => tracing::warn!(signal, waiting, "OTLP push ends with items that the collector has not taken"),
        }
    }

    /// Wakes whenever [`due`](Self::due) or [`has_reached`](Self::has_reached) may answer otherwise than before.
    pub(super) fn subscribe(&self) -> watch::Receiver<Level> {
        self.level.clone()
    }

    async fn ask(&self, work: Work) -> Result<Option<Batch>, NotKept> {
        let (reply, answer) = oneshot::channel();
        self.shelf.order(Order { signal: self.signal, work, reply });
        answer.await.unwrap_or(Err(NotKept::Ended))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

    use super::*;

    /// Shows a level, and keeps nothing.
    struct Shown(watch::Sender<Level>);

    impl Shelf for Shown {
        fn order(&self, _: Order) {}
        fn lost(&self, _: u64) {}
        fn level(&self, _: Signal) -> watch::Receiver<Level> {
            self.0.subscribe()
        }
        fn base(&self) -> Option<Vec<u8>> {
            None
        }
        fn is_durable(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn fewer_items_wait_for_others_but_not_for_a_clock_that_was_set_back() {
        let shown = Arc::new(Shown(watch::Sender::default()));
        let pace = Pace { batch: 512, delay: Duration::from_secs(60) };
        let outbox =
            Outbox::<ExportTraceServiceRequest>::new(Signal::Spans, Arc::clone(&shown) as Arc<dyn Shelf>, pace);
        let filed = |ago_ms: i64| {
            let front = Some(Front { id: 1, at_ms: now_ms() - ago_ms });
            shown.0.send_replace(Level { items: 1, front, newest: 1, ..Level::default() });
        };
        assert!(matches!(outbox.due(), Due::Idle));
        filed(0);
        assert!(matches!(outbox.due(), Due::At(_)));
        filed(61_000);
        assert!(matches!(outbox.due(), Due::Now));
        filed(-3_600_000);
        assert!(matches!(outbox.due(), Due::Now));
    }
}
