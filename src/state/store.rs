//! The SQLite database: opened, locked, and brought to its schema.
//!
//! One file, `bridge.db`, in WAL mode with every commit synced. A person can look into it with the sqlite3 shell:
//!
//! | table | a row is |
//! |---|---|
//! | `meta` | a fact about the store itself, such as its `instance_id` |
//! | `sessions` | an active session; times in nanoseconds since 1970, `heard_ms` by the bridge's own clock |
//! | `ended_sessions` | a session that ended, kept to recognise a repeated end |
//! | `event_ids` | the ids of one batch of events, 16 bytes each, kept to recognise a repeated event |
//! | `hosts` | the active sessions that a host last reported |
//! | `requests` | an open request; `opened_ms` by the bridge's own clock |
//! | `ended_requests` | a request that ended, kept to recognise a repeated end; one without `end_ns` timed out |
//! | `skill_invocations` | one use of a skill, the last `skills.max_invocations` that came |
//! | `skills` | a skill with its totals, its last reported rate, and its phases in the order of their numbers |
//! | `skill_days` | what came on one UTC day, which adds to a skill's totals |
//! | `skill_slots` | five minutes of a skill in one phase (by number); `skill_id` 0 is all skills together |
//! | `anomalies` | an anomaly, found or reported |

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

/// The steps from each version of the schema to the next. A step that was released never changes: add another.
const MIGRATIONS: &[&str] = &[SESSIONS, super::requests::MIGRATION, super::skills::SCHEMA];

/// The version of the schema, in the database's `user_version`.
const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// The tables of sessions, event ids and hosts.
const SESSIONS: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE sessions (
        session_id TEXT PRIMARY KEY,
        short_id TEXT NOT NULL,
        component_name TEXT NOT NULL,
        shell_type TEXT NOT NULL,
        start_ns INTEGER NOT NULL,
        last_event_ns INTEGER NOT NULL,
        heard_ms INTEGER NOT NULL,
        trace_id BLOB NOT NULL,
        span_id BLOB NOT NULL,
        parent_span_id BLOB,
        sampled INTEGER NOT NULL,
        span_elsewhere INTEGER NOT NULL,
        attributes TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE ended_sessions (
        session_id TEXT PRIMARY KEY,
        short_id TEXT NOT NULL,
        component_name TEXT NOT NULL,
        start_ns INTEGER NOT NULL,
        end_ns INTEGER NOT NULL,
        status TEXT NOT NULL,
        trace_id BLOB NOT NULL,
        span_id BLOB NOT NULL,
        sampled INTEGER NOT NULL,
        ended_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX ended_sessions_by_short_id ON ended_sessions (short_id);
    CREATE INDEX ended_sessions_by_time ON ended_sessions (ended_ms);
    CREATE TABLE event_ids (batch INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, ids BLOB NOT NULL);
    CREATE TABLE hosts (host TEXT PRIMARY KEY, sessions INTEGER NOT NULL) WITHOUT ROWID;
";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or written.
    #[error("the data directory {} cannot be written: {source}; give another with --data-dir, or use --ephemeral", dir.display())]
    Unwritable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another bridge has it open.
    #[error("the data directory {} is in use by another bridge; stop that one, or give this one its own with --data-dir", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// It was written by a newer version.
    #[error("the database was written by a newer version of the bridge (schema {found}, this one knows {known})")]
    Newer {
        /// The version found.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// SQLite failed.
    #[error("the store failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The open database, and the lock on its directory.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    /// Held as long as the store is open; the system gives it back however the process ends.
    _lock: Option<File>,
}

impl Store {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let unwritable = |source| StoreError::Unwritable { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(unwritable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("bridge.lock"))
            .map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        let db = Connection::open(dir.join("bridge.db"))?;
        Self::prepare(db, Some(lock))
    }

    pub(super) fn in_memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?, None)
    }

    fn prepare(db: Connection, lock: Option<File>) -> Result<Self, StoreError> {
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.set_prepared_statement_cache_capacity(128);
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::Newer { found, known: SCHEMA_VERSION });
        }
        for (version, step) in (1..).zip(MIGRATIONS.iter()).skip(usize::try_from(found).unwrap_or(0)) {
            db.execute_batch(&format!("BEGIN; {step} PRAGMA user_version = {version}; COMMIT;"))?;
        }
        Ok(Self { db, _lock: lock })
    }

    pub(super) fn begin(&self) -> Result<(), StoreError> {
        Ok(self.db.execute_batch("BEGIN IMMEDIATE")?)
    }

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        Ok(self.db.execute_batch("COMMIT")?)
    }

    pub(super) fn roll_back(&self) {
        if !self.db.is_autocommit() {
            // A failure leaves the transaction to SQLite, which ends it by itself.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    pub(super) fn meta(&self, key: &str, make: impl FnOnce() -> String) -> Result<String, StoreError> {
        let known: Option<String> =
            self.db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?;
        if let Some(known) = known {
            return Ok(known);
        }
        let value = make();
        self.db.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
        Ok(value)
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
        Ok(())
    }

    pub(super) fn db(&self) -> &Connection {
        &self.db
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_store_on_the_same_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(dir.path()).unwrap();
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Locked { .. })));
        drop(first);
        Store::open(dir.path()).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let db = Connection::open(dir.path().join("bridge.db")).unwrap();
        db.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        drop(db);
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Newer { .. })));
    }

    #[test]
    fn every_older_schema_is_brought_to_the_newest_and_keeps_its_rows() {
        for version in 1..MIGRATIONS.len() {
            let dir = tempfile::tempdir().unwrap();
            let db = Connection::open(dir.path().join("bridge.db")).unwrap();
            for step in &MIGRATIONS[..version] {
                db.execute_batch(step).unwrap();
            }
            db.pragma_update(None, "user_version", version as i64).unwrap();
            db.execute("INSERT INTO hosts (host, sessions) VALUES ('a', 3)", []).unwrap();
            drop(db);
            let store = Store::open(dir.path()).unwrap();
            let count = |table: &str| -> i64 {
                store.db().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
            };
            assert_eq!((count("hosts"), count("skills")), (1, 0));
        }
    }

    #[test]
    fn the_instance_id_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(dir.path()).unwrap().meta("instance_id", || "one".to_owned()).unwrap();
        let second = Store::open(dir.path()).unwrap().meta("instance_id", || "two".to_owned()).unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("one", "one"));
    }
}
