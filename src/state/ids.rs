//! The ids of recorded events, so that a repeated one is recognised.
//!
//! In memory a set, with the order of arrival beside it; in the store one row a batch with the ids side by side,
//! because an index over random ids would cost more than everything else (a write to a random page for each event).

use std::collections::VecDeque;

use hashbrown::HashSet;
use rusqlite::params;

use super::store::{Store, StoreError};
use crate::config;

/// The ids within the horizon.
#[derive(Debug)]
pub struct EventIds {
    known: HashSet<u128>,
    /// The same ids, oldest first.
    order: VecDeque<u128>,
    /// The rows of the store, oldest first.
    batches: VecDeque<Batch>,
    /// The ids of the batch that is not committed yet.
    pending: Vec<u128>,
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

impl EventIds {
    pub(super) fn new(config: &config::Events) -> Self {
        Self {
            known: HashSet::new(),
            order: VecDeque::new(),
            batches: VecDeque::new(),
            pending: Vec::new(),
            next_batch: 1,
            most: config.dedupe_max,
            horizon_ms: i64::try_from(config.dedupe_horizon.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Whether the id is remembered.
    pub fn contains(&self, id: u128) -> bool {
        self.known.contains(&id)
    }

    /// Remembers the id, once the batch is committed.
    pub fn insert(&mut self, id: u128) {
        if self.known.insert(id) {
            self.pending.push(id);
        }
    }

    pub(super) fn write(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let blob: Vec<u8> = self.pending.iter().flat_map(|id| id.to_be_bytes()).collect();
        store
            .db()
            .prepare_cached("INSERT INTO event_ids (batch, at_ms, ids) VALUES (?1, ?2, ?3)")?
            .execute(params![self.next_batch, now_ms, blob])?;
        self.batches.push_back(Batch { row: self.next_batch, at_ms: now_ms, ids: self.pending.len() });
        self.next_batch += 1;
        self.order.extend(self.pending.drain(..));
        if self.order.len() > self.most {
            self.prune(store, now_ms)?;
        }
        Ok(())
    }

    /// Forgets the oldest batches that are beyond the horizon or more than may be remembered.
    pub(super) fn prune(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        let mut last = None;
        while let Some(oldest) = self.batches.front()
            && (self.order.len() > self.most || oldest.at_ms < now_ms.saturating_sub(self.horizon_ms))
        {
            last = Some(oldest.row);
            for id in self.order.drain(..oldest.ids) {
                self.known.remove(&id);
            }
            self.batches.pop_front();
        }
        if let Some(row) = last {
            store.db().prepare_cached("DELETE FROM event_ids WHERE batch <= ?1")?.execute([row])?;
        }
        Ok(())
    }

    pub(super) fn load(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        self.known.clear();
        self.order.clear();
        self.batches.clear();
        self.pending.clear();
        self.next_batch = 1;
        let mut statement = store.db().prepare_cached("SELECT batch, at_ms, ids FROM event_ids ORDER BY batch")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
            self.next_batch = number + 1;
            if at_ms < now_ms.saturating_sub(self.horizon_ms) {
                continue;
            }
            let before = self.order.len();
            for id in row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?.chunks_exact(16) {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(id);
                let id = u128::from_be_bytes(bytes);
                self.known.insert(id);
                self.order.push_back(id);
            }
            self.batches.push_back(Batch { row: number, at_ms, ids: self.order.len() - before });
        }
        Ok(())
    }
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
        ids.insert(2);
        ids.write(&store, 9_000).unwrap();

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
            assert!(ids.known.len() <= 10 && ids.order.len() == ids.known.len());
        }
        assert!(ids.contains(99) && !ids.contains(89));
        let rows: i64 = store.db().query_row("SELECT count(*) FROM event_ids", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 10);
    }
}
