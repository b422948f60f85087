//! The latencies of the last calls of a component, kept so that quantiles and the mean are at hand.
//!
//! Latencies are whole numbers of parts of 2^-20 s, as the door rounds them: their sum is exact however many came and
//! went, and never drifts.

use std::collections::VecDeque;

use crate::event::Seconds;

/// So many new samples, or fewer, are each put in their place; more are sorted all at once.
const FEW: usize = 16;

/// The last latencies, in the order of their coming and in order of size.
#[derive(Debug)]
pub(super) struct Window {
    capacity: usize,
    latest: VecDeque<u64>,
    sorted: Vec<u64>,
    sum: u128,
}

impl Window {
    /// An empty window of so many samples, 1 at least.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), latest: VecDeque::new(), sorted: Vec::new(), sum: 0 }
    }

    /// Takes samples in the order of their coming; the oldest go where there is no room.
    ///
    /// A single one costs two searches and two moves inside one array, many cost one sort.
    pub(super) fn extend(&mut self, samples: &[Seconds]) {
        let samples = &samples[samples.len().saturating_sub(self.capacity)..];
        if samples.len() <= FEW {
            for sample in samples {
                self.push(sample.parts());
            }
            return;
        }
        self.extend_parts(samples.iter().map(|sample| sample.parts()));
    }

    /// The samples in parts of 2^-20 s, in the order of their coming.
    pub(super) fn latest(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.latest.iter().copied()
    }

    /// Takes samples in parts of 2^-20 s, in the order of their coming.
    pub(super) fn extend_parts(&mut self, samples: impl Iterator<Item = u64>) {
        self.latest.extend(samples);
        let gone = self.latest.len().saturating_sub(self.capacity);
        self.latest.drain(..gone);
        self.sorted.clear();
        self.sorted.extend(&self.latest);
        self.sorted.sort_unstable();
        self.sum = self.latest.iter().copied().map(u128::from).sum();
    }

    fn push(&mut self, parts: u64) {
        if self.latest.len() >= self.capacity
            && let Some(oldest) = self.latest.pop_front()
        {
            self.sum -= u128::from(oldest);
            if let Ok(at) = self.sorted.binary_search(&oldest) {
                self.sorted.remove(at);
            }
        }
        self.latest.push_back(parts);
        self.sorted.insert(self.sorted.partition_point(|known| *known < parts), parts);
        self.sum += u128::from(parts);
    }

    pub(super) fn clear(&mut self) {
        self.latest.clear();
        self.sorted.clear();
        self.sum = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }

    /// The mean in seconds; `None` where there is no sample.
    pub(super) fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.sum as f64 / Seconds::PARTS_PER_SECOND / self.latest.len() as f64)
    }

    /// The least and the greatest, in seconds.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        Some((seconds(*self.sorted.first()?), seconds(*self.sorted.last()?)))
    }

    /// The percentile in seconds, from 0 (the least) to 100 (the greatest); one outside is taken as the nearest inside.
    ///
    /// Interpolated linearly between the two samples around the place `percent / 100 * (n - 1)`. For whole percents of
    /// two samples and more that is, to the last bit, what Python's `statistics.quantiles(data, n=100,
    /// method="inclusive")` gives.
    pub(super) fn percentile(&self, percent: f64) -> Option<f64> {
        let last = self.sorted.len().checked_sub(1)?;
        // The comparisons also take NaN to 0.
        let percent = if percent > 0.0 { percent.min(100.0) } else { 0.0 };
        let place = percent * last as f64;
        let at = ((place / 100.0) as usize).min(last);
        let part = (place - at as f64 * 100.0).clamp(0.0, 100.0);
        let (low, high) = (seconds(self.sorted[at]), seconds(self.sorted[(at + 1).min(last)]));
        Some((low * (100.0 - part) + high * part) / 100.0)
    }
}

fn seconds(parts: u64) -> f64 {
    parts as f64 / Seconds::PARTS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(samples: &[u64]) -> Vec<Seconds> {
        samples.iter().map(|sample| Seconds::new(seconds(*sample)).unwrap()).collect()
    }

    #[test]
    fn one_by_one_and_all_at_once_give_the_same() {
        let mut number = 7u64;
        let samples: Vec<u64> = std::iter::repeat_with(|| {
            number = number.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Few different values, so that equal ones come and go.
            (number >> 33) % 50
        })
        .take(500)
        .collect();
        let (mut single, mut bulk) = (Window::new(100), Window::new(100));
        for chunk in samples.chunks(37) {
            bulk.extend(&parts(chunk));
            for sample in chunk {
                single.extend(&parts(&[*sample]));
            }
            assert_eq!((&single.latest, &single.sorted, single.sum), (&bulk.latest, &bulk.sorted, bulk.sum));
            assert!(single.sorted.is_sorted());
        }
        assert_eq!(single.latest.len(), 100);
    }

    #[test]
    fn a_single_sample_is_every_percentile_of_itself_and_none_has_none() {
        let mut window = Window::new(10);
        assert_eq!((window.percentile(50.0), window.mean(), window.range()), (None, None, None));
        window.extend(&parts(&[1 << 19]));
        for percent in [-1.0, 0.0, 33.3, 100.0, 1e9, f64::NAN] {
            assert_eq!(window.percentile(percent), Some(0.5));
        }
        assert_eq!((window.mean(), window.range()), (Some(0.5), Some((0.5, 0.5))));
        window.clear();
        assert!(window.is_empty() && window.percentile(50.0).is_none());
    }

    #[test]
    fn the_longest_latencies_sum_without_loss() {
        let mut window = Window::new(2);
        window.extend(&[Seconds::new(1e9).unwrap(); 40]);
        window.extend(&parts(&[1]));
        window.extend(&parts(&[2]));
        assert_eq!(window.sum, 3);
    }
}
