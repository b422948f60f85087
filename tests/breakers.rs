//! Circuit breakers: what their events make of the metrics and summaries, and the breaker among many tasks.
//!
//! The walk of one breaker through its states is in `src/breaker/tests.rs`, by a clock that is moved by hand.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_otel_bridge::config::Config;
use mcp_otel_bridge::event::{
    BreakerState, CircuitBreakerCall, CircuitBreakerState, Event, EventId, Label, Seconds, Timestamp, Warning,
};
use mcp_otel_bridge::expose::exposition::Format;
use mcp_otel_bridge::{BreakerError, BreakerSettings, Bridge, CallError, Refused, Source};

const PARTS: f64 = (1u64 << 20) as f64;

/// The value of the sample, where there is one.
fn sample(bridge: &Bridge, sample: &str) -> Option<f64> {
    let text = bridge.render(Format::Text004).unwrap();
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')).map(|value| value.parse().unwrap())
}

fn call(component: &str, latency: f64, success: bool) -> CircuitBreakerCall {
    let latency_seconds = Seconds::new(latency).unwrap();
    CircuitBreakerCall { component: Label::new(component).unwrap(), latency_seconds, success }
}

fn state(component: &str, state: BreakerState, second: u64) -> Event {
    let timestamp = Timestamp::from_unix_nanos(1_700_000_000_000_000_000 + second * 1_000_000_000).unwrap();
    let reported = CircuitBreakerState { component: Label::new(component).unwrap(), state };
    Event { timestamp: Some(timestamp), ..Event::new(reported) }
}

fn with(change: impl FnOnce(&mut Config)) -> Bridge {
    let mut config = Config::default();
    change(&mut config);
    Bridge::builder().config(config).build().unwrap()
}

#[test]
fn calls_are_counted_timed_and_summed_up() {
    let bridge = Bridge::builder().build().unwrap();
    bridge.circuit_breaker_call("pay", 0.5, true).unwrap();
    for (series, value) in [
        ("circuit_breaker_calls_total{component=\"pay\"}", 1.0),
        ("circuit_breaker_calls_success{component=\"pay\"}", 1.0),
        ("circuit_breaker_calls_failed{component=\"pay\"}", 0.0),
        ("circuit_breaker_failure_rate{component=\"pay\"}", 0.0),
        ("circuit_breaker_state{component=\"pay\",state=\"closed\"}", 1.0),
        ("circuit_breaker_state{component=\"pay\",state=\"open\"}", 0.0),
        ("circuit_breaker_state{component=\"pay\",state=\"half_open\"}", 0.0),
    ] {
        assert_eq!(sample(&bridge, series), Some(value), "{series}");
    }

    bridge.circuit_breaker_call("pay", 1.5, false).unwrap();
    let failed =
        Event { timestamp: Some(Timestamp::from_unix_nanos(2_500_000_000).unwrap()), ..call("pay", 4.0, false).into() };
    bridge.record(failed).unwrap();
    bridge.circuit_breaker_call("pay", 2.0, true).unwrap();
    for (series, value) in [
        ("circuit_breaker_calls_total{component=\"pay\"}", 4.0),
        ("circuit_breaker_calls_success{component=\"pay\"}", 2.0),
        ("circuit_breaker_calls_failed{component=\"pay\"}", 2.0),
        ("circuit_breaker_failure_rate{component=\"pay\"}", 50.0),
        ("circuit_breaker_latency_seconds{component=\"pay\",quantile=\"0.5\"}", 1.75),
        ("circuit_breaker_latency_seconds_avg{component=\"pay\"}", 2.0),
        ("circuit_breaker_call_duration_seconds_bucket{component=\"pay\",le=\"0.5\"}", 1.0),
        ("circuit_breaker_call_duration_seconds_bucket{component=\"pay\",le=\"2.5\"}", 3.0),
        ("circuit_breaker_call_duration_seconds_count{component=\"pay\"}", 4.0),
        ("circuit_breaker_call_duration_seconds_sum{component=\"pay\"}", 8.0),
    ] {
        assert_eq!(sample(&bridge, series), Some(value), "{series}");
    }

    let breakers = bridge.breakers();
    let summary = breakers.summary("pay").wait().unwrap().unwrap();
    assert_eq!((summary.total_calls, summary.successful_calls, summary.failed_calls), (4, 2, 2));
    assert_eq!((summary.success_rate, summary.failure_rate), (50.0, 50.0));
    assert_eq!((summary.avg_latency, summary.min_latency, summary.max_latency), (2.0, 0.5, 4.0));
    assert_eq!((summary.current_state, summary.latency_percentiles.p50), (BreakerState::Closed, 1.75));
    // The failure that came later was the earlier one.
    assert!(summary.last_failure_time.unwrap() > 1_700_000_000.0);
    assert_eq!(breakers.components().wait().unwrap(), ["pay"]);
    assert_eq!(breakers.failure_rate("pay").wait().unwrap(), Some(50.0));
    assert_eq!(breakers.success_rate("nobody").wait().unwrap(), None);
    assert_eq!(breakers.latency_percentiles("nobody", &[50.0]).wait().unwrap(), None);
}

#[test]
fn quantiles_and_means_are_those_of_python() {
    let data: serde_json::Value = serde_json::from_str(include_str!("data/quantiles.json")).unwrap();
    for case in data["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let window = usize::try_from(case["window"].as_u64().unwrap()).unwrap();
        let bridge = with(|config| config.circuit_breakers.max_latency_samples = window);
        let samples: Vec<u64> = case["samples"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        // Batches of all sizes, so that samples come alone and in numbers.
        let (mut left, mut size) = (&samples[..], 1);
        while !left.is_empty() {
            let (batch, rest) = left.split_at(size.min(left.len()));
            let events = batch.iter().map(|parts| Ok(call("it", *parts as f64 / PARTS, true).into())).collect();
            bridge.submit_blocking(Source::Library, events).unwrap();
            (left, size) = (rest, size % 40 + 1);
        }

        let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
        let expected: Vec<f64> = case["percentiles"].as_array().unwrap().iter().map(number).collect();
        let percents: Vec<f64> = (1..100).map(f64::from).collect();
        let got = bridge.breakers().latency_percentiles("it", &percents).wait().unwrap().unwrap();
        assert_eq!(got, expected, "{name}");
        let summary = bridge.breakers().summary("it").wait().unwrap().unwrap();
        let got = (summary.avg_latency, summary.min_latency, summary.max_latency);
        assert_eq!(got, (number(&case["mean"]), number(&case["min"]), number(&case["max"])), "{name}");
        for (quantile, place) in [("0.5", 49), ("0.95", 94), ("0.99", 98)] {
            let series = format!("circuit_breaker_latency_seconds{{component=\"it\",quantile=\"{quantile}\"}}");
            assert_eq!(sample(&bridge, &series), Some(expected[place]), "{name}");
        }
    }
}

#[test]
fn a_state_is_one_of_three_series_and_an_outage_is_timed_by_its_events() {
    let bridge = Bridge::builder().build().unwrap();
    let shown = |bridge: &Bridge| {
        BreakerState::ALL
            .iter()
            .copied()
            .filter(|state| {
                let series = format!("circuit_breaker_state{{component=\"api\",state=\"{state}\"}}");
                sample(bridge, &series).unwrap() == 1.0
            })
            .collect::<Vec<_>>()
    };
    let count = "circuit_breaker_recovery_seconds_count{component=\"api\"}";
    for (reported, second) in [(BreakerState::Closed, 0), (BreakerState::Open, 100), (BreakerState::HalfOpen, 160)] {
        bridge.record(state("api", reported, second)).unwrap();
        assert_eq!(shown(&bridge), [reported]);
    }
    assert_eq!(sample(&bridge, "circuit_breaker_calls_failed{component=\"api\"}"), Some(0.0));
    assert_eq!(sample(&bridge, count), None);
    // Open again: the outage goes on from its beginning.
    bridge.record(state("api", BreakerState::Open, 161)).unwrap();
    bridge.record(state("api", BreakerState::Closed, 190)).unwrap();
    bridge.record(state("api", BreakerState::Closed, 900)).unwrap();
    assert_eq!(shown(&bridge), [BreakerState::Closed]);
    assert_eq!(sample(&bridge, count), Some(1.0));
    assert_eq!(sample(&bridge, "circuit_breaker_recovery_seconds_sum{component=\"api\"}"), Some(90.0));

    // A clock that went back is told of, and nothing is observed.
    bridge.record(state("api", BreakerState::Open, 1000)).unwrap();
    let outcome = bridge.record(state("api", BreakerState::Closed, 999)).unwrap();
    assert_eq!(outcome.warnings, [Warning::ClockSkew]);
    assert_eq!(sample(&bridge, count), Some(1.0));
}

#[test]
fn a_reset_empties_windows_and_summaries_and_leaves_what_only_rises() {
    let bridge = Bridge::builder().build().unwrap();
    for component in ["a", "b"] {
        bridge.circuit_breaker_call(component, 2.0, false).unwrap();
        bridge.record(state(component, BreakerState::Open, 0)).unwrap();
    }
    let breakers = bridge.breakers();
    assert!(breakers.reset("a").wait().unwrap());
    assert!(!breakers.reset("nobody").wait().unwrap());
    let [a, b] = ["a", "b"].map(|name| breakers.summary(name).wait().unwrap().unwrap());
    assert_eq!((a.total_calls, a.failure_rate, a.success_rate, a.last_failure_time), (0, 0.0, 100.0, None));
    assert_eq!((a.avg_latency, a.max_latency, a.latency_percentiles.p99), (0.0, 0.0, 0.0));
    assert_eq!((a.current_state, b.total_calls), (BreakerState::Open, 1));
    assert_eq!(breakers.latency_percentiles("a", &[50.0]).wait().unwrap(), None);
    for (series, value) in [
        ("circuit_breaker_calls_total{component=\"a\"}", 1.0),
        ("circuit_breaker_calls_failed{component=\"a\"}", 1.0),
        ("circuit_breaker_call_duration_seconds_count{component=\"a\"}", 1.0),
        ("circuit_breaker_failure_rate{component=\"a\"}", 0.0),
        ("circuit_breaker_latency_seconds_avg{component=\"a\"}", 0.0),
        ("circuit_breaker_latency_seconds{component=\"a\",quantile=\"0.99\"}", 0.0),
        ("circuit_breaker_latency_seconds_avg{component=\"b\"}", 2.0),
    ] {
        assert_eq!(sample(&bridge, series), Some(value), "{series}");
    }

    assert_eq!(breakers.reset_all().wait().unwrap(), 2);
    assert_eq!(sample(&bridge, "circuit_breaker_latency_seconds_avg{component=\"b\"}"), Some(0.0));
    bridge.circuit_breaker_call("b", 3.0, true).unwrap();
    assert_eq!(breakers.failure_rate("b").wait().unwrap(), Some(0.0));
    assert_eq!(sample(&bridge, "circuit_breaker_calls_total{component=\"b\"}"), Some(2.0));
}

#[test]
fn a_repeated_event_counts_once() {
    let bridge = Bridge::builder().build().unwrap();
    let once = Event { id: Some(EventId::random()), ..call("a", 1.0, false).into() };
    assert!(!bridge.record(once.clone()).unwrap().duplicate);
    assert!(bridge.record(once).unwrap().duplicate);
    assert_eq!(bridge.breakers().summary("a").wait().unwrap().unwrap().total_calls, 1);
}

#[test]
fn components_beyond_the_limit_are_counted_in_one_series_and_not_remembered() {
    let bridge = with(|config| config.metrics.series_limit = 2);
    for component in ["a", "b", "c", "d"] {
        bridge.circuit_breaker_call(component, 1.0, true).unwrap();
    }
    assert_eq!(bridge.breakers().components().wait().unwrap(), ["a", "b"]);
    assert_eq!(sample(&bridge, "circuit_breaker_calls_total{otel_metric_overflow=\"true\"}"), Some(2.0));
    bridge.breaker("a").unwrap();
    bridge.breaker("x").unwrap();
    assert!(matches!(bridge.breaker("y"), Err(BreakerError::TooMany { most: 2 })));
}

#[test]
fn a_stopped_bridge_answers_no_questions_and_breaks_no_breaker() {
    let bridge = Bridge::builder().build().unwrap();
    let breaker = bridge.breaker("a").unwrap();
    bridge.shutdown(Duration::from_secs(5)).unwrap();
    assert_eq!(bridge.breakers().components().wait(), Err(Refused::Stopping));
    assert_eq!(bridge.breakers().reset_all().wait(), Err(Refused::Stopping));
    assert_eq!(breaker.call(|| Ok::<_, ()>(1)), Ok(1));
}

#[test]
fn a_component_has_one_breaker_and_wrong_settings_are_refused() {
    let bridge = Bridge::builder().build().unwrap();
    let cautious = BreakerSettings { failure_threshold: 1, ..BreakerSettings::default() };
    let breaker = bridge.breaker_with("a", cautious).unwrap();
    let _ = breaker.call(|| Err::<(), _>("no"));
    assert_eq!(bridge.breaker("a").unwrap().state(), BreakerState::Open);
    assert_eq!(bridge.breaker("b").unwrap().state(), BreakerState::Closed);
    assert_eq!(bridge.breaker_with("a", cautious).unwrap().settings(), cautious);
    let other = bridge.breaker_with("a", BreakerSettings::default());
    assert!(matches!(other, Err(BreakerError::OtherSettings { .. })));
    assert!(matches!(bridge.breaker("new\nline"), Err(BreakerError::Component(_))));
    let good = BreakerSettings::default();
    for (wrong, setting) in [
        (BreakerSettings { failure_threshold: 0, ..good }, "failure_threshold"),
        (BreakerSettings { success_threshold: 0, ..good }, "success_threshold"),
        (BreakerSettings { timeout: Duration::ZERO, ..good }, "timeout"),
        (BreakerSettings { timeout: Duration::MAX, ..good }, "timeout"),
    ] {
        let error = bridge.breaker_with("c", wrong).unwrap_err();
        assert!(error.to_string().contains(setting), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn among_many_tasks_half_open_lets_one_through() {
    const TASKS: usize = 64;
    let bridge = Bridge::builder().build().unwrap();
    let settings = BreakerSettings { failure_threshold: 1, timeout: Duration::from_millis(5), success_threshold: 2 };
    let breaker = bridge.breaker_with("upstream", settings).unwrap();
    for trial in 1..=settings.success_threshold {
        if trial == 1 {
            let failed = breaker.call_async(|| async { Err::<(), _>("down") }).await;
            assert_eq!(failed, Err(CallError::Failed("down")));
            tokio::time::sleep(settings.timeout).await;
        }
        let (let_through, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (breaker, let_through, refused) = (breaker.clone(), Arc::clone(&let_through), Arc::clone(&refused));
                tokio::spawn(async move {
                    let result = breaker
                        .call_async(|| async {
                            let_through.fetch_add(1, Ordering::SeqCst);
                            // The trial goes on until all others had their answer.
                            while refused.load(Ordering::SeqCst) < TASKS - 1 {
                                tokio::task::yield_now().await;
                            }
                            Ok::<_, ()>(())
                        })
                        .await;
                    if matches!(&result, Err(CallError::Open(open)) if open.retry_after().is_none()) {
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for task in tasks {
            tokio::time::timeout(Duration::from_secs(30), task).await.unwrap().unwrap();
        }
        assert_eq!((let_through.load(Ordering::SeqCst), refused.load(Ordering::SeqCst)), (1, TASKS - 1));
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    let summary = bridge.breakers().summary("upstream").await.unwrap().unwrap();
    assert_eq!((summary.total_calls, summary.successful_calls), (2 * TASKS as u64 + 1, 2));
    assert_eq!(summary.current_state, BreakerState::Closed);
}

#[test]
fn threads_that_share_a_breaker_lose_no_call() {
    let bridge = Bridge::builder().build().unwrap();
    let breaker = bridge.breaker("shared").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    breaker.call(|| Ok::<_, ()>(())).unwrap();
                }
            });
        }
    });
    let summary = bridge.breakers().summary("shared").wait().unwrap().unwrap();
    assert_eq!((summary.total_calls, summary.failed_calls), (1600, 0));
}
