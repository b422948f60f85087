//! Anomalies in a skill's use: pure functions from a baseline of past windows and the recent window to z-scores.
//!
//! A window is a stretch of time, all of one length. Each score is `(now - usual) / √(s² + c²)`: s is the sample
//! standard deviation over the baseline's windows, and c is what chance alone makes of so few invocations, never less
//! than a fixed floor, because perfectly steady data has no deviation of its own to divide by. The formulas are in
//! docs/anomalies.md, and a reference in Python holds the code to them.
//!
//! ```
//! use mcp_otel_bridge::skills::anomaly::{AnomalyKind, Rules, Window, find};
//!
//! let usual = Window { invocations: 20, completed: 19, phases: vec![20] };
//! let now = Window { invocations: 20, completed: 8, phases: vec![20] };
//! let found = find(&vec![usual; 24], &now, &Rules::default());
//! assert_eq!(found[0].kind, AnomalyKind::Drop);
//! assert!(found[0].score < -2.0);
//! ```

/// The least c of a share, in the completion rate and in the mix of phases.
const SHARE_FLOOR: f64 = 0.02;
/// The least c of a count, as a part of its mean.
const COUNT_FLOOR: f64 = 0.05;

/// What is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnomalyKind {
    /// The completion rate is below its baseline.
    Drop,
    /// There are more invocations than in the baseline.
    Spike,
    /// The mix of workflow phases is another than the baseline's.
    PatternShift,
}

impl AnomalyKind {
    /// The value of the `anomaly_type` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Spike => "spike",
            Self::PatternShift => "pattern_shift",
        }
    }
}

/// What a skill did in one window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// How often it was used.
    pub invocations: u64,
    /// How many of these were completed.
    pub completed: u64,
    /// How many of these were in each workflow phase; missing ones at the end are zeros.
    pub phases: Vec<u64>,
}

/// When a score is an anomaly, and when there is too little data to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// How far from 0 a score must be, in standard deviations.
    pub threshold: f64,
    /// The fewest invocations of the recent window; for `drop` and `pattern_shift`, of each window of the baseline too.
    pub min_samples: u64,
    /// The fewest windows of a baseline.
    pub min_windows: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { threshold: 2.0, min_samples: 10, min_windows: 6 }
    }
}

/// The z-scores of a recent window; `None` where there is too little data.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores {
    /// Of the completion rate: negative when it is below its baseline.
    pub drop: Option<f64>,
    /// Of the number of invocations.
    pub spike: Option<f64>,
    /// Of the distance between the mixes of phases.
    pub pattern_shift: Option<f64>,
}

/// An anomaly in the recent window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// What is unusual.
    pub kind: AnomalyKind,
    /// Its z-score.
    pub score: f64,
}

/// The anomalies of the recent window.
pub fn find(baseline: &[Window], recent: &Window, rules: &Rules) -> Vec<Finding> {
    let scores = scores(baseline, recent, rules);
    let anomaly = |kind, score: Option<f64>, direction: f64| {
        score.filter(|score| score * direction > rules.threshold).map(|score| Finding { kind, score })
    };
    [
        anomaly(AnomalyKind::Drop, scores.drop, -1.0),
        anomaly(AnomalyKind::Spike, scores.spike, 1.0),
        anomaly(AnomalyKind::PatternShift, scores.pattern_shift, 1.0),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The z-scores of the recent window against the baseline.
pub fn scores(baseline: &[Window], recent: &Window, rules: &Rules) -> Scores {
    // A standard deviation takes two values, and a rate one invocation.
    let fewest = rules.min_windows.max(2);
    if recent.invocations < rules.min_samples.max(1) {
        return Scores::default();
    }
    let full: Vec<&Window> = baseline.iter().filter(|window| window.invocations >= rules.min_samples.max(1)).collect();
    let enough = full.len() >= fewest;
    Scores {
        drop: enough.then(|| drop(&full, recent)),
        spike: (baseline.len() >= fewest).then(|| spike(baseline, recent)),
        pattern_shift: enough.then(|| pattern_shift(&full, recent)),
    }
}

fn drop(baseline: &[&Window], recent: &Window) -> f64 {
    let rates: Vec<f64> = baseline.iter().map(|window| share(window.completed, window.invocations)).collect();
    let usual = mean(&rates);
    let invocations: u64 = baseline.iter().map(|window| window.invocations).sum();
    let completed: u64 = baseline.iter().map(|window| window.completed).sum();
    // Laplace's rule: that nothing ever failed does not mean that nothing can.
    let likely = (completed as f64 + 1.0) / (invocations as f64 + 2.0);
    let n = recent.invocations as f64;
    let chance = (likely * (1.0 - likely) / n).sqrt();
    let sigma = deviation(&rates, usual).hypot(chance.max(1.0 / n).max(SHARE_FLOOR));
    (share(recent.completed, recent.invocations) - usual) / sigma
}

fn spike(baseline: &[Window], recent: &Window) -> f64 {
    let counts: Vec<f64> = baseline.iter().map(|window| window.invocations as f64).collect();
    let usual = mean(&counts);
    let sigma = deviation(&counts, usual).hypot(usual.sqrt().max(COUNT_FLOOR * usual).max(1.0));
    (recent.invocations as f64 - usual) / sigma
}

fn pattern_shift(baseline: &[&Window], recent: &Window) -> f64 {
    let phases = baseline.iter().copied().chain([recent]).map(|window| window.phases.len()).max().unwrap_or(0);
    let mut sums = vec![0; phases];
    for window in baseline {
        for (sum, count) in sums.iter_mut().zip(&window.phases) {
            *sum += count;
        }
    }
    let usual_mix = mix(&sums, phases);
    let distances: Vec<f64> =
        baseline.iter().map(|window| distance(&mix(&window.phases, phases), &usual_mix)).collect();
    let n = recent.invocations as f64;
    // The mean distance of a sample of n from the mix that it was drawn from.
    let chance = usual_mix.iter().map(|p| (2.0 * p * (1.0 - p) / (std::f64::consts::PI * n)).sqrt()).sum::<f64>() / 2.0;
    let usual = mean(&distances);
    let sigma = deviation(&distances, usual).hypot(chance.max(1.0 / n).max(SHARE_FLOOR));
    (distance(&mix(&recent.phases, phases), &usual_mix) - usual.max(chance)) / sigma
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The share of each phase.
fn mix(counts: &[u64], phases: usize) -> Vec<f64> {
    let whole = counts.iter().sum();
    (0..phases).map(|phase| share(counts.get(phase).copied().unwrap_or(0), whole)).collect()
}

/// The total variation distance: the share of invocations that would have to move, 0 to 1.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation, of two values at least.
fn deviation(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(invocations: u64, completed: u64, phases: &[u64]) -> Window {
        Window { invocations, completed, phases: phases.to_vec() }
    }

    fn kinds(baseline: &[Window], recent: &Window) -> Vec<AnomalyKind> {
        find(baseline, recent, &Rules::default()).into_iter().map(|found| found.kind).collect()
    }

    #[test]
    fn the_same_again_is_no_anomaly_whatever_it_is() {
        for usual in [
            window(10, 10, &[10]),
            window(10, 0, &[10]),
            window(20, 13, &[7, 13]),
            window(100_000, 99_999, &[1, 99_999]),
            window(10, 10, &[]),
        ] {
            assert_eq!(kinds(&vec![usual.clone(); 24], &usual), [], "{usual:?}");
        }
    }

    #[test]
    fn one_or_two_failures_after_none_are_no_drop_and_three_are() {
        let flawless = vec![window(20, 20, &[20]); 24];
        assert_eq!(kinds(&flawless, &window(20, 18, &[20])), []);
        assert_eq!(kinds(&flawless, &window(20, 17, &[20])), [AnomalyKind::Drop]);
    }

    #[test]
    fn a_rate_that_rises_and_a_skill_that_falls_silent_are_no_anomalies() {
        let usual = vec![window(20, 10, &[20]); 24];
        assert_eq!(kinds(&usual, &window(20, 20, &[20])), []);
        assert_eq!(kinds(&usual, &window(0, 0, &[])), []);
    }

    #[test]
    fn too_little_data_gives_no_score() {
        let rules = Rules::default();
        let usual = vec![window(20, 20, &[20]); 24];
        assert_eq!(scores(&usual, &window(9, 0, &[9]), &rules), Scores::default());
        assert_eq!(scores(&usual[..5], &window(90, 0, &[90]), &rules), Scores::default());
        let sparse = vec![window(9, 9, &[9]); 24];
        let scores = scores(&sparse, &window(90, 0, &[0, 90]), &rules);
        assert!(scores.drop.is_none() && scores.pattern_shift.is_none() && scores.spike.is_some());
    }

    #[test]
    fn scores_are_finite_at_every_extreme() {
        let rules = Rules { threshold: 2.0, min_samples: 0, min_windows: 0 };
        let most = 1 << 50;
        let extremes =
            [window(0, 0, &[]), window(1, 0, &[1]), window(most, most, &[most]), window(most, 0, &[0, most])];
        for first in &extremes {
            for second in &extremes {
                for recent in &extremes {
                    let baseline = [first.clone(), second.clone()];
                    let Scores { drop, spike, pattern_shift } = scores(&baseline, recent, &rules);
                    for score in [drop, spike, pattern_shift].into_iter().flatten() {
                        assert!(score.is_finite(), "{baseline:?} {recent:?}");
                    }
                }
            }
        }
    }
}
