//! Requests that are too large for the collector, which are sent in parts.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use mcp_otel_bridge::config::{PushMetrics, PushSpans};
use mcp_otel_bridge::telemetry::push::{ItemOutcome, RequestOutcome, Signal};
use opentelemetry::KeyValue;
use tonic::Status;

use crate::bench::{Bench, LONG, metrics, otlp, span, spans, until};
use crate::collector::{Answer, Collector, points};

/// What grpc-go answers, without a RetryInfo.
fn larger_than_max() -> Status {
    Status::resource_exhausted("grpc: received message larger than max (5000000 vs. 4194304)")
}

fn names(collector: &Collector) -> Vec<String> {
    collector.seen(|seen| seen.all_spans()).into_iter().map(|span| span.name).collect()
}

#[test]
fn a_batch_that_is_too_large_is_sent_in_parts_and_in_order() {
    let collector = Collector::start();
    collector.seen(|seen| seen.most = Some((100, larger_than_max())));
    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    bench.sink().send((1..=1000).map(|id| span(id, true)).collect());
    until("all taken", || bench.book.items(Signal::Spans, ItemOutcome::Taken) == 1000);
    assert_eq!(names(&collector), (1..=1000).map(|id| format!("span {id}")).collect::<Vec<_>>());
    // 512, 256 and 128 are too many; 64 are not.
    assert_eq!(bench.book.requests(Signal::Spans, RequestOutcome::Retry), 3);
    assert_eq!(bench.book.requests(Signal::Spans, RequestOutcome::Failure), 0);
    assert!(bench.push.status().spans.unwrap().failing_since.is_none(), "it is no outage");
    bench.book.check(Signal::Spans);
}

#[test]
fn a_part_that_fails_is_sent_again_and_the_parts_before_it_are_not() {
    let collector = Collector::start();
    collector.seen(|seen| seen.most = Some((300, larger_than_max())));
    collector.then([Answer::Partial(0), Answer::Status(Status::unavailable("later")), Answer::Partial(6)]);
    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    bench.sink().send((1..=512).map(|id| span(id, true)).collect());
    until("settled", || {
        bench.book.items(Signal::Spans, ItemOutcome::Queued) == 512 && bench.book.waiting(Signal::Spans) == 0
    });
    assert_eq!(names(&collector), (1..=512).map(|id| format!("span {id}")).collect::<Vec<_>>());
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Rejected), 6);
    bench.book.check(Signal::Spans);
}

#[test]
fn the_limit_of_a_real_server_is_kept_and_an_item_beyond_it_alone_is_rejected() {
    // Its own limit, 4 MiB, answered as its library does.
    let collector = Collector::start();
    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    let sized = |id, size: usize| {
        let mut span = span(id, true);
        span.attributes.push(KeyValue::new("text", "x".repeat(size)));
        span
    };
    bench.sink().send((1..=21).map(|id| sized(id, if id == 10 { 5_000_000 } else { 400_000 })).collect());
    until("settled", || {
        bench.book.items(Signal::Spans, ItemOutcome::Queued) == 21 && bench.book.waiting(Signal::Spans) == 0
    });
    let expected: Vec<String> = (1..=21).filter(|id| *id != 10).map(|id| format!("span {id}")).collect();
    assert_eq!(names(&collector), expected);
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Rejected), 1);
    bench.book.check(Signal::Spans);
}

#[test]
fn a_snapshot_that_is_too_large_arrives_in_parts_point_by_point() {
    let collector = Collector::start();
    collector.seen(|seen| seen.most = Some((70, larger_than_max())));
    let push = PushMetrics { interval: LONG * 10, ..metrics(otlp(collector.endpoint())) };
    let bench = Bench::start_with(Some(push), None);
    for n in 0..500 {
        bench.calls.add(1, &[KeyValue::new("n", n)]);
        bench.seconds.record(0.5, &[KeyValue::new("n", n)]);
    }
    bench.push.flush(LONG).unwrap();
    let taken: Vec<_> = collector
        .seen(|seen| seen.metrics.iter().filter(|got| got.taken).flat_map(|got| points(&got.request)).collect());
    assert_eq!(taken.len(), 1000);
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 1000, "each point once");
    assert_eq!(bench.book.items(Signal::Metrics, ItemOutcome::Taken), 1000);
    bench.book.check(Signal::Metrics);
}

/// Whatever is sent: a proxy that is set up wrongly, say. What waits is not to be gone before somebody looks.
#[test]
fn a_collector_to_which_every_item_is_too_large_empties_no_outbox() {
    let collector = Collector::start();
    collector.seen(|seen| seen.most = Some((0, larger_than_max())));
    let push = PushSpans { schedule_delay: Duration::from_millis(500), ..spans(otlp(collector.endpoint())) };
    let bench = Bench::start_with(None, Some(push));
    bench.sink().send((1..=50).map(|id| span(id, true)).collect());
    let rejected = || bench.book.items(Signal::Spans, ItemOutcome::Rejected);
    until("one is given up", || rejected() > 0);
    let start = Instant::now();
    until("another is given up", || rejected() > 1);
    until("a third is given up", || rejected() > 2);
    // Half a second at the most before the third, half of that at the least; and twice as long each time after.
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
    assert!(bench.push.status().spans.unwrap().failing_since.is_some(), "nobody is told");
    bench.book.check(Signal::Spans);
}

#[test]
fn a_collector_that_has_no_room_and_does_not_say_why_is_given_less_in_the_end() {
    let collector = Collector::start();
    collector.seen(|seen| seen.most = Some((3, Status::resource_exhausted("no"))));
    let push = PushSpans { schedule_delay: Duration::from_millis(1), ..spans(otlp(collector.endpoint())) };
    let bench = Bench::start_with(None, Some(push));
    bench.sink().send((1..=6).map(|id| span(id, true)).collect());
    until("all taken", || bench.book.items(Signal::Spans, ItemOutcome::Taken) == 6);
    bench.book.check(Signal::Spans);
}
