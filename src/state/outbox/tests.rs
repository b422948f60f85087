use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::*;
use crate::telemetry::push::RequestOutcome;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// What the outbox has told: the items by outcome, and what waits.
#[derive(Default)]
struct Book(Mutex<Told>);

#[derive(Default)]
struct Told {
    items: Vec<(Signal, ItemOutcome, u64)>,
    waiting: Vec<(Signal, u64, u64)>,
}

impl Stats for Book {
    fn request(&self, _: Signal, _: RequestOutcome) {}
    fn items(&self, signal: Signal, outcome: ItemOutcome, n: u64) {
        self.0.lock().unwrap().items.push((signal, outcome, n));
    }
    fn outbox(&self, signal: Signal, items: u64, bytes: u64) {
        self.0.lock().unwrap().waiting.push((signal, items, bytes));
    }
}

impl Book {
    fn items(&self, signal: Signal, outcome: ItemOutcome) -> u64 {
        let told = self.0.lock().unwrap();
        told.items.iter().filter(|(s, o, _)| (*s, *o) == (signal, outcome)).map(|(_, _, n)| n).sum()
    }

    /// Items and bytes that wait; fails where the book does not balance.
    fn waiting(&self, signal: Signal) -> (u64, u64) {
        let last = self.0.lock().unwrap().waiting.iter().rfind(|(s, ..)| *s == signal).copied();
        let (_, items, bytes) = last.unwrap_or((signal, 0, 0));
        let ends = ItemOutcome::ALL.into_iter().filter(|outcome| *outcome != ItemOutcome::Queued);
        let ended: u64 = ends.map(|outcome| self.items(signal, outcome)).sum();
        assert_eq!(self.items(signal, ItemOutcome::Queued), ended + items);
        (items, bytes)
    }
}

/// An outbox over a store, as the writer uses it.
struct Desk {
    store: Store,
    outbox: Outbox,
    book: Arc<Book>,
}

impl Desk {
    fn open(dir: &Path, max_bytes: u64) -> Self {
        Self::of(Store::open(dir, crate::config::Durability::Full).unwrap(), max_bytes)
    }

    fn of(store: Store, max_bytes: u64) -> Self {
        let mut outbox = Outbox::with(Some(max_bytes), true, 1);
        outbox.load(&store).unwrap();
        let book = Arc::<Book>::default();
        outbox.show(&*book);
        Self { store, outbox, book }
    }

    fn within<R>(&mut self, work: impl FnOnce(&mut Outbox, &Store) -> R) -> R {
        self.store.begin().unwrap();
        let done = work(&mut self.outbox, &self.store);
        self.store.commit().unwrap();
        self.outbox.keep();
        self.outbox.show(&*self.book);
        done
    }

    fn file(&mut self, signal: Signal, at_ms: i64, rows: &[Row]) {
        self.within(|outbox, store| outbox.file(store, signal, rows, None, at_ms).unwrap());
    }

    /// What is first in line; it is in flight then.
    fn next(&mut self, signal: Signal, most: u64) -> Option<Batch> {
        self.within(|outbox, store| outbox.next(store, signal, most).unwrap())
    }

    fn settle(&mut self, signal: Signal, taken: u64, rejected: u64) {
        self.within(|outbox, store| outbox.settle(store, signal, taken, rejected).unwrap());
    }
}

fn row(items: u64, bytes: usize) -> Row {
    Row { items, replaceable: false, request: vec![7; bytes] }
}

fn snapshot(items: u64, number: u8) -> Row {
    Row { items, replaceable: true, request: vec![number; 100] }
}

#[test]
fn what_waits_is_there_after_a_restart_and_counts_as_queued_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(dir.path(), 1 << 20);
    desk.file(Signal::Spans, 1, &[row(3, 10), row(2, 20)]);
    assert_eq!(desk.next(Signal::Spans, 3).unwrap().items, 3);
    desk.settle(Signal::Spans, 1, 1);
    assert_eq!(desk.book.waiting(Signal::Spans), (3, 30));
    drop(desk);

    let mut desk = Desk::open(dir.path(), 1 << 20);
    assert_eq!(desk.book.waiting(Signal::Spans), (3, 30));
    assert_eq!(desk.book.items(Signal::Spans, ItemOutcome::Queued), 3);
    let batch = desk.next(Signal::Spans, 512).unwrap();
    assert_eq!((batch.requests.len(), batch.settled, batch.items), (2, 2, 3));
    desk.settle(Signal::Spans, 3, 0);
    assert_eq!(desk.book.waiting(Signal::Spans), (0, 0));
    assert!(desk.next(Signal::Spans, 512).is_none());
}

#[test]
fn nothing_of_a_transaction_that_failed_is_kept_or_booked() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(dir.path(), 1 << 20);
    desk.file(Signal::Spans, 1, &[row(3, 10)]);
    let (reply, mut answer) = oneshot::channel();
    let work = Work::File { rows: vec![row(5, 50)], base: None };
    let mut orders = Orders::new(VecDeque::from([Order { signal: Signal::Spans, work, reply }]));
    desk.store.begin().unwrap();
    desk.outbox.serve(&desk.store, &mut orders, 2).unwrap();
    desk.store.roll_back();
    desk.outbox.roll_back();
    orders.refuse(&StoreError::Newer { found: 2, known: 1 });
    assert!(matches!(answer.try_recv().unwrap(), Err(NotKept::Fault(_))));
    desk.outbox.show(&*desk.book);
    assert_eq!(desk.book.waiting(Signal::Spans), (3, 10));
    assert_eq!(desk.next(Signal::Spans, 512).unwrap().items, 3);
}

#[test]
fn what_another_store_lacks_is_dropped_also_where_the_next_transaction_fails() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut desk = Desk::open(dir.path(), 1 << 20);
    desk.file(Signal::Spans, 1, &[row(3, 10), row(4, 10)]);
    let mut fewer = Desk::open(other.path(), 1 << 20);
    fewer.file(Signal::Spans, 1, &[row(4, 10)]);
    desk.store = fewer.store;
    desk.outbox.load(&desk.store).unwrap();

    desk.store.begin().unwrap();
    desk.outbox.file(&desk.store, Signal::Spans, &[row(5, 10)], None, 2).unwrap();
    desk.store.roll_back();
    desk.outbox.roll_back();
    desk.outbox.show(&*desk.book);
    assert_eq!(desk.book.waiting(Signal::Spans), (4, 10));
    assert_eq!(desk.book.items(Signal::Spans, ItemOutcome::Dropped), 3);
    desk.settle(Signal::Spans, 0, 0);
    assert_eq!(desk.book.waiting(Signal::Spans), (4, 10));
}

#[test]
fn what_is_in_flight_while_a_store_is_exchanged_is_settled_in_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(dir.path(), 1 << 20);
    desk.file(Signal::Spans, 1, &[row(3, 10), row(4, 10)]);
    assert_eq!(desk.next(Signal::Spans, 3).unwrap().items, 3);
    desk.outbox.roll_back();
    desk.outbox.load(&desk.store).unwrap();
    desk.settle(Signal::Spans, 3, 0);
    assert_eq!(desk.book.waiting(Signal::Spans), (4, 10));
    assert_eq!(desk.book.items(Signal::Spans, ItemOutcome::Taken), 3);
}

#[test]
fn beyond_the_budget_the_larger_signal_gives_way_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(dir.path(), 1000);
    desk.file(Signal::Metrics, 1, &[row(1, 200)]);
    for at_ms in 0..10 {
        desk.file(Signal::Spans, at_ms, &[row(10, 150)]);
    }
    assert_eq!(desk.book.waiting(Signal::Metrics), (1, 200));
    assert_eq!(desk.book.waiting(Signal::Spans), (50, 750));
    assert_eq!(desk.book.items(Signal::Spans, ItemOutcome::Dropped), 50);
    assert_eq!(desk.outbox.now.spans.level.front.unwrap().at_ms, 5, "the oldest went first");

    // What is in flight stays, whatever comes.
    desk.next(Signal::Spans, 20).unwrap();
    desk.file(Signal::Spans, 11, &[row(1, 100), row(1, 100), row(1, 100)]);
    assert_eq!(desk.outbox.now.spans.level.front.unwrap().at_ms, 5);
    desk.settle(Signal::Spans, 20, 0);
    // Metrics that take more than the spans give way too.
    for at_ms in 0..20 {
        desk.file(Signal::Metrics, at_ms, &[row(1, 200)]);
    }
    let ((_, spans), (_, metrics)) = (desk.book.waiting(Signal::Spans), desk.book.waiting(Signal::Metrics));
    assert!(spans + metrics <= 1000 && spans > 0 && metrics > 0, "{spans} {metrics}");
    assert!(desk.book.items(Signal::Metrics, ItemOutcome::Dropped) > 0);
}

#[test]
fn the_newest_snapshot_stays_however_small_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(dir.path(), 10);
    for (number, at_ms) in (0..5).zip((0..).step_by(3_600_000)) {
        desk.file(Signal::Metrics, at_ms, &[snapshot(4, number)]);
    }
    assert_eq!(desk.book.waiting(Signal::Metrics), (4, 100));
    assert_eq!(desk.book.items(Signal::Metrics, ItemOutcome::Superseded), 16, "a later one tells what they told");
    assert_eq!(desk.next(Signal::Metrics, 0).unwrap().requests, [vec![4; 100]]);
}

#[test]
fn a_day_without_a_collector_leaves_a_snapshot_a_minute_then_one_an_hour() {
    let mut desk = Desk::of(Store::in_memory().unwrap(), 1 << 30);
    let start = 1_000 * HOUR;
    let end = start + 24 * HOUR;
    for at_ms in (start..=end).step_by(15_000) {
        desk.file(Signal::Metrics, at_ms, &[snapshot(1, 0)]);
    }
    let times: Vec<i64> = {
        let mut statement = desk.store.db().prepare("SELECT at_ms FROM outbox_metrics ORDER BY id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let (old, recent): (Vec<i64>, Vec<i64>) = times.iter().partition(|&&at| end - at > HOUR);
    assert_eq!(old.len(), 23);
    assert!(old.windows(2).all(|pair| pair[1] - pair[0] == HOUR), "{old:?}");
    assert!((60..=61).contains(&recent.len()), "{}", recent.len());
    assert_eq!(recent.last(), Some(&end), "the newest is there");
    assert_eq!(desk.book.waiting(Signal::Metrics).0, times.len() as u64);
    assert_eq!(desk.book.items(Signal::Metrics, ItemOutcome::Dropped), 0);

    // They leave one by one, in order.
    for _ in &times {
        assert_eq!(desk.next(Signal::Metrics, 0).unwrap().requests.len(), 1);
        desk.settle(Signal::Metrics, 1, 0);
    }
    assert_eq!(desk.book.waiting(Signal::Metrics), (0, 0));
}

#[test]
fn deltas_are_never_thinned() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(dir.path(), 1 << 20);
    for at_ms in 0..100 {
        desk.file(Signal::Metrics, at_ms, &[row(1, 10)]);
        desk.file(Signal::Metrics, at_ms, &[snapshot(1, 0)]);
    }
    assert_eq!(desk.book.items(Signal::Metrics, ItemOutcome::Superseded), 99);
    assert_eq!(desk.book.waiting(Signal::Metrics).0, 101);
}

#[test]
fn the_file_shrinks_again_once_the_collector_has_taken_what_waited() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::open(dir.path(), 1 << 30);
    for at_ms in 0..64 {
        desk.file(Signal::Spans, at_ms, &[row(512, 1 << 20)]);
    }
    let pages =
        |desk: &Desk| -> i64 { desk.store.db().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap() };
    let full = pages(&desk);
    while let Some(batch) = desk.next(Signal::Spans, 512) {
        desk.settle(Signal::Spans, batch.items, 0);
    }
    assert_eq!(pages(&desk), full, "taking gives nothing back by itself: new rows use the pages first");
    for _ in 0..100 {
        desk.outbox.give_back(&desk.store).unwrap();
    }
    assert!(pages(&desk) < full / 2, "{} of {full}", pages(&desk));
    // A second start finds it as it should be, and does not write it anew.
    drop(desk);
    Desk::open(dir.path(), 1 << 30);
}
