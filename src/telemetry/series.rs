//! Series: what the SDK counts under one set of label values, and the side record of what the SDK does not know.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundGauge, BoundHistogram, BoundUpDownCounter, Gauge};

use super::base::Base;
use super::exemplar::{Exemplar, Link, Slots};

/// Stands for the number of a series that has none yet.
const UNNUMBERED: u32 = u32::MAX;

/// What the series of one instrument share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) buckets: Vec<f64>,
    /// Whether any series has an exemplar: while none has, nobody looks for one.
    pub(super) exemplified: AtomicBool,
    /// Whether any series has a base: while none has, nobody looks for one.
    pub(super) based: AtomicBool,
}

/// One set of label values of an instrument.
#[derive(Debug)]
pub struct Series {
    pub(super) bound: Bound,
    /// The kept label values in the order of the declaration; an absent one is empty.
    pub(super) values: Box<[&'static str]>,
    exemplars: Slots,
    pub(super) common: Arc<Common>,
    /// Of an overflow series: where its measurements are counted.
    overflowed: Option<Arc<Series>>,
    /// What it had counted before this process started.
    base: Base,
    /// When it was first made, in nanoseconds since 1970: before a restart, where it outlived one.
    start_ns: u64,
    /// Its number among those that the store keeps.
    number: AtomicU32,
}

#[derive(Debug)]
pub(super) enum Bound {
    Counter(BoundCounter<u64>),
    UpDownCounter(BoundUpDownCounter<i64>),
    Gauge(LateGauge),
    Histogram(BoundHistogram<f64>),
    /// Nothing is kept: the instrument is off, or a gauge has no room.
    None,
}

/// A gauge that is bound when it is first set: the SDK shows a bound one at once, at a 0 that nobody has told.
#[derive(Debug)]
pub(super) struct LateGauge {
    gauge: Gauge<f64>,
    attributes: Box<[KeyValue]>,
    bound: OnceLock<BoundGauge<f64>>,
}

impl LateGauge {
    pub(super) fn new(gauge: Gauge<f64>, attributes: &[KeyValue]) -> Self {
        Self { gauge, attributes: attributes.into(), bound: OnceLock::new() }
    }

    fn set(&self, value: f64) {
        self.bound.get_or_init(|| self.gauge.bind(&self.attributes)).record(value);
    }
}

impl Series {
    /// A series that begins now, where it has no other start.
    pub(super) fn new(
        bound: Bound,
        values: Box<[&'static str]>,
        common: &Arc<Common>,
        overflowed: Option<Arc<Series>>,
        carried: Option<(Base, u64)>,
    ) -> Self {
        let (base, start_ns) = carried.unwrap_or_else(|| (Base::None, now_ns()));
        Self {
            bound,
            values,
            exemplars: Slots::default(),
            common: Arc::clone(common),
            overflowed,
            base,
            start_ns,
            number: AtomicU32::new(UNNUMBERED),
        }
    }

    /// Adds to a counter.
    pub fn add(&self, value: u64, link: Option<Link>) {
        self.count_overflow();
        if let Bound::Counter(bound) = &self.bound {
            bound.add(value);
            if let Some(link) = link {
                self.exemplars.keep(0, 1, value as f64, link);
                self.common.exemplify();
            }
        }
    }

    /// Changes an up-down counter.
    pub fn change(&self, value: i64) {
        self.count_overflow();
        if let Bound::UpDownCounter(bound) = &self.bound {
            bound.add(value);
        }
    }

    /// Sets a gauge.
    pub fn set(&self, value: f64) {
        self.count_overflow();
        if let Bound::Gauge(gauge) = &self.bound {
            gauge.set(value);
        }
    }

    /// Records a value into a histogram; one that is not finite is left out.
    pub fn record(&self, value: f64, link: Option<Link>) {
        self.count_overflow();
        if let Bound::Histogram(bound) = &self.bound {
            bound.record(value);
            if let Some(link) = link
                && value.is_finite()
            {
                self.exemplars.keep(self.common.bucket(value), self.common.buckets.len() + 1, value, link);
                self.common.exemplify();
            }
        }
    }

    /// Hands the exemplars to `read`: one slot a bucket (a counter has one), or none at all.
    pub(crate) fn exemplars<R>(&self, read: impl FnOnce(&[Option<Exemplar>]) -> R) -> R {
        self.exemplars.read(read)
    }

    /// What it had counted before this process started.
    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// When it was first made, in nanoseconds since 1970; before a restart, where it outlived one.
    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Its number among those that the store keeps; `None` where it is not kept, or was not yet.
    pub(crate) fn number(&self) -> Option<u32> {
        Some(self.number.load(Ordering::Relaxed)).filter(|number| *number != UNNUMBERED)
    }

    /// Gives it its number among those that the store keeps.
    pub(crate) fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// The place of the bucket that a value falls into.
    pub(crate) fn bucket(&self, value: f64) -> usize {
        self.common.bucket(value)
    }

    /// The kept label values in the order of the declaration; an absent one is empty.
    pub(crate) fn values(&self) -> &[&'static str] {
        &self.values
    }

    fn count_overflow(&self) {
        if let Some(overflowed) = &self.overflowed {
            overflowed.add(1, None);
        }
    }
}

impl Common {
    pub(super) fn new(buckets: Vec<f64>) -> Self {
        Self { buckets, exemplified: AtomicBool::new(false), based: AtomicBool::new(false) }
    }

    pub(super) fn bucket(&self, value: f64) -> usize {
        self.buckets.partition_point(|bound| *bound < value)
    }

    fn exemplify(&self) {
        // Reading first leaves the line of memory shared between the threads that record.
        if !self.exemplified.load(Ordering::Relaxed) {
            self.exemplified.store(true, Ordering::Release);
        }
    }
}

/// The wall clock in nanoseconds since 1970.
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
