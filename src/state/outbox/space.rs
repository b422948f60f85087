//! The size of the database's file after an outage.
//!
//! What waits for the collector makes the file grow; once it is taken, its pages are free, and new rows use them first.
//! What stays free is cut off the end of the file, some pages each second, so that no answer has to wait for it.

use rusqlite::Connection;

use crate::state::store::StoreError;

/// Free pages that are kept for what comes next: 16 MiB.
const KEPT_FREE: i64 = 4096;
/// The most pages that are given back at once: 1 MiB.
const AT_ONCE: i64 = 256;
/// The most where there is hardly any room to write down that they are gone: 64 KiB.
const FEW: i64 = 16;
/// SQLite's number for `auto_vacuum = INCREMENTAL`.
const INCREMENTAL: i64 = 2;

/// Makes a database one whose free pages can be given back. To be called before anything else is done with it: one that
/// was made without is written anew, where there is room for that.
pub(in crate::state) fn prepare(db: &Connection) -> Result<(), StoreError> {
    let mode: i64 = db.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if mode != INCREMENTAL {
        db.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
        if let Err(error) = db.execute_batch("VACUUM") {
            tracing::warn!(%error, "the database keeps its size: it could not be written anew");
        }
    }
    Ok(())
}

/// Gives some free pages back, beyond those that are kept.
pub(super) fn give_back(db: &Connection) -> Result<(), StoreError> {
    cut(db, KEPT_FREE, AT_ONCE).map(drop)
}

/// Gives a few free pages back, of all that there are: on a disk that is full, where the log has hardly any room. They are
/// gone once the log is folded in. False where there are none.
pub(in crate::state) fn give_back_few(db: &Connection) -> Result<bool, StoreError> {
    cut(db, 0, FEW)
}

fn cut(db: &Connection, kept: i64, most: i64) -> Result<bool, StoreError> {
    let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let pages = (free - kept).min(most);
    if pages > 0 {
        // It gives a row for each step, which only a query runs through.
        let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(pages > 0)
}
