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
        store
            .db()
            .prepare_cached("INSERT OR REPLACE INTO hosts (host, sessions) VALUES (?1, ?2)")?
            .execute(params![host, i64::try_from(sessions).unwrap_or(i64::MAX)])?;
        let before = self.sessions.insert(host.to_owned(), sessions).unwrap_or(0);
        self.total = self.total.saturating_sub(before).saturating_add(sessions);
        Ok(true)
    }

    /// The sum of the last reports.
    pub fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        self.sessions.clear();
        let mut statement = store.db().prepare_cached("SELECT host, sessions FROM hosts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.sessions.insert(row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0));
        }
        self.total = self.sessions.values().sum();
        Ok(())
    }
}
