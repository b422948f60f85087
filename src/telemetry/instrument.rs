//! Instruments: one metric of the catalog each, with its series.
//!
//! An instrument enforces its cardinality limit itself: past it the SDK would bind to its overflow series silently and
//! for ever.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hashbrown::hash_table::{Entry, HashTable};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use super::base::Base;
use super::exemplar::Link;
use super::intern::intern;
use super::newcomers::Newcomers;
use super::order::{Counted, Order};
use super::series::{Bound, Common, LateGauge, Series};
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
    /// Where its new series are told to the store; `None` where it keeps none of them.
    newcomers: Option<Arc<Newcomers>>,
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

impl Instrument {
    pub(super) fn new(
        meter: &Meter,
        metric: &'static Metric,
        stream: Stream,
        overflows: Option<Arc<Instrument>>,
        newcomers: &Arc<Newcomers>,
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
        Self {
            metric,
            sdk,
            sorted_keys: sorted.iter().map(|&at| metric.labels[stream.kept[at]]).collect(),
            sorted: sorted.into(),
            place: crate::catalog::all().position(|other| other.otel == metric.otel).unwrap_or(usize::MAX),
            common: Arc::new(Common::new(stream.buckets.clone())),
            hasher: hashbrown::DefaultHashBuilder::default(),
            table: RwLock::default(),
            order: Mutex::default(),
            printed: AtomicUsize::new(0),
            overflows,
            newcomers: (stream.enabled && metric.is_durable()).then(|| Arc::clone(newcomers)),
            stream,
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

    /// Whether its series outlive a restart.
    pub(crate) fn is_durable(&self) -> bool {
        self.newcomers.is_some()
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
    ///
    /// Recorded so, past the door, it is shown until the process ends: what events record is what a restart keeps.
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
        let made = match series.entry(hash, |series| self.is(series, values), |known| self.hash_kept(&known.values)) {
            Entry::Occupied(entry) => return Arc::clone(entry.get()),
            Entry::Vacant(_) if full => match overflow {
                Some(overflow) => return Arc::clone(overflow),
                None => overflow.insert(Arc::new(self.make_overflow(None))),
            },
            Entry::Vacant(entry) => entry.insert(Arc::new(self.make(self.keep(values), None))).into_mut(),
        };
        if let Some(newcomers) = &self.newcomers
            && !matches!(made.bound, Bound::None)
        {
            newcomers.add(self.place, made, full);
        }
        Arc::clone(made)
    }

    /// Makes a series that outlived a restart, with what it had counted, and gives also what its sum in the SDK begins
    /// with. Without values it is the overflow series. `None` where there is no room for it, or it is there already.
    pub(crate) fn adopt(&self, values: Option<&[&str]>, mut base: Base, start_ns: u64) -> Option<(Arc<Series>, f64)> {
        let fits = values.is_none_or(|values| values.len() == self.stream.kept.len());
        if !fits || base.distribution().is_some_and(|base| base.buckets.len() != self.bucket_count()) {
            return None;
        }
        let bare = values.is_some_and(|values| values.iter().all(|value| value.is_empty()));
        let since = if bare { base.give_least(&self.common) } else { None };
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let Table { series, overflow } = &mut *table;
        let based = base != Base::None;
        let full = series.len() >= self.stream.limit;
        let adopted = match values {
            None if overflow.is_some() => return None,
            None => Arc::clone(overflow.insert(Arc::new(self.make_overflow(Some((base, start_ns)))))),
            Some(values) => {
                let hash = self.hash_values(values.iter().copied());
                match series.entry(hash, |known| *known.values == *values, |known| self.hash_kept(&known.values)) {
                    Entry::Vacant(entry) if !full => {
                        let values = values.iter().map(|value| intern(value)).collect();
                        Arc::clone(entry.insert(Arc::new(self.make(values, Some((base, start_ns))))).get())
                    }
                    Entry::Occupied(_) | Entry::Vacant(_) => return None,
                }
            }
        };
        if based {
            self.common.based.store(true, Ordering::Release);
        }
        if let Some(least) = since {
            adopted.record(least, None);
        }
        Some((adopted, since.unwrap_or_default()))
    }

    fn bucket_count(&self) -> usize {
        // As the SDK has it: without bounds there are no buckets.
        if self.stream.buckets.is_empty() { 0 } else { self.stream.buckets.len() + 1 }
    }

    /// The series that holds what exceeds the cardinality limit.
    pub(crate) fn overflow(&self) -> Option<Arc<Series>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).overflow.clone()
    }

    fn keep(&self, values: &[&str]) -> Box<[&'static str]> {
        self.stream.kept.iter().map(|&index| intern(values[index])).collect()
    }

    fn make(&self, values: Box<[&'static str]>, carried: Option<(Base, u64)>) -> Series {
        let attributes: Vec<KeyValue> = self
            .sorted
            .iter()
            .filter(|&&at| !values[at].is_empty())
            .map(|&at| KeyValue::new(self.metric.labels[self.stream.kept[at]], values[at]))
            .collect();
        Series::new(self.bind(&attributes), values, &self.common, None, carried)
    }

    fn make_overflow(&self, carried: Option<(Base, u64)>) -> Series {
        // A gauge has no sum over the series that found no room: what it would show means nothing.
        let bound = match self.sdk {
            Sdk::Gauge(_) => Bound::None,
            _ => self.bind(&[KeyValue::new(OVERFLOW_KEY, true)]),
        };
        let overflowed = self.overflows.as_ref().map(|counter| counter.series(&[self.metric.otel]));
        Series::new(bound, Box::default(), &self.common, overflowed, carried)
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
            Sdk::Gauge(gauge) => Bound::Gauge(LateGauge::new(gauge.clone(), attributes)),
            Sdk::Histogram(histogram) => Bound::Histogram(histogram.bind(attributes)),
            Sdk::Off => Bound::None,
        }
    }

    /// The declared names of the labels that are kept, in their order.
    pub(crate) fn kept_labels(&self) -> Vec<&'static str> {
        self.stream.kept.iter().map(|&index| self.metric.labels[index]).collect()
    }

    /// All series, the overflow series left out, in no telling order.
    pub(crate) fn all_series(&self) -> Vec<Arc<Series>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).series.iter().cloned().collect()
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
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Whether any series has a base.
    pub(super) fn based(&self) -> bool {
        self.common.based.load(Ordering::Acquire)
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
