//! Instruments and their series: what the SDK counts, and the side record of what the SDK does not know.
//!
//! An [`Instrument`] is one metric of the catalog; a [`Series`] is one set of its label values, with the SDK's bound
//! instrument, the exemplars, and the labels as they are printed. An instrument enforces its cardinality limit itself:
//! past it the SDK would bind to its overflow series silently and for ever.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use hashbrown::hash_table::{Entry, HashTable};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    BoundCounter, BoundGauge, BoundHistogram, BoundUpDownCounter, Counter, Gauge, Histogram, Meter, UpDownCounter,
};

use super::exemplar::{Exemplar, Link, Slots};
use super::intern::intern;
use super::order::{Counted, Order};
use super::snapshot::Point;
use super::stream::Stream;
use crate::catalog::{Kind, Metric, label_name};

/// The attribute key of the series that holds what exceeds a cardinality limit, as the specification names it.
pub(super) const OVERFLOW_KEY: &str = "otel.metric.overflow";

/// One metric of the catalog, ready to record.
#[derive(Debug)]
pub struct Instrument {
    metric: &'static Metric,
    stream: Stream,
    sdk: Sdk,
    /// The kept labels in the order in which the SDK sorts attributes: a series bound in this order is stored once.
    sorted: Box<[usize]>,
    /// The keys of the kept labels in that order.
    sorted_keys: Box<[&'static str]>,
    /// The place in the catalog.
    place: usize,
    common: Arc<Common>,
    hasher: hashbrown::DefaultHashBuilder,
    table: RwLock<Table>,
    order: Mutex<Order>,
    /// How much text the series were the last time.
    printed: AtomicUsize,
    /// The counter of measurements that found no room.
    overflows: Option<Arc<Instrument>>,
}

#[derive(Debug, Default)]
struct Table {
    series: HashTable<Arc<Series>>,
    overflow: Option<Arc<Series>>,
}

#[derive(Debug)]
enum Sdk {
    Counter(Counter<u64>),
    UpDownCounter(UpDownCounter<i64>),
    Gauge(Gauge<f64>),
    Histogram(Histogram<f64>),
    /// The group is off, or a view drops it.
    Off,
}

/// What the series of one instrument share.
#[derive(Debug)]
struct Common {
    buckets: Vec<f64>,
    /// Whether any series has an exemplar: while none has, nobody looks for one.
    exemplified: AtomicBool,
}

/// One set of label values of an instrument.
#[derive(Debug)]
pub struct Series {
    bound: Bound,
    /// The kept label values in the order of the declaration; an absent one is empty.
    values: Box<[&'static str]>,
    exemplars: Slots,
    common: Arc<Common>,
    /// Of an overflow series: where its measurements are counted.
    overflowed: Option<Arc<Series>>,
}

#[derive(Debug)]
enum Bound {
    Counter(BoundCounter<u64>),
    UpDownCounter(BoundUpDownCounter<i64>),
    Gauge(LateGauge),
    Histogram(BoundHistogram<f64>),
    /// Nothing is kept: the instrument is off, or a gauge has no room.
    None,
}

/// A gauge that is bound when it is first set: the SDK shows a bound one at once, at a 0 that nobody has told.
#[derive(Debug)]
struct LateGauge {
    gauge: Gauge<f64>,
    attributes: Box<[KeyValue]>,
    bound: OnceLock<BoundGauge<f64>>,
}

impl LateGauge {
    fn set(&self, value: f64) {
        self.bound.get_or_init(|| self.gauge.bind(&self.attributes)).record(value);
    }
}

impl Instrument {
    pub(super) fn new(
        meter: &Meter,
        metric: &'static Metric,
        stream: Stream,
        overflows: Option<Arc<Instrument>>,
    ) -> Self {
        let sdk = match metric.kind {
            _ if !stream.enabled => Sdk::Off,
            Kind::Counter => Sdk::Counter(
                meter.u64_counter(metric.otel).with_unit(metric.unit).with_description(metric.help).build(),
            ),
            Kind::UpDownCounter => Sdk::UpDownCounter(
                meter.i64_up_down_counter(metric.otel).with_unit(metric.unit).with_description(metric.help).build(),
            ),
            Kind::Gauge => {
                Sdk::Gauge(meter.f64_gauge(metric.otel).with_unit(metric.unit).with_description(metric.help).build())
            }
            Kind::Histogram => Sdk::Histogram(
                meter.f64_histogram(metric.otel).with_unit(metric.unit).with_description(metric.help).build(),
            ),
        };
        let mut sorted: Vec<usize> = (0..stream.kept.len()).collect();
        sorted.sort_by_key(|&index| metric.labels[stream.kept[index]]);
        let common = Common { buckets: stream.buckets.clone(), exemplified: AtomicBool::new(false) };
        Self {
            metric,
            sdk,
            sorted_keys: sorted.iter().map(|&at| metric.labels[stream.kept[at]]).collect(),
            sorted: sorted.into(),
            place: crate::catalog::all().position(|other| other.otel == metric.otel).unwrap_or(usize::MAX),
            common: Arc::new(common),
            stream,
            hasher: hashbrown::DefaultHashBuilder::default(),
            table: RwLock::default(),
            order: Mutex::default(),
            printed: AtomicUsize::new(0),
            overflows,
        }
    }

    /// The declaration.
    pub fn metric(&self) -> &'static Metric {
        self.metric
    }

    /// Whether anything is recorded.
    pub fn enabled(&self) -> bool {
        self.stream.enabled
    }

    /// The upper bounds of the buckets in force, the infinite one left out.
    pub fn buckets(&self) -> &[f64] {
        &self.stream.buckets
    }

    /// How many series there are, the overflow series included.
    pub fn len(&self) -> usize {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.series.len() + usize::from(table.overflow.is_some())
    }

    /// Whether there is no series yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The series of these label values, in the order of the declaration; an empty value is an absent label.
    ///
    /// It exists from now on, a counter or histogram at 0, a gauge once it is set. Past the cardinality limit this is the overflow series.
    pub fn series(&self, values: &[&str]) -> Arc<Series> {
        self.with(values, Arc::clone)
    }

    /// Adds to a counter's series.
    pub fn add(&self, values: &[&str], value: u64, link: Option<Link>) {
        self.with(values, |series| series.add(value, link));
    }

    /// Records a value into a histogram's series.
    pub fn record(&self, values: &[&str], value: f64, link: Option<Link>) {
        self.with(values, |series| series.record(value, link));
    }

    /// Sets a gauge's series.
    pub fn set(&self, values: &[&str], value: f64) {
        self.with(values, |series| series.set(value));
    }

    fn with<R>(&self, values: &[&str], use_series: impl FnOnce(&Arc<Series>) -> R) -> R {
        debug_assert_eq!(values.len(), self.metric.labels.len(), "{}", self.metric.otel);
        let hash = self.hash(values);
        {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(series) = table.series.find(hash, |series| self.is(series, values)) {
                return use_series(series);
            }
            if table.series.len() >= self.stream.limit
                && let Some(overflow) = &table.overflow
            {
                return use_series(overflow);
            }
        }
        use_series(&self.admit(hash, values))
    }

    /// Makes the series, or the overflow series where there is no room.
    fn admit(&self, hash: u64, values: &[&str]) -> Arc<Series> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let Table { series, overflow } = &mut *table;
        let full = series.len() >= self.stream.limit;
        match series.entry(hash, |series| self.is(series, values), |series| self.hash_kept(&series.values)) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(_) if full => Arc::clone(overflow.get_or_insert_with(|| Arc::new(self.make_overflow()))),
            Entry::Vacant(entry) => Arc::clone(entry.insert(Arc::new(self.make(values))).get()),
        }
    }

    fn make(&self, values: &[&str]) -> Series {
        let values: Box<[&'static str]> = self.stream.kept.iter().map(|&index| intern(values[index])).collect();
        let attributes: Vec<KeyValue> = self
            .sorted
            .iter()
            .filter(|&&at| !values[at].is_empty())
            .map(|&at| KeyValue::new(self.metric.labels[self.stream.kept[at]], values[at]))
            .collect();
        let bound = self.bind(&attributes);
        Series { bound, values, exemplars: Slots::default(), common: Arc::clone(&self.common), overflowed: None }
    }

    fn make_overflow(&self) -> Series {
        // A gauge has no sum over the series that found no room: what it would show means nothing.
        let bound = match self.sdk {
            Sdk::Gauge(_) => Bound::None,
            _ => self.bind(&[KeyValue::new(OVERFLOW_KEY, true)]),
        };
        Series {
            bound,
            values: Box::default(),
            exemplars: Slots::default(),
            common: Arc::clone(&self.common),
            overflowed: self.overflows.as_ref().map(|counter| counter.series(&[self.metric.otel])),
        }
    }

    fn bind(&self, attributes: &[KeyValue]) -> Bound {
        // The SDK shows a series without attributes only once something was measured.
        let bare = attributes.is_empty();
        match &self.sdk {
            Sdk::Counter(counter) => {
                let bound = counter.bind(attributes);
                if bare {
                    bound.add(0);
                }
                Bound::Counter(bound)
            }
            Sdk::UpDownCounter(counter) => {
                let bound = counter.bind(attributes);
                if bare {
                    bound.add(0);
                }
                Bound::UpDownCounter(bound)
            }
            Sdk::Gauge(gauge) => {
                Bound::Gauge(LateGauge { gauge: gauge.clone(), attributes: attributes.into(), bound: OnceLock::new() })
            }
            Sdk::Histogram(histogram) => Bound::Histogram(histogram.bind(attributes)),
            Sdk::Off => Bound::None,
        }
    }

    /// The value of a label of one of this instrument's series; `None` where a view dropped it, and for overflow.
    pub(crate) fn label(&self, series: &Series, key: &str) -> Option<&'static str> {
        let at = self.stream.kept.iter().position(|&index| self.metric.labels[index] == key)?;
        series.values.get(at).copied()
    }

    /// Finds the series of each collected point, in the order of the points.
    pub(super) fn resolver(&self) -> Resolver<'_> {
        Resolver { instrument: self, table: self.table.read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Hands every collected point that has a series to `each`.
    pub(super) fn walk<'p, P: Counted + 'p>(&self, points: impl Iterator<Item = &'p P>, each: impl FnMut(Point<'_>)) {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).walk(self, points, each);
    }

    /// The keys of the kept labels, sorted.
    pub(super) fn sorted_keys(&self) -> &[&'static str] {
        &self.sorted_keys
    }

    /// The label values of a series in the order of their sorted keys; an overflow series has none.
    pub(super) fn sorted_values<'a>(&'a self, series: &'a Series) -> impl Iterator<Item = &'static str> + 'a {
        self.sorted.iter().filter_map(|&at| series.values.get(at).copied())
    }

    /// Appends what [`Point::head`] gives.
    pub(super) fn print_head(&self, text: &mut String, series: &Series, overflow: bool) {
        if self.metric.kind != Kind::Histogram {
            text.push_str(self.metric.prometheus);
        }
        let start = text.len();
        if overflow {
            push_label(text, start, &label_name(OVERFLOW_KEY), "true");
        }
        for (&index, value) in self.stream.kept.iter().zip(&series.values) {
            if !value.is_empty() {
                push_label(text, start, &label_name(self.metric.labels[index]), value);
            }
        }
        text.push_str(if text.len() > start { "} " } else { " " });
    }

    /// The place in the catalog.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// Whether any series has an exemplar.
    pub(super) fn exemplified(&self) -> bool {
        self.common.exemplified.load(Ordering::Acquire)
    }

    /// How much text the series were when they were last printed.
    pub(crate) fn printed(&self) -> usize {
        self.printed.load(Ordering::Relaxed)
    }

    /// Remembers how much text the series were.
    pub(crate) fn remember_printed(&self, length: usize) {
        self.printed.store(length, Ordering::Relaxed);
    }

    fn hash(&self, values: &[&str]) -> u64 {
        self.hash_values(self.stream.kept.iter().map(|&index| values[index]))
    }

    fn hash_kept(&self, values: &[&'static str]) -> u64 {
        self.hash_values(values.iter().copied())
    }

    fn hash_values<'a>(&self, values: impl Iterator<Item = &'a str>) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = self.hasher.build_hasher();
        for value in values {
            value.hash(&mut hasher);
        }
        hasher.finish()
    }

    fn is(&self, series: &Series, values: &[&str]) -> bool {
        self.stream.kept.iter().zip(&series.values).all(|(&index, value)| values[index] == *value)
    }
}

/// Finds series by the attributes that the SDK gives to their points.
pub(super) struct Resolver<'a> {
    instrument: &'a Instrument,
    table: std::sync::RwLockReadGuard<'a, Table>,
}

impl Resolver<'_> {
    /// The series with these attributes.
    pub(super) fn series<'p>(&self, attributes: impl Iterator<Item = &'p KeyValue>) -> Option<&Arc<Series>> {
        self.series_of(attributes.map(|attribute| {
            let value = match &attribute.value {
                opentelemetry::Value::String(value) => Some(value.as_str()),
                _ => None,
            };
            (attribute.key.as_str(), value)
        }))
    }

    /// The series with these keys and values; a value that is no string is `None`.
    pub(super) fn series_of<'p>(
        &self,
        attributes: impl Iterator<Item = (&'p str, Option<&'p str>)>,
    ) -> Option<&Arc<Series>> {
        const MOST: usize = 8;
        let Instrument { metric, stream, .. } = self.instrument;
        let mut values = [""; MOST];
        for (key, value) in attributes {
            if key == OVERFLOW_KEY {
                return self.table.overflow.as_ref();
            }
            let at = stream.kept.iter().position(|&index| metric.labels[index] == key)?;
            *values.get_mut(at)? = value?;
        }
        let values = values.get(..stream.kept.len())?;
        let hash = self.instrument.hash_values(values.iter().copied());
        self.table.series.find(hash, |series| series.values.iter().zip(values).all(|(known, value)| known == value))
    }
}

impl Series {
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
                let buckets = &self.common.buckets;
                let bucket = buckets.partition_point(|bound| *bound < value);
                self.exemplars.keep(bucket, buckets.len() + 1, value, link);
                self.common.exemplify();
            }
        }
    }

    /// Hands the exemplars to `read`: one slot a bucket (a counter has one), or none at all.
    pub(crate) fn exemplars<R>(&self, read: impl FnOnce(&[Option<Exemplar>]) -> R) -> R {
        self.exemplars.read(read)
    }

    fn count_overflow(&self) {
        if let Some(overflowed) = &self.overflowed {
            overflowed.add(1, None);
        }
    }
}

impl Common {
    fn exemplify(&self) {
        // Reading first leaves the line of memory shared between the threads that record.
        if !self.exemplified.load(Ordering::Relaxed) {
            self.exemplified.store(true, Ordering::Release);
        }
    }
}

/// Appends a label to the labels that begin at `start`.
fn push_label(labels: &mut String, start: usize, name: &str, value: &str) {
    labels.push(if labels.len() == start { '{' } else { ',' });
    labels.push_str(name);
    labels.push_str("=\"");
    escape_label_value(labels, value);
    labels.push('"');
}

/// Appends a label value as Prometheus and OpenMetrics quote it.
pub(crate) fn escape_label_value(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}
