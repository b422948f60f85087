//! What the bridge knows of circuit breakers, for the program that it runs in.

use super::door::Change;
use super::{Answer, Bridge, Refused};
use crate::state::{BreakerMemory, BreakerSummary, StoreError};

impl Bridge {
    /// What is known of the calls through circuit breakers: of those of this program, and of all that were reported.
    pub fn breakers(&self) -> Breakers {
        Breakers { bridge: self.clone() }
    }
}

/// The calls of each component, as they were recorded: counts since the start of the bridge or the last reset, and the
/// latencies of the last calls (1000 unless `circuit_breakers.max_latency_samples` says otherwise).
///
/// The number of components is bounded by `metrics.series_limit`; those that come later are counted in metrics, as far
/// as their limits go, and not known here.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bridge = mcp_otel_bridge::Bridge::builder().build()?;
/// bridge.circuit_breaker_call("payments", 0.25, true)?;
/// bridge.circuit_breaker_call("payments", 0.75, false)?;
/// let breakers = bridge.breakers();
/// assert_eq!(breakers.failure_rate("payments").wait()?, Some(50.0));
/// assert_eq!(breakers.latency_percentiles("payments", &[50.0, 100.0]).wait()?, Some(vec![0.5, 0.75]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Breakers {
    bridge: Bridge,
}

impl Breakers {
    /// The names of all components, in order.
    pub fn components(&self) -> Answer<Vec<String>> {
        self.ask(BreakerMemory::components)
    }

    /// The share of a component's calls that failed, in percent; `None` where it is not known.
    pub fn failure_rate(&self, component: &str) -> Answer<Option<f64>> {
        self.ask_of(component, |summary| summary.failure_rate)
    }

    /// The share of a component's calls that succeeded, in percent; `None` where it is not known.
    pub fn success_rate(&self, component: &str) -> Answer<Option<f64>> {
        self.ask_of(component, |summary| summary.success_rate)
    }

    /// Percentiles of a component's latency, in seconds, one for each of `percents`, from 0 (the least) to 100 (the
    /// greatest); one outside is taken as the nearest inside. `None` where no latency is known.
    ///
    /// Interpolated linearly between the two latencies around the place `percent / 100 * (n - 1)`, as Python's
    /// `statistics.quantiles(..., method="inclusive")` does.
    pub fn latency_percentiles(&self, component: &str, percents: &[f64]) -> Answer<Option<Vec<f64>>> {
        let (component, percents) = (component.to_owned(), percents.to_owned());
        self.ask(move |memory| memory.latency_percentiles(&component, &percents))
    }

    /// All that is known of a component; `None` where nothing is.
    pub fn summary(&self, component: &str) -> Answer<Option<BreakerSummary>> {
        self.ask_of(component, |summary| summary)
    }

    /// All that is known of every component whose name holds `part`, in the order of the names; an empty part is in
    /// every name.
    pub fn summaries(&self, part: &str) -> Answer<Vec<BreakerSummary>> {
        let part = part.to_owned();
        self.ask(move |memory| {
            let names = memory.components().into_iter().filter(|name| name.contains(&part));
            names.filter_map(|name| memory.summary(&name)).collect()
        })
    }

    /// Forgets a component's counts and latencies; whether it was known.
    ///
    /// The metrics that only rise go on, as they must; failure rate, quantiles and mean become 0 until the next call. The
    /// state of its breaker stays.
    pub fn reset(&self, component: &str) -> Answer<bool> {
        let component = component.to_owned();
        let make = move |memory: &mut BreakerMemory| usize::from(memory.reset(&component));
        self.change(make, |changed| changed > 0)
    }

    /// As [`Breakers::reset`], for every component; how many there were.
    pub fn reset_all(&self) -> Answer<usize> {
        let make =
            |memory: &mut BreakerMemory| memory.components().iter().filter(|component| memory.reset(component)).count();
        self.change(make, |changed| changed)
    }

    fn ask_of<T: Send + 'static>(
        &self,
        component: &str,
        read: impl FnOnce(BreakerSummary) -> T + Send + 'static,
    ) -> Answer<Option<T>> {
        let component = component.to_owned();
        self.ask(move |memory| memory.summary(&component).map(read))
    }

    fn ask<T: Send + 'static>(&self, read: impl FnOnce(&BreakerMemory) -> T + Send + 'static) -> Answer<T> {
        let (sender, answer) = Answer::new();
        let inner = &self.bridge.0;
        // Who no longer waits for the answer misses nothing but the answer.
        let asked = inner.door.inspect(Box::new(move |state| drop(sender.send(Ok(read(&state.breakers))))));
        if asked || inner.shared.is_closed() {
            return answer;
        }
        let (sender, answer) = Answer::new();
        drop(sender.send(Err(Refused::Overloaded)));
        answer
    }

    fn change<T: Send + 'static>(
        &self,
        make: impl FnOnce(&mut BreakerMemory) -> usize + Send + 'static,
        tell: impl FnOnce(usize) -> T + Send + 'static,
    ) -> Answer<T> {
        let (sender, answer) = Answer::new();
        self.bridge.0.door.change(Change {
            make: Box::new(move |state| Ok::<_, StoreError>(make(&mut state.breakers))),
            reply: Box::new(move |changed| drop(sender.send(changed.map(tell)))),
        });
        answer
    }
}
