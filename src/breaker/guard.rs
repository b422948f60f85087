//! A breaker as its handles share it, and the guard of a call that it let through.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::clock::Clock;
use super::machine::{Machine, Ticket};
use super::{BreakerOpen, BreakerSettings, CallError};
use crate::Bridge;
use crate::bridge::current_parent;
use crate::event::{BreakerState, CircuitBreakerCall, CircuitBreakerState, Event, Label, Seconds, TraceParent};

/// One breaker.
#[derive(Debug)]
pub(super) struct Shared {
    component: Label,
    clock: Clock,
    machine: Mutex<Machine>,
    /// A report of the state was lost: the next report tells it again.
    pub(super) unreported: AtomicBool,
}

impl Shared {
    pub(super) fn new(component: Label, settings: BreakerSettings, clock: Clock) -> Self {
        Self { component, clock, machine: Mutex::new(Machine::new(settings)), unreported: AtomicBool::new(false) }
    }

    pub(super) fn component(&self) -> &str {
        self.component.as_str()
    }

    pub(super) fn settings(&self) -> BreakerSettings {
        self.machine().settings()
    }

    pub(super) fn state(&self) -> BreakerState {
        self.machine().state()
    }

    /// Reports the state for the first time, so that its series are there before the first call.
    pub(super) fn introduce(self: &Arc<Self>, bridge: &Bridge) {
        let machine = self.machine();
        self.unreported.store(true, Ordering::Relaxed);
        self.report(bridge, &machine, None, machine.state());
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a call, and the state where it is no longer what it was, to the bridge, which never makes anyone wait. The
    /// breaker's lock is held meanwhile, so that reports come in the order of the changes.
    fn report(
        self: &Arc<Self>,
        bridge: &Bridge,
        machine: &MutexGuard<'_, Machine>,
        call: Option<Event>,
        before: BreakerState,
    ) {
        let state = machine.state();
        let mut events: Vec<Event> = call.into_iter().collect();
        if self.unreported.swap(false, Ordering::Relaxed) || state != before {
            let reported = CircuitBreakerState { component: self.component.clone(), state };
            events.push(Event { timestamp: Some(self.clock.wall()), ..Event::new(reported) });
            let shared = Arc::clone(self);
            bridge.submit_or(events, move || shared.unreported.store(true, Ordering::Relaxed));
        } else if !events.is_empty() {
            bridge.submit_or(events, || ());
        }
    }

    /// A call that ended, or that was refused where it has no latency.
    fn call(&self, latency: Option<Seconds>, success: bool, parent: Option<TraceParent>) -> Event {
        let latency_seconds = latency.unwrap_or(Seconds::from(std::time::Duration::ZERO));
        let call = CircuitBreakerCall { component: self.component.clone(), latency_seconds, success };
        Event {
            timestamp: Some(self.clock.wall()),
            traceparent: parent,
            refused_call: latency.is_none(),
            ..Event::new(call)
        }
    }
}

/// A call that a circuit breaker let through. Dropped without a verdict, it has failed.
#[derive(Debug)]
#[must_use = "the call has failed when the guard is dropped without a verdict"]
pub struct CallGuard {
    bridge: Bridge,
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
    started: Instant,
    parent: Option<TraceParent>,
}

impl CallGuard {
    pub(super) fn admit(bridge: &Bridge, shared: &Arc<Shared>) -> Result<Self, BreakerOpen> {
        let parent = current_parent();
        let mut machine = shared.machine();
        let before = machine.state();
        let started = shared.clock.now();
        match machine.admit(started) {
            Ok(ticket) => {
                shared.report(bridge, &machine, None, before);
                drop(machine);
                let (bridge, shared) = (bridge.clone(), Arc::clone(shared));
                Ok(Self { bridge, shared, ticket: Some(ticket), started, parent })
            }
            Err(refusal) => {
                shared.report(bridge, &machine, Some(shared.call(None, false, parent)), before);
                Err(BreakerOpen::new(shared.component(), refusal.retry_after))
            }
        }
    }

    /// The call has succeeded.
    pub fn succeed(mut self) {
        self.finish(true);
    }

    /// The call has failed.
    pub fn fail(mut self) {
        self.finish(false);
    }

    pub(super) fn judge<T, E>(self, result: Result<T, E>) -> Result<T, CallError<E>> {
        match result {
            Ok(value) => {
                self.succeed();
                Ok(value)
            }
            Err(error) => {
                self.fail();
                Err(CallError::Failed(error))
            }
        }
    }

    fn finish(&mut self, success: bool) {
        let Some(ticket) = self.ticket.take() else { return };
        let now = self.shared.clock.now();
        let latency = Seconds::from(now.saturating_duration_since(self.started));
        let mut machine = self.shared.machine();
        let before = machine.state();
        machine.finish(ticket, success, now);
        let call = self.shared.call(Some(latency), success, self.parent);
        self.shared.report(&self.bridge, &machine, Some(call), before);
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.finish(false);
    }
}
