//! The tables of circuit breakers.
//!
//! Latencies are kept in parts of a bounded number of samples: a batch adds to the last one or begins another, and a
//! part goes when all its samples are older than the window is long.

use std::collections::{HashMap, VecDeque};

use rusqlite::params;

use super::super::store::{Store, StoreError};
use super::Tally;
use crate::event::{BreakerState, Seconds, Timestamp};

pub(in crate::state) const MIGRATION: &str = "
    CREATE TABLE breakers (
        id INTEGER PRIMARY KEY,
        component TEXT NOT NULL UNIQUE,
        calls INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        last_failure_ns INTEGER,
        state TEXT NOT NULL,
        opened_ns INTEGER,
        measured INTEGER NOT NULL
    );
    CREATE TABLE breaker_latencies (
        breaker_id INTEGER NOT NULL,
        part INTEGER NOT NULL,
        samples BLOB NOT NULL,
        PRIMARY KEY (breaker_id, part)
    ) WITHOUT ROWID;";

/// A part that has so many samples is not added to any more.
const FULL: usize = 64;

/// The parts in which the latencies of one component are stored, the oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    first: i64,
    samples: VecDeque<usize>,
}

impl Parts {
    /// Stores samples behind those that are stored (`latest`, the last first), and removes parts that hold none of the
    /// last `most`.
    pub(super) fn append(
        &mut self,
        store: &Store,
        breaker_id: i64,
        latest: impl Iterator<Item = u64>,
        samples: &[Seconds],
        most: usize,
    ) -> Result<(), StoreError> {
        let samples = &samples[samples.len().saturating_sub(most)..];
        if samples.is_empty() {
            return Ok(());
        }
        let mut part: Vec<u64> = Vec::new();
        if let Some(last) = self.samples.back().copied().filter(|last| *last < FULL) {
            // What the part has already: the last samples of the window, as many as that still has.
            part.extend(latest.take(last));
            part.reverse();
            self.samples.pop_back();
        }
        part.extend(samples.iter().map(|sample| sample.parts()));
        self.write(store, breaker_id, &part)?;
        let mut total: usize = self.samples.iter().sum();
        let before = self.first;
        while let Some(oldest) = self.samples.front().copied().filter(|oldest| total - oldest >= most) {
            self.samples.pop_front();
            self.first += 1;
            total -= oldest;
        }
        if self.first > before {
            store
                .db()
                .prepare_cached("DELETE FROM breaker_latencies WHERE breaker_id = ?1 AND part < ?2")?
                .execute([breaker_id, self.first])?;
        }
        Ok(())
    }

    /// Stores all samples anew.
    pub(super) fn write_all(
        &mut self,
        store: &Store,
        breaker_id: i64,
        samples: impl Iterator<Item = u64>,
    ) -> Result<(), StoreError> {
        self.clear(store, breaker_id)?;
        let samples: Vec<u64> = samples.collect();
        samples.chunks(FULL).try_for_each(|part| self.write(store, breaker_id, part))
    }

    fn write(&mut self, store: &Store, breaker_id: i64, part: &[u64]) -> Result<(), StoreError> {
        let bytes: Vec<u8> = part.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let number = self.first + i64::try_from(self.samples.len()).unwrap_or(i64::MAX);
        store
            .db()
            .prepare_cached("INSERT OR REPLACE INTO breaker_latencies (breaker_id, part, samples) VALUES (?1, ?2, ?3)")?
            .execute(params![breaker_id, number, bytes])?;
        self.samples.push_back(part.len());
        Ok(())
    }

    /// Removes all.
    pub(super) fn clear(&mut self, store: &Store, breaker_id: i64) -> Result<(), StoreError> {
        store.db().prepare_cached("DELETE FROM breaker_latencies WHERE breaker_id = ?1")?.execute([breaker_id])?;
        *self = Self::default();
        Ok(())
    }
}

/// A component as it is stored, its latencies apart.
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) component: String,
    pub(super) tally: Tally,
    pub(super) measured: bool,
}

pub(super) fn write(store: &Store, id: i64, component: &str, tally: &Tally, measured: bool) -> Result<(), StoreError> {
    let nanos = |time: Option<Timestamp>| time.map(|time| time.unix_nanos().cast_signed());
    store
        .db()
        .prepare_cached(
            "INSERT INTO breakers (id, component, calls, failed, last_failure_ns, state, opened_ns, measured)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET calls = ?3, failed = ?4, last_failure_ns = ?5, state = ?6, opened_ns = ?7,
             measured = ?8",
        )?
        .execute(params![
            id,
            component,
            tally.calls.cast_signed(),
            tally.failed.cast_signed(),
            nanos(tally.last_failure),
            tally.state.name(),
            nanos(tally.opened),
            measured
        ])?;
    Ok(())
}

/// All components, in the order of their coming.
pub(super) fn read(store: &Store) -> Result<Vec<Stored>, StoreError> {
    let time = |nanos: Option<i64>| nanos.and_then(|nanos| Timestamp::from_unix_nanos(nanos.cast_unsigned()).ok());
    let mut statement = store.db().prepare(
        "SELECT id, component, calls, failed, last_failure_ns, state, opened_ns, measured FROM breakers ORDER BY id",
    )?;
    let stored = statement.query_map([], |row| {
        let state: String = row.get(5)?;
        Ok(Stored {
            id: row.get(0)?,
            component: row.get(1)?,
            tally: Tally {
                calls: row.get::<_, i64>(2)?.cast_unsigned(),
                failed: row.get::<_, i64>(3)?.cast_unsigned(),
                last_failure: time(row.get(4)?),
                state: BreakerState::from_name(&state).unwrap_or(BreakerState::Closed),
                opened: time(row.get(6)?),
            },
            measured: row.get(7)?,
        })
    })?;
    Ok(stored.collect::<Result<_, _>>()?)
}

/// The latencies of each component in the order of their coming, in parts of 2^-20 s, and the parts they are stored in.
pub(super) fn read_latencies(store: &Store) -> Result<HashMap<i64, (Parts, Vec<u64>)>, StoreError> {
    let mut latencies: HashMap<i64, (Parts, Vec<u64>)> = HashMap::new();
    let mut statement =
        store.db().prepare("SELECT breaker_id, part, samples FROM breaker_latencies ORDER BY breaker_id, part")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (breaker_id, part, bytes): (i64, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let samples = bytes.as_chunks::<8>().0;
        let first = Parts { first: part, samples: VecDeque::new() };
        let (parts, all) = latencies.entry(breaker_id).or_insert_with(|| (first, Vec::new()));
        parts.samples.push_back(samples.len());
        all.extend(samples.iter().map(|bytes| u64::from_le_bytes(*bytes)));
    }
    Ok(latencies)
}
