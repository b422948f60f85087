//! When a failed request is tried again: which failures may pass, and how long to wait.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The longest wait of our own making.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait that a collector may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Whether the same request may succeed later.
///
/// OTLP lists the codes. Beyond it, RESOURCE_EXHAUSTED counts as passing with or without a RetryInfo: a collector
/// under load often leaves the RetryInfo out, and giving up would lose data exactly then. A status that tonic made
/// itself, for a connection that could not be made or broke, carries its cause as a source and always may pass.
pub(super) fn may_pass(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
        || matches!(
            status.code(),
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss
        )
}

/// The wait that the collector asks for in a RetryInfo.
pub(super) fn asked(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay.filter(|delay| !delay.is_zero()).map(|delay| delay.min(LONGEST_ASKED))
}

/// Waits that double from failure to failure, with jitter.
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts with about a second, or with `period` where that is less: who pushes more often asks again sooner.
    pub(super) fn new(period: Duration) -> Self {
        let first = period.clamp(Duration::from_millis(50), Duration::from_secs(1));
        Self { first, next: first }
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        // Between a half and the whole, so that bridges that failed together do not come back together.
        wait.mul_f64(0.5 + 0.5 * random())
    }

    /// What the collector asked for and up to a tenth more.
    pub(super) fn spread(asked: Duration) -> Duration {
        asked.mul_f64(1.0 + 0.1 * random())
    }

    /// The last request succeeded.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A number from 0 to 1. The standard library's hash keys are random enough to spread waits.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(0u8) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_secs(60));
        let mut expected = Duration::from_secs(1);
        for _ in 0..10 {
            let wait = backoff.wait();
            assert!(wait >= expected / 2 && wait <= expected, "{wait:?} for {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_secs(1));
    }

    #[test]
    fn only_failures_that_may_pass_are_tried_again() {
        for code in [Code::Unavailable, Code::ResourceExhausted, Code::DeadlineExceeded, Code::DataLoss] {
            assert!(may_pass(&Status::new(code, "")), "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented] {
            assert!(!may_pass(&Status::new(code, "")), "{code:?}");
        }
    }
}
