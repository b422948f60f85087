//! The active sessions that hosts report of themselves (`active_sessions` events).

use std::collections::HashMap;

use rusqlite::params;

use super::store::{Store, StoreError};

/// The most hosts whose reports are kept; one more is refused.
const MOST_HOSTS: usize = 10_000;

/// The last report of each host.
#[derive(Debug, Default)]
pub struct Hosts {
    sessions: HashMap<String, u64>,
    total: u64,
}

impl Hosts {
    /// Keeps a host's report in place of its last one; `false` where there are too many hosts.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn report(&mut self, store: &Store, host: &str, sessions: u64) -> Result<bool, StoreError> {
        if !self.sessions.contains_key(host) && self.sessions.len() >= MOST_HOSTS {
            return Ok(false);
        }
        write(store, host, sessions)?;
        let before = self.sessions.insert(host.to_owned(), sessions).unwrap_or(0);
        self.total = self.total.saturating_sub(before).saturating_add(sessions);
        Ok(true)
    }

    /// The sum of the last reports.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What is in memory stays where the store cannot be read.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut statement = store.db().prepare_cached("SELECT host, sessions FROM hosts")?;
        let reports =
            statement.query_map([], |row| Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0))))?;
        self.sessions = reports.collect::<Result<_, _>>()?;
        self.total = self.sessions.values().fold(0, |total, sessions| total.saturating_add(*sessions));
        Ok(())
    }

    /// Writes the reports to a store in place of those that it has.
    pub(super) fn write_all(&self, store: &Store) -> Result<(), StoreError> {
        store.db().execute("DELETE FROM hosts", [])?;
        self.sessions.iter().try_for_each(|(host, sessions)| write(store, host, *sessions))
    }
}

fn write(store: &Store, host: &str, sessions: u64) -> Result<(), StoreError> {
    store
        .db()
        .prepare_cached("INSERT OR REPLACE INTO hosts (host, sessions) VALUES (?1, ?2)")?
        .execute(params![host, i64::try_from(sessions).unwrap_or(i64::MAX)])?;
    Ok(())
}
