//! Checkpoints: what was committed to the write-ahead log goes into the database on a thread of its own.
//!
//! The writer would answer nobody while it copies pages and syncs two files. Here that is done beside it, over a
//! connection of its own, and only the commits that come meanwhile are left for later.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, connect};
use crate::config::Durability;

/// So many pages (of 4 KiB) in the log are worth a checkpoint while commits go on: 24 MiB. The disk is busy with one for
/// some ten milliseconds, and commits wait for it meanwhile: they must be rare.
const WORTH_PAGES: i64 = 6144;

/// So many are worth one once commits have ceased for a while, so that a start after a kill has little to read.
const WORTH_WHEN_IDLE_PAGES: i64 = 256;

/// So many pages in the log are worth to begin it anew, so that its file is written over and over: to sync a file that
/// grows costs several times as much.
const LONG_PAGES: i64 = 2 * WORTH_PAGES;

/// From one look at the log to the next. A log grows by some MiB meanwhile at most.
const REST: Duration = Duration::from_millis(50);

/// Without a commit for so long, they have ceased for a while.
const IDLE: Duration = Duration::from_secs(1);

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Checkpointer {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
    /// The log is long, and nearly all of it is copied.
    long: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    committed: bool,
    stop: bool,
}

impl Checkpointer {
    /// Starts the thread. Without one the writer folds the log in itself, less often and at the cost of its answers.
    pub(super) fn start(database: PathBuf, durability: Durability) -> Self {
        let signal = Arc::new(Signal::default());
        let theirs = Arc::clone(&signal);
        let thread = std::thread::Builder::new()
            .name("mcp-otel-checkpoint".to_owned())
            .spawn(move || run(&theirs, || connect(&database, durability, OpenFlags::SQLITE_OPEN_READ_WRITE)))
            .inspect_err(|error| tracing::warn!(%error, "the thread of checkpoints could not be started"))
            .ok();
        Self { signal, thread }
    }

    /// Something was committed.
    pub(super) fn committed(&self) {
        let mut state = self.signal.lock();
        // Only the first of several wakes the thread.
        if !std::mem::replace(&mut state.committed, true) {
            self.signal.changed.notify_one();
        }
    }

    /// Whether it is time to begin the log anew, which only the writer can, between two commits.
    pub(super) fn take_long(&self) -> bool {
        self.signal.long.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.signal.lock().stop = true;
        self.signal.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked; and if it had, it would have said so.
            let _ = thread.join();
        }
    }
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a commit and a moment after it, or until there has been none for a while, which `busy` then says;
    /// `None` where it is time to stop.
    fn wait(&self, busy: &mut bool) -> Option<i64> {
        let idle = |state: &mut State| !state.committed && !state.stop;
        let mut state = self.lock();
        if std::mem::take(busy) {
            let waited = self.changed.wait_timeout_while(state, IDLE, idle).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            if waited.1.timed_out() {
                return Some(WORTH_WHEN_IDLE_PAGES);
            }
        }
        let state = self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        let resting = |state: &mut State| !state.stop;
        let rested = self.changed.wait_timeout_while(state, REST, resting).unwrap_or_else(PoisonError::into_inner);
        let mut state = rested.0;
        state.committed = false;
        *busy = true;
        (!state.stop).then_some(WORTH_PAGES)
    }
}

fn run(signal: &Signal, open: impl Fn() -> Result<Connection, StoreError>) {
    let (mut db, mut busy) = (None, false);
    while let Some(worth) = signal.wait(&mut busy) {
        let done = match db.take() {
            Some(db) => Ok(db),
            None => open(),
        }
        .and_then(|opened| checkpoint(&opened, worth, &signal.long).map(|()| opened));
        match done {
            Ok(opened) => db = Some(opened),
            // The writer meets the same fault, and tells of it. A new connection is tried after the next commit.
            Err(error) => tracing::debug!(%error, "a checkpoint failed"),
        }
    }
}

fn checkpoint(db: &Connection, worth: i64, long: &AtomicBool) -> Result<(), StoreError> {
    let (logged, copied): (i64, i64) =
        db.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
    if logged.saturating_sub(copied) >= worth {
        db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        long.store(logged >= LONG_PAGES, Ordering::Relaxed);
    }
    Ok(())
}
