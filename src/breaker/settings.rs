//! When a breaker opens, tries again and closes.

use std::time::Duration;

use super::BreakerError;

/// A year: longer waits mean "never" anyway, and must not overflow a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// When a circuit breaker opens, tries again and closes.
///
/// ```
/// use mcp_otel_bridge::BreakerSettings;
///
/// let cautious = BreakerSettings { failure_threshold: 2, ..BreakerSettings::default() };
/// assert_eq!(cautious.timeout.as_secs(), 60);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many failures in a row open it; 1 at least, 5 by default.
    pub failure_threshold: u32,
    /// For how long it refuses every call; above 0 and a year at most, 60 s by default.
    pub timeout: Duration,
    /// So many trial calls in a row must succeed to close it; 1 at least, 2 by default.
    pub success_threshold: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failure_threshold: 5, timeout: Duration::from_secs(60), success_threshold: 2 }
    }
}

impl BreakerSettings {
    /// Whether every setting is in range.
    pub(super) fn check(&self) -> Result<(), BreakerError> {
        let wrong = |setting, expected, got: String| Err(BreakerError::Setting { setting, expected, got });
        let Self { failure_threshold, timeout, success_threshold } = *self;
        if failure_threshold == 0 {
            return wrong("failure_threshold", "1 or more", failure_threshold.to_string());
        }
        if timeout.is_zero() || timeout > LONGEST {
            return wrong("timeout", "longer than 0 s and a year at most", format!("{timeout:?}"));
        }
        if success_threshold == 0 {
            return wrong("success_threshold", "1 or more", success_threshold.to_string());
        }
        Ok(())
    }
}
