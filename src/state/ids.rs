//! The ids of recorded events, so that a repeated one is recognised.
//!
//! In memory they stand once, in the order of their arrival, with a table beside them that tells where each one is; in the
//! store one row a batch has the ids side by side, because an index over random ids would cost more than everything else
//! (a write to a random page for each event).

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use rusqlite::params;

use super::store::{Store, StoreError};
use crate::config;

/// The ids within the horizon.
#[derive(Debug)]
pub struct EventIds {
    known: Known,
    /// The rows of the store, oldest first.
    batches: VecDeque<Batch>,
    /// How many of the last ids are of the batch that is not written yet.
    pending: usize,
    /// The last batch is written and not committed yet.
    unkept: bool,
    /// How many of the oldest batches the store forgets with the commit.
    leaving: usize,
    next_batch: i64,
    most: usize,
    horizon_ms: i64,
}

#[derive(Debug)]
struct Batch {
    row: i64,
    at_ms: i64,
    ids: usize,
}

/// Ids in order, each of which is found again.
#[derive(Debug, Default)]
struct Known {
    /// Oldest first.
    order: VecDeque<u128>,
    /// The number of the oldest one.
    first: u32,
    /// The numbers of all: they go on from one to the next, and begin again after the last, far more than may be kept.
    numbers: HashTable<u32>,
    /// Its key is the process's own: clients choose the ids.
    hasher: RandomState,
}

impl Known {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn contains(&self, id: u128) -> bool {
        self.numbers.find(self.hasher.hash_one(id), |number| self.order[place(self.first, *number)] == id).is_some()
    }

    /// `false` where it is there already.
    fn push(&mut self, id: u128) -> bool {
        if self.contains(id) {
            return false;
        }
        // Less than the limit of the configuration, which is far below.
        let number = self.first.wrapping_add(self.order.len() as u32);
        self.order.push_back(id);
        let Self { order, first, numbers, hasher } = self;
        numbers.insert_unique(hasher.hash_one(id), number, |number| hasher.hash_one(order[place(*first, *number)]));
        true
    }

    fn pop_oldest(&mut self) {
        if let Some(id) = self.order.pop_front() {
            self.remove(id, self.first);
            self.first = self.first.wrapping_add(1);
        }
    }

    fn pop_newest(&mut self) {
        if let Some(id) = self.order.pop_back() {
            self.remove(id, self.first.wrapping_add(self.order.len() as u32));
        }
    }

    fn remove(&mut self, id: u128, number: u32) {
        if let Ok(entry) = self.numbers.find_entry(self.hasher.hash_one(id), |found| *found == number) {
            entry.remove();
        }
    }
}

/// Where in the order the id with this number is.
fn place(first: u32, number: u32) -> usize {
    number.wrapping_sub(first) as usize
}

impl EventIds {
    pub(super) fn new(config: &config::Events) -> Self {
        Self {
            known: Known::default(),
            batches: VecDeque::new(),
            pending: 0,
            unkept: false,
            leaving: 0,
            next_batch: 1,
            most: config.dedupe_max,
            horizon_ms: i64::try_from(config.dedupe_horizon.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Whether the id is remembered.
    pub fn contains(&self, id: u128) -> bool {
        self.known.contains(id)
    }

    /// Remembers the id, once the batch is committed.
    pub fn insert(&mut self, id: u128) {
        if self.known.push(id) {
            self.pending += 1;
        }
    }

    /// Remembers that an event with this id was refused, once the batch is committed; `false` where that is known
    /// already. The id itself stays unknown: the event may come again, mended.
    ///
    /// What stands in its place is its complement, which has a variant that no UUID has.
    pub fn insert_refused(&mut self, id: u128) -> bool {
        let new = self.known.push(!id);
        self.pending += usize::from(new);
        new
    }

    /// The batch is committed.
    pub(super) fn keep(&mut self) {
        self.unkept = false;
        let leaving = std::mem::take(&mut self.leaving);
        self.drop_oldest(leaving);
    }

    /// The batch was not kept.
    pub(super) fn forget(&mut self) {
        let mut ids = std::mem::take(&mut self.pending);
        if std::mem::take(&mut self.unkept)
            && let Some(last) = self.batches.pop_back()
        {
            ids += last.ids;
        }
        for _ in 0..ids {
            self.known.pop_newest();
        }
        self.leaving = 0;
    }

    /// Writes the ids to a store in place of those that it has. Another id there would make a refused event seem to be
    /// recorded.
    pub(super) fn write_all(&self, store: &Store) -> Result<(), StoreError> {
        store.db().execute("DELETE FROM event_ids", [])?;
        let mut ids = self.known.order.iter();
        for batch in &self.batches {
            let blob: Vec<u8> = ids.by_ref().take(batch.ids).flat_map(|id| id.to_be_bytes()).collect();
            insert(store, batch.row, batch.at_ms, &blob)?;
        }
        Ok(())
    }

    /// Writes the ids of the batch, and has the store forget those that are too many then.
    pub(super) fn write(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        if self.pending == 0 {
            return Ok(());
        }
        let ids = self.known.order.range(self.known.len() - self.pending..);
        let blob: Vec<u8> = ids.flat_map(|id| id.to_be_bytes()).collect();
        insert(store, self.next_batch, now_ms, &blob)?;
        let ids = std::mem::take(&mut self.pending);
        self.batches.push_back(Batch { row: self.next_batch, at_ms: now_ms, ids });
        self.unkept = true;
        self.next_batch += 1;
        if self.known.len() > self.most {
            self.leaving = self.delete_oldest(store, now_ms)?;
        }
        Ok(())
    }

    /// Forgets the oldest batches that are beyond the horizon or more than may be remembered: between two batches.
    pub(super) fn prune(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        let batches = self.delete_oldest(store, now_ms)?;
        self.drop_oldest(batches);
        Ok(())
    }

    /// Deletes what is to be forgotten from the store; how many batches that is.
    fn delete_oldest(&self, store: &Store, now_ms: i64) -> Result<usize, StoreError> {
        let mut left = self.known.len();
        let oldest = self.batches.iter().take_while(|batch| {
            let leaves = left > self.most || batch.at_ms < now_ms.saturating_sub(self.horizon_ms);
            left = left.saturating_sub(batch.ids);
            leaves
        });
        let rows: Vec<i64> = oldest.map(|batch| batch.row).collect();
        if let Some(row) = rows.last() {
            store.db().prepare_cached("DELETE FROM event_ids WHERE batch <= ?1")?.execute([row])?;
        }
        Ok(rows.len())
    }

    fn drop_oldest(&mut self, batches: usize) {
        for batch in self.batches.drain(..batches) {
            for _ in 0..batch.ids {
                self.known.pop_oldest();
            }
        }
    }

    /// What is in memory stays where the store cannot be read.
    pub(super) fn load(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        let (mut known, mut batches) = (Known::default(), VecDeque::new());
        let mut next_batch = 1;
        let mut statement = store.db().prepare_cached("SELECT batch, at_ms, ids FROM event_ids ORDER BY batch")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
            next_batch = number + 1;
            if at_ms < now_ms.saturating_sub(self.horizon_ms) {
                continue;
            }
            let before = known.len();
            for id in row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?.chunks_exact(16) {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(id);
                known.push(u128::from_be_bytes(bytes));
            }
            batches.push_back(Batch { row: number, at_ms, ids: known.len() - before });
        }
        let Self { most, horizon_ms, .. } = *self;
        *self = Self { known, batches, pending: 0, unkept: false, leaving: 0, next_batch, most, horizon_ms };
        Ok(())
    }
}

fn insert(store: &Store, batch: i64, at_ms: i64, ids: &[u8]) -> Result<(), StoreError> {
    store
        .db()
        .prepare_cached("INSERT INTO event_ids (batch, at_ms, ids) VALUES (?1, ?2, ?3)")?
        .execute(params![batch, at_ms, ids])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn config(most: usize) -> config::Events {
        config::Events { dedupe_horizon: Duration::from_secs(10), dedupe_max: most }
    }

    #[test]
    fn ids_outlive_a_restart_and_end_at_the_horizon() {
        let store = Store::in_memory().unwrap();
        let mut ids = EventIds::new(&config(100));
        ids.insert(1);
        ids.write(&store, 1_000).unwrap();
        ids.keep();
        ids.insert(2);
        ids.write(&store, 9_000).unwrap();
        ids.keep();

        let mut again = EventIds::new(&config(100));
        again.load(&store, 10_000).unwrap();
        assert!(again.contains(1) && again.contains(2));

        again.prune(&store, 12_000).unwrap();
        assert!(!again.contains(1) && again.contains(2));
        let mut later = EventIds::new(&config(100));
        later.load(&store, 12_000).unwrap();
        assert!(!later.contains(1) && later.contains(2));
    }

    #[test]
    fn no_more_than_the_most_are_remembered() {
        let store = Store::in_memory().unwrap();
        let mut ids = EventIds::new(&config(10));
        for id in 0..100 {
            ids.insert(id);
            ids.write(&store, 0).unwrap();
            ids.keep();
            assert!(ids.known.len() <= 10 && ids.known.numbers.len() == ids.known.len());
        }
        assert!(ids.contains(99) && !ids.contains(89));
        let rows: i64 = store.db().query_row("SELECT count(*) FROM event_ids", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 10);
    }

    #[test]
    fn only_the_ids_of_a_batch_that_was_not_kept_are_forgotten() {
        let store = Store::in_memory().unwrap();
        let mut ids = EventIds::new(&config(10));
        // So that the numbers of the ids begin again on the way.
        ids.known.first = u32::MAX - 25;
        let mut kept = VecDeque::new();
        for round in 0..100_u128 {
            for id in 3 * round..3 * round + 3 {
                ids.insert(id);
            }
            if round % 4 == 0 {
                ids.forget();
            } else {
                store.begin().unwrap();
                ids.write(&store, 0).unwrap();
                if round % 4 == 1 {
                    // It was written, and made others leave.
                    store.roll_back();
                    ids.forget();
                } else {
                    store.commit().unwrap();
                    ids.keep();
                    kept.extend(3 * round..3 * round + 3);
                    kept.drain(..kept.len().saturating_sub(9));
                }
            }
            for id in 0..3 * round + 3 {
                assert_eq!(ids.contains(id), kept.contains(&id), "{id} in round {round}");
            }
            let mut stored = EventIds::new(&config(10));
            stored.load(&store, 0).unwrap();
            assert_eq!(stored.known.order, kept, "round {round}");
        }
    }
}
