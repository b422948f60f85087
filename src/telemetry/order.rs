//! The series of an instrument in the order in which the SDK gives their points.
//!
//! The SDK walks a hash map: its points come in no telling order, but in the same one from collection to collection
//! until a series is added. So each point is guessed to belong to the series that came in its place the last time, and
//! the guess is checked by the addresses of its label values, which are interned: what is read for that lies side by
//! side, where a lookup would go through memory at random. A wrong guess costs such a lookup and a new order.

use std::sync::Arc;

use opentelemetry::{KeyValue, Value as AttributeValue};
use opentelemetry_sdk::metrics::data::{GaugeDataPoint, HistogramDataPoint, SumDataPoint};

use super::base::{Base, HistogramValue};
use super::instrument::{Instrument, OVERFLOW_KEY};
use super::series::Series;
use super::snapshot::{Point, Value};

/// A point of the SDK.
pub(super) trait Counted {
    /// The attributes, sorted by key.
    fn attributes(&self) -> impl Iterator<Item = &KeyValue>;

    /// What was counted since the start of the process, and before.
    fn value<'p>(&'p self, base: &'p Base) -> Value<'p>;
}

/// The series in the order of the last collection, with all that printing them needs.
#[derive(Debug, Default)]
pub(super) struct Order {
    series: Vec<Arc<Series>>,
    /// A row a series: the addresses of its label values in the order of their keys; of an absent one [`ABSENT`].
    addresses: Vec<usize>,
    /// What is printed of each series before its value (of a histogram without the name), one after the other.
    heads: String,
    /// Where the head of each series ends.
    ends: Vec<usize>,
    /// What each had counted before this process started; empty where none had.
    bases: Vec<Base>,
}

/// Stands for the address of a label value that is not there; no value is at this address.
const ABSENT: usize = 0;
/// Stands at the head of the row of an overflow series; no value is at this address.
const OVERFLOW: usize = 1;

impl Order {
    /// Hands every point that has a series to `each`, and keeps their order for the next time.
    pub(super) fn walk<'p, P: Counted + 'p>(
        &mut self,
        instrument: &Instrument,
        mut points: impl Iterator<Item = &'p P>,
        mut each: impl FnMut(Point<'_>),
    ) {
        let keys = instrument.sorted_keys();
        let exemplified = instrument.exemplified();
        let mut at = 0;
        let stray = loop {
            let Some(point) = points.next() else { return };
            if !self.is(at, keys, point.attributes()) {
                break point;
            }
            each(self.point(at, point, exemplified));
            at += 1;
        };
        let old = std::mem::take(self);
        let based = instrument.based();
        (0..at).for_each(|at| self.copy(&old, at, keys.len(), based));
        let resolver = instrument.resolver();
        for point in std::iter::once(stray).chain(points) {
            if old.is(at, keys, point.attributes()) {
                self.copy(&old, at, keys.len(), based);
                at += 1;
            } else if let Some(series) = resolver.series(point.attributes()) {
                self.add(
                    instrument,
                    series,
                    point.attributes().any(|attribute| attribute.key.as_str() == OVERFLOW_KEY),
                    based,
                );
            } else {
                continue;
            }
            each(self.point(self.series.len() - 1, point, exemplified));
        }
        self.series.shrink_to_fit();
        self.addresses.shrink_to_fit();
        self.heads.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.bases.shrink_to_fit();
    }

    /// Whether the series at that place has these attributes.
    fn is<'p>(&self, at: usize, keys: &[&'static str], mut attributes: impl Iterator<Item = &'p KeyValue>) -> bool {
        let width = width(keys.len());
        let Some(row) = self.addresses.get(at * width..(at + 1) * width) else { return false };
        for (&address, key) in row.iter().zip(keys) {
            match address {
                ABSENT => continue,
                OVERFLOW => break,
                _ => {}
            }
            let Some(attribute) = attributes.next() else { return false };
            let AttributeValue::String(value) = &attribute.value else { return false };
            // Two labels may have one value, so that the key counts too.
            if value.as_str().as_ptr().addr() != address || attribute.key.as_str().as_ptr() != key.as_ptr() {
                return false;
            }
        }
        if row[0] == OVERFLOW {
            return attributes.next().is_some_and(|attribute| attribute.key.as_str() == OVERFLOW_KEY);
        }
        attributes.next().is_none()
    }

    fn point<'p, P: Counted>(&'p self, at: usize, counted: &'p P, exemplified: bool) -> Point<'p> {
        Point { series: &self.series[at], value: counted.value(self.base(at)), head: self.head(at), exemplified }
    }

    fn base(&self, at: usize) -> &Base {
        self.bases.get(at).unwrap_or(&Base::None)
    }

    fn head(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.heads[start..self.ends[at]]
    }

    fn copy(&mut self, from: &Self, at: usize, keys: usize, based: bool) {
        let width = width(keys);
        self.series.push(Arc::clone(&from.series[at]));
        self.addresses.extend_from_slice(&from.addresses[at * width..(at + 1) * width]);
        self.heads.push_str(from.head(at));
        self.ends.push(self.heads.len());
        if based {
            self.bases.push(from.base(at).clone());
        }
    }

    fn add(&mut self, instrument: &Instrument, series: &Arc<Series>, overflow: bool, based: bool) {
        self.series.push(Arc::clone(series));
        let row = self.addresses.len();
        self.addresses.extend(instrument.sorted_values(series).map(|value| match value {
            "" => ABSENT,
            value => value.as_ptr().addr(),
        }));
        self.addresses.resize(row + width(instrument.sorted_keys().len()), ABSENT);
        if overflow {
            self.addresses[row] = OVERFLOW;
        }
        instrument.print_head(&mut self.heads, series, overflow);
        self.ends.push(self.heads.len());
        if based {
            self.bases.push(series.base().clone());
        }
    }
}

/// How many addresses a row has: an instrument without labels can have an overflow series too.
fn width(keys: usize) -> usize {
    keys.max(1)
}

impl Counted for SumDataPoint<u64> {
    fn attributes(&self) -> impl Iterator<Item = &KeyValue> {
        self.attributes()
    }

    fn value<'p>(&'p self, base: &'p Base) -> Value<'p> {
        Value::Counter(base.counter(self.value()))
    }
}

impl Counted for SumDataPoint<i64> {
    fn attributes(&self) -> impl Iterator<Item = &KeyValue> {
        self.attributes()
    }

    fn value<'p>(&'p self, base: &'p Base) -> Value<'p> {
        Value::Gauge(base.up_down_counter(self.value()) as f64)
    }
}

impl Counted for GaugeDataPoint<f64> {
    fn attributes(&self) -> impl Iterator<Item = &KeyValue> {
        self.attributes()
    }

    fn value<'p>(&'p self, _: &'p Base) -> Value<'p> {
        Value::Gauge(self.value())
    }
}

impl Counted for HistogramDataPoint<f64> {
    fn attributes(&self) -> impl Iterator<Item = &KeyValue> {
        self.attributes()
    }

    fn value<'p>(&'p self, base: &'p Base) -> Value<'p> {
        Value::Histogram(HistogramValue::new(self, base))
    }
}
