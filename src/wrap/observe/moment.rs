//! Two clocks read at once: one for durations, one for times of day.

use std::time::{Instant, SystemTime};

use crate::event::Timestamp;

/// A moment by both clocks. Read often: the clock for durations stands still while a machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    time: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self::new(Instant::now(), SystemTime::now())
    }

    pub(super) const fn new(at: Instant, time: SystemTime) -> Self {
        Self { at, time }
    }

    /// The time of day of this moment.
    pub(super) fn timestamp(self) -> Timestamp {
        self.time.into()
    }

    /// The time of day when the other clock showed that.
    pub(super) fn time_of(self, at: Instant) -> Timestamp {
        let (before, after) = (self.at.saturating_duration_since(at), at.saturating_duration_since(self.at));
        let time = self.time.checked_sub(before).and_then(|time| time.checked_add(after));
        time.unwrap_or(self.time).into()
    }
}
