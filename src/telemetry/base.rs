//! What a series had counted before this process started: the SDK counts on from zero, and what is shown is both.
//!
//! Here, and nowhere else, the two are added: what is shown is what the store keeps, to the last bit.

use std::sync::Arc;

use opentelemetry_sdk::metrics::data::HistogramDataPoint;

use super::series::Common;

/// What one series had counted before this process started.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Base {
    /// Nothing; also of a gauge, which is set again.
    #[default]
    None,
    Counter(u64),
    UpDownCounter(i64),
    Histogram(Arc<Distribution>),
}

/// What one series of a histogram has measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// One count a bucket, the infinite one included; none where there are no bounds.
    pub(crate) buckets: Box<[u64]>,
}

impl Base {
    /// A counter's total, where it has counted `since`.
    pub(crate) fn counter(&self, since: u64) -> u64 {
        match self {
            Self::Counter(base) => base.wrapping_add(since),
            _ => since,
        }
    }

    /// An up-down counter's value, where it has counted `since`.
    pub(crate) fn up_down_counter(&self, since: i64) -> i64 {
        match self {
            Self::UpDownCounter(base) => base.wrapping_add(since),
            _ => since,
        }
    }

    /// Takes one measurement of the least value off a histogram, to be measured again: the SDK shows a series that has no
    /// attributes only once something was. Base and SDK together give what the base gave alone.
    pub(super) fn give_least(&mut self, common: &Common) -> Option<f64> {
        let Self::Histogram(base) = self else { return None };
        if base.count == 0 {
            return None;
        }
        let mut rest = Distribution::clone(base);
        let least = rest.min;
        rest.count -= 1;
        if let Some(count) = rest.buckets.get_mut(common.bucket(least)) {
            *count = count.wrapping_sub(1);
        }
        let near = rest.sum - least;
        let exact = [near, near.next_down(), near.next_up()].into_iter().find(|rest| sum(*rest, least) == base.sum);
        rest.sum = exact.unwrap_or(near);
        *self = Self::Histogram(Arc::new(rest));
        Some(least)
    }

    /// What a histogram had measured.
    pub(crate) fn distribution(&self) -> Option<&Distribution> {
        match self {
            Self::Histogram(base) => Some(base),
            _ => None,
        }
    }
}

/// The sum of a histogram that had that `base` and has measured `since`. It never falls while `since` does not.
pub(crate) fn sum(base: f64, since: f64) -> f64 {
    base + since
}

/// What one series of a histogram has measured, before this process started and since.
#[derive(Debug, Clone, Copy)]
pub struct HistogramValue<'p> {
    since: &'p HistogramDataPoint<f64>,
    base: Option<&'p Distribution>,
}

impl<'p> HistogramValue<'p> {
    pub(super) fn new(since: &'p HistogramDataPoint<f64>, base: &'p Base) -> Self {
        Self { since, base: base.distribution() }
    }

    /// How many values were measured.
    pub fn count(&self) -> u64 {
        self.base.map_or(0, |base| base.count).wrapping_add(self.since.count())
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.base.map_or(self.since.sum(), |base| sum(base.sum, self.since.sum()))
    }

    /// How many fell into each bucket, the infinite one last.
    pub fn bucket_counts(&self) -> impl Iterator<Item = u64> + use<'p> {
        let base = self.base.map_or(&[][..], |base| &base.buckets);
        let counts = self.since.bucket_counts().enumerate();
        counts.map(|(index, count)| base.get(index).copied().unwrap_or(0).wrapping_add(count))
    }

    /// The least value; `None` where there was none.
    pub fn min(&self) -> Option<f64> {
        let since = self.since.min().filter(|_| self.since.count() > 0);
        let base = self.base.map(|base| base.min);
        since.into_iter().chain(base).reduce(f64::min)
    }

    /// The greatest value; `None` where there was none.
    pub fn max(&self) -> Option<f64> {
        let since = self.since.max().filter(|_| self.since.count() > 0);
        let base = self.base.map(|base| base.max);
        since.into_iter().chain(base).reduce(f64::max)
    }
}
