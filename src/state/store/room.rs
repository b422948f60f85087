//! Room that is kept on the disk, so that a full one can become emptier again.
//!
//! What was committed lies in the log until it is folded into the database, and to settle what the collector took means
//! to write as well. On a disk without any room neither can be done: an outbox that had filled it would stay full when the
//! collector is back. So events are refused while that room is still there.

use std::fs;

use super::{Disk, LOG_BYTES, Store, StoreError};

/// For what is written to take something away, and for what a batch wants beyond what was thought.
const SPARE: u64 = 16 << 20;
/// Of a small file system no more than this part.
const SPARE_PART: u64 = 16;

impl Store {
    /// Whether so many bytes more can be written, and the log be folded in after that.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoRoom`], where what would be left is needed for what is there already.
    pub(in crate::state) fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
        let Some(disk) = self.disk.as_ref().filter(|disk| !disk.adrift) else { return Ok(()) };
        // Where the system does not tell, a write will.
        let Some((free, whole)) = free_and_whole(disk) else { return Ok(()) };
        let kept = SPARE.min(whole / SPARE_PART) + bytes as u64;
        // More than any log comes to: nothing else need be looked at.
        if free >= kept + 2 * LOG_BYTES {
            return Ok(());
        }
        let needed = kept + self.growth(disk)?;
        if free >= needed {
            return Ok(());
        }
        tracing::debug!(free, needed, "the disk is nearly full");
        Err(StoreError::NoRoom)
    }

    /// By how much the database's file grows when the log is folded in.
    fn growth(&self, disk: &Disk) -> Result<u64, StoreError> {
        let pages: i64 = self.db.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let size: i64 = self.db.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let now = fs::metadata(&disk.database).map_or(0, |metadata| metadata.len());
        Ok(u64::try_from(pages.saturating_mul(size)).unwrap_or(0).saturating_sub(now))
    }
}

/// Bytes of the file system that the bridge may still use, and all of them.
#[cfg(unix)]
fn free_and_whole(disk: &Disk) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(disk.database.parent()?).ok()?;
    let (free, whole) = (found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize));
    // Some file systems have no answer, and say 0 to everything.
    (whole > 0).then_some((free, whole))
}

#[cfg(not(unix))]
fn free_and_whole(_: &Disk) -> Option<(u64, u64)> {
    None
}
