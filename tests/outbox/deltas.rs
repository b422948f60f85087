//! Delta temporality over outages and kills: each change is told exactly once.

use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use crate::yard::{Yard, until};

pub(crate) const DELTA: (&str, &str) = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");

/// The sum of all deltas of calls that the collector took.
fn calls(yard: &Yard) -> i64 {
    counts(yard).iter().sum()
}

/// The same, where one that came again just as it was counts once.
pub(crate) fn calls_told_once(yard: &Yard) -> i64 {
    let metrics = yard.collector.seen(|seen| seen.metric("mcp_hub.llm_api_calls"));
    let (mut told, mut sum) = (Vec::new(), 0);
    for metric in metrics {
        if !told.contains(&metric) {
            sum += count(&metric);
            told.push(metric);
        }
    }
    sum
}

/// The last total of calls that the collector took.
pub(crate) fn last_calls(yard: &Yard) -> i64 {
    counts(yard).pop().unwrap_or(0)
}

fn counts(yard: &Yard) -> Vec<i64> {
    yard.collector.seen(|seen| seen.metric("mcp_hub.llm_api_calls")).iter().map(count).collect()
}

fn count(metric: &Metric) -> i64 {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    let value = |value: Option<Value>| match value {
        Some(Value::AsInt(value)) => value,
        other => panic!("{other:?}"),
    };
    sum.data_points.iter().map(|point| value(point.value)).sum()
}

/// Waits until a collection that began after now was filed.
pub(crate) fn filed(yard: &Yard) {
    let points = || yard.book().items("metrics", "queued");
    for _ in 0..2 {
        let before = points();
        until("a filing", || (points() > before).then_some(()));
    }
}

#[test]
fn the_deltas_add_up_to_the_total_over_outages_and_kills() {
    let mut yard = Yard::new(&[DELTA, ("OTEL_METRIC_EXPORT_INTERVAL", "50")]);
    yard.start();
    yard.call(100);
    until("the first deltas", || (calls(&yard) == 100).then_some(()));

    yard.collector.kill();
    yard.call(20);
    filed(&yard);
    yard.call(3);
    filed(&yard);
    yard.kill_and_start();
    yard.call(4);
    filed(&yard);
    yard.kill_and_start();
    yard.collector.come_back();
    until("the deltas of the outage", || (calls(&yard) == 127).then_some(()));

    yard.call(1000);
    until("the last deltas", || (calls(&yard) == 1127).then_some(()));
    // Nothing comes again.
    filed(&yard);
    let book = until("an empty outbox", || {
        let book = yard.book();
        (book.items("metrics", "taken") > 0.0 && calls(&yard) == 1127).then_some(book)
    });
    assert_eq!(book.items("metrics", "superseded") + book.items("metrics", "dropped"), 0.0);
}
