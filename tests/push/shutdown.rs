//! The end of a push, and calls from wherever they may come.

use std::time::{Duration, Instant};

use mcp_otel_bridge::config::{Otlp, PushMetrics, PushSpans};
use mcp_otel_bridge::telemetry::push::{ItemOutcome, MemoryShelf, PushError, RequestOutcome, Signal};
use opentelemetry_sdk::trace::SpanProcessor;

use crate::bench::{Bench, LONG, metrics, otlp, span, spans, until};
use crate::collector::{Answer, Collector};

/// A push that would not send anything by itself during a test.
fn idle(otlp: &Otlp) -> (Option<PushMetrics>, Option<PushSpans>) {
    let metrics = PushMetrics { interval: LONG * 10, ..metrics(otlp.clone()) };
    (Some(metrics), Some(PushSpans { schedule_delay: LONG * 10, ..spans(otlp.clone()) }))
}

#[test]
fn a_shutdown_delivers_all_that_waits_and_later_calls_do_nothing() {
    let collector = Collector::start();
    let (metrics, spans) = idle(&otlp(collector.endpoint()));
    let bench = Bench::start_with(metrics, spans);
    bench.calls.add(7, &[]);
    bench.sink().send((1..=1500).map(|id| span(id, true)).collect());
    let sink = bench.sink();
    bench.push.shutdown(LONG).unwrap();
    assert_eq!(collector.seen(|seen| (seen.metric("calls").len(), seen.all_spans().len())), (1, 1500));

    bench.push.shutdown(LONG).unwrap();
    assert!(matches!(bench.push.flush(LONG), Err(PushError::Ended)));
    bench.push.span_processor().unwrap().force_flush().unwrap();
    sink.send(vec![span(1, true)]);
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Dropped), 1);
    bench.book.check(Signal::Metrics);
    bench.book.check(Signal::Spans);
}

#[test]
fn a_shutdown_with_a_silent_collector_keeps_its_time_and_counts_what_it_loses() {
    let collector = Collector::start();
    let (metrics, spans) = idle(&otlp(collector.endpoint()));
    let bench = Bench::start_with(metrics, spans);
    collector.then([Answer::Hang, Answer::Hang]);
    bench.calls.add(7, &[]);
    bench.sink().send(vec![span(1, true), span(2, true)]);
    let start = Instant::now();
    let error = bench.push.shutdown(Duration::from_millis(300)).unwrap_err();
    assert!(start.elapsed() < Duration::from_millis(450), "{:?}", start.elapsed());
    assert!(matches!(error, PushError::Timeout(_)), "{error}");
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Dropped), 2);
    assert_eq!(bench.book.items(Signal::Metrics, ItemOutcome::Dropped), 1);
    for signal in [Signal::Metrics, Signal::Spans] {
        assert_eq!(bench.book.waiting(signal), 0);
        bench.book.check(signal);
    }
}

/// What comes while a shutdown waits for what was there before may leave too; it is not cut off on its way, for it would
/// be sent again by the next process.
#[test]
fn a_shutdown_waits_for_the_answer_to_what_is_under_way() {
    let collector = Collector::start();
    let push = PushSpans { schedule_delay: Duration::from_millis(1), ..spans(otlp(collector.endpoint())) };
    let bench = Bench::start_with(None, Some(push));
    collector.then([Duration::from_millis(600), Duration::from_millis(300)].map(Answer::After));
    bench.sink().send(vec![span(1, true)]);
    until("the first one is under way", || collector.seen(|seen| seen.spans.len()) == 1);
    std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| bench.push.shutdown(LONG));
        until("the shutdown begins", || matches!(bench.push.flush(Duration::ZERO), Err(PushError::Ended)));
        // It looks at what waits; that nobody can see.
        std::thread::sleep(Duration::from_millis(100));
        bench.sink().send(vec![span(2, true)]);
        shutdown.join().unwrap().unwrap();
    });
    let taken = bench.book.items(Signal::Spans, ItemOutcome::Taken);
    assert_eq!((collector.seen(|seen| seen.spans.len()), taken), (2, 2));
    bench.book.check(Signal::Spans);
}

#[test]
fn a_shutdown_in_an_outage_tries_once_more_and_does_not_wait() {
    let mut collector = Collector::start();
    collector.kill();
    let bench = Bench::start(otlp(collector.endpoint()));
    bench.calls.add(1, &[]);
    bench.sink().send(vec![span(1, true)]);
    until("both signals fail", || {
        [Signal::Metrics, Signal::Spans].into_iter().all(|s| bench.book.requests(s, RequestOutcome::Retry) >= 1)
    });
    let start = Instant::now();
    let error = bench.push.shutdown(LONG).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(matches!(error, PushError::Undelivered { .. }), "{error}");
    bench.book.check(Signal::Metrics);
    bench.book.check(Signal::Spans);
}

#[test]
fn a_collection_that_hangs_does_not_hold_up_a_shutdown() {
    let collector = Collector::start();
    let (metrics, _) = idle(&otlp(collector.endpoint()));
    let push = mcp_otel_bridge::telemetry::push::Push::start(mcp_otel_bridge::telemetry::push::PushParts {
        resource: opentelemetry_sdk::Resource::builder_empty().build(),
        metrics,
        spans: None,
        collect: std::sync::Arc::new(|_| {
            std::thread::sleep(Duration::from_secs(2));
            Ok(())
        }),
        decorate: std::sync::Arc::new(()),
        shelf: MemoryShelf::new(1 << 20, std::sync::Arc::new(())).unwrap(),
        stats: std::sync::Arc::new(()),
    })
    .unwrap();
    let start = Instant::now();
    assert!(push.shutdown(Duration::from_millis(100)).is_err());
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
}

#[test]
fn flush_works_from_blocking_tasks_of_both_kinds_of_runtime() {
    let collector = Collector::start();
    let (metrics, spans) = idle(&otlp(collector.endpoint()));
    let bench = Bench::start_with(metrics, spans);
    let builders = [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()];
    for (n, mut builder) in builders.into_iter().enumerate() {
        bench.calls.add(1, &[]);
        bench.sink().send(vec![span(n as u64 + 1, true)]);
        let push = bench.push.clone();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async { tokio::task::spawn_blocking(move || push.flush(LONG)).await }).unwrap().unwrap();
        assert_eq!(collector.seen(|seen| seen.all_spans().len()), n + 1);
    }
    // Many at once, from plain threads.
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| bench.push.flush(LONG).unwrap());
        }
    });
    bench.book.check(Signal::Metrics);
}

#[test]
fn a_push_that_is_let_go_ends_and_books_what_is_lost() {
    let collector = Collector::start();
    let (_, spans) = idle(&otlp(collector.endpoint()));
    let Bench { push, book, .. } = Bench::start_with(None, spans);
    push.spans().unwrap().send(vec![span(1, true)]);
    drop(push);
    until("booked", || book.items(Signal::Spans, ItemOutcome::Dropped) == 1);
    book.check(Signal::Spans);
}
