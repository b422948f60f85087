//! What may pass is tried again, of metrics as of spans, in the time that the collector or a proxy before it asks for.

use std::time::{Duration, Instant};

use mcp_otel_bridge::config::{Otlp, PushMetrics, Temporality};
use mcp_otel_bridge::telemetry::push::{ItemOutcome, RequestOutcome, Signal};
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::bench::{Bench, metrics, otlp, span, spans, until};
use crate::collector::{Answer, Collector};

/// How long a collector asks to be left alone.
const ASKED: Duration = Duration::from_millis(700);
/// How long a request may take here.
const TIMEOUT: Duration = Duration::from_millis(300);

fn failures() -> Vec<Answer> {
    let details = ErrorDetails::with_retry_info(Some(ASKED));
    vec![
        Answer::Status(Status::with_error_details(Code::ResourceExhausted, "later", details)),
        Answer::Status(Status::unavailable("starting")),
        Answer::Status(Status::resource_exhausted("no room")),
        Answer::Hang,
        Answer::Status(Status::aborted("again")),
    ]
}

/// A push of metrics, every 50 ms.
fn bench(collector: &Collector, temporality: Temporality) -> Bench {
    let otlp = Otlp { timeout: TIMEOUT, ..otlp(collector.endpoint()) };
    Bench::start_with(Some(PushMetrics { temporality, ..metrics(otlp) }), None)
}

/// The sum of the points of a counter.
fn total(metric: &Metric) -> i64 {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    let value = |value: &Option<Value>| match value {
        Some(Value::AsInt(value)) => *value,
        other => panic!("{other:?}"),
    };
    sum.data_points.iter().map(|point| value(&point.value)).sum()
}

#[test]
fn a_change_is_sent_again_as_it_was_until_it_is_taken() {
    let collector = Collector::start();
    collector.then(failures());
    let bench = bench(&collector, Temporality::Delta);
    bench.calls.add(3, &[KeyValue::new("tool", "a")]);
    bench.calls.add(4, &[KeyValue::new("tool", "b")]);
    until("taken in the end", || bench.book.items(Signal::Metrics, ItemOutcome::Taken) > 0);
    collector.seen(|seen| {
        let (first, last) = (&seen.metrics[0], seen.metrics.last().unwrap());
        assert_eq!(seen.metrics.len(), failures().len() + 1);
        assert!(seen.metrics.iter().all(|got| got.request == first.request), "the same each time");
        assert!(last.taken && seen.metrics.iter().filter(|got| got.taken).count() == 1);
        let waited = seen.metrics[1].at - first.at;
        assert!(waited >= ASKED && waited < ASKED * 2, "{waited:?}");
        assert!(seen.metrics[2].at - seen.metrics[1].at < ASKED, "without a RetryInfo the wait is our own");
        assert!(seen.metrics[4].at - seen.metrics[3].at >= TIMEOUT, "it hung");
    });
    assert_eq!(bench.book.requests(Signal::Metrics, RequestOutcome::Retry), failures().len() as u64);
    bench.calls.add(10, &[KeyValue::new("tool", "a")]);
    until("the next change", || {
        collector.seen(|seen| seen.metric("calls").iter().map(total).sum::<i64>() == 3 + 4 + 10)
    });
    assert_eq!(bench.book.items(Signal::Metrics, ItemOutcome::Superseded), 0);
    bench.book.check(Signal::Metrics);
}

#[test]
fn totals_that_failed_give_way_to_newer_ones_which_are_taken() {
    let collector = Collector::start();
    collector.then(failures());
    let bench = bench(&collector, Temporality::Cumulative);
    bench.calls.add(3, &[]);
    until("one failed", || bench.book.requests(Signal::Metrics, RequestOutcome::Retry) > 0);
    bench.calls.add(4, &[]);
    let last = |collector: &Collector| collector.seen(|seen| seen.metric("calls").last().map(total));
    until("the last total", || last(&collector) == Some(7));
    assert_eq!(bench.book.requests(Signal::Metrics, RequestOutcome::Retry), failures().len() as u64);
    assert!(bench.book.items(Signal::Metrics, ItemOutcome::Superseded) > 0);
    let totals: Vec<i64> = collector.seen(|seen| seen.metric("calls").iter().map(total).collect());
    assert!(totals.is_sorted(), "{totals:?}");
    bench.book.check(Signal::Metrics);
}

#[test]
fn a_partial_success_with_metrics_is_counted_as_what_it_is() {
    let collector = Collector::start();
    collector.then([Answer::Partial(3)]);
    let bench = bench(&collector, Temporality::Delta);
    (0..10).for_each(|n| bench.calls.add(1, &[KeyValue::new("n", n)]));
    // They may come in one snapshot or in two.
    until("settled", || {
        let items = |outcome| bench.book.items(Signal::Metrics, outcome);
        items(ItemOutcome::Taken) + items(ItemOutcome::Rejected) == 10
    });
    assert_eq!(bench.book.items(Signal::Metrics, ItemOutcome::Rejected), 3.min(first_points(&collector)));
    assert_eq!(bench.book.requests(Signal::Metrics, RequestOutcome::Partial), 1);
    assert_eq!(bench.book.requests(Signal::Metrics, RequestOutcome::Retry), 0, "a partial success is not sent again");
    bench.book.check(Signal::Metrics);
}

/// How many points the first request had.
fn first_points(collector: &Collector) -> u64 {
    collector.seen(|seen| crate::collector::points(&seen.metrics[0].request).len() as u64)
}

/// The bridge cannot know that it was taken. It comes again just as it was, so that who keeps it can tell.
#[test]
fn what_was_taken_without_an_answer_comes_again_with_the_same_ids_and_times() {
    let collector = Collector::start();
    collector.then_to(Signal::Spans, [Answer::TakenAndHang]);
    collector.then_to(Signal::Metrics, [Answer::TakenAndHang]);
    let otlp = Otlp { timeout: TIMEOUT, ..otlp(collector.endpoint()) };
    let push = PushMetrics { temporality: Temporality::Delta, ..metrics(otlp.clone()) };
    let bench = Bench::start_with(Some(push), Some(spans(otlp)));
    bench.calls.add(5, &[]);
    bench.sink().send((1..=10).map(|id| span(id, true)).collect());
    until("both answered", || {
        bench.book.items(Signal::Spans, ItemOutcome::Taken) == 10
            && bench.book.items(Signal::Metrics, ItemOutcome::Taken) == 1
    });
    collector.seen(|seen| {
        assert_eq!((seen.spans.len(), seen.metrics.len()), (2, 2));
        assert!(seen.spans.iter().all(|got| got.taken) && seen.metrics.iter().all(|got| got.taken));
        assert_eq!(seen.spans[0].request, seen.spans[1].request);
        assert_eq!(seen.metrics[0].request, seen.metrics[1].request);
        assert_ne!(seen.spans[0].connection, seen.spans[1].connection, "one that does not answer is left");
    });
    for signal in [Signal::Metrics, Signal::Spans] {
        assert_eq!(bench.book.requests(signal, RequestOutcome::Retry), 1);
        bench.book.check(signal);
    }
}

/// A proxy knows nothing of gRPC: it answers as HTTP does.
#[test]
fn a_proxy_that_turns_requests_away_is_asked_again_when_it_said() {
    let second = Duration::from_secs(1);
    for signal in [Signal::Spans, Signal::Metrics] {
        let collector = Collector::start();
        collector.seen(|seen| {
            seen.proxy.extend([(429, Some("1")), (503, Some("1")), (503, None), (502, None), (504, None)]);
        });
        let otlp = otlp(collector.endpoint());
        let bench = match signal {
            Signal::Spans => Bench::start_with(None, Some(spans(otlp))),
            Signal::Metrics => {
                let push = PushMetrics { temporality: Temporality::Delta, ..metrics(otlp) };
                Bench::start_with(Some(push), None)
            }
        };
        match signal {
            Signal::Spans => bench.sink().send(vec![span(1, true)]),
            Signal::Metrics => bench.calls.add(1, &[]),
        }
        until("taken in the end", || bench.book.items(signal, ItemOutcome::Taken) == 1);
        let (times, came): (Vec<Instant>, usize) =
            collector.seen(|seen| (seen.turned_away.clone(), seen.spans.len() + seen.metrics.len()));
        assert_eq!((times.len(), came), (5, 1));
        for pair in times[..3].windows(2) {
            let waited = pair[1] - pair[0];
            assert!(waited >= second && waited < second * 2, "{waited:?}");
        }
        assert!(times[3] - times[2] < second, "without a Retry-After the wait is our own");
        assert_eq!(bench.book.requests(signal, RequestOutcome::Retry), 5);
        assert_eq!(bench.book.items(signal, ItemOutcome::Rejected), 0);
        bench.book.check(signal);
    }
}

#[test]
fn a_proxy_that_finds_a_request_too_large_gets_it_in_parts() {
    let collector = Collector::start();
    collector.seen(|seen| seen.proxy.extend([(413, None), (413, None)]));
    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    bench.sink().send((1..=8).map(|id| span(id, true)).collect());
    until("all taken", || bench.book.items(Signal::Spans, ItemOutcome::Taken) == 8);
    let names: Vec<_> = collector.seen(|seen| seen.all_spans()).into_iter().map(|span| span.name).collect();
    assert_eq!(names, (1..=8).map(|id| format!("span {id}")).collect::<Vec<_>>());
    assert!(collector.seen(|seen| seen.spans.len() > 1), "in parts");
    bench.book.check(Signal::Spans);
}
