//! When completion rates are worked out anew, and which skills are searched for anomalies next.
//!
//! A search may take longer than the writer may be kept from events: it goes on from skill to skill over many ticks,
//! and judges all of them as of its start.

use std::sync::Arc;

/// What is due.
#[derive(Debug)]
pub(super) struct Schedule {
    refresh: Every,
    /// `None` where anomalies are not searched for.
    search: Option<Every>,
    run: Option<Run>,
}

/// A search that goes on.
#[derive(Debug)]
struct Run {
    at_ms: i64,
    left: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Every {
    interval_ms: i64,
    next_ms: i64,
}

impl Every {
    /// Due at once, and then at each interval.
    fn new(interval: std::time::Duration) -> Self {
        Self { interval_ms: i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1), next_ms: 0 }
    }

    fn due(&self, now_ms: i64) -> bool {
        // A clock that was set back must not stop it.
        now_ms >= self.next_ms || self.next_ms - now_ms > self.interval_ms
    }

    fn done(&mut self, now_ms: i64) {
        self.next_ms = now_ms.saturating_add(self.interval_ms);
    }
}

impl Schedule {
    pub(super) fn new(refresh: std::time::Duration, search: Option<std::time::Duration>) -> Self {
        Self { refresh: Every::new(refresh), search: search.map(Every::new), run: None }
    }

    /// Whether there is anything to do.
    pub(super) fn due(&self, now_ms: i64) -> bool {
        self.refresh.due(now_ms) || self.run.is_some() || self.search_due(now_ms)
    }

    /// Whether completion rates are to be worked out now.
    pub(super) fn take_refresh(&mut self, now_ms: i64) -> bool {
        let due = self.refresh.due(now_ms);
        if due {
            self.refresh.done(now_ms);
        }
        due
    }

    /// The next skill to search, and the time that the search is made for.
    pub(super) fn next(&mut self, now_ms: i64, all: impl FnOnce() -> Vec<Arc<str>>) -> Option<(Arc<str>, i64)> {
        if self.run.is_none() && self.search_due(now_ms) {
            if let Some(search) = &mut self.search {
                search.done(now_ms);
            }
            self.run = Some(Run { at_ms: now_ms, left: all() });
        }
        let run = self.run.as_mut()?;
        let next = run.left.pop().map(|skill| (skill, run.at_ms));
        if next.is_none() {
            self.run = None;
        }
        next
    }

    fn search_due(&self, now_ms: i64) -> bool {
        self.search.as_ref().is_some_and(|search| search.due(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_search_visits_every_skill_once_as_of_its_start() {
        let mut schedule = Schedule::new(Duration::from_secs(60), Some(Duration::from_secs(300)));
        let all = || vec![Arc::from("b"), Arc::from("a")];
        assert!(schedule.due(1000));
        assert_eq!(schedule.next(1000, all), Some(("a".into(), 1000)));
        assert_eq!(schedule.next(9000, all), Some(("b".into(), 1000)));
        assert_eq!(schedule.next(9000, all), None);
        assert_eq!(schedule.next(300_999, all), None);
        assert_eq!(schedule.next(301_000, all), Some(("a".into(), 301_000)));
    }

    #[test]
    fn rates_are_due_at_once_and_at_each_interval_even_when_the_clock_is_set_back() {
        let mut schedule = Schedule::new(Duration::from_secs(60), None);
        assert!(schedule.take_refresh(5000) && !schedule.due(64_999) && schedule.due(65_000));
        assert!(schedule.take_refresh(1_000_000) && schedule.take_refresh(5000));
    }
}
