//! What arrives: values, units, buckets, temporality, spans, headers, compression.

use std::collections::HashSet;
use std::time::Duration;

use mcp_otel_bridge::config::{Otlp, PushMetrics, PushSpans, Secret, Temporality};
use mcp_otel_bridge::telemetry::push::{ItemOutcome, RequestOutcome, Signal};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanProcessor};

use crate::bench::{Bench, LONG, metrics, otlp, span, spans, until};
use crate::collector::Collector;

/// The values of a sum's points.
fn totals(metric: &Metric) -> Vec<i64> {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    let value = |value: &Option<Value>| match value {
        Some(Value::AsInt(value)) => *value,
        other => panic!("{other:?}"),
    };
    sum.data_points.iter().map(|point| value(&point.value)).collect()
}

#[test]
fn metrics_arrive_with_totals_units_buckets_and_temporality() {
    let collector = Collector::start();
    let bench = Bench::start(otlp(collector.endpoint()));
    bench.calls.add(3, &[KeyValue::new("tool", "echo")]);
    for seconds in [0.25, 0.5, 0.75, 2.0] {
        bench.seconds.record(seconds, &[]);
    }
    bench.level.add(-2, &[]);
    bench.push.flush(LONG).unwrap();

    let (calls, seconds, level) =
        collector.seen(|seen| (seen.metric("calls"), seen.metric("seconds"), seen.metric("level")));
    let calls = calls.last().unwrap();
    assert_eq!((calls.unit.as_str(), calls.description.as_str()), ("{call}", "Calls"));
    assert_eq!(totals(calls), [3]);
    let Some(Data::Sum(sum)) = &calls.data else { panic!("{calls:?}") };
    assert!(sum.is_monotonic);
    assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
    assert_eq!(sum.data_points[0].attributes[0].key, "tool");
    let Some(Data::Histogram(histogram)) = &seconds.last().unwrap().data else { panic!("{seconds:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum, point.min, point.max), (4, Some(3.5), Some(0.25), Some(2.0)));
    assert_eq!((&point.explicit_bounds[..], &point.bucket_counts[..]), (&[0.5, 1.0][..], &[2, 1, 1][..]));
    assert_eq!(totals(level.last().unwrap()), [-2]);
    let resource = collector.seen(|seen| seen.metrics[0].request.resource_metrics[0].resource.clone().unwrap());
    assert_eq!(resource.attributes[0].key, "service.name");
    bench.book.check(Signal::Metrics);
    assert!(bench.book.requests(Signal::Metrics, RequestOutcome::Success) > 0);
    assert!(bench.push.status().metrics.unwrap().last_success.is_some());
}

#[test]
fn metrics_are_pushed_each_interval_without_being_asked() {
    let collector = Collector::start();
    let bench = Bench::start(otlp(collector.endpoint()));
    bench.calls.add(1, &[]);
    until("three pushes", || collector.seen(|seen| seen.metric("calls").len() >= 3));
}

#[test]
fn the_otlp_variables_of_the_environment_do_not_reach_the_inner_hop() {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "delivery::metrics_arrive_with_totals_units_buckets_and_temporality"]);
    command.args(["delivery::a_burst_of_sdk_spans_arrives_whole"]);
    let output = command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20x,long={}", "x".repeat(60_000)))
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "no-such-thing")
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("2 passed"), "{text}");
}

#[test]
fn deltas_add_up_to_the_total_across_an_outage() {
    let mut collector = Collector::start();
    let push = PushMetrics { temporality: Temporality::Delta, ..metrics(otlp(collector.endpoint())) };
    let bench = Bench::start_with(Some(push), None);
    bench.calls.add(5, &[KeyValue::new("tool", "a")]);
    bench.seconds.record(0.25, &[]);
    bench.level.add(4, &[]);
    bench.push.flush(LONG).unwrap();
    bench.calls.add(2, &[KeyValue::new("tool", "a")]);
    bench.push.flush(LONG).unwrap();
    let before = collector.seen(|seen| seen.metric("calls").len());
    assert_eq!(before, 2, "what did not change is not told again");

    collector.kill();
    let retries = bench.book.requests(Signal::Metrics, RequestOutcome::Retry);
    bench.calls.add(10, &[KeyValue::new("tool", "a")]);
    bench.calls.add(1, &[KeyValue::new("tool", "b")]);
    let queued = bench.book.items(Signal::Metrics, ItemOutcome::Queued);
    until("two intervals of outage", || {
        bench.book.requests(Signal::Metrics, RequestOutcome::Retry) >= retries + 2
            && bench.book.items(Signal::Metrics, ItemOutcome::Queued) >= queued + 4
    });
    bench.calls.add(100, &[KeyValue::new("tool", "a")]);
    bench.seconds.record(0.75, &[]);
    collector.come_back();
    until("a push after the outage", || collector.seen(|seen| seen.metric("calls").len() > before));
    bench.calls.add(1000, &[KeyValue::new("tool", "a")]);
    bench.push.flush(LONG).unwrap();

    let calls = collector.seen(|seen| seen.metric("calls"));
    let mut total = 0;
    let mut end = 0;
    for metric in &calls {
        let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
        assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Delta);
        for point in &sum.data_points {
            if point.attributes[0].value == calls_value("a") {
                assert!(end == 0 || point.start_time_unix_nano >= end, "intervals do not overlap");
                end = point.time_unix_nano;
            }
        }
        total += totals(metric).iter().sum::<i64>();
    }
    assert_eq!(total, 5 + 2 + 10 + 1 + 100 + 1000);
    let seconds = collector.seen(|seen| seen.metric("seconds"));
    let points: Vec<_> = seconds
        .iter()
        .flat_map(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) => histogram.data_points.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(points.iter().map(|p| p.count).sum::<u64>(), 2);
    assert_eq!(points.iter().filter_map(|p| p.sum).sum::<f64>(), 1.0);
    assert!(points.iter().all(|p| p.min.is_none() && p.max.is_none()));
    let level = collector.seen(|seen| seen.metric("level").pop().unwrap());
    let Some(Data::Sum(sum)) = &level.data else { panic!("{level:?}") };
    assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
    assert_eq!(totals(&level), [4]);
    assert_eq!(bench.book.items(Signal::Metrics, ItemOutcome::Superseded), 0, "no delta replaces another");
    bench.book.check(Signal::Metrics);
}

fn calls_value(text: &str) -> Option<opentelemetry_proto::tonic::common::v1::AnyValue> {
    Some(opentelemetry::Value::from(text.to_owned()).into())
}

#[test]
fn spans_arrive_once_with_their_own_ids_and_unsampled_ones_never() {
    let collector = Collector::start();
    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    bench.sink().send((1..=1000).map(|id| span(id, id % 10 != 0)).collect());
    bench.sink().send(vec![span(2000, false)]);
    until("all taken", || bench.book.items(Signal::Spans, ItemOutcome::Taken) == 900);

    let got = collector.seen(|seen| seen.all_spans());
    assert_eq!(got.len(), 900);
    let ids: HashSet<u64> = got.iter().map(|s| u64::from_be_bytes(s.span_id.as_slice().try_into().unwrap())).collect();
    assert_eq!(ids, (1..=1000).filter(|id| id % 10 != 0).collect());
    assert_eq!(got[0].name, "span 1");
    assert_eq!(got[0].end_time_unix_nano - got[0].start_time_unix_nano, 60_000_000_000);
    let most = collector.seen(|seen| {
        let sizes = seen.spans.iter().map(|got| got.request.resource_spans[0].scope_spans[0].spans.len());
        sizes.max().unwrap()
    });
    assert!(most <= 512, "a batch of {most}");
    bench.book.check(Signal::Spans);
    assert_eq!((bench.book.waiting(Signal::Spans), bench.book.bytes(Signal::Spans)), (0, 0));
}

#[test]
fn a_lone_span_leaves_after_the_delay_and_a_full_batch_at_once() {
    let collector = Collector::start();
    let slow = PushSpans { schedule_delay: LONG * 10, max_export_batch_size: 4, ..spans(otlp(collector.endpoint())) };
    let bench = Bench::start_with(None, Some(slow));
    bench.sink().send((1..=4).map(|id| span(id, true)).collect());
    until("the full batch", || bench.book.items(Signal::Spans, ItemOutcome::Taken) == 4);
    bench.sink().send(vec![span(5, true)]);
    assert_eq!(bench.book.waiting(Signal::Spans), 1);

    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    bench.sink().send(vec![span(6, true)]);
    until("the lone span", || collector.seen(|seen| seen.all_spans().len() == 5));
}

#[test]
fn a_burst_of_sdk_spans_arrives_whole() {
    let collector = Collector::start();
    let push = PushSpans { max_queue_size: 5000, ..spans(otlp(collector.endpoint())) };
    let bench = Bench::start_with(None, Some(push));
    let processor = bench.push.span_processor().unwrap();
    let provider = SdkTracerProvider::builder().with_span_processor(processor.clone()).build();
    let tracer = provider.tracer("sdk");
    for _ in 0..5000 {
        tracer.start("work").end();
    }
    let unsampled =
        SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).with_span_processor(processor.clone()).build();
    unsampled.tracer("sdk").start("hidden").end();
    processor.force_flush().unwrap();
    let got = collector.seen(|seen| seen.all_spans());
    assert_eq!(got.iter().map(|span| span.span_id.clone()).collect::<HashSet<_>>().len(), 5000);
    assert!(got.len() == 5000 && got.iter().all(|span| span.name == "work"));
    bench.book.check(Signal::Spans);
    provider.shutdown().unwrap();
}

#[test]
fn headers_and_gzip_go_with_each_request() {
    let collector = Collector::start();
    let otlp = Otlp {
        gzip: true,
        headers: vec![
            ("authorization".to_owned(), Secret::new("Bearer abc")),
            ("x-tenant".to_owned(), Secret::new("7")),
        ],
        ..otlp(collector.endpoint())
    };
    let bench = Bench::start(otlp);
    bench.calls.add(1, &[]);
    bench.sink().send(vec![span(1, true)]);
    bench.push.flush(Duration::from_secs(10)).unwrap();
    let (metrics, spans) = collector.seen(|seen| (seen.metrics[0].headers.clone(), seen.spans[0].headers.clone()));
    for headers in [metrics, spans] {
        let get = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            (get("authorization"), get("x-tenant"), get("grpc-encoding")),
            ("Bearer abc".to_owned(), "7".to_owned(), "gzip".to_owned())
        );
        assert!(get("user-agent").starts_with("mcp-otel-bridge/"));
    }
}
