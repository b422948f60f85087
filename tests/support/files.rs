//! The files of a bridge's store, as a crash leaves them and as a failing disk treats them.

use std::path::Path;
use std::time::{Duration, Instant};

use mcp_otel_bridge::config::Config;
use mcp_otel_bridge::{Bridge, BuildError, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

/// Fails every commit that keeps an event: a foreign key that is looked at only then.
pub const COMMITS_FAIL: &str = "
    CREATE TABLE poison_of (id INTEGER PRIMARY KEY);
    CREATE TABLE poison (id INTEGER REFERENCES poison_of (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER poisoned AFTER INSERT ON event_ids BEGIN INSERT INTO poison VALUES (1); END;";
/// Takes it away.
pub const WELL_AGAIN: &str = "DROP TRIGGER poisoned; DROP TABLE poison; DROP TABLE poison_of;";

/// A directory in memory where there is such a thing, for tests that open many stores: a process that is killed leaves the
/// same behind on either.
pub fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Changes the database from outside.
pub fn tell(dir: &Path, sql: &str) {
    let db = Connection::open(dir.join("bridge.db")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db.execute_batch(sql).unwrap();
}

/// What the disk would hold if the bridge on `from` were killed now.
pub fn as_killed(from: &Path, to: &Path) {
    for name in ["bridge.db", "bridge.db-wal"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// A bridge on this directory, as soon as the one before has let go of it.
pub fn open(dir: &Path, config: &Config) -> Bridge {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match Bridge::builder().config(config.clone()).data_dir(dir).build() {
            Err(BuildError::Store(StoreError::Locked { .. })) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            built => return built.unwrap(),
        }
    }
}
