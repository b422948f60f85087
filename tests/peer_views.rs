//! Views from the configuration file change a histogram's buckets and drop a label, on `/metrics` and in the push.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use peers::bridge::Bridge;
use peers::collector::Collector;
use peers::fleet::{self, sessions};
use peers::prometheus::Prometheus;
use peers::{Labels, labels, until};

const VIEWS: &str = "\
meter_provider:
  views:
    - selector: {instrument_name: session.duration}
      stream: {aggregation: {explicit_bucket_histogram: {boundaries: [10, 100.5, 1000]}}}
    - selector: {instrument_name: session.start}
      stream: {attribute_keys: {excluded: [shell_type]}}
";

#[test]
fn views_change_buckets_and_drop_a_label_on_both_ways_out() {
    let collector = Collector::start();
    let bridge = Bridge::options().config(VIEWS).push_to(&collector).start();
    let prometheus = Prometheus::scraping(&bridge.address);
    fleet::send(
        &bridge,
        &[
            sessions("mahavishnu", "MahavishnuShell", "success", &[10.0, 100.0, 101.0, 5000.0]),
            sessions("mahavishnu", "OtherShell", "success", &[500.0]),
        ]
        .concat(),
    );

    let starts =
        until("the scrape", || Some(prometheus.query("session_start_total")).filter(|found| !found.is_empty()));
    let starts: Vec<(Labels, f64)> = starts
        .into_iter()
        .map(|mut series| {
            series.labels.remove("instance");
            (series.labels, series.samples[0].1)
        })
        .collect();
    let of = labels(&[("__name__", "session_start_total"), ("component_name", "mahavishnu"), ("job", "bridge")]);
    assert_eq!(starts, [(of, 5.0)], "the two shells are one series");
    until("the scrape of the ends", || prometheus.value("session_duration_seconds_count == 5"));
    let buckets = prometheus.query("session_duration_seconds_bucket");
    let mut buckets: Vec<(&str, f64)> =
        buckets.iter().map(|series| (series.labels["le"].as_str(), series.samples[0].1)).collect();
    buckets.sort_by(|a, b| a.1.total_cmp(&b.1));
    assert_eq!(buckets, [("10.0", 1.0), ("100.5", 2.0), ("1000.0", 4.0), ("+Inf", 5.0)]);

    until("the push", || {
        let durations = collector.last("session.duration");
        (durations.first()?.field("count") == 5.0).then_some(())
    });
    let starts = collector.last("session.start");
    let starts: Vec<_> = starts.iter().map(|point| (point.attributes.clone(), point.number())).collect();
    assert_eq!(starts, [(labels(&[("component_name", "mahavishnu")]), 5.0)]);
    let durations = collector.last("session.duration");
    let durations: Vec<_> =
        durations.iter().map(|point| (point.list("explicitBounds"), point.list("bucketCounts"))).collect();
    assert_eq!(durations, [(vec![10.0, 100.5, 1000.0], vec![1.0, 1.0, 2.0, 1.0])]);
    // The span keeps what the metric has lost.
    let spans = until("the spans", || Some(collector.spans()).filter(|spans| spans.len() == 5));
    assert_eq!(spans.iter().filter(|span| span.attributes["shell_type"] == "OtherShell").count(), 1);
}
