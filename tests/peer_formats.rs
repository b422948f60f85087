//! Every format of `/metrics` passes its reader: the strict OpenMetrics parser, the text parser, and promtool.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use mcp_otel_bridge::catalog::{self, Kind, Metric};
use mcp_otel_bridge::expose::exposition::Format;
use mcp_otel_bridge::telemetry::Link;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use peers::bridge::{Bridge, OPENMETRICS, TEXT_004, TEXT_100};
use peers::everything::{self, FAMILIES, OVERFLOWING};
use peers::reader::{Family, promtool_faults, read_openmetrics, read_text};
use peers::{free_port, until};

/// What promtool finds fault with: the names and labels that Session-Buddy's users know force it on the bridge.
const KNOWN_FAULTS: &[&str] = &[
    "active_sessions_total non-counter metrics should not have \"_total\" suffix",
    "circuit_breaker_latency_seconds non-summary metrics should not have \"quantile\" label",
];

#[test]
fn what_a_bridge_serves_passes_the_reader_of_each_format() {
    let closed = format!("http://127.0.0.1:{}", free_port());
    let bridge = Bridge::options().config(OVERFLOWING).push_to_url(&closed).start();
    everything::send(&bridge);
    bridge.scrape(TEXT_004);
    until("a push that fails", || {
        let samples = bridge.samples();
        let of = |family: &str| samples.keys().any(|series| series.starts_with(family));
        ["bridge_push_requests_total", "bridge_push_items_total", "bridge_outbox_items"]
            .iter()
            .all(|f| of(f))
            .then_some(())
    });

    let openmetrics = bridge.scrape(OPENMETRICS);
    assert!(openmetrics.content_type.starts_with("application/openmetrics-text; version=1.0.0"), "{openmetrics:?}");
    let text_100 = bridge.scrape(TEXT_100);
    assert!(text_100.content_type.starts_with("text/plain; version=1.0.0"), "{text_100:?}");
    let text_004 = bridge.scrape(TEXT_004);
    assert!(text_004.content_type.starts_with("text/plain; version=0.0.4"), "{text_004:?}");

    let families = read_openmetrics(&openmetrics.body);
    let exemplars = families.iter().flat_map(|family| &family.samples).filter(|sample| !sample["exemplar"].is_null());
    assert!(exemplars.count() > 5);
    let read = [families, read_text(&text_100.body), read_text(&text_004.body)];
    for families in &read {
        let samples = families.iter().flat_map(|family| &family.samples);
        let names: BTreeSet<&str> = samples.map(|sample| sample["name"].as_str().unwrap()).collect();
        let missing: Vec<_> =
            FAMILIES.iter().filter(|family| !names.iter().any(|name| name.starts_with(**family))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
    let [first, others @ ..] = read.map(|families| samples(&families));
    for other in others {
        assert_eq!(other, first);
    }
    assert_no_new_faults(&text_004.body);
}

#[test]
fn every_metric_of_the_catalog_passes_the_reader_of_each_format() {
    let bridge = mcp_otel_bridge::Bridge::builder().build().unwrap();
    for metric in catalog::all() {
        record_something(&bridge, metric);
    }

    let openmetrics = read_openmetrics(&bridge.render(Format::OpenMetrics100).unwrap());
    let text = bridge.render(Format::Text004).unwrap();
    for families in [&openmetrics, &read_text(&bridge.render(Format::Text100).unwrap()), &read_text(&text)] {
        for metric in catalog::all() {
            let family = families.iter().find(|family| family.name == name_in_parsers(metric));
            let family = family.unwrap_or_else(|| panic!("no family {}", metric.prometheus));
            assert_eq!(family.kind, metric.kind.prometheus_type(), "{}", metric.prometheus);
            assert_is_what_was_recorded(family, metric);
        }
    }
    let mut faults = promtool_faults(&text);
    faults.sort();
    faults.dedup();
    assert_eq!(faults, KNOWN_FAULTS);
}

/// Label values that must be escaped, or that might be taken for something else.
const ODD: &str = "odd \"quoted\" \\ back\\n,{}=# é";

fn record_something(bridge: &mcp_otel_bridge::Bridge, metric: &'static Metric) {
    let span = SpanContext::new(TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED, false, TraceState::default());
    let link = || Link::to(&span, SystemTime::now());
    let instrument = bridge.telemetry().instrument(metric);
    for value in ["plain", ODD, ""] {
        let values = vec![value; metric.labels.len()];
        match metric.kind {
            Kind::Counter => instrument.add(&values, 3, link()),
            Kind::UpDownCounter => instrument.series(&values).change(-2),
            Kind::Gauge => instrument.set(&values, 0.5),
            Kind::Histogram => {
                for bound in metric.buckets {
                    instrument.record(&values, *bound, link());
                }
                instrument.record(&values, f64::MAX / 4.0, link());
            }
        }
    }
}

fn assert_is_what_was_recorded(family: &Family, metric: &Metric) {
    let name = metric.prometheus;
    let of = |suffix: &str| {
        let wanted = format!("{name}{suffix}");
        family.samples.iter().filter(move |sample| sample["name"] == wanted).collect::<Vec<_>>()
    };
    // A metric without labels got all three in one series; the bridge's own may have more.
    let times = if metric.labels.is_empty() { 3.0 } else { 1.0 };
    for value in if metric.labels.is_empty() { [""].as_slice() } else { &["plain", ODD] } {
        let carries = |sample: &&&serde_json::Value| {
            metric.labels.iter().all(|label| sample["labels"][catalog::label_name(label)] == *value)
        };
        let number = |suffix: &str| {
            let samples = of(suffix);
            let found: Vec<_> = samples.iter().filter(carries).collect();
            let series = if suffix == "_bucket" { metric.buckets.len() + 1 } else { 1 };
            assert_eq!(found.len(), series, "{name}{suffix} of {value:?}");
            found[found.len() - 1]["value"].as_f64().unwrap()
        };
        match metric.kind {
            Kind::Counter => assert_eq!(number(""), 3.0 * times, "{name}"),
            Kind::UpDownCounter => assert_eq!(number(""), -2.0 * times, "{name}"),
            Kind::Gauge => assert_eq!(number(""), 0.5, "{name}"),
            Kind::Histogram => {
                let recorded = (metric.buckets.len() + 1) as f64;
                assert_eq!((number("_count"), number("_bucket")), (recorded, recorded), "{name}");
            }
        }
    }
}

/// A family's name as the parsers give it: without the `_total` of a counter.
fn name_in_parsers(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => metric.prometheus.strip_suffix("_total").unwrap(),
        _ => metric.prometheus,
    }
}

/// The samples that do not move by being looked at.
fn samples(families: &[Family]) -> BTreeMap<String, String> {
    let samples = families.iter().flat_map(|family| &family.samples);
    samples
        .filter(|sample| !everything::moves(sample["name"].as_str().unwrap()))
        .map(|sample| (format!("{} {}", sample["name"], sample["labels"]), sample["value"].to_string()))
        .collect()
}

fn assert_no_new_faults(text: &str) {
    let faults = promtool_faults(text);
    let new: Vec<_> = faults.iter().filter(|fault| !KNOWN_FAULTS.contains(&fault.as_str())).collect();
    assert!(new.is_empty(), "{new:?}");
}
