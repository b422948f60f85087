//! How long to wait before the bridge is tried again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest wait that a bridge can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// Waits that double, each shortened at random by up to a half, so that many wrappers do not come at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The bridge has answered.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure; `asked` is what the bridge asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let jittered = wait.mul_f64(0.5 + 0.5 * random());
        // Those who were told the same time would come at once too.
        asked.map_or(jittered, |asked| asked.min(LONGEST_ASKED) + FIRST.mul_f64(random()))
    }
}

/// A number from 0 to 1.
fn random() -> f64 {
    // Each hasher of the standard library has a key of its own.
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_start_anew_after_an_answer() {
        let mut backoff = Backoff::default();
        let mut most = FIRST;
        for _ in 0..20 {
            let wait = backoff.next(None);
            assert!(wait >= most / 2 && wait <= most, "{wait:?} {most:?}");
            most = (most * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.next(None) <= FIRST);
    }

    #[test]
    fn what_the_bridge_asks_for_holds_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let asked = Duration::from_secs(3);
        let wait = backoff.next(Some(asked));
        assert!(wait >= asked && wait <= asked + FIRST, "{wait:?}");
        assert!(backoff.next(Some(Duration::from_secs(1_000_000))) <= LONGEST_ASKED + FIRST);
    }
}
