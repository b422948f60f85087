//! How skills are remembered and watched.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How skills are remembered and watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Skills {
    /// How long invocations and anomalies are remembered.
    pub retention: Duration,
    /// The most invocations that are kept one by one; totals do not need them.
    pub max_invocations: usize,
    /// The most skills that are summarised and watched.
    pub max_skills: usize,
    /// How often completion rates are worked out anew.
    pub refresh_interval: Duration,
    /// The search for anomalies.
    pub anomalies: Anomalies,
}

/// The search for anomalies.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomalies {
    /// Whether it is made.
    pub enabled: bool,
    /// From one search to the next.
    pub interval: Duration,
    /// The recent time that is judged; a multiple of five minutes.
    pub window: Duration,
    /// The time before it that it is judged against; as many whole windows as fit.
    pub baseline: Duration,
    /// How far from the usual an anomaly is, in standard deviations.
    pub threshold: f64,
    /// The fewest invocations of a window.
    pub min_samples: usize,
    /// The fewest windows of a baseline.
    pub min_windows: usize,
    /// An anomaly that was not found for so long is over: the next is a new one.
    pub cooldown: Duration,
}

impl Default for Skills {
    fn default() -> Self {
        Self {
            retention: 30 * DAY,
            max_invocations: 1_000_000,
            max_skills: 2000,
            refresh_interval: Duration::from_secs(60),
            anomalies: Anomalies::default(),
        }
    }
}

impl Default for Anomalies {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(300),
            window: Duration::from_secs(3600),
            baseline: DAY,
            threshold: 2.0,
            min_samples: 10,
            min_windows: 6,
            cooldown: Duration::from_secs(3600),
        }
    }
}
