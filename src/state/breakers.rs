//! Circuit breakers: the calls of each component, the latencies of its last ones, and the state of its breaker.
//!
//! A batch changes only a copy of what is known of a component, and gathers its samples beside the window; the commit
//! makes both good, and a batch that is not kept drops them. The number of components is bounded: of those that find no
//! room nothing is remembered here, only their instruments count them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::window::Window;
use crate::event::{BreakerState, Seconds, Timestamp};

/// What is known of a component, as of now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BreakerSummary {
    /// The component.
    pub component: String,
    /// Calls since the start or the last reset, those included that an open breaker refused.
    pub total_calls: u64,
    /// Those of them that succeeded.
    pub successful_calls: u64,
    /// Those of them that failed or were refused.
    pub failed_calls: u64,
    /// The share of calls that succeeded, in percent; 100 where there was none.
    pub success_rate: f64,
    /// The share of calls that failed, in percent; 0 where there was none.
    pub failure_rate: f64,
    /// The mean latency of the last calls, in seconds; 0 where there was none, as are the others.
    pub avg_latency: f64,
    /// The least latency of the last calls, in seconds.
    pub min_latency: f64,
    /// The greatest latency of the last calls, in seconds.
    pub max_latency: f64,
    /// The state that was last reported; closed where none ever was.
    pub current_state: BreakerState,
    /// When a call last failed, in seconds since 1970; `None` where none did.
    pub last_failure_time: Option<f64>,
    /// Percentiles of the latency of the last calls.
    pub latency_percentiles: LatencyPercentiles,
}

/// Percentiles of latency, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyPercentiles {
    /// The median.
    pub p50: f64,
    /// 95 in 100 calls took no longer.
    pub p95: f64,
    /// 99 in 100 calls took no longer.
    pub p99: f64,
}

/// A call, as it is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerCall {
    /// How long it took; `None` where a breaker refused it.
    pub(crate) latency: Option<Seconds>,
    pub(crate) success: bool,
    pub(crate) time: Timestamp,
}

/// Whether a component is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// From now on.
    New,
    /// It was already.
    Yes,
    /// There is no room for it.
    NoRoom,
}

/// What a committed batch has made of a component: the values of its gauges.
#[derive(Debug)]
pub(crate) struct BreakerValues {
    pub(crate) component: Arc<str>,
    pub(crate) failure_rate: f64,
    /// `None` as long as no call had a latency.
    pub(crate) latency: Option<(LatencyPercentiles, f64)>,
    /// `None` where it is the same as before.
    pub(crate) state: Option<BreakerState>,
}

/// All components that are remembered.
#[derive(Debug)]
pub(crate) struct BreakerMemory {
    components: HashMap<Arc<str>, Component>,
    /// The components that the batch has changed.
    touched: Vec<Arc<str>>,
    /// The components that committed batches have changed since [`BreakerMemory::take_values`].
    changed: Vec<Arc<str>>,
    most: usize,
    samples: usize,
}

#[derive(Debug)]
struct Component {
    kept: Tally,
    window: Window,
    staged: Option<Staged>,
    /// Some batch that knew it was committed.
    committed: bool,
    /// A call had a latency: its gauges are shown from then on, also while a reset leaves them empty.
    measured: bool,
    /// The state that its gauges show.
    shown: Option<BreakerState>,
}

#[derive(Debug)]
struct Staged {
    tally: Tally,
    samples: Vec<Seconds>,
    /// The window is emptied before the samples come in.
    emptied: bool,
}

#[derive(Debug, Clone, Copy)]
struct Tally {
    calls: u64,
    failed: u64,
    last_failure: Option<Timestamp>,
    state: BreakerState,
    /// When the breaker opened, until it is closed again.
    opened: Option<Timestamp>,
}

impl BreakerMemory {
    /// Room for so many components, and so many samples of each.
    pub(super) fn new(most: usize, samples: usize) -> Self {
        Self { components: HashMap::new(), touched: Vec::new(), changed: Vec::new(), most, samples }
    }

    /// A call of the component.
    pub(crate) fn call(&mut self, component: &str, call: BreakerCall) -> Known {
        let (known, Some(staged)) = self.stage(component) else { return Known::NoRoom };
        staged.tally.calls += 1;
        if !call.success {
            staged.tally.failed += 1;
            staged.tally.last_failure = staged.tally.last_failure.max(Some(call.time));
        }
        staged.samples.extend(call.latency);
        known
    }

    /// The component's breaker is in a state. Where it closes again, also when it first opened.
    pub(crate) fn state(
        &mut self,
        component: &str,
        state: BreakerState,
        time: Timestamp,
    ) -> (Known, Option<Timestamp>) {
        let (known, Some(staged)) = self.stage(component) else { return (Known::NoRoom, None) };
        staged.tally.state = state;
        let opened = match state {
            BreakerState::Closed => staged.tally.opened.take(),
            BreakerState::Open => {
                staged.tally.opened.get_or_insert(time);
                None
            }
            BreakerState::HalfOpen => None,
        };
        (known, opened)
    }

    /// Empties the window and the counts of a component; its state stays. `false` where it is not known.
    pub(crate) fn reset(&mut self, component: &str) -> bool {
        if !self.components.contains_key(component) {
            return false;
        }
        if let (_, Some(staged)) = self.stage(component) {
            staged.tally = Tally { calls: 0, failed: 0, last_failure: None, ..staged.tally };
            staged.samples.clear();
            staged.emptied = true;
        }
        true
    }

    /// The components, in order.
    pub(crate) fn components(&self) -> Vec<String> {
        let mut names: Vec<String> = self.components.keys().map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// The summary of a component.
    pub(crate) fn summary(&self, component: &str) -> Option<BreakerSummary> {
        let (name, component) = self.components.get_key_value(component)?;
        let Component { kept, window, .. } = component;
        let (min_latency, max_latency) = window.range().unwrap_or_default();
        Some(BreakerSummary {
            component: name.to_string(),
            total_calls: kept.calls,
            successful_calls: kept.calls - kept.failed,
            failed_calls: kept.failed,
            success_rate: kept.success_rate(),
            failure_rate: kept.failure_rate(),
            avg_latency: window.mean().unwrap_or_default(),
            min_latency,
            max_latency,
            current_state: kept.state,
            last_failure_time: kept.last_failure.map(|time| time.unix_nanos() as f64 / 1e9),
            latency_percentiles: percentiles(window),
        })
    }

    /// These percentiles of a component's latency, in seconds; `None` where none was measured.
    pub(crate) fn latency_percentiles(&self, component: &str, percents: &[f64]) -> Option<Vec<f64>> {
        let window = &self.components.get(component)?.window;
        percents.iter().map(|percent| window.percentile(*percent)).collect()
    }

    /// What committed batches have changed since the last time. Each quantile is looked up here once a batch, not once a
    /// call.
    pub(crate) fn take_values(&mut self) -> Vec<BreakerValues> {
        let mut values = Vec::with_capacity(self.changed.len());
        for name in self.changed.drain(..) {
            let Some(component) = self.components.get_mut(&name) else { continue };
            let state = (component.shown != Some(component.kept.state)).then_some(component.kept.state);
            component.shown = Some(component.kept.state);
            let window = &component.window;
            values.push(BreakerValues {
                component: name,
                failure_rate: component.kept.failure_rate(),
                latency: component.measured.then(|| (percentiles(window), window.mean().unwrap_or_default())),
                state,
            });
        }
        values
    }

    /// Makes good what the batch has changed.
    pub(super) fn keep(&mut self) {
        for name in self.touched.drain(..) {
            if let Some(component) = self.components.get_mut(&name)
                && let Some(Staged { tally, samples, emptied }) = component.staged.take()
            {
                if emptied {
                    component.window.clear();
                }
                component.window.extend(&samples);
                component.kept = tally;
                component.committed = true;
                component.measured |= !samples.is_empty();
            }
            self.changed.push(name);
        }
    }

    /// Forgets what the batch would have changed.
    pub(super) fn forget(&mut self) {
        for name in self.touched.drain(..) {
            if let Some(component) = self.components.get_mut(&name) {
                component.staged = None;
                if !component.committed {
                    self.components.remove(&name);
                }
            }
        }
    }

    /// The copy that the batch changes.
    fn stage(&mut self, component: &str) -> (Known, Option<&mut Staged>) {
        let mut known = Known::Yes;
        if !self.components.contains_key(component) {
            if self.components.len() >= self.most {
                return (Known::NoRoom, None);
            }
            known = Known::New;
            self.components.insert(component.into(), Component::new(self.samples));
        }
        if let Some((name, _)) = self.components.get_key_value(component).filter(|(_, known)| known.staged.is_none()) {
            self.touched.push(Arc::clone(name));
        }
        let staged = self.components.get_mut(component).map(|component| {
            let tally = component.kept;
            component.staged.get_or_insert_with(|| Staged { tally, samples: Vec::new(), emptied: false })
        });
        (known, staged)
    }
}

impl Component {
    fn new(samples: usize) -> Self {
        let kept = Tally { calls: 0, failed: 0, last_failure: None, state: BreakerState::Closed, opened: None };
        let window = Window::new(samples);
        Self { kept, window, staged: None, committed: false, measured: false, shown: None }
    }
}

impl Tally {
    fn failure_rate(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.failed as f64 * 100.0 / self.calls as f64 }
    }

    fn success_rate(&self) -> f64 {
        if self.calls == 0 { 100.0 } else { (self.calls - self.failed) as f64 * 100.0 / self.calls as f64 }
    }
}

fn percentiles(window: &Window) -> LatencyPercentiles {
    let at = |percent| window.percentile(percent).unwrap_or_default();
    LatencyPercentiles { p50: at(50.0), p95: at(95.0), p99: at(99.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::state::State;

    fn call(seconds: f64, success: bool) -> BreakerCall {
        BreakerCall { latency: Some(Seconds::new(seconds).unwrap()), success, time: Timestamp::now() }
    }

    #[test]
    fn a_batch_that_is_not_kept_leaves_no_trace() {
        let mut memory = BreakerMemory::new(10, 5);
        memory.call("a", call(1.0, true));
        memory.keep();
        let before = memory.summary("a");
        memory.take_values();

        memory.call("a", call(9.0, false));
        memory.state("a", BreakerState::Open, Timestamp::now());
        memory.reset("a");
        assert_eq!(memory.call("b", call(2.0, true)), Known::New);
        memory.forget();
        assert_eq!((memory.summary("a"), memory.summary("b")), (before, None));
        assert!(memory.take_values().is_empty());

        // What was opened in vain does not count as an outage either.
        let (_, opened) = memory.state("a", BreakerState::Closed, Timestamp::now());
        assert!(opened.is_none());
    }

    #[test]
    fn it_goes_with_the_commit_of_the_state_that_it_is_part_of() {
        let mut state = State::open(None, &Config::default()).unwrap();
        state.begin().unwrap();
        state.breakers.call("a", call(1.0, true));
        state.roll_back().unwrap();
        assert!(state.breakers.components().is_empty());
        state.begin().unwrap();
        state.breakers.call("a", call(2.0, true));
        state.commit().unwrap();
        // What comes to nothing after a commit takes nothing of it back.
        state.roll_back().unwrap();
        assert_eq!(state.breakers.summary("a").unwrap().avg_latency, 2.0);
    }

    #[test]
    fn the_number_of_components_is_bounded() {
        let mut memory = BreakerMemory::new(2, 5);
        let known: Vec<Known> = ["a", "b", "c", "a"].map(|name| memory.call(name, call(1.0, true))).into();
        assert_eq!(known, [Known::New, Known::New, Known::NoRoom, Known::Yes]);
        memory.keep();
        assert_eq!(memory.components(), ["a", "b"]);
        assert!(!memory.reset("c"));
    }

    #[test]
    fn a_reset_and_what_follows_it_in_one_batch_are_kept_in_their_order() {
        let mut memory = BreakerMemory::new(2, 5);
        memory.call("a", call(1.0, false));
        memory.keep();
        memory.call("a", call(2.0, true));
        assert!(memory.reset("a"));
        memory.call("a", call(4.0, true));
        memory.keep();
        let summary = memory.summary("a").unwrap();
        assert_eq!((summary.total_calls, summary.failed_calls, summary.last_failure_time), (1, 0, None));
        assert_eq!((summary.min_latency, summary.max_latency), (4.0, 4.0));
    }
}
