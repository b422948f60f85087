//! The invocations one by one: the newest ones, as many as may be kept.
//!
//! They are numbered without gaps in the order in which they came, so that the oldest are deleted as a range, and
//! their number is known without counting.

use rusqlite::{OptionalExtension, params};

use super::Invocation;
use crate::state::store::{Store, StoreError};

/// The most rows that one transaction deletes beyond those that it adds: a lower bound or a long pause must not stop
/// the writer.
const DELETE_AT_ONCE: i64 = 20_000;

/// The numbers of the invocations that are kept.
#[derive(Debug)]
pub(super) struct Log {
    /// The oldest; `next` where there is none.
    first: i64,
    next: i64,
    /// Rows of the batch that is not committed yet.
    added: i64,
    most: i64,
}

impl Log {
    pub(super) fn new(most: usize) -> Self {
        Self { first: 1, next: 1, added: 0, most: i64::try_from(most).unwrap_or(i64::MAX) }
    }

    pub(super) fn add(
        &mut self,
        store: &Store,
        invocation: &Invocation<'_>,
        time_ns: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        store
            .db()
            .prepare_cached(
                "INSERT INTO skill_invocations (seq, kept_ms, time_ns, skill_name, workflow_phase, workflow_path, \
                 completed, duration_seconds, session_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                self.next,
                now_ms,
                time_ns,
                invocation.skill_name,
                invocation.workflow_phase,
                invocation.workflow_path,
                invocation.completed,
                invocation.duration_seconds,
                invocation.session_id,
            ])?;
        self.next += 1;
        self.added += 1;
        Ok(())
    }

    /// Keeps to the bound, where the batch added rows.
    pub(super) fn write(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.added > 0 {
            let most_deleted = DELETE_AT_ONCE + std::mem::take(&mut self.added);
            self.delete_before(store, self.next.saturating_sub(self.most), most_deleted)?;
        }
        Ok(())
    }

    /// Deletes what was kept before `cut_ms`, or as much of it as one transaction may.
    pub(super) fn prune(&mut self, store: &Store, cut_ms: i64) -> Result<(), StoreError> {
        let first_to_stay: Option<i64> = store
            .db()
            .prepare_cached("SELECT seq FROM skill_invocations WHERE kept_ms >= ?1 ORDER BY seq LIMIT 1")?
            .query_row([cut_ms], |row| row.get(0))
            .optional()?;
        self.delete_before(store, first_to_stay.unwrap_or(self.next), DELETE_AT_ONCE)
    }

    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        // Apart, each is one look at an end of the table.
        let ends = "SELECT (SELECT min(seq) FROM skill_invocations), (SELECT max(seq) + 1 FROM skill_invocations)";
        let (first, next): (Option<i64>, Option<i64>) =
            store.db().query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        (self.first, self.next) = first.zip(next).unwrap_or((1, 1));
        self.added = 0;
        Ok(())
    }

    fn delete_before(&mut self, store: &Store, seq: i64, most: i64) -> Result<(), StoreError> {
        let seq = seq.min(self.first.saturating_add(most));
        if seq > self.first {
            store.db().prepare_cached("DELETE FROM skill_invocations WHERE seq < ?1")?.execute([seq])?;
            self.first = seq;
        }
        Ok(())
    }
}
