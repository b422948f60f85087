//! The samples that Prometheus scraped, and arithmetic on them that has nothing of PromQL's.

use std::collections::BTreeMap;

use super::prometheus::{Prometheus, Series};
use super::{Labels, promql};

/// Every family that an expression may name: all but what Prometheus tells of its scrapes.
const FAMILIES: &str = "__name__!~\"scrape_.+\"";

/// All samples of five minutes.
pub struct Raw {
    end: f64,
    series: Vec<Series>,
}

/// Values by labels, the name not among them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vector(pub BTreeMap<Labels, f64>);

impl Raw {
    /// What was scraped in the five minutes before.
    pub fn of(prometheus: &Prometheus, end: f64) -> Self {
        let series = prometheus.query_at(&format!("{{job!=\"\",{FAMILIES}}}[5m]"), end);
        Self { end, series }
    }

    /// Of one job alone.
    pub fn of_job(mut self, job: &str) -> Self {
        self.series.retain(|series| series.labels["job"] == job);
        self
    }

    /// How much each series rose in the window. One that began after the second sample of `beside`, of the same instance,
    /// rose from nothing.
    pub fn rise(&self, name: &str, window: f64, beside: &str) -> Vector {
        let Vector(mut rises) = self.rate(name, window).map(|rate| rate * window);
        let times = |series: &Series| series.samples.iter().map(|sample| sample.0).collect::<Vec<_>>();
        for series in self.named(name) {
            let same = |other: &&Series| other.labels["instance"] == series.labels["instance"];
            let second = self.named(beside).find(same).and_then(|other| times(other).get(1).copied());
            if second.is_some_and(|second| times(series)[0] > second) {
                rises.insert(unnamed(series), series.samples[series.samples.len() - 1].1);
            }
        }
        Vector(rises)
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(move |series| series.labels["__name__"] == name)
    }

    /// The last sample of each series.
    pub fn last(&self, name: &str) -> Vector {
        let values = self.named(name).map(|series| (unnamed(series), series.samples[series.samples.len() - 1].1));
        Vector(values.collect())
    }

    /// How much each series rose a second in the window, where it has two samples.
    pub fn rate(&self, name: &str, window: f64) -> Vector {
        let mut values = BTreeMap::new();
        for series in self.named(name) {
            // From the end on, in whole milliseconds: seconds since 1970 are too long for their fractions to be exact.
            let when = |time: f64| ((time - self.end) * 1000.0).round() / 1000.0;
            let samples = series.samples.iter().map(|(time, value)| (when(*time), *value));
            let samples: Vec<_> = samples.filter(|sample| sample.0 > -window).collect();
            assert!(samples.is_sorted_by_key(|sample| sample.1), "{:?} fell", series.labels);
            if samples.len() > 1 {
                values.insert(unnamed(series), promql::rate(&samples, 0.0, window));
            }
        }
        Vector(values)
    }
}

impl Vector {
    /// Of a scalar: one value without labels.
    pub fn single(self) -> f64 {
        assert_eq!(self.0.len(), 1, "{self:?}");
        self.0.into_values().next().unwrap()
    }

    /// Those with such a label.
    pub fn with(mut self, label: &str, value: &str) -> Self {
        self.0.retain(|labels, _| labels.get(label).is_some_and(|known| known == value));
        self
    }

    /// Those that have such a label at all.
    pub fn having(mut self, label: &str) -> Self {
        self.0.retain(|labels, _| labels.contains_key(label));
        self
    }

    /// What is left of each group by these labels, made into one value.
    fn group(&self, by: &[&str], make: impl Fn(&[f64]) -> f64) -> Self {
        let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
        for (labels, value) in &self.0 {
            let kept: Labels = labels.clone().into_iter().filter(|(name, _)| by.contains(&name.as_str())).collect();
            groups.entry(kept).or_default().push(*value);
        }
        Self(groups.into_iter().map(|(labels, values)| (labels, make(&values))).collect())
    }

    /// The greatest of each group.
    pub fn max_by(&self, by: &[&str]) -> Self {
        self.group(by, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    /// The smallest of each group.
    pub fn min_by(&self, by: &[&str]) -> Self {
        self.group(by, |values| values.iter().copied().fold(f64::INFINITY, f64::min))
    }

    /// The means of the groups.
    pub fn mean_by(&self, by: &[&str]) -> Self {
        self.group(by, |values| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// The sums of those that are in both.
    pub fn plus(&self, other: &Self) -> Self {
        let both = self.0.iter().filter_map(|(labels, value)| Some((labels.clone(), value + other.0.get(labels)?)));
        Self(both.collect())
    }

    /// These, and 0 for each of the others that is not among them.
    pub fn or_zero_of(mut self, other: &Self) -> Self {
        for labels in other.0.keys() {
            self.0.entry(labels.clone()).or_insert(0.0);
        }
        self
    }

    /// How many there are, as one value.
    pub fn number(&self) -> Self {
        Self(BTreeMap::from([(Labels::new(), self.0.len() as f64)]))
    }

    /// Those above a limit.
    pub fn above(mut self, limit: f64) -> Self {
        self.0.retain(|_, value| *value > limit);
        self
    }

    /// Each value as another one.
    pub fn map(mut self, to: impl Fn(f64) -> f64) -> Self {
        self.0.values_mut().for_each(|value| *value = to(*value));
        self
    }

    /// The sums over all labels but these.
    pub fn sum_by(&self, by: &[&str]) -> Self {
        let mut sums = BTreeMap::new();
        for (labels, value) in &self.0 {
            let kept: Labels = labels.clone().into_iter().filter(|(name, _)| by.contains(&name.as_str())).collect();
            *sums.entry(kept).or_insert(0.0) += value;
        }
        Self(sums)
    }

    /// The quotients of those that are in both.
    pub fn over(&self, other: &Self) -> Self {
        let both = self.0.iter().filter_map(|(labels, value)| Some((labels.clone(), value / other.0.get(labels)?)));
        Self(both.collect())
    }

    /// A quantile of each histogram, from the rates of its buckets.
    pub fn quantile(&self, quantile: f64) -> Self {
        let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for (labels, rate) in &self.0 {
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap().parse().unwrap();
            histograms.entry(labels).or_default().push((bound, *rate));
        }
        let of_one = |(labels, mut buckets): (Labels, Vec<(f64, f64)>)| {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            (labels, promql::quantile_of_rates(quantile, &buckets))
        };
        Self(histograms.into_iter().map(of_one).collect())
    }

    /// The greatest so many.
    pub fn greatest(self, count: usize) -> Self {
        let mut values: Vec<(Labels, f64)> = self.0.into_iter().collect();
        values.sort_by(|one, other| other.1.total_cmp(&one.1));
        values.truncate(count);
        Self(values.into_iter().collect())
    }

    /// The same series, and values that differ by no more than rounding.
    pub fn is_close_to(&self, other: &Self) -> bool {
        let close = |one: f64, other: f64| {
            one == other || one.is_nan() && other.is_nan() || (one - other).abs() <= 1e-9 * other.abs().max(1.0)
        };
        self.0.len() == other.0.len()
            && self.0.iter().all(|(labels, value)| other.0.get(labels).is_some_and(|known| close(*value, *known)))
    }
}

impl From<Vec<Series>> for Vector {
    fn from(answer: Vec<Series>) -> Self {
        Self(answer.iter().map(|series| (unnamed(series), series.samples[0].1)).collect())
    }
}

fn unnamed(series: &Series) -> Labels {
    let mut labels = series.labels.clone();
    labels.remove("__name__");
    labels
}
