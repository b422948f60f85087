//! Circuit breakers: calls, their latencies, the states of breakers and how long outages lasted.
//!
//! Quantiles, means and failure rates are gauges that every call changes. They are looked up once a batch for each
//! component that it touched, in [`BreakerRecorder::refresh`]: between two batches nobody can see them.

use std::sync::Arc;

use super::{Context, Fault, Staged, Tracing};
use crate::catalog::metrics::{
    CIRCUIT_BREAKER_CALL_DURATION, CIRCUIT_BREAKER_CALLS, CIRCUIT_BREAKER_CALLS_FAILED, CIRCUIT_BREAKER_CALLS_SUCCESS,
    CIRCUIT_BREAKER_FAILURE_RATE, CIRCUIT_BREAKER_LATENCY, CIRCUIT_BREAKER_LATENCY_SECONDS_AVG,
    CIRCUIT_BREAKER_RECOVERY, CIRCUIT_BREAKER_STATE,
};
use crate::event::{BreakerState, Event, EventKind, Outcome, Status, Timestamp, Warning};
use crate::state::{BreakerCall, Known, State};
use crate::telemetry::{Instrument, Telemetry};

/// Records circuit breakers.
#[derive(Debug)]
pub(super) struct BreakerRecorder {
    calls: Arc<Instrument>,
    success: Arc<Instrument>,
    failed: Arc<Instrument>,
    failure_rate: Arc<Instrument>,
    latency: Arc<Instrument>,
    latency_avg: Arc<Instrument>,
    state: Arc<Instrument>,
    duration: Arc<Instrument>,
    recovery: Arc<Instrument>,
    tracing: Arc<Tracing>,
}

impl BreakerRecorder {
    pub(super) fn new(telemetry: &Telemetry, tracing: Arc<Tracing>) -> Self {
        Self {
            calls: telemetry.instrument(&CIRCUIT_BREAKER_CALLS),
            success: telemetry.instrument(&CIRCUIT_BREAKER_CALLS_SUCCESS),
            failed: telemetry.instrument(&CIRCUIT_BREAKER_CALLS_FAILED),
            failure_rate: telemetry.instrument(&CIRCUIT_BREAKER_FAILURE_RATE),
            latency: telemetry.instrument(&CIRCUIT_BREAKER_LATENCY),
            latency_avg: telemetry.instrument(&CIRCUIT_BREAKER_LATENCY_SECONDS_AVG),
            state: telemetry.instrument(&CIRCUIT_BREAKER_STATE),
            duration: telemetry.instrument(&CIRCUIT_BREAKER_CALL_DURATION),
            recovery: telemetry.instrument(&CIRCUIT_BREAKER_RECOVERY),
            tracing,
        }
    }

    pub(super) fn call(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::CircuitBreakerCall(call) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let component = call.component.as_str();
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let latency = (!event.refused_call).then_some(call.latency_seconds);
        let remembered = BreakerCall { latency, success: call.success, time };
        if context.state.breakers.call(component, remembered) == Known::New {
            self.admit(component);
        }
        let link = event.traceparent.as_ref().and_then(|parent| self.tracing.link(&parent.span_context(), time));
        let verdict = if call.success { &self.success } else { &self.failed };
        let staged = &mut *context.staged;
        staged.add(self.calls.series(&[component]), 1, link);
        staged.change(verdict.series(&[component]), 1);
        if let Some(latency) = latency {
            staged.record(self.duration.series(&[component]), latency.get(), link);
        }
        Ok(Outcome::new(Status::Recorded))
    }

    pub(super) fn state(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::CircuitBreakerState(reported) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let component = reported.component.as_str();
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let mut outcome = Outcome::new(Status::Recorded);
        let (known, opened) = context.state.breakers.state(component, reported.state, time);
        if known == Known::New {
            self.admit(component);
        }
        if known == Known::NoRoom {
            self.show_state(context.staged, component, reported.state);
        }
        match opened.map(|opened| time.seconds_since(opened)) {
            Some(Some(outage)) => {
                let parent = event.traceparent.as_ref();
                let link = parent.and_then(|parent| self.tracing.link(&parent.span_context(), time));
                context.staged.record(self.recovery.series(&[component]), outage.get(), link);
            }
            Some(None) => outcome.warnings.push(Warning::ClockSkew),
            None => {}
        }
        Ok(outcome)
    }

    /// Sets the gauges of the components that the batch has changed.
    pub(super) fn refresh(&self, state: &mut State, staged: &mut Staged) {
        for values in state.breakers.take_values() {
            let component = &*values.component;
            staged.set(self.failure_rate.series(&[component]), values.failure_rate);
            if let Some((percentiles, mean)) = values.latency {
                for (quantile, seconds) in
                    [("0.5", percentiles.p50), ("0.95", percentiles.p95), ("0.99", percentiles.p99)]
                {
                    staged.set(self.latency.series(&[component, quantile]), seconds);
                }
                staged.set(self.latency_avg.series(&[component]), mean);
            }
            if let Some(state) = values.state {
                self.show_state(staged, component, state);
            }
        }
    }

    /// Series that are there before they first count, so that a ratio of rates has an answer.
    fn admit(&self, component: &str) {
        for counter in [&self.calls, &self.success, &self.failed] {
            counter.series(&[component]);
        }
    }

    fn show_state(&self, staged: &mut Staged, component: &str, current: BreakerState) {
        for state in BreakerState::ALL {
            let value = if *state == current { 1.0 } else { 0.0 };
            staged.set(self.state.series(&[component, state.name()]), value);
        }
    }
}
