//! The tables of series: how what a series has counted is written and read.

use rusqlite::{CachedStatement, OptionalExtension as _, Row, params};
use serde_json::json;

use super::super::store::{Store, StoreError};
use super::{Entry, Measured, Stream, Total};
use crate::telemetry::Distribution;

/// The numbers of `series` have no declared type: with one, SQLite would store some of them as other numbers.
pub(in crate::state) const MIGRATION: &str = "
    CREATE TABLE series_streams (
        id INTEGER PRIMARY KEY,
        metric TEXT NOT NULL,
        kind TEXT NOT NULL,
        labels TEXT NOT NULL,
        bounds TEXT NOT NULL,
        UNIQUE (metric, kind, labels, bounds)
    );
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        stream_id INTEGER NOT NULL,
        labels TEXT,
        start_ns INTEGER NOT NULL,
        value,
        sum,
        min,
        max,
        buckets TEXT
    );";

/// A row as it is read.
#[derive(Debug)]
pub(crate) struct StoredSeries {
    pub(super) id: i64,
    /// What it belongs to.
    pub(crate) stream_id: i64,
    /// The values of the stream's labels, in their order; `None` for the overflow series.
    pub(crate) labels: Option<Vec<String>>,
    /// When it was first made, in nanoseconds since 1970.
    pub(crate) start_ns: u64,
    /// What it had counted.
    pub(crate) value: StoredValue,
}

/// What a series had counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StoredValue {
    /// A counter's total or an up-down counter's value, as the bits of either.
    Integer(i64),
    /// A gauge's value.
    Real(f64),
    /// A histogram's measurements.
    Distribution(Distribution),
}

/// The statements that write rows.
pub(super) struct Rows<'s> {
    insert: CachedStatement<'s>,
    number: CachedStatement<'s>,
    distribution: CachedStatement<'s>,
    /// The buckets of the row at hand as a JSON array.
    buckets: String,
}

impl<'s> Rows<'s> {
    pub(super) fn new(store: &'s Store) -> Result<Self, StoreError> {
        let db = store.db();
        Ok(Self {
            insert: db.prepare_cached(
                "INSERT OR REPLACE INTO series (id, stream_id, labels, start_ns) VALUES (?1, ?2, ?3, ?4)",
            )?,
            number: db.prepare_cached("UPDATE series SET value = ?2 WHERE id = ?1")?,
            distribution: db.prepare_cached(
                "UPDATE series SET value = ?2, sum = ?3, min = ?4, max = ?5, buckets = ?6 WHERE id = ?1",
            )?,
            buckets: String::new(),
        })
    }

    /// Makes a series its row, with what does not change.
    pub(super) fn begin(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let labels = (!entry.overflow).then(|| json!(entry.series.values()).to_string());
        let start_ns = entry.series.start_ns().cast_signed();
        self.insert.execute(params![entry.id, entry.stream_id, labels, start_ns])?;
        Ok(())
    }

    /// Writes what a series has counted; whether it has a row.
    pub(super) fn write(&mut self, entry: &Entry) -> Result<bool, StoreError> {
        let Entry { id, total, .. } = entry;
        let rows = match total {
            Total::Counter(value) => self.number.execute(params![id, value.cast_signed()])?,
            Total::UpDownCounter(value) => self.number.execute(params![id, value])?,
            Total::Gauge(value) => self.number.execute(params![id, value])?,
            Total::Histogram(measured) => {
                let Measured { count, min, max, buckets, .. } = &**measured;
                // Nothing has measured the extremes of an empty one.
                let (min, max) = if *count == 0 { (None, None) } else { (Some(min), Some(max)) };
                self.buckets.clear();
                for bucket in buckets {
                    self.buckets.push(if self.buckets.is_empty() { '[' } else { ',' });
                    self.buckets.push_str(itoa::Buffer::new().format(*bucket));
                }
                self.buckets.push_str(if self.buckets.is_empty() { "[]" } else { "]" });
                let values = params![id, count.cast_signed(), measured.sum(), min, max, self.buckets];
                self.distribution.execute(values)?
            }
        };
        Ok(rows > 0)
    }
}

/// The number of a stream, made where there is none; and whether it was made beside others of its metric.
pub(super) fn stream(store: &Store, stream: &Stream) -> Result<(i64, bool), StoreError> {
    let Stream { metric, labels, bounds, .. } = stream;
    let (labels, bounds) = (json!(labels).to_string(), json!(bounds).to_string());
    let same = params![metric.otel, metric.kind.name(), labels, bounds];
    let db = store.db();
    let mut find = db.prepare_cached(
        "SELECT id FROM series_streams WHERE metric = ?1 AND kind = ?2 AND labels = ?3 AND bounds = ?4",
    )?;
    if let Some(id) = find.query_row(same, |row| row.get(0)).optional()? {
        return Ok((id, false));
    }
    let others: i64 =
        db.query_row("SELECT count(*) FROM series_streams WHERE metric = ?1", [metric.otel], |row| row.get(0))?;
    db.prepare_cached("INSERT INTO series_streams (metric, kind, labels, bounds) VALUES (?1, ?2, ?3, ?4)")?
        .execute(same)?;
    Ok((db.last_insert_rowid(), others > 0))
}

/// Writes a stream under its number.
pub(super) fn write_stream(store: &Store, stream: &Stream) -> Result<(), StoreError> {
    let Stream { id, metric, labels, bounds } = stream;
    store
        .db()
        .prepare_cached(
            "INSERT OR REPLACE INTO series_streams (id, metric, kind, labels, bounds) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![id, metric.otel, metric.kind.name(), json!(labels).to_string(), json!(bounds).to_string()])?;
    Ok(())
}

/// Hands over every row that can be read, in the order of their ids; gives how many could not, and the next free id.
pub(super) fn read(store: &Store, mut each: impl FnMut(StoredSeries)) -> Result<(usize, i64), StoreError> {
    let mut statement = store.db().prepare(
        "SELECT s.id, s.stream_id, s.labels, s.start_ns, s.value, s.sum, s.min, s.max, s.buckets, t.kind
         FROM series s JOIN series_streams t ON t.id = s.stream_id ORDER BY s.id",
    )?;
    let mut rows = statement.query([])?;
    let mut unread = 0;
    while let Some(row) = rows.next()? {
        match of_row(row) {
            Some(stored) => each(stored),
            None => unread += 1,
        }
    }
    let last: Option<i64> = store.db().query_row("SELECT max(id) FROM series", [], |row| row.get(0))?;
    Ok((unread, last.map_or(1, |last| last.saturating_add(1))))
}

/// `None` where somebody else has written it.
fn of_row(row: &Row<'_>) -> Option<StoredSeries> {
    let labels: Option<String> = row.get(2).ok()?;
    let value = match row.get_ref(9).ok()?.as_str().ok()? {
        "histogram" => {
            let count: i64 = row.get(4).ok()?;
            let buckets: String = row.get(8).ok()?;
            StoredValue::Distribution(Distribution {
                count: count.cast_unsigned(),
                sum: row.get(5).ok()?,
                min: row.get::<_, Option<f64>>(6).ok()?.unwrap_or(f64::MAX),
                max: row.get::<_, Option<f64>>(7).ok()?.unwrap_or(f64::MIN),
                buckets: serde_json::from_str(&buckets).ok()?,
            })
        }
        "gauge" => StoredValue::Real(row.get(4).ok()?),
        _ => StoredValue::Integer(row.get(4).ok()?),
    };
    Some(StoredSeries {
        id: row.get(0).ok()?,
        stream_id: row.get(1).ok()?,
        labels: labels.map(|labels| serde_json::from_str(&labels)).transpose().ok()?,
        start_ns: row.get::<_, i64>(3).ok()?.cast_unsigned(),
        value,
    })
}
