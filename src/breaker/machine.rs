//! The states of a breaker and what moves it from one to the next: no clock, no lock, no recording.

use std::time::{Duration, Instant};

use super::BreakerSettings;
use crate::event::BreakerState;

/// A breaker's state, and what it counts in it.
#[derive(Debug)]
pub(super) struct Machine {
    settings: BreakerSettings,
    phase: Phase,
    /// Raised with every change of state: a verdict on a call of an earlier one decides nothing.
    epoch: u64,
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { successes: u32, trying: bool },
}

/// A call that was let through.
#[derive(Debug)]
pub(super) struct Ticket {
    epoch: u64,
}

/// A call that was refused: how long until one is tried, unless one is being tried now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) retry_after: Option<Duration>,
}

impl Machine {
    /// A closed one.
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, phase: Phase::Closed { failures: 0 }, epoch: 0 }
    }

    pub(super) fn settings(&self) -> BreakerSettings {
        self.settings
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a call may go through now.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Refusal> {
        match &mut self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } => {
                let wait = until.saturating_duration_since(now);
                if !wait.is_zero() {
                    return Err(Refusal { retry_after: Some(wait) });
                }
                self.enter(Phase::HalfOpen { successes: 0, trying: true });
            }
            Phase::HalfOpen { trying, .. } => {
                if *trying {
                    return Err(Refusal { retry_after: None });
                }
                *trying = true;
            }
        }
        Ok(Ticket { epoch: self.epoch })
    }

    /// Takes the verdict on a call that was let through.
    pub(super) fn finish(&mut self, ticket: Ticket, success: bool, now: Instant) {
        if ticket.epoch != self.epoch {
            return;
        }
        let BreakerSettings { failure_threshold, success_threshold, timeout } = self.settings;
        match &mut self.phase {
            Phase::Closed { failures } if success => *failures = 0,
            Phase::Closed { failures } => {
                *failures += 1;
                if *failures >= failure_threshold {
                    self.enter(Phase::Open { until: now + timeout });
                }
            }
            Phase::HalfOpen { .. } if !success => self.enter(Phase::Open { until: now + timeout }),
            Phase::HalfOpen { successes, trying } => {
                *successes += 1;
                *trying = false;
                if *successes >= success_threshold {
                    self.enter(Phase::Closed { failures: 0 });
                }
            }
            // Nothing is let through while it is open, so no ticket is of this epoch.
            Phase::Open { .. } => {}
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}
