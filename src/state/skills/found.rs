//! The anomalies that were found or reported.

use rusqlite::{OptionalExtension, Row, params};

use crate::event::Timestamp;
use crate::skills::SkillAnomaly;
use crate::skills::anomaly::Finding;
use crate::state::store::{Store, StoreError};

/// The most anomalies that are kept, by the order in which they came.
const MOST: i64 = 100_000;

/// Keeps an anomaly that a host reported.
pub(super) fn report(
    store: &Store,
    skill_name: &str,
    anomaly_type: &str,
    score: Option<f64>,
    times: (i64, i64),
) -> Result<(), StoreError> {
    insert(store, skill_name, anomaly_type, score, times, false)
}

/// Keeps an anomaly that the bridge found; `false` where it is one that goes on since before.
pub(super) fn found(
    store: &Store,
    skill_name: &str,
    finding: &Finding,
    now_ms: i64,
    cooldown_ms: i64,
) -> Result<bool, StoreError> {
    let name = finding.kind.name();
    let now_ns = now_ms.saturating_mul(1_000_000);
    let last: Option<(i64, i64, f64)> = store
        .db()
        .prepare_cached(
            "SELECT id, heard_ms, score FROM anomalies \
             WHERE skill_name = ?1 AND anomaly_type = ?2 AND detected = 1 ORDER BY heard_ms DESC LIMIT 1",
        )?
        .query_row([skill_name, name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match last {
        Some((id, heard_ms, score)) if heard_ms >= now_ms.saturating_sub(cooldown_ms) => {
            let score = if finding.score.abs() > score.abs() { finding.score } else { score };
            store
                .db()
                .prepare_cached(
                    "UPDATE anomalies SET last_ns = max(last_ns, ?2), heard_ms = ?3, score = ?4 WHERE id = ?1",
                )?
                .execute(params![id, now_ns, now_ms, score])?;
            Ok(false)
        }
        _ => {
            insert(store, skill_name, name, Some(finding.score), (now_ns, now_ms), true)?;
            Ok(true)
        }
    }
}

/// The anomalies that were seen at that time or later, the last seen first.
pub fn since(store: &Store, since_ns: i64, limit: usize) -> Result<Vec<SkillAnomaly>, StoreError> {
    let mut statement = store.db().prepare_cached(
        "SELECT skill_name, anomaly_type, score, first_ns, last_ns, detected FROM anomalies \
         WHERE last_ns >= ?1 ORDER BY last_ns DESC, id DESC LIMIT ?2",
    )?;
    let found = statement.query_map([since_ns, i64::try_from(limit).unwrap_or(i64::MAX)], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Forgets the anomalies of which nothing came since `cut_ms`.
pub(super) fn prune(store: &Store, cut_ms: i64) -> Result<(), StoreError> {
    store.db().prepare_cached("DELETE FROM anomalies WHERE heard_ms < ?1")?.execute([cut_ms])?;
    Ok(())
}

fn insert(
    store: &Store,
    skill_name: &str,
    anomaly_type: &str,
    score: Option<f64>,
    (time_ns, heard_ms): (i64, i64),
    detected: bool,
) -> Result<(), StoreError> {
    let db = store.db();
    db.prepare_cached(
        "INSERT INTO anomalies (skill_name, anomaly_type, score, first_ns, last_ns, detected, heard_ms) \
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
    )?
    .execute(params![skill_name, anomaly_type, score, time_ns, detected, heard_ms])?;
    db.prepare_cached("DELETE FROM anomalies WHERE id <= ?1")?.execute([db.last_insert_rowid() - MOST])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<SkillAnomaly, rusqlite::Error> {
    let time = |nanos: i64| Timestamp::from_unix_nanos(u64::try_from(nanos).unwrap_or(0)).ok();
    let (first_ns, last_ns) = (row.get(3)?, row.get(4)?);
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    Ok(SkillAnomaly {
        skill_name: row.get(0)?,
        anomaly_type: row.get(1)?,
        deviation_score: row.get(2)?,
        timestamp: time(first_ns).unwrap_or_else(|| epoch.into()),
        last_seen: time(last_ns).unwrap_or_else(|| epoch.into()),
        detected: row.get(5)?,
    })
}
