//! Every transition, by a clock that is moved by hand. Many threads and tasks at once are in `tests/breakers.rs`.

use std::future::{Future, pending};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::clock::{Clock, Manual};
use super::*;
use crate::expose::exposition::Format;

const SETTINGS: BreakerSettings =
    BreakerSettings { failure_threshold: 3, timeout: Duration::from_secs(60), success_threshold: 2 };

struct Bench {
    bridge: Bridge,
    breaker: CircuitBreaker,
    clock: Arc<Manual>,
}

impl Bench {
    fn new() -> Self {
        let bridge = Bridge::builder().build().unwrap();
        let clock = Arc::new(Manual::new());
        let shared = Arc::new(Shared::new(Label::new("it").unwrap(), SETTINGS, Clock::Manual(Arc::clone(&clock))));
        shared.introduce(&bridge);
        let breaker = CircuitBreaker { bridge: bridge.clone(), shared };
        Self { bridge, breaker, clock }
    }

    /// A call that takes a while.
    fn call(&self, millis: u64, result: Result<(), ()>) -> Result<(), CallError<()>> {
        self.breaker.call(|| {
            self.clock.advance(Duration::from_millis(millis));
            result
        })
    }

    fn open(&self) {
        for _ in 0..SETTINGS.failure_threshold {
            assert_eq!(self.call(0, Err(())), Err(CallError::Failed(())));
        }
        assert_eq!(self.breaker.state(), BreakerState::Open);
    }

    fn half_open(&self) {
        self.open();
        self.clock.advance(SETTINGS.timeout);
        self.call(0, Ok(())).unwrap();
        assert_eq!(self.breaker.state(), BreakerState::HalfOpen);
    }

    #[track_caller]
    fn refused(&self, retry_after: Option<Duration>) {
        let refused = self.breaker.call(|| -> Result<(), ()> { panic!("a refused call was made") });
        assert_eq!(refused, Err(CallError::Open(BreakerOpen::new("it", retry_after))));
    }

    #[track_caller]
    fn shows(&self, sample: &str, value: f64) {
        // The answer comes after everything that was reported.
        self.bridge.breakers().components().wait().unwrap();
        let text = self.bridge.render(Format::Text004).unwrap();
        let shown = text.lines().find_map(|line| line.strip_prefix(sample)).map(|shown| shown.trim().parse().unwrap());
        assert_eq!(shown, Some(value), "{sample}\n{text}");
    }

    #[track_caller]
    fn shows_state(&self, current: &str) {
        for state in ["closed", "open", "half_open"] {
            let value = if state == current { 1.0 } else { 0.0 };
            self.shows(&format!("circuit_breaker_state{{component=\"it\",state=\"{state}\"}}"), value);
        }
    }
}

#[test]
fn it_walks_through_every_transition_and_reports_each() {
    let bench = Bench::new();
    bench.shows_state("closed");
    bench.shows("circuit_breaker_calls_failed{component=\"it\"}", 0.0);

    // A success between failures: only failures in a row open it.
    for result in [Err(()), Err(()), Ok(()), Err(()), Err(())] {
        let _ = bench.call(250, result);
    }
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
    let _ = bench.call(250, Err(()));
    bench.shows_state("open");

    // Open: refused until the timeout, to the nanosecond.
    bench.refused(Some(SETTINGS.timeout));
    bench.clock.advance(SETTINGS.timeout - Duration::from_nanos(1));
    bench.refused(Some(Duration::from_nanos(1)));
    bench.clock.advance(Duration::from_nanos(1));

    // Half open: one trial at a time; a failure opens it again, for the whole timeout.
    let trial = bench.breaker.admit().unwrap();
    bench.shows_state("half_open");
    bench.refused(None);
    trial.fail();
    bench.shows_state("open");
    bench.refused(Some(SETTINGS.timeout));

    // Half open again: as many successes as it takes, and closed.
    bench.clock.advance(SETTINGS.timeout);
    bench.call(500, Ok(())).unwrap();
    assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    bench.call(500, Ok(())).unwrap();
    bench.shows_state("closed");

    // Closed again, with nothing left over from before.
    for _ in 0..2 {
        let _ = bench.call(0, Err(()));
    }
    assert_eq!(bench.breaker.state(), BreakerState::Closed);

    // 4 refused among 15 calls: they failed, and have no latency. It was open twice for 60 s, and tried for 1 s.
    bench.shows("circuit_breaker_calls_total{component=\"it\"}", 15.0);
    bench.shows("circuit_breaker_calls_success{component=\"it\"}", 3.0);
    bench.shows("circuit_breaker_calls_failed{component=\"it\"}", 12.0);
    bench.shows("circuit_breaker_failure_rate{component=\"it\"}", 80.0);
    bench.shows("circuit_breaker_call_duration_seconds_count{component=\"it\"}", 11.0);
    bench.shows("circuit_breaker_call_duration_seconds_sum{component=\"it\"}", 2.5);
    bench.shows("circuit_breaker_recovery_seconds_count{component=\"it\"}", 1.0);
    bench.shows("circuit_breaker_recovery_seconds_sum{component=\"it\"}", 121.0);
}

#[test]
fn a_trial_that_panics_or_is_cancelled_has_failed_and_keeps_nobody_out() {
    let bench = Bench::new();
    bench.half_open();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bench.breaker.call(|| -> Result<(), ()> { std::panic::resume_unwind(Box::new("on purpose")) })
    }));
    assert!(panicked.is_err());
    assert_eq!(bench.breaker.state(), BreakerState::Open);

    bench.clock.advance(SETTINGS.timeout);
    {
        let mut call = pin!(bench.breaker.call_async(pending::<Result<(), ()>>));
        assert!(matches!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    }
    assert_eq!(bench.breaker.state(), BreakerState::Open);
    bench.clock.advance(SETTINGS.timeout);
    bench.call(0, Ok(())).unwrap();
}

#[test]
fn a_call_from_before_a_change_of_state_decides_nothing() {
    let bench = Bench::new();
    let (slow_failure, slow_success) = (bench.breaker.admit().unwrap(), bench.breaker.admit().unwrap());
    bench.half_open();
    slow_failure.fail();
    slow_success.succeed();
    assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    // It is recorded all the same: 3 failures and a trial, and these two.
    bench.shows("circuit_breaker_calls_total{component=\"it\"}", 6.0);
}

#[test]
fn the_state_is_told_again_where_its_report_was_lost() {
    let bench = Bench::new();
    let unreported = || bench.breaker.shared.unreported.load(std::sync::atomic::Ordering::Relaxed);
    bench.shows_state("closed");
    assert!(!unreported());
    // As if a report of `closed` had found no room, and what is shown is what was reported before.
    bench.breaker.shared.unreported.store(true, std::sync::atomic::Ordering::Relaxed);
    bench.bridge.circuit_breaker_state("it", BreakerState::Open).unwrap();
    bench.call(0, Ok(())).unwrap();
    bench.shows_state("closed");
    assert!(!unreported());

    // A bridge that takes no more events is one that loses them.
    bench.bridge.shutdown(Duration::from_secs(5)).unwrap();
    bench.open();
    assert!(unreported());
}

#[test]
fn a_fallback_takes_the_place_of_what_did_not_succeed() {
    let bench = Bench::new();
    let fallback = |error: CallError<&str>| if error.is_open() { 2 } else { 1 };
    assert_eq!(bench.breaker.call_or_else(|| Ok::<_, &str>(0), fallback), 0);
    for _ in 0..SETTINGS.failure_threshold {
        assert_eq!(bench.breaker.call_or_else(|| Err("no"), fallback), 1);
    }
    assert_eq!(bench.breaker.call_or_else(|| Ok::<_, &str>(0), fallback), 2);
    let call = bench.breaker.call_async_or_else(|| async { Ok::<_, &str>(0) }, |error| async move { fallback(error) });
    assert!(matches!(pin!(call).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(2)));
}
