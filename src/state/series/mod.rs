//! What the series have counted that outlive a restart, as the store keeps it.
//!
//! A batch writes, in its own transaction, the totals of the series that it touches: what the store holds is what was
//! acknowledged, and nothing has to be counted again after a restart. The numbers that the store gets are worked out as
//! those are that every way out shows: from what a series had counted before this process started, and what it has
//! counted since, added in the same order.
//!
//! A batch that is not kept is taken back from memory, where it was counted already.

mod table;

pub(super) use table::MIGRATION;
pub(crate) use table::{StoredSeries, StoredValue};

use std::collections::HashMap;
use std::sync::Arc;

use table::Rows;

use super::store::{Store, StoreError};
use crate::catalog::{Kind, Metric};
use crate::telemetry::{Distribution, Instrument, Newcomer, Series, sum};

/// The batch of a series that none has touched yet.
const NO_BATCH: u64 = u64::MAX;

/// The totals of all series that outlive a restart, by the number that each series was given here.
#[derive(Debug, Default)]
pub(crate) struct SeriesTotals {
    /// The streams in force, by the places of their metrics in the catalog.
    streams: HashMap<usize, Stream>,
    entries: Vec<Entry>,
    /// The number of the batch at hand.
    batch: u64,
    /// What the batch has changed, each series once, with what it was before.
    touched: Vec<Touched>,
    /// The buckets that the batch has added to: the series and the place of the bucket.
    filled: Vec<(u32, u32)>,
    /// Series that differ from their rows and must be written with the next batch, whatever that touches.
    waiting: Vec<u32>,
    next_id: i64,
}

/// What is counted of one metric under certain labels and with certain buckets.
#[derive(Debug)]
struct Stream {
    id: i64,
    metric: &'static Metric,
    labels: Vec<&'static str>,
    bounds: Vec<f64>,
}

#[derive(Debug)]
struct Entry {
    /// The row.
    id: i64,
    /// The batch that touched it last.
    batch: u64,
    total: Total,
    series: Arc<Series>,
    stream_id: i64,
    overflow: bool,
    /// The row is there.
    stored: bool,
}

/// What a series has counted, before this process started and since.
#[derive(Debug)]
enum Total {
    Counter(u64),
    UpDownCounter(i64),
    /// `None` until it is set: it is not shown, and has no row.
    Gauge(Option<f64>),
    Histogram(Box<Measured>),
}

#[derive(Debug)]
struct Measured {
    /// The sum from before this process started, and since: to the last bit it matters which was added to which.
    base_sum: f64,
    since_sum: f64,
    count: u64,
    min: f64,
    max: f64,
    buckets: Box<[u64]>,
}

impl Measured {
    fn sum(&self) -> f64 {
        sum(self.base_sum, self.since_sum)
    }
}

/// A series that the batch has changed.
#[derive(Debug)]
struct Touched {
    number: u32,
    before: Before,
}

/// What takes a change back; of a histogram without its buckets.
#[derive(Debug)]
enum Before {
    Counter(u64),
    UpDownCounter(i64),
    Gauge(Option<f64>),
    Histogram { since_sum: f64, count: u64, min: f64, max: f64 },
}

impl SeriesTotals {
    /// Puts an instrument's stream in force; gives its number, and whether it is a new one of a metric that had another
    /// before.
    pub(super) fn stream(&mut self, store: &Store, instrument: &Instrument) -> Result<(i64, bool), StoreError> {
        let (labels, bounds) = (instrument.kept_labels(), instrument.buckets().to_vec());
        let mut stream = Stream { id: 0, metric: instrument.metric(), labels, bounds };
        let (id, anew) = table::stream(store, &stream)?;
        stream.id = id;
        self.streams.insert(instrument.place(), stream);
        Ok((id, anew))
    }

    /// Hands over every series that is stored, in the order of their coming; gives how many could not be read.
    pub(super) fn read(
        &mut self,
        store: &Store,
        mut each: impl FnMut(&mut Self, StoredSeries),
    ) -> Result<usize, StoreError> {
        let (unread, next_id) = table::read(store, |stored| each(self, stored))?;
        self.next_id = next_id;
        Ok(unread)
    }

    /// Goes on with a series that was stored. `since_sum` is what its histogram's sum in the SDK begins with.
    pub(crate) fn go_on(&mut self, stored: &StoredSeries, series: &Arc<Series>, kind: Kind, since_sum: f64) {
        let total = match (&stored.value, kind) {
            (StoredValue::Integer(value), Kind::UpDownCounter) => Total::UpDownCounter(*value),
            (StoredValue::Integer(value), _) => Total::Counter(value.cast_unsigned()),
            (StoredValue::Real(value), _) => Total::Gauge(Some(*value)),
            (StoredValue::Distribution(stored), _) => {
                let base_sum = series.base().distribution().map_or(0.0, |base| base.sum);
                let Distribution { count, min, max, buckets, .. } = stored.clone();
                Total::Histogram(Box::new(Measured { base_sum, since_sum, count, min, max, buckets }))
            }
        };
        self.enter(Entry {
            id: stored.id,
            batch: NO_BATCH,
            total,
            series: Arc::clone(series),
            stream_id: stored.stream_id,
            overflow: stored.labels.is_none(),
            stored: true,
        });
    }

    /// Begins a series. It gets its row with the next batch, a gauge when it is set.
    pub(crate) fn begin(&mut self, newcomer: Newcomer) {
        let Newcomer { place, series, overflow } = newcomer;
        let Some(stream) = self.streams.get(&place) else { return };
        let total = match stream.metric.kind {
            Kind::Counter => Total::Counter(0),
            Kind::UpDownCounter => Total::UpDownCounter(0),
            Kind::Gauge => Total::Gauge(None),
            Kind::Histogram => Total::Histogram(Box::new(Measured {
                base_sum: 0.0,
                since_sum: 0.0,
                count: 0,
                min: f64::MAX,
                max: f64::MIN,
                // As the SDK has it: without bounds there are no buckets.
                buckets: vec![0; if stream.bounds.is_empty() { 0 } else { stream.bounds.len() + 1 }].into(),
            })),
        };
        let (is_gauge, stream_id, id) = (matches!(total, Total::Gauge(_)), stream.id, self.next_id);
        self.next_id += 1;
        let number = self.enter(Entry { id, batch: NO_BATCH, total, series, stream_id, overflow, stored: false });
        if !is_gauge {
            self.waiting.push(number);
        }
    }

    /// Writes everything that is known into a store that may have lost some of it.
    pub(super) fn write_all(&mut self, store: &Store) -> Result<(), StoreError> {
        for stream in self.streams.values() {
            table::write_stream(store, stream)?;
        }
        let mut rows = Rows::new(store)?;
        for entry in &mut self.entries {
            if !matches!(entry.total, Total::Gauge(None)) {
                rows.begin(entry)?;
                rows.write(entry)?;
                entry.stored = true;
            }
        }
        Ok(())
    }

    /// A counter counted more.
    pub(crate) fn add(&mut self, number: u32, value: u64) {
        if let Some(Total::Counter(total)) = self.touch(number) {
            *total = total.wrapping_add(value);
        }
    }

    /// An up-down counter changed.
    pub(crate) fn shift(&mut self, number: u32, value: i64) {
        if let Some(Total::UpDownCounter(total)) = self.touch(number) {
            *total = total.wrapping_add(value);
        }
    }

    /// A gauge was set.
    pub(crate) fn set(&mut self, number: u32, value: f64) {
        // Many gauges are set again and again to what they are: that needs no writing.
        if let Some(Entry { total: Total::Gauge(Some(known)), .. }) = self.entries.get(number as usize)
            && known.to_bits() == value.to_bits()
        {
            return;
        }
        if let Some(Total::Gauge(total)) = self.touch(number) {
            *total = Some(value);
        }
    }

    /// A histogram measured a value, which fell into that bucket. As the SDK does, it leaves out one that is not finite.
    pub(crate) fn record(&mut self, number: u32, value: f64, bucket: usize) {
        if !value.is_finite() {
            return;
        }
        let Some(Total::Histogram(measured)) = self.touch(number) else { return };
        measured.since_sum += value;
        measured.count = measured.count.wrapping_add(1);
        measured.min = measured.min.min(value);
        measured.max = measured.max.max(value);
        if let Some(count) = measured.buckets.get_mut(bucket)
            && let Ok(bucket) = u32::try_from(bucket)
        {
            *count = count.wrapping_add(1);
            self.filled.push((number, bucket));
        }
    }

    /// Writes what the batch has changed.
    pub(super) fn write(&mut self, store: &Store) -> Result<(), StoreError> {
        for at in 0..self.waiting.len() {
            self.touch(self.waiting[at]);
        }
        if self.touched.is_empty() {
            return Ok(());
        }
        // Rows side by side are written one after the other.
        self.touched.sort_unstable_by_key(|touched| touched.number);
        let mut rows = Rows::new(store)?;
        for Touched { number, .. } in &self.touched {
            let Some(entry) = self.entries.get(*number as usize) else { continue };
            // A row may be gone that was there: somebody deleted it, or another store took the place of the one it was in.
            if !entry.stored || !rows.write(entry)? {
                rows.begin(entry)?;
                rows.write(entry)?;
            }
        }
        Ok(())
    }

    /// The batch was committed.
    pub(super) fn keep(&mut self) {
        for Touched { number, .. } in self.touched.drain(..) {
            if let Some(entry) = self.entries.get_mut(number as usize) {
                entry.stored = true;
            }
        }
        self.waiting.clear();
        self.filled.clear();
        self.batch += 1;
    }

    /// What was changed is to be written with the next batch.
    pub(crate) fn keep_for_later(&mut self) {
        self.waiting.extend(self.touched.drain(..).map(|touched| touched.number));
        self.filled.clear();
        self.batch += 1;
    }

    /// The batch was not kept.
    pub(super) fn forget(&mut self) {
        for Touched { number, before } in self.touched.drain(..) {
            let Some(entry) = self.entries.get_mut(number as usize) else { continue };
            match (&mut entry.total, before) {
                (Total::Counter(total), Before::Counter(before)) => *total = before,
                (Total::UpDownCounter(total), Before::UpDownCounter(before)) => *total = before,
                (Total::Gauge(total), Before::Gauge(before)) => *total = before,
                (Total::Histogram(measured), Before::Histogram { since_sum, count, min, max }) => {
                    (measured.since_sum, measured.count) = (since_sum, count);
                    (measured.min, measured.max) = (min, max);
                }
                _ => {}
            }
        }
        for (number, bucket) in self.filled.drain(..) {
            if let Some(Entry { total: Total::Histogram(measured), .. }) = self.entries.get_mut(number as usize)
                && let Some(count) = measured.buckets.get_mut(bucket as usize)
            {
                *count = count.wrapping_sub(1);
            }
        }
        self.batch += 1;
    }

    fn enter(&mut self, entry: Entry) -> u32 {
        // The limits of all instruments together are far below.
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        entry.series.set_number(number);
        self.entries.push(entry);
        number
    }

    /// What a series has counted, to be changed.
    fn touch(&mut self, number: u32) -> Option<&mut Total> {
        let entry = self.entries.get_mut(number as usize)?;
        if entry.batch != self.batch {
            entry.batch = self.batch;
            let before = match &entry.total {
                Total::Counter(value) => Before::Counter(*value),
                Total::UpDownCounter(value) => Before::UpDownCounter(*value),
                Total::Gauge(value) => Before::Gauge(*value),
                Total::Histogram(measured) => {
                    let Measured { since_sum, count, min, max, .. } = **measured;
                    Before::Histogram { since_sum, count, min, max }
                }
            };
            self.touched.push(Touched { number, before });
        }
        Some(&mut entry.total)
    }
}

#[cfg(test)]
mod tests;
