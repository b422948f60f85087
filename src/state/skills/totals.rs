//! The totals of skills, whole and by day.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Row, params};

use super::Skill;
use crate::state::store::{Store, StoreError};

/// The length of a day.
const DAY_MS: i64 = 86_400_000;

/// Sums over invocations.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Totals {
    pub(super) invocations: u64,
    pub(super) completed: u64,
    /// How many told their duration.
    pub(super) timed: u64,
    /// The sum of these durations.
    pub(super) seconds: f64,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Self) {
        self.invocations += other.invocations;
        self.completed += other.completed;
        self.timed += other.timed;
        self.seconds += other.seconds;
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.invocations = self.invocations.saturating_sub(other.invocations);
        self.completed = self.completed.saturating_sub(other.completed);
        self.timed = self.timed.saturating_sub(other.timed);
        self.seconds = (self.seconds - other.seconds).max(0.0);
    }

    pub(super) fn rate(&self) -> Option<f64> {
        (self.invocations > 0).then(|| self.completed as f64 / self.invocations as f64)
    }

    pub(super) fn mean_seconds(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.seconds / self.timed as f64)
    }

    /// From four columns, of which `first` is the first.
    fn read(row: &Row<'_>, first: usize) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            invocations: count(row, first)?,
            completed: count(row, first + 1)?,
            timed: count(row, first + 2)?,
            seconds: row.get(first + 3)?,
        })
    }
}

/// A column that holds a count.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// A count as SQLite keeps it.
fn kept(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What the batch that is not committed yet adds to each day of each skill.
#[derive(Debug, Default)]
pub(super) struct Days {
    pending: HashMap<(i64, i64), Totals>,
}

impl Days {
    pub(super) fn add(&mut self, skill: i64, now_ms: i64, totals: &Totals) {
        self.pending.entry((now_ms.div_euclid(DAY_MS), skill)).or_default().add(totals);
    }

    pub(super) fn write(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut upsert = store.db().prepare_cached(
            "INSERT INTO skill_days (day, skill_id, invocations, completed, timed, seconds) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
             invocations = invocations + excluded.invocations, completed = completed + excluded.completed, \
             timed = timed + excluded.timed, seconds = seconds + excluded.seconds",
        )?;
        for ((day, skill), totals) in self.pending.drain() {
            let Totals { invocations, completed, timed, seconds } = totals;
            upsert.execute(params![day, skill, kept(invocations), kept(completed), kept(timed), seconds])?;
        }
        Ok(())
    }

    /// Deletes the days that ended before `cut_ms`, and tells what they had added to each skill.
    pub(super) fn take_before(store: &Store, cut_ms: i64) -> Result<HashMap<i64, Totals>, StoreError> {
        let day = cut_ms.div_euclid(DAY_MS);
        let mut sums = store.db().prepare_cached(
            "SELECT skill_id, sum(invocations), sum(completed), sum(timed), sum(seconds) FROM skill_days \
             WHERE day < ?1 GROUP BY skill_id",
        )?;
        let gone = sums.query_map([day], |row| Ok((row.get(0)?, Totals::read(row, 1)?)))?;
        let gone: HashMap<i64, Totals> = gone.collect::<Result<_, _>>()?;
        if !gone.is_empty() {
            store.db().prepare_cached("DELETE FROM skill_days WHERE day < ?1")?.execute([day])?;
        }
        Ok(gone)
    }
}

/// Writes the row of a skill.
pub(super) fn write(store: &Store, name: &str, skill: &Skill) -> Result<(), StoreError> {
    let Totals { invocations, completed, timed, seconds } = skill.totals;
    let phases = serde_json::to_string(&skill.phases)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    store
        .db()
        .prepare_cached(
            "INSERT OR REPLACE INTO skills (skill_id, skill_name, invocations, completed, timed, seconds, first_ns, \
             newest_ns, reported_rate, reported_ns, heard_ms, phases) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            skill.id,
            name,
            kept(invocations),
            kept(completed),
            kept(timed),
            seconds,
            skill.first_ns,
            skill.newest_ns,
            skill.reported.map(|(rate, _)| rate),
            skill.reported.map(|(_, at_ns)| at_ns),
            skill.heard_ms,
            phases,
        ])?;
    Ok(())
}

/// Deletes a skill and its slots.
pub(super) fn delete(store: &Store, id: i64) -> Result<(), StoreError> {
    store.db().prepare_cached("DELETE FROM skills WHERE skill_id = ?1")?.execute([id])?;
    store.db().prepare_cached("DELETE FROM skill_slots WHERE skill_id = ?1")?.execute([id])?;
    Ok(())
}

/// All skills.
pub(super) fn load(store: &Store) -> Result<HashMap<Arc<str>, Skill>, StoreError> {
    let mut statement = store.db().prepare_cached(
        "SELECT skill_name, skill_id, invocations, completed, timed, seconds, first_ns, newest_ns, reported_rate, \
         reported_ns, heard_ms, phases FROM skills",
    )?;
    let skills = statement.query_map([], |row| {
        let phases: String = row.get(11)?;
        let reported: (Option<f64>, Option<i64>) = (row.get(8)?, row.get(9)?);
        let skill = Skill {
            id: row.get(1)?,
            totals: Totals::read(row, 2)?,
            first_ns: row.get(6)?,
            newest_ns: row.get(7)?,
            reported: reported.0.zip(reported.1),
            heard_ms: row.get(10)?,
            phases: serde_json::from_str(&phases).unwrap_or_default(),
        };
        Ok((row.get(0)?, skill))
    })?;
    Ok(skills.collect::<Result<_, _>>()?)
}
