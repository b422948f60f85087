//! The typed calls for circuit breakers that live elsewhere: their calls and their states.

use super::{Bridge, RecordError, Source};
use crate::event::{BreakerState, CircuitBreakerCall, CircuitBreakerState, Event, Label, Outcome, Seconds, Timestamp};

impl Bridge {
    /// A call went through a circuit breaker, in so many seconds, and succeeded or failed. [`Bridge::breaker`] is a
    /// circuit breaker that records its calls itself.
    ///
    /// # Errors
    ///
    /// When the component cannot be a label, the latency is negative or not finite, or the bridge takes no events now.
    pub fn circuit_breaker_call(
        &self,
        component: &str,
        latency_seconds: f64,
        success: bool,
    ) -> Result<Outcome, RecordError> {
        let latency_seconds = Seconds::new(latency_seconds)?;
        self.record(CircuitBreakerCall { component: Label::new(component)?, latency_seconds, success })
    }

    /// A circuit breaker is in a state now. The time from the first `Open` to the next `Closed` is its recovery time.
    ///
    /// # Errors
    ///
    /// When the component cannot be a label, or the bridge takes no events now.
    pub fn circuit_breaker_state(&self, component: &str, state: BreakerState) -> Result<Outcome, RecordError> {
        let state = CircuitBreakerState { component: Label::new(component)?, state };
        self.record(Event { timestamp: Some(Timestamp::now()), ..Event::new(state) })
    }

    /// Hands over events of the library and does not wait; `lost` is called where there was no room for them.
    pub(crate) fn submit_or(&self, events: Vec<Event>, lost: impl FnOnce() + Send + 'static) {
        let events = events.into_iter().map(Ok).collect();
        self.0.door.submit(
            Source::Library,
            events,
            Box::new(|outcome| {
                if outcome.is_err() {
                    lost()
                }
            }),
        );
    }
}
