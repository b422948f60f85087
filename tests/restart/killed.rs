//! A bridge that is killed with SIGKILL and started again shows what it showed, on every way out, since the same time.

use std::collections::BTreeMap;
use std::path::Path;

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};
use serde_json::Value;

use crate::process::{Serving, program};
use crate::support::collector::Collector;
use crate::support::events::until;
use crate::support::samples::Samples;
use crate::workload::{PARTS, events};

/// What tells of this process, this machine or this moment: the bridge about itself, and what is sampled.
const OF_THE_MOMENT: [&str; 5] = ["bridge_", "mcp_hub_cpu", "mcp_hub_memory", "mcp_hub_disk", "mcp_hub_uptime"];
/// The same by the names of OpenTelemetry, and a gauge that each start sets.
const PUSHED_OF_THE_MOMENT: [&str; 6] =
    ["bridge.", "mcp_hub.cpu", "mcp_hub.memory", "mcp_hub.disk", "mcp_hub.uptime", "mcp_hub.app_info"];

fn begins(name: &str, with: &[&str]) -> bool {
    with.iter().any(|prefix| name.starts_with(prefix))
}

fn serve(dir: &Path, collector: &Collector) -> Serving {
    let mut command = program();
    // Completion rates go by their own interval: at this one they stand still before the kill.
    let config = dir.join("bridge.yaml");
    std::fs::write(&config, "skills:\n  refresh_interval: 1s\n").unwrap();
    command.arg("serve").args(["--listen", "127.0.0.1:0", "--otlp-endpoint", &collector.endpoint(), "--config"]);
    command.arg(config).arg("--data-dir").arg(dir.join("data"));
    command.env("OTEL_METRIC_EXPORT_INTERVAL", "200");
    Serving::spawn(&mut command)
}

/// Every sample as it is printed.
fn scrape(bridge: &Serving) -> BTreeMap<String, String> {
    let text = bridge.get("/metrics");
    // The books are balanced in each scrape.
    Samples::parse(&text);
    let samples = text.lines().filter(|line| !line.starts_with('#') && !begins(line, &OF_THE_MOMENT));
    samples.map(|line| line.rsplit_once(' ').unwrap()).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What the ways out that speak JSON tell.
fn told(bridge: &Serving) -> [Value; 2] {
    ["/v1/metrics/summary", "/prometheus/query"].map(|path| {
        let mut told: Value = serde_json::from_str(&bridge.get(path)).unwrap();
        let told = told.as_object_mut().unwrap();
        told.remove("bridge");
        if let Some(hub) = told.get_mut("mcp_hub") {
            hub.as_object_mut().unwrap().retain(|name, _| !begins(name, &OF_THE_MOMENT));
        }
        Value::Object(told.clone())
    })
}

/// The values of every point that was pushed last, and its start.
fn pushed(collector: &Collector) -> BTreeMap<String, String> {
    let metrics = collector.seen(|seen| seen.metrics.last().map(|got| got.request.clone())).unwrap();
    let scopes = metrics.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    metrics.filter(|metric| !begins(&metric.name, &PUSHED_OF_THE_MOMENT)).flat_map(points).collect()
}

fn points(metric: &Metric) -> Vec<(String, String)> {
    let number = |point: &NumberDataPoint| {
        assert!(point.start_time_unix_nano <= point.time_unix_nano);
        let told = format!("{:?} since {}", point.value, point.start_time_unix_nano);
        (format!("{}{}", metric.name, attributes(&point.attributes)), told)
    };
    let histogram = |point: &HistogramDataPoint| {
        assert!(point.start_time_unix_nano <= point.time_unix_nano);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        let HistogramDataPoint { count, sum, min, max, bucket_counts, start_time_unix_nano, .. } = point;
        let told = format!("{count} {sum:?} {min:?} {max:?} {bucket_counts:?} since {start_time_unix_nano}");
        (format!("{}{}", metric.name, attributes(&point.attributes)), told)
    };
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum.data_points.iter().map(number).collect(),
        Data::Gauge(gauge) => gauge.data_points.iter().map(number).collect(),
        Data::Histogram(points) => points.data_points.iter().map(histogram).collect(),
        other => panic!("{other:?}"),
    }
}

fn attributes(attributes: &[KeyValue]) -> String {
    let pairs = attributes.iter().map(|attribute| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        any_value::Value::StringValue(value) => (attribute.key.clone(), value.clone()),
        other => (attribute.key.clone(), format!("{other:?}")),
    });
    format!("{:?}", pairs.collect::<BTreeMap<_, _>>())
}

#[track_caller]
fn assert_same(what: &str, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let differing: Vec<String> = before
        .keys()
        .chain(after.keys().filter(|key| !before.contains_key(*key)))
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| format!("{key}: {:?} before, {:?} after", before.get(key), after.get(key)))
        .collect();
    assert!(differing.is_empty(), "{what}: {differing:#?}");
}

#[test]
fn after_each_kill_every_value_stands_where_it_stood_since_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let mut bridge = serve(dir.path(), &collector);
    for part in PARTS {
        let lines: String = events(part).iter().map(|event| format!("{event}\n")).collect();
        let mut answer = ureq::post(bridge.url("/v1/events"))
            .header("Content-Type", "application/x-ndjson")
            .send(lines.as_bytes())
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.body_mut().read_to_string().unwrap();

        let mut last = BTreeMap::new();
        until("the completion rates are worked out", || {
            std::thread::sleep(std::time::Duration::from_millis(1200));
            let now = scrape(&bridge);
            std::mem::replace(&mut last, now) == last
        });
        let (before, told_before) = (last, told(&bridge));
        assert!(before.len() > 200, "{} samples", before.len());
        let came = collector.seen(|seen| seen.metrics.len());
        until("all of it is pushed", || collector.seen(|seen| seen.metrics.len()) > came + 1);
        let pushed_before = pushed(&collector);
        bridge.stop("-KILL");
        let came = collector.seen(|seen| seen.metrics.len());

        bridge = serve(dir.path(), &collector);
        assert_same(part, &before, &scrape(&bridge));
        assert_eq!(told(&bridge), told_before);
        until("it is pushed again", || collector.seen(|seen| seen.metrics.len()) > came + 1);
        assert_same(part, &pushed_before, &pushed(&collector));
    }
}
