//! The rows of the outbox in the store, a table a signal.

use rusqlite::{OptionalExtension, params};

use super::thin::Snapshot;
use crate::state::store::{Store, StoreError};
use crate::telemetry::push::Signal;
use crate::telemetry::push::outbox::{Batch, Front, Row};

/// The tables of what waits for the collector, and what the deltas filed so far add up to.
pub(in crate::state) const MIGRATION: &str = "
    CREATE TABLE outbox_spans (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        items INTEGER NOT NULL,
        settled INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        replaceable INTEGER NOT NULL,
        request BLOB NOT NULL
    );
    CREATE TABLE outbox_metrics (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        items INTEGER NOT NULL,
        settled INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        replaceable INTEGER NOT NULL,
        request BLOB NOT NULL
    );
    CREATE TABLE outbox_base (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL, request BLOB NOT NULL);
";

/// One row, without its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filed {
    pub(super) id: i64,
    /// Those that are not settled yet.
    pub(super) items: u64,
    pub(super) bytes: u64,
    pub(super) replaceable: bool,
}

/// The rows of one signal.
pub(super) struct Rows<'s> {
    store: &'s Store,
    table: &'static str,
}

impl<'s> Rows<'s> {
    pub(super) fn of(store: &'s Store, signal: Signal) -> Self {
        let table = match signal {
            Signal::Metrics => "outbox_metrics",
            Signal::Spans => "outbox_spans",
        };
        Self { store, table }
    }

    /// Items and bytes of all rows, and the highest number.
    pub(super) fn totals(&self) -> Result<(u64, u64, i64), StoreError> {
        let sql = format!("SELECT total(items - settled), total(bytes), coalesce(max(id), 0) FROM {}", self.table);
        Ok(self
            .store
            .db()
            .query_row(&sql, [], |row| Ok((row.get::<_, f64>(0)? as u64, row.get::<_, f64>(1)? as u64, row.get(2)?)))?)
    }

    pub(super) fn front(&self) -> Result<Option<Front>, StoreError> {
        let mut statement = self.statement("SELECT id, at_ms FROM", "ORDER BY id LIMIT 1")?;
        Ok(statement.query_row([], |row| Ok(Front { id: row.get(0)?, at_ms: row.get(1)? })).optional()?)
    }

    pub(super) fn add(&self, id: i64, at_ms: i64, row: &Row) -> Result<(), StoreError> {
        let Row { items, replaceable, request } = row;
        self.statement(
            "INSERT INTO",
            "(id, at_ms, items, settled, bytes, replaceable, request) VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)",
        )?
        .execute(params![id, at_ms, signed(*items), signed(request.len() as u64), replaceable, request])?;
        Ok(())
    }

    /// The oldest rows of at most so many items together, but one at least; and the number of the last.
    pub(super) fn first(&self, most: u64) -> Result<Option<(Batch, i64)>, StoreError> {
        let mut statement = self.statement("SELECT id, items, settled, request FROM", "ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut batch = Batch { requests: Vec::new(), settled: 0, items: 0 };
        let mut last = None;
        while let Some(row) = rows.next()? {
            let settled = unsigned(row.get(2)?);
            let items = unsigned(row.get(1)?).saturating_sub(settled);
            if last.is_some() && batch.items + items > most {
                break;
            }
            // Only the oldest row can be settled in part.
            batch.settled += settled;
            batch.items += items;
            batch.requests.push(row.get(3)?);
            last = Some(row.get(0)?);
        }
        Ok(last.map(|last| (batch, last)))
    }

    /// The oldest row after this one.
    pub(super) fn after(&self, id: i64) -> Result<Option<Filed>, StoreError> {
        let mut statement =
            self.statement("SELECT id, items - settled, bytes, replaceable FROM", "WHERE id > ?1 ORDER BY id LIMIT 1")?;
        let filed = statement.query_row([id], |row| {
            let (items, bytes) = (unsigned(row.get(1)?), unsigned(row.get(2)?));
            Ok(Filed { id: row.get(0)?, items, bytes, replaceable: row.get(3)? })
        });
        Ok(filed.optional()?)
    }

    /// The rows after this one that a later one may replace.
    pub(super) fn snapshots(&self, after: i64) -> Result<Vec<Snapshot>, StoreError> {
        let mut statement = self.statement("SELECT id, at_ms FROM", "WHERE id > ?1 AND replaceable ORDER BY id")?;
        let rows = statement.query_map([after], |row| Ok(Snapshot { id: row.get(0)?, at_ms: row.get(1)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn remove(&self, id: i64) -> Result<(), StoreError> {
        self.statement("DELETE FROM", "WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// So many more of a row's items are settled.
    pub(super) fn settle(&self, id: i64, items: u64) -> Result<(), StoreError> {
        self.statement("UPDATE", "SET settled = settled + ?2 WHERE id = ?1")?.execute(params![id, signed(items)])?;
        Ok(())
    }

    pub(super) fn clear(&self) -> Result<(), StoreError> {
        self.statement("DELETE FROM", "")?.execute([])?;
        Ok(())
    }

    fn statement(&self, before: &str, after: &str) -> Result<rusqlite::CachedStatement<'s>, StoreError> {
        Ok(self.store.db().prepare_cached(&format!("{before} {} {after}", self.table))?)
    }
}

/// What the deltas filed so far add up to, as a cumulative request.
pub(super) fn base(store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(store.db().query_row("SELECT request FROM outbox_base", [], |row| row.get(0)).optional()?)
}

pub(super) fn set_base(store: &Store, at_ms: i64, request: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO outbox_base (id, at_ms, request) VALUES (1, ?1, ?2)";
    store.db().prepare_cached(sql)?.execute(params![at_ms, request])?;
    Ok(())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
