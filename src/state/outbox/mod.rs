//! What waits for the collector, in the store: the rows, their budget, and the book of what became of them.
//!
//! The writer files, reads and settles rows inside its transactions; what that changes in the book is shown only once
//! the transaction is kept. Only the oldest row can be settled in part.
//!
//! One budget in bytes holds for both signals. Beyond it the signal that takes more of it gives way, its oldest row
//! first: neither can push the other out of its half. A cumulative snapshot gives way as superseded, because a later
//! one tells what it told, and the newest one stays; all else is dropped.

mod memory;
mod rows;
mod space;
mod thin;

pub use memory::MemoryShelf;
pub(in crate::state) use rows::MIGRATION;
pub(in crate::state) use space::{give_back_few, prepare as prepare_space};

use std::collections::VecDeque;

use tokio::sync::watch;

use super::store::{Store, StoreError};
use crate::config::Config;
use crate::telemetry::push::outbox::{Batch, Front, Level, NotKept, Order, Reply, Row, Work};
use crate::telemetry::push::{ItemOutcome, Signal, Stats};
use rows::{Filed, Rows};

/// The budget where the items wait on disk, unless configured.
const ON_DISK: u64 = 1 << 30;
/// The budget where they wait in memory, unless configured.
const IN_MEMORY: u64 = 64 << 20;

/// The items that wait, and the book of them.
#[derive(Debug)]
pub struct Outbox {
    max_bytes: u64,
    durable: bool,
    /// Whoever sends is woken when so many more items wait.
    wake_at: u64,
    closed: bool,
    /// As the open transaction leaves it.
    now: Lanes,
    /// As the last transaction left it.
    kept: Lanes,
    /// What became of items in the open transaction.
    booked: Vec<Booking>,
    /// What became of items for certain, and is not shown yet.
    certain: Vec<Booking>,
    spans: watch::Sender<Level>,
    metrics: watch::Sender<Level>,
}

/// So many items met this end.
type Booking = (Signal, ItemOutcome, u64);

/// Both signals.
#[derive(Debug, Clone, Copy, Default)]
struct Lanes {
    spans: Lane,
    metrics: Lane,
}

/// What is known of the rows of one signal.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    level: Level,
    /// Rows up to this one are in flight.
    in_flight: i64,
}

impl Lanes {
    fn of(&mut self, signal: Signal) -> &mut Lane {
        match signal {
            Signal::Metrics => &mut self.metrics,
            Signal::Spans => &mut self.spans,
        }
    }
}

/// Orders of the push, and the answers that go out once the transaction is kept.
#[derive(Debug, Default)]
pub struct Orders {
    waiting: VecDeque<Order>,
    done: Vec<(Reply, Option<Batch>)>,
}

impl Orders {
    /// Orders that wait.
    pub fn new(waiting: VecDeque<Order>) -> Self {
        Self { waiting, done: Vec::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes out those that file rows.
    pub fn take_filings(&mut self) -> Self {
        let (filings, others) =
            std::mem::take(&mut self.waiting).into_iter().partition(|order| matches!(order.work, Work::File { .. }));
        self.waiting = others;
        Self::new(filings)
    }

    /// The bytes of the rows that are to be filed.
    pub fn bytes(&self) -> usize {
        let bytes = |order: &Order| match &order.work {
            Work::File { rows, base } => {
                rows.iter().map(|row| row.request.len()).sum::<usize>() + base.as_ref().map_or(0, Vec::len)
            }
            _ => 0,
        };
        self.waiting.iter().map(bytes).sum()
    }

    /// Answers: what was done is kept.
    pub fn answer(self) {
        for (reply, batch) in self.done {
            // Who asked may be gone.
            let _ = reply.send(Ok(batch));
        }
    }

    /// Answers: nothing of it was kept.
    pub fn refuse(self, error: &StoreError) {
        let replies = self.done.into_iter().map(|(reply, _)| reply);
        for reply in replies.chain(self.waiting.into_iter().map(|order| order.reply)) {
            let _ = reply.send(Err(NotKept::Fault(error.to_string())));
        }
    }
}

impl Outbox {
    pub(super) fn new(config: &Config, durable: bool) -> Self {
        let wake_at = config.push_spans.as_ref().map_or(1, |push| push.max_export_batch_size as u64);
        Self::with(config.outbox.max_bytes.map(|size| size as u64), durable, wake_at)
    }

    fn with(max_bytes: Option<u64>, durable: bool, wake_at: u64) -> Self {
        Self {
            max_bytes: max_bytes.unwrap_or(if durable { ON_DISK } else { IN_MEMORY }),
            durable,
            wake_at: wake_at.max(1),
            closed: false,
            now: Lanes::default(),
            kept: Lanes::default(),
            booked: Vec::new(),
            certain: Vec::new(),
            spans: watch::Sender::default(),
            metrics: watch::Sender::default(),
        }
    }

    /// Takes what waits in the store into the book. What waited before, in another store, and was not copied is dropped.
    /// That is so, whatever becomes of the next transaction.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        for signal in [Signal::Metrics, Signal::Spans] {
            let rows = Rows::of(store, signal);
            let (items, bytes, newest) = rows.totals()?;
            let front = rows.front()?;
            let lane = self.now.of(signal);
            let before = lane.level;
            // Numbers only rise, so that whoever waits for one is not fooled.
            let newest = newest.max(before.newest);
            // Where all of it was copied, the answer to what is in flight still says which rows are done with; otherwise
            // it could be taken for rows that were never sent.
            let in_flight = if items == before.items { lane.in_flight } else { 0 };
            *lane = Lane { level: Level { items, bytes, front, newest, answered: before.answered }, in_flight };
            self.certain.push((signal, ItemOutcome::Dropped, before.items.saturating_sub(items)));
            self.certain.push((signal, ItemOutcome::Queued, items.saturating_sub(before.items)));
        }
        self.kept = self.now;
        Ok(())
    }

    /// What the deltas filed so far add up to.
    pub(super) fn base(store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
        rows::base(store)
    }

    /// Where the level of a signal is published.
    pub fn subscribe(&self, signal: Signal) -> watch::Receiver<Level> {
        self.publisher(signal).subscribe()
    }

    /// Whether what waits outlives the process.
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// Does what is ordered, within the open transaction; the answers wait in `orders` until it is kept.
    pub(super) fn serve(&mut self, store: &Store, orders: &mut Orders, now_ms: i64) -> Result<(), StoreError> {
        while let Some(Order { signal, work, reply }) = orders.waiting.pop_front() {
            let done = match work {
                Work::File { rows, base } => self.file(store, signal, &rows, base.as_deref(), now_ms).map(|()| None),
                Work::Next { most } => self.next(store, signal, most),
                Work::Settle { taken, rejected } => self.settle(store, signal, taken, rejected).map(|()| None),
                Work::PutBack => {
                    self.now.of(signal).in_flight = 0;
                    Ok(None)
                }
                Work::Close => self.close(store, signal).map(|()| None),
            };
            match done {
                Ok(batch) => orders.done.push((reply, batch)),
                Err(error) => {
                    orders.done.push((reply, None));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Puts rows behind all that wait, and makes room for them.
    pub(super) fn file(
        &mut self,
        store: &Store,
        signal: Signal,
        rows: &[Row],
        base: Option<&[u8]>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let kept = Rows::of(store, signal);
        for row in rows {
            self.booked.push((signal, ItemOutcome::Queued, row.items));
            if self.closed && !self.durable {
                self.booked.push((signal, ItemOutcome::Dropped, row.items));
                continue;
            }
            let level = &mut self.now.of(signal).level;
            level.newest += 1;
            level.items += row.items;
            level.bytes += row.request.len() as u64;
            level.front = level.front.or(Some(Front { id: level.newest, at_ms: now_ms }));
            kept.add(level.newest, now_ms, row)?;
        }
        if let Some(base) = base {
            rows::set_base(store, now_ms, base)?;
        }
        if rows.iter().any(|row| row.replaceable) {
            self.thin(store, signal, now_ms)?;
        }
        self.make_room(store)
    }

    fn thin(&mut self, store: &Store, signal: Signal, now_ms: i64) -> Result<(), StoreError> {
        let rows = Rows::of(store, signal);
        let snapshots = rows.snapshots(self.now.of(signal).in_flight)?;
        for snapshot in thin::superseded(now_ms, &snapshots) {
            if let Some(filed) = rows.after(snapshot.id - 1)? {
                self.give_up(&rows, signal, filed, ItemOutcome::Superseded)?;
            }
        }
        Ok(())
    }

    /// Gives up the oldest rows that are too many.
    fn make_room(&mut self, store: &Store) -> Result<(), StoreError> {
        while self.now.spans.level.bytes + self.now.metrics.level.bytes > self.max_bytes {
            let spans_take_more = self.now.spans.level.bytes >= self.now.metrics.level.bytes;
            let [first, second] =
                if spans_take_more { [Signal::Spans, Signal::Metrics] } else { [Signal::Metrics, Signal::Spans] };
            if !self.give_up_oldest(store, first)? && !self.give_up_oldest(store, second)? {
                break;
            }
        }
        Ok(())
    }

    /// Gives up the oldest row that is not in flight; false if there is none that may go.
    fn give_up_oldest(&mut self, store: &Store, signal: Signal) -> Result<bool, StoreError> {
        let rows = Rows::of(store, signal);
        let lane = *self.now.of(signal);
        let Some(oldest) = rows.after(lane.in_flight)? else { return Ok(false) };
        let outcome = if oldest.replaceable { ItemOutcome::Superseded } else { ItemOutcome::Dropped };
        if oldest.replaceable && oldest.id == lane.level.newest {
            return Ok(false);
        }
        self.give_up(&rows, signal, oldest, outcome)?;
        Ok(true)
    }

    fn give_up(
        &mut self,
        rows: &Rows<'_>,
        signal: Signal,
        filed: Filed,
        outcome: ItemOutcome,
    ) -> Result<(), StoreError> {
        rows.remove(filed.id)?;
        let level = &mut self.now.of(signal).level;
        level.items -= filed.items.min(level.items);
        level.bytes -= filed.bytes.min(level.bytes);
        if level.front.is_some_and(|front| front.id == filed.id) {
            level.front = rows.front()?;
        }
        self.booked.push((signal, outcome, filed.items));
        Ok(())
    }

    fn next(&mut self, store: &Store, signal: Signal, most: u64) -> Result<Option<Batch>, StoreError> {
        let Some((batch, last)) = Rows::of(store, signal).first(most)? else { return Ok(None) };
        self.now.of(signal).in_flight = last;
        Ok(Some(batch))
    }

    /// The collector has answered for the first items; nothing is in flight any more.
    fn settle(&mut self, store: &Store, signal: Signal, taken: u64, rejected: u64) -> Result<(), StoreError> {
        let rows = Rows::of(store, signal);
        let answered = taken + rejected;
        let mut left = answered;
        let Lane { level, in_flight } = self.now.of(signal);
        while left > 0 {
            // What was in flight may be gone, with the store that had it: then the answer is for nothing that is here.
            let Some(oldest) = rows.after(0)?.filter(|oldest| oldest.id <= *in_flight) else { break };
            level.items -= left.min(oldest.items).min(level.items);
            if left < oldest.items {
                rows.settle(oldest.id, left)?;
                left = 0;
                break;
            }
            left -= oldest.items;
            rows.remove(oldest.id)?;
            level.bytes -= oldest.bytes.min(level.bytes);
            level.answered = oldest.id;
        }
        level.front = rows.front()?;
        *in_flight = 0;
        // What was given up meanwhile, by a push that ended, is booked already.
        let found = answered - left;
        let rejected = rejected.min(found);
        self.booked.push((signal, ItemOutcome::Taken, found - rejected));
        self.booked.push((signal, ItemOutcome::Rejected, rejected));
        Ok(())
    }

    /// Gives up what cannot outlive the process, from now on.
    fn close(&mut self, store: &Store, signal: Signal) -> Result<(), StoreError> {
        self.closed = true;
        if !self.durable {
            Rows::of(store, signal).clear()?;
            let lane = self.now.of(signal);
            self.booked.push((signal, ItemOutcome::Dropped, lane.level.items));
            lane.level = Level { newest: lane.level.newest, answered: lane.level.newest, ..Level::default() };
            lane.in_flight = 0;
        }
        Ok(())
    }

    /// Spans were lost before they could be filed.
    pub fn lost(&mut self, spans: u64) {
        self.certain.push((Signal::Spans, ItemOutcome::Queued, spans));
        self.certain.push((Signal::Spans, ItemOutcome::Dropped, spans));
    }

    /// The transaction is kept.
    pub(super) fn keep(&mut self) {
        self.kept = self.now;
        self.certain.append(&mut self.booked);
    }

    /// Nothing of the transaction is kept.
    pub(super) fn roll_back(&mut self) {
        self.now = self.kept;
        self.booked.clear();
    }

    /// Shows what the kept transactions changed. To be called where no collection can come between.
    pub fn show(&mut self, stats: &dyn Stats) {
        let mut changed = Vec::new();
        for (signal, outcome, items) in self.certain.drain(..).filter(|(_, _, items)| *items > 0) {
            stats.items(signal, outcome, items);
            changed.push(signal);
        }
        for signal in [Signal::Metrics, Signal::Spans] {
            let level = self.now.of(signal).level;
            if changed.contains(&signal) {
                stats.outbox(signal, level.items, level.bytes);
            }
            let wake_at = self.wake_at;
            self.publisher(signal).send_if_modified(|shown| {
                let wakes = shown.front != level.front
                    || shown.answered != level.answered
                    || shown.items / wake_at != level.items / wake_at;
                *shown = level;
                wakes
            });
        }
    }

    /// Gives pages that nothing needs back to the file system, some at a time.
    pub(super) fn give_back(&self, store: &Store) -> Result<(), StoreError> {
        if self.durable { space::give_back(store.db()) } else { Ok(()) }
    }

    fn publisher(&self, signal: Signal) -> &watch::Sender<Level> {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Spans => &self.spans,
        }
    }
}

#[cfg(test)]
mod tests;
