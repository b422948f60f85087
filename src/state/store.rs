//! The SQLite database: opened, locked, and brought to its schema.
//!
//! One file, `bridge.db`, in WAL mode, every commit synced as `durability` says. A person can look into it with the sqlite3
//! shell: docs/durability.md tells what a row of each table is, and what becomes of the database when the disk fails.

mod checkpoint;
mod damage;
mod error;
mod private;
mod room;
mod salvage;

pub use error::StoreError;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::config::Durability;
use checkpoint::Checkpointer;

/// The steps from each version of the schema to the next. A step that was released never changes: add another.
const MIGRATIONS: &[&str] = &[
    SESSIONS,
    super::requests::MIGRATION,
    super::skills::SCHEMA,
    super::series::MIGRATION,
    super::breakers::MIGRATION,
    super::outbox::MIGRATION,
];

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

/// The file that is locked while a bridge uses the directory.
const LOCK: &str = "bridge.lock";

/// How long the lock is waited for: a bridge that just ended may live on for a moment in a process that its program is
/// about to start, which inherits the lock until then.
const LOCK_PATIENCE: Duration = Duration::from_millis(250);

/// How long a commit waits for another program that holds the database.
const BUSY: Duration = Duration::from_secs(2);

/// A log larger than this is folded into the database by the writer itself, between two batches. The checkpoints have
/// copied most of it by then.
const LOG_BYTES: u64 = 128 << 20;

/// A database that is damaged again so soon is not replaced again: something else must be wrong.
const SOUND_FOR: Duration = Duration::from_secs(60);

/// The open database, and the lock on its directory.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    /// `None` is in memory.
    disk: Option<Disk>,
}

/// What there is to a database on disk.
#[derive(Debug)]
struct Disk {
    database: PathBuf,
    durability: Durability,
    checkpointer: Option<Checkpointer>,
    /// The database could not be opened again: what is open in its place keeps nothing.
    adrift: bool,
    /// The files that were opened.
    opened: Option<damage::Identity>,
    /// When a damaged database was last replaced while it was in use.
    replaced: Option<Instant>,
    /// The log is not to be folded in before this.
    fold_after: Option<Instant>,
    /// The size of the log from which on the writer folds it in.
    log_bytes: u64,
    /// Held as long as the store is open; the system gives it back however the process ends.
    lock: File,
}

impl Store {
    /// Opens the database in that directory. A damaged one is set aside, and a new one begun.
    pub(super) fn open(dir: &Path, durability: Durability) -> Result<Self, StoreError> {
        private::create_dir(dir).map_err(|source| StoreError::Unwritable { dir: dir.to_owned(), source })?;
        let mut store = Self::locked(dir, durability)?;
        match store.attach(OpenFlags::default()) {
            Err(error) if error.is_damage() => store.start_over(&error)?,
            opened => opened?,
        }
        Ok(store)
    }

    /// Opens the database that is in that directory. Where there is none nothing is begun, and a damaged one stays as it is.
    pub(super) fn open_existing(dir: &Path) -> Result<Self, StoreError> {
        let mut store = Self::locked(dir, Durability::Full)?;
        store.attach(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        Ok(store)
    }

    /// Takes the lock of that directory; its database is still to be opened.
    fn locked(dir: &Path, durability: Durability) -> Result<Self, StoreError> {
        let lock = lock(dir)?;
        Ok(Self {
            db: Connection::open_in_memory()?,
            disk: Some(Disk {
                database: dir.join("bridge.db"),
                durability,
                checkpointer: None,
                adrift: true,
                opened: None,
                replaced: None,
                fold_after: None,
                log_bytes: LOG_BYTES,
                lock,
            }),
        })
    }

    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let db = Connection::open_in_memory()?;
        migrate(&db, 0)?;
        Ok(Self { db, disk: None })
    }

    /// Sets a damaged database aside, and begins an empty one.
    pub(super) fn start_over(&mut self, damage: &StoreError) -> Result<(), StoreError> {
        let Some(database) = self.detach()? else { return Ok(()) };
        let aside = set_aside(&database)?;
        self.attach(OpenFlags::default())?;
        tracing::error!(
            "{damage}; it was set aside as {}, and a new database was begun: what the old one held is not known any more",
            aside.display()
        );
        Ok(())
    }

    /// A database with every row of a damaged one that can be read, to be exchanged for it; and the names of the tables
    /// of which some cannot. `alive` is called now and then.
    pub(super) fn rebuild(&self, alive: &dyn Fn()) -> Result<(Self, Vec<String>), StoreError> {
        let Some(disk) = &self.disk else { return Ok((Self::in_memory()?, Vec::new())) };
        if disk.replaced.is_some_and(|replaced| replaced.elapsed() < SOUND_FOR) {
            let again = "and so was the one before it; look at the disk and the memory of the machine";
            return Err(StoreError::Damaged(again.to_owned()));
        }
        let unfinished = unfinished(&disk.database);
        match fs::remove_file(&unfinished) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(disk.unwritable(source)),
            _ => {}
        }
        let db = Connection::open(&unfinished)?;
        super::outbox::prepare_space(&db)?;
        private::close_to_others(&unfinished);
        // It is worth nothing before it is whole, and synced then.
        db.pragma_update(None, "journal_mode", "MEMORY")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        migrate(&db, 0)?;
        let incomplete = salvage::copy(&self.db, &db, alive)?;
        Ok((Self { db, disk: None }, incomplete))
    }

    /// Sets the damaged database aside, and goes on with what was rebuilt of it.
    pub(super) fn exchange(&mut self, rebuilt: Self, damage: &StoreError, lost: &[String]) -> Result<(), StoreError> {
        drop(rebuilt);
        let Some(disk) = &mut self.disk else { return Ok(()) };
        let unfinished = unfinished(&disk.database);
        if let Some(dir) = disk.database.parent().filter(|dir| !dir.join(LOCK).exists()) {
            // Who deleted the database may have deleted everything.
            disk.lock = lock(dir)?;
        }
        let Some(database) = self.detach()? else { return Ok(()) };
        // From here on the damaged one is out of use, whatever happens: a bridge that is killed now, or that cannot rename
        // it, finishes when it opens the database the next time.
        File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&unfinished, rebuilt_of(&database)))
            .map_err(|source| unwritable(&database, source))?;
        let aside = finish_exchange(&database)?;
        self.attach(OpenFlags::default())?;
        if let Some(disk) = &mut self.disk {
            disk.replaced = Some(Instant::now());
        }
        let aside = aside.display();
        match lost {
            [] => {
                tracing::error!("{damage}; it was set aside as {aside}, and everything in it was copied to a new one")
            }
            lost => tracing::error!(
                "{damage}; it was set aside as {aside}, and a new one was begun with what could be read and what is in \
                 memory. Not all could be read of: {}",
                lost.join(", ")
            ),
        }
        Ok(())
    }

    /// Opens the database again: a connection does not notice that a file system may be written again. It is not made
    /// anew where it is gone: its file system may be.
    pub(super) fn reopen(&mut self) -> Result<(), StoreError> {
        self.attach(OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Finds out whether what is open is still what lies in the directory: else what is committed would be lost with the
    /// process, and nobody would know.
    pub(super) fn check_place(&self) -> Result<(), StoreError> {
        let Some(disk) = self.disk.as_ref().filter(|disk| !disk.adrift) else { return Ok(()) };
        if disk.opened == damage::Identity::of(&disk.database) {
            return Ok(());
        }
        Err(StoreError::Damaged("its files were deleted or replaced while they were in use".to_owned()))
    }

    /// Whether nothing can be kept before the database has been opened again.
    pub(super) fn is_adrift(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.adrift)
    }

    /// Closes the database as it lies there; where it is.
    fn detach(&mut self) -> Result<Option<PathBuf>, StoreError> {
        let Some(disk) = &mut self.disk else { return Ok(None) };
        // A connection must be there. This one has no tables, so that nothing seems to be kept.
        let nothing = Connection::open_in_memory()?;
        disk.checkpointer = None;
        self.db = nothing;
        disk.adrift = true;
        Ok(Some(disk.database.clone()))
    }

    fn attach(&mut self, flags: OpenFlags) -> Result<(), StoreError> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        if rebuilt_of(&disk.database).exists() {
            let aside = finish_exchange(&disk.database)?;
            tracing::error!(
                "a damaged database was being exchanged for one that had been rebuilt of it; that is done now, and what was \
                 left of the damaged one was set aside as {}",
                aside.display()
            );
        }
        damage::check_files(&disk.database)?;
        let db = connect(&disk.database, disk.durability, flags)?;
        let found = version(&db)?;
        // A new one is there by now, and nothing in it yet.
        for end in ["", "-wal", "-shm"] {
            private::close_to_others(&damage::beside(&disk.database, end));
        }
        damage::check(&db, &MIGRATIONS[..found])?;
        super::outbox::prepare_space(&db)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        migrate(&db, found)?;
        // The log is made when it is first looked into, if it is not there.
        db.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
        self.db = db;
        disk.adrift = false;
        disk.opened = damage::Identity::of(&disk.database);
        disk.checkpointer = Some(Checkpointer::start(disk.database.clone(), disk.durability));
        Ok(())
    }

    pub(super) fn begin(&self) -> Result<(), StoreError> {
        Ok(self.db.execute_batch("BEGIN IMMEDIATE")?)
    }

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.db.execute_batch("COMMIT")?;
        if let Some(checkpointer) = self.disk.as_ref().and_then(|disk| disk.checkpointer.as_ref()) {
            checkpointer.committed();
        }
        Ok(())
    }

    pub(super) fn roll_back(&self) {
        if !self.db.is_autocommit() {
            // A failure leaves the transaction to SQLite, which ends it by itself.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    /// Begins the log anew where it is long: something for between two commits. What is left to copy is what came during
    /// the last checkpoint.
    pub(super) fn bound_log(&mut self) {
        let Some(disk) = &self.disk else { return };
        let size = fs::metadata(damage::beside(&disk.database, "-wal")).map_or(0, |metadata| metadata.len());
        if size > disk.log_bytes && disk.fold_after.is_none_or(|after| after <= Instant::now()) {
            self.fold_log();
        } else if disk.checkpointer.as_ref().is_some_and(Checkpointer::take_long) {
            self.checkpoint("RESTART");
        }
    }

    /// Folds the log into the database, and gives its room back.
    pub(super) fn fold_log(&mut self) {
        let folded = self.checkpoint("TRUNCATE");
        if let Some(disk) = &mut self.disk {
            disk.fold_after = (!folded).then(|| Instant::now() + Duration::from_secs(1));
        }
    }

    /// A checkpoint by the writer; whether all of the log was copied. Who reads just now is not waited for.
    fn checkpoint(&self, mode: &str) -> bool {
        let done = self.db.busy_timeout(Duration::ZERO).and_then(|()| {
            self.db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| Ok(row.get::<_, i64>(0)? == 0))
        });
        if let Err(error) = self.db.busy_timeout(BUSY) {
            tracing::debug!(%error, "the time to wait for other programs could not be set");
        }
        done.unwrap_or(false)
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

    /// Sets a value to so many zeros.
    pub(super) fn fill_meta(&self, key: &str, bytes: usize) -> Result<(), StoreError> {
        let fill = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, zeroblob(?2))";
        self.db.execute(fill, params![key, i64::try_from(bytes).unwrap_or(i64::MAX)])?;
        Ok(())
    }

    pub(super) fn db(&self) -> &Connection {
        &self.db
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        disk.checkpointer = None;
        // The last connection that is closed folds the log in and deletes it. Where that fails, the next start does it.
        let _ = self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
    }
}

impl Disk {
    fn unwritable(&self, source: std::io::Error) -> StoreError {
        unwritable(&self.database, source)
    }
}

/// Opens a database and changes nothing in it, not even when it is closed: a damaged one is set aside as it was found.
fn untouched(database: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(database, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.busy_timeout(BUSY)?;
    Ok(db)
}

/// A connection that writes.
fn connect(database: &Path, durability: Durability, flags: OpenFlags) -> Result<Connection, StoreError> {
    let db = untouched(database, flags)?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
        Durability::Off => "OFF",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    // Only macOS tells the two apart: there a mere fsync leaves the data in the drive's cache.
    db.pragma_update(None, "fullfsync", durability == Durability::Full)?;
    db.set_prepared_statement_cache_capacity(128);
    Ok(db)
}

/// Takes the lock of a directory.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let unwritable = |source| StoreError::Unwritable { dir: dir.to_owned(), source };
    let lock = private::open(&dir.join(LOCK)).map_err(unwritable)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PATIENCE / 10),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
    }
}

/// The version of the schema that is found.
fn version(db: &Connection) -> Result<usize, StoreError> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { found, known: SCHEMA_VERSION });
    }
    usize::try_from(found).map_err(|_| StoreError::Damaged(format!("its schema has the version {found}")))
}

/// Brings the schema of that version to the newest.
fn migrate(db: &Connection, found: usize) -> Result<(), StoreError> {
    for (version, step) in (1..).zip(MIGRATIONS.iter()).skip(found) {
        db.execute_batch(&format!("BEGIN; {step} PRAGMA user_version = {version}; COMMIT;"))?;
    }
    Ok(())
}

fn set_aside(database: &Path) -> Result<PathBuf, StoreError> {
    damage::set_aside(database).map_err(|source| unwritable(database, source))
}

fn unwritable(database: &Path, source: std::io::Error) -> StoreError {
    StoreError::Unwritable { dir: database.parent().unwrap_or(database).to_owned(), source }
}

/// Where a damaged database is rebuilt.
fn unfinished(database: &Path) -> PathBuf {
    damage::beside(database, ".rebuilding")
}

/// What was rebuilt, whole, until it has the database's own name.
fn rebuilt_of(database: &Path) -> PathBuf {
    damage::beside(database, ".rebuilt")
}

/// Sets the damaged database aside, wherever that was interrupted, and puts the rebuilt one in its place; gives the name
/// of what was set aside. It never happens that a rebuilt one lies there while another is in use.
fn finish_exchange(database: &Path) -> Result<PathBuf, StoreError> {
    let aside = set_aside(database)?;
    damage::rename_if_there(&rebuilt_of(database), database).map_err(|source| unwritable(database, source))?;
    if let Some(dir) = database.parent() {
        damage::sync_dir(dir);
    }
    Ok(aside)
}

#[cfg(test)]
mod tests;
