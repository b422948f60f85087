//! The clock that a breaker goes by, so that a test can move it by hand.

use std::time::Instant;

use crate::event::Timestamp;

/// Where a breaker reads the time.
#[derive(Debug, Clone, Default)]
pub(super) enum Clock {
    /// The system's clocks.
    #[default]
    System,
    /// One that stands still until it is moved.
    #[cfg(test)]
    Manual(std::sync::Arc<Manual>),
}

impl Clock {
    /// For waits and latencies.
    pub(super) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            #[cfg(test)]
            Self::Manual(manual) => manual.start + manual.passed(),
        }
    }

    /// For the timestamps of events.
    pub(super) fn wall(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            #[cfg(test)]
            Self::Manual(manual) => (std::time::UNIX_EPOCH + Manual::BEGAN + manual.passed()).into(),
        }
    }
}

/// A clock that stands still until it is moved.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Manual {
    start: Instant,
    passed_ns: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl Manual {
    const BEGAN: std::time::Duration = std::time::Duration::from_secs(1_700_000_000);

    pub(super) fn new() -> Self {
        Self { start: Instant::now(), passed_ns: Default::default() }
    }

    pub(super) fn advance(&self, by: std::time::Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap();
        self.passed_ns.fetch_add(nanos, std::sync::atomic::Ordering::SeqCst);
    }

    fn passed(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.passed_ns.load(std::sync::atomic::Ordering::SeqCst))
    }
}
