//! Why a call did not succeed, and why a breaker cannot be made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Invalid;

/// Why a call through a circuit breaker did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// It was not made: the breaker refused it.
    #[error(transparent)]
    Open(#[from] BreakerOpen),
    /// It was made, and failed.
    #[error(transparent)]
    Failed(E),
}

impl<E> CallError<E> {
    /// Whether the call was not made at all.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

/// A call was refused, because the breaker is open, or half open and trying another call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerOpen {
    component: Arc<str>,
    retry_after: Option<Duration>,
}

impl BreakerOpen {
    pub(super) fn new(component: &str, retry_after: Option<Duration>) -> Self {
        Self { component: component.into(), retry_after }
    }

    /// What the breaker guards.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// How long until the breaker tries a call again; `None` while it is trying one.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The same in whole seconds, rounded up, 1 at least: what the header `Retry-After` of an answer 503 says.
    pub fn retry_after_seconds(&self) -> u64 {
        let wait = self.retry_after.unwrap_or_default();
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }
}

impl fmt::Display for BreakerOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let component = &self.component;
        match self.retry_after {
            Some(wait) => {
                write!(f, "the circuit breaker of {component} is open, and tries again in {:.1} s", wait.as_secs_f64())
            }
            None => write!(f, "the circuit breaker of {component} is half open, and another call is trying"),
        }
    }
}

impl std::error::Error for BreakerOpen {}

/// Why a circuit breaker cannot be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BreakerError {
    /// Its component cannot be a label.
    #[error("the component of a circuit breaker {0}")]
    Component(#[from] Invalid),
    /// A setting is out of range.
    #[error("the circuit breaker's {setting} must be {expected}, got {got}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it was.
        got: String,
    },
    /// It was made before, with other settings.
    #[error("the circuit breaker of {component} was made before with other settings; give each its own component")]
    OtherSettings {
        /// The component.
        component: String,
    },
    /// There are as many as may be.
    #[error(
        "there are {most} circuit breakers, which is as many as metrics.series_limit allows; name them after what \
         they guard, not after single calls"
    )]
    TooMany {
        /// How many.
        most: usize,
    },
}
