//! How many items a request may have, as the collector's answers teach it.

/// After so many requests in a row that were taken, twice as many items are tried.
const TRY_MORE: u32 = 32;
/// After so many answers in a row of a collector that has no room, half as many items are tried: not every collector
/// says clearly that a request is too large.
const TRY_LESS: u32 = 3;

/// The most items of the next request.
#[derive(Debug)]
pub(super) struct Most {
    now: u64,
    /// What is asked for at most; more than that is never tried.
    whole: u64,
    taken: u32,
    exhausted: u32,
}

impl Most {
    /// Starts with `whole` items, where 0 is a whole request of any size.
    pub(super) fn new(whole: u64) -> Self {
        let whole = if whole == 0 { u64::MAX } else { whole };
        Self { now: whole, whole, taken: 0, exhausted: 0 }
    }

    pub(super) fn get(&self) -> u64 {
        self.now
    }

    /// A request was taken.
    pub(super) fn taken(&mut self) {
        self.exhausted = 0;
        self.taken += 1;
        if self.taken >= TRY_MORE {
            self.taken = 0;
            self.now = self.now.saturating_mul(2).min(self.whole);
        }
    }

    /// A request of so many items is too large; true if that is news.
    pub(super) fn halve(&mut self, items: u64) -> bool {
        let news = self.now == self.whole;
        self.taken = 0;
        self.now = (items / 2).max(1);
        news
    }

    /// The collector has no room for so many items, for whatever reason.
    pub(super) fn exhausted(&mut self, items: u64) {
        self.exhausted += 1;
        if self.exhausted >= TRY_LESS {
            self.halve(items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_shrink_down_to_one_item_and_grow_back_to_the_whole() {
        let mut most = Most::new(512);
        assert!(most.halve(512));
        for expected in [256, 128, 64, 32, 16, 8, 4, 2, 1, 1] {
            assert_eq!(most.get(), expected);
            assert!(!most.halve(expected));
        }
        for _ in 0..TRY_MORE * 20 {
            most.taken();
        }
        assert_eq!(most.get(), 512);
    }

    #[test]
    fn a_collector_that_has_no_room_again_and_again_is_given_less() {
        let mut most = Most::new(0);
        assert_eq!(most.get(), u64::MAX);
        for _ in 1..TRY_LESS {
            most.exhausted(1000);
        }
        assert_eq!(most.get(), u64::MAX);
        most.exhausted(1000);
        assert_eq!(most.get(), 500);
    }
}
