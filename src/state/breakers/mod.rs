//! Circuit breakers: the calls of each component, the latencies of its last ones, and the state of its breaker.
//!
//! A batch changes what is known of a component, and gathers its samples beside the window; at its end the window takes
//! them, and both are stored. After a batch that is not kept, all is read from the store again. The number of components is bounded: of those that find no
//! room nothing is remembered here, only their instruments count them.

mod table;

pub(super) use table::MIGRATION;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::store::{Store, StoreError};
use super::window::Window;
use crate::event::{BreakerState, Seconds, Timestamp};
use table::Parts;

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

/// What a batch has made of a component: the values of its gauges.
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
    /// The components that settled batches have changed since [`BreakerMemory::take_values`].
    changed: Vec<Arc<str>>,
    most: usize,
    samples: usize,
    next_id: i64,
}

#[derive(Debug)]
struct Component {
    /// Its row.
    id: i64,
    tally: Tally,
    window: Window,
    /// How the window is stored.
    parts: Parts,
    /// What the batch brings to the window.
    samples: Vec<Seconds>,
    /// The window is emptied before the samples come in.
    emptied: bool,
    /// The batch has changed it.
    touched: bool,
    /// A call had a latency: its gauges are shown from then on, also while a reset leaves them empty.
    measured: bool,
    /// The state that its gauges show.
    shown: Option<BreakerState>,
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
        Self { components: HashMap::new(), touched: Vec::new(), changed: Vec::new(), most, samples, next_id: 1 }
    }

    /// Reads what is stored; what is in memory stays where it cannot be read. Of components that find no room nothing is known, though they stay in the store.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        let (mut latencies, all) = (table::read_latencies(store)?, table::read(store)?);
        *self = Self::new(self.most, self.samples);
        for stored in all {
            self.next_id = stored.id.saturating_add(1);
            if self.components.len() >= self.most {
                continue;
            }
            let mut component = Component::new(stored.id, self.samples);
            (component.tally, component.measured) = (stored.tally, stored.measured);
            if let Some((parts, samples)) = latencies.remove(&stored.id) {
                component.parts = parts;
                component.window.extend_parts(samples.into_iter());
            }
            let name: Arc<str> = stored.component.into();
            self.changed.push(Arc::clone(&name));
            self.components.insert(name, component);
        }
        Ok(())
    }

    /// A call of the component.
    pub(crate) fn call(&mut self, component: &str, call: BreakerCall) -> Known {
        let (known, Some(component)) = self.touch(component) else { return Known::NoRoom };
        let Component { tally, samples, .. } = component;
        tally.calls += 1;
        if !call.success {
            tally.failed += 1;
            tally.last_failure = tally.last_failure.max(Some(call.time));
        }
        samples.extend(call.latency);
        known
    }

    /// The component's breaker is in a state. Where it closes again, also when it first opened.
    pub(crate) fn state(
        &mut self,
        component: &str,
        state: BreakerState,
        time: Timestamp,
    ) -> (Known, Option<Timestamp>) {
        let (known, Some(Component { tally, .. })) = self.touch(component) else { return (Known::NoRoom, None) };
        tally.state = state;
        let opened = match state {
            BreakerState::Closed => tally.opened.take(),
            BreakerState::Open => {
                tally.opened.get_or_insert(time);
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
        if let (_, Some(component)) = self.touch(component) {
            component.tally = Tally { calls: 0, failed: 0, last_failure: None, ..component.tally };
            component.samples.clear();
            component.emptied = true;
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
        let Component { tally, window, .. } = component;
        let (min_latency, max_latency) = window.range().unwrap_or_default();
        Some(BreakerSummary {
            component: name.to_string(),
            total_calls: tally.calls,
            successful_calls: tally.calls - tally.failed,
            failed_calls: tally.failed,
            success_rate: tally.success_rate(),
            failure_rate: tally.failure_rate(),
            avg_latency: window.mean().unwrap_or_default(),
            min_latency,
            max_latency,
            current_state: tally.state,
            last_failure_time: tally.last_failure.map(|time| time.unix_nanos() as f64 / 1e9),
            latency_percentiles: percentiles(window),
        })
    }

    /// These percentiles of a component's latency, in seconds; `None` where none was measured.
    pub(crate) fn latency_percentiles(&self, component: &str, percents: &[f64]) -> Option<Vec<f64>> {
        let window = &self.components.get(component)?.window;
        percents.iter().map(|percent| window.percentile(*percent)).collect()
    }

    /// What settled batches have changed since the last time. Each quantile is looked up here once a batch, not once a
    /// call.
    pub(crate) fn take_values(&mut self) -> Vec<BreakerValues> {
        let mut values = Vec::with_capacity(self.changed.len());
        for name in self.changed.drain(..) {
            let Some(Component { tally, window, measured, shown, .. }) = self.components.get_mut(&name) else {
                continue;
            };
            let state = (*shown != Some(tally.state)).then_some(tally.state);
            *shown = Some(tally.state);
            values.push(BreakerValues {
                component: name,
                failure_rate: tally.failure_rate(),
                latency: measured.then(|| (percentiles(window), window.mean().unwrap_or_default())),
                state,
            });
        }
        values
    }

    /// Ends the batch: the windows take their samples, and what was changed is written.
    pub(super) fn settle(&mut self, store: &Store) -> Result<(), StoreError> {
        for name in self.touched.drain(..) {
            let Some(component) = self.components.get_mut(&name) else { continue };
            let Component { id, tally, window, parts, samples, emptied, touched, measured, .. } = component;
            if std::mem::take(emptied) {
                window.clear();
                parts.clear(store, *id)?;
            }
            parts.append(store, *id, window.latest().rev(), samples, self.samples)?;
            window.extend(samples);
            *measured |= !samples.is_empty();
            samples.clear();
            *touched = false;
            table::write(store, *id, &name, tally, *measured)?;
            self.changed.push(name);
        }
        Ok(())
    }

    /// Writes everything that is known into a store that may have lost some of it.
    pub(super) fn write_all(&mut self, store: &Store) -> Result<(), StoreError> {
        for (name, component) in &mut self.components {
            let Component { id, tally, window, parts, measured, .. } = component;
            parts.write_all(store, *id, window.latest())?;
            table::write(store, *id, name, tally, *measured)?;
        }
        Ok(())
    }

    /// What is known of a component, for the batch to change.
    fn touch(&mut self, component: &str) -> (Known, Option<&mut Component>) {
        let mut known = Known::Yes;
        if !self.components.contains_key(component) {
            if self.components.len() >= self.most {
                return (Known::NoRoom, None);
            }
            known = Known::New;
            self.components.insert(component.into(), Component::new(self.next_id, self.samples));
            self.next_id += 1;
        }
        if let Some((name, _)) = self.components.get_key_value(component).filter(|(_, known)| !known.touched) {
            self.touched.push(Arc::clone(name));
        }
        let Some(component) = self.components.get_mut(component) else { return (Known::NoRoom, None) };
        component.touched = true;
        (known, Some(component))
    }
}

impl Component {
    fn new(id: i64, samples: usize) -> Self {
        Self {
            id,
            tally: Tally { calls: 0, failed: 0, last_failure: None, state: BreakerState::Closed, opened: None },
            window: Window::new(samples),
            parts: Parts::default(),
            samples: Vec::new(),
            emptied: false,
            touched: false,
            measured: false,
            shown: None,
        }
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

    fn memory(most: usize, samples: usize) -> (Store, BreakerMemory) {
        (Store::in_memory().unwrap(), BreakerMemory::new(most, samples))
    }

    /// What another process would know.
    fn reloaded(store: &Store, most: usize, samples: usize) -> BreakerMemory {
        let mut memory = BreakerMemory::new(most, samples);
        memory.load(store).unwrap();
        memory
    }

    #[test]
    fn a_batch_that_is_not_kept_leaves_no_trace() {
        let mut state = State::open(None, &Config::default()).unwrap();
        state.begin().unwrap();
        state.breakers.call("a", call(1.0, true));
        state.commit().unwrap();
        let before = state.breakers.summary("a");

        state.begin().unwrap();
        state.breakers.call("a", call(9.0, false));
        state.breakers.state("a", BreakerState::Open, Timestamp::now());
        state.breakers.reset("a");
        assert_eq!(state.breakers.call("b", call(2.0, true)), Known::New);
        state.settle().unwrap();
        state.roll_back().unwrap();
        assert_eq!((state.breakers.summary("a"), state.breakers.summary("b")), (before, None));

        // What was opened in vain does not count as an outage either.
        let (_, opened) = state.breakers.state("a", BreakerState::Closed, Timestamp::now());
        assert!(opened.is_none());
    }

    #[test]
    fn the_number_of_components_is_bounded() {
        let (store, mut memory) = memory(2, 5);
        let known: Vec<Known> = ["a", "b", "c", "a"].map(|name| memory.call(name, call(1.0, true))).into();
        assert_eq!(known, [Known::New, Known::New, Known::NoRoom, Known::Yes]);
        memory.settle(&store).unwrap();
        assert_eq!(memory.components(), ["a", "b"]);
        assert!(!memory.reset("c"));
        let mut fewer = reloaded(&store, 1, 5);
        assert_eq!(fewer.components(), ["a"]);
        fewer.call("a", call(1.0, true));
        fewer.settle(&store).unwrap();
        assert_eq!(reloaded(&store, 3, 5).components(), ["a", "b"]);
    }

    #[test]
    fn a_reset_and_what_follows_it_in_one_batch_are_kept_in_their_order() {
        let (store, mut memory) = memory(2, 5);
        memory.call("a", call(1.0, false));
        memory.settle(&store).unwrap();
        memory.call("a", call(2.0, true));
        assert!(memory.reset("a"));
        memory.call("a", call(4.0, true));
        memory.settle(&store).unwrap();
        for memory in [&memory, &reloaded(&store, 2, 5)] {
            let summary = memory.summary("a").unwrap();
            assert_eq!((summary.total_calls, summary.failed_calls, summary.last_failure_time), (1, 0, None));
            assert_eq!((summary.min_latency, summary.max_latency), (4.0, 4.0));
        }
    }

    #[test]
    fn the_stored_window_is_the_one_in_memory_however_the_samples_come() {
        let mut number = 7u64;
        let mut random = move |below: u64| {
            number = number.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (number >> 33) % below
        };
        for capacity in [1, 5, 63, 64, 65, 200] {
            let (store, mut memory) = memory(2, capacity);
            for batch in 0..120 {
                for _ in 0..1 + random(if batch % 7 == 0 { 300 } else { 9 }) {
                    memory.call("a", call(random(1000) as f64 / 8.0, true));
                }
                if random(40) == 0 {
                    memory.reset("a");
                }
                memory.settle(&store).unwrap();
                let latest = |memory: &BreakerMemory| memory.components["a"].window.latest().collect::<Vec<_>>();
                let stored = reloaded(&store, 2, capacity);
                assert_eq!(latest(&stored), latest(&memory));
                assert_eq!(stored.summary("a"), memory.summary("a"));
                match random(6) {
                    0 | 1 => memory = stored,
                    2 => {
                        memory.write_all(&store).unwrap();
                        assert_eq!(latest(&reloaded(&store, 2, capacity)), latest(&memory));
                    }
                    _ => {}
                }
            }
            let rows: i64 =
                store.db().query_row("SELECT count(*) FROM breaker_latencies", [], |row| row.get(0)).unwrap();
            assert!(rows <= capacity.div_ceil(64) as i64 + 2, "{rows} rows for {capacity} samples");
        }
    }
}
