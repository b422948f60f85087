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
    /// The last batch is written and not committed yet.
    unkept: bool,
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
            unkept: false,
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

    /// The batch is committed.
    pub(super) fn keep(&mut self) {
        self.unkept = false;
    }

    /// Writes the ids of the committed batches to a store in place of those that it has. Another id there would make a
    /// refused event seem to be recorded.
    pub(super) fn write_all(&mut self, store: &Store) -> Result<(), StoreError> {
        if std::mem::take(&mut self.unkept)
            && let Some(last) = self.batches.pop_back()
        {
            self.order.truncate(self.order.len().saturating_sub(last.ids));
        }
        store.db().execute("DELETE FROM event_ids", [])?;
        let mut ids = self.order.iter();
        for batch in &self.batches {
            let blob: Vec<u8> = ids.by_ref().take(batch.ids).flat_map(|id| id.to_be_bytes()).collect();
            insert(store, batch.row, batch.at_ms, &blob)?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let blob: Vec<u8> = self.pending.iter().flat_map(|id| id.to_be_bytes()).collect();
        insert(store, self.next_batch, now_ms, &blob)?;
        self.batches.push_back(Batch { row: self.next_batch, at_ms: now_ms, ids: self.pending.len() });
        self.unkept = true;
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

    /// What is in memory stays where the store cannot be read.
    pub(super) fn load(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        let (mut known, mut order, mut batches) = (HashSet::new(), VecDeque::new(), VecDeque::new());
        let mut next_batch = 1;
        let mut statement = store.db().prepare_cached("SELECT batch, at_ms, ids FROM event_ids ORDER BY batch")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
            next_batch = number + 1;
            if at_ms < now_ms.saturating_sub(self.horizon_ms) {
                continue;
            }
            let before = order.len();
            for id in row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?.chunks_exact(16) {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(id);
                let id = u128::from_be_bytes(bytes);
                known.insert(id);
                order.push_back(id);
            }
            batches.push_back(Batch { row: number, at_ms, ids: order.len() - before });
        }
        let Self { most, horizon_ms, .. } = *self;
        *self = Self { known, order, batches, pending: Vec::new(), unkept: false, next_batch, most, horizon_ms };
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
