//! The collector holds each session's span once and the metrics with the right totals, units, buckets and temporality.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::{BTreeMap, BTreeSet};

use mcp_otel_bridge::catalog::{Kind, by_otel_name};
use peers::bridge::Bridge;
use peers::collector::{Collector, Point, Span};
use peers::fleet::{self, BOUNDS, Plan, Sent, Totals, open_sessions, sessions};
use peers::{Labels, labels, until};

const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

fn plans() -> Vec<Plan> {
    [
        sessions("mahavishnu", "MahavishnuShell", "success", &[30.0, 60.0, 61.0, 3600.5, 28800.0, 100000.0]),
        sessions("mahavishnu", "MahavishnuShell", "error", &[300.0, 7.0]),
        sessions("session-buddy", "SessionBuddyShell", "success", &[1000.0]),
        open_sessions("mahavishnu", "MahavishnuShell", 2),
    ]
    .concat()
}

#[test]
fn every_session_that_ended_is_one_span_with_the_attributes_of_its_metrics() {
    let mut collector = Collector::start();
    let mut bridge = Bridge::options().push_to(&collector).start();
    let sent = fleet::send(&bridge, &plans());
    until("the spans", || (collector.spans().len() >= 9).then_some(()));
    // Nothing is sent again at the end.
    bridge.stop();
    collector.stop();

    let spans = collector.spans();
    let ended: Vec<&Sent> = sent.iter().filter(|sent| sent.plan.end.is_some()).collect();
    assert_eq!(spans.len(), ended.len());
    for sent in &ended {
        let found: Vec<&Span> = spans.iter().filter(|span| span.attributes["session.id"] == sent.session_id).collect();
        let [span] = found[..] else { panic!("{} spans of {}", found.len(), sent.session_id) };
        assert_is_span_of(span, sent);
    }

    let starts = collector.last("session.start");
    let ends = collector.last("session.end");
    for span in &spans {
        assert!(starts.iter().any(|point| point.attributes.iter().all(|pair| has(span, pair))), "{span:?}");
        assert!(ends.iter().any(|point| point.attributes.iter().all(|pair| has(span, pair))), "{span:?}");
    }
    let resources = collector.resources();
    assert!(resources.iter().all(|resource| *resource == resources[0]), "{resources:?}");
    assert_eq!(resources[0]["service.name"], "mcp-otel-bridge");
    assert!(resources[0].contains_key("service.instance.id") && resources[0].contains_key("service.version"));
}

#[test]
fn pushed_metrics_are_cumulative_and_hold_the_totals_units_and_buckets() {
    let mut collector = Collector::start();
    let mut bridge = Bridge::options().push_to(&collector).start();
    fleet::send(&bridge, &plans());
    until("two pushes", || (collector.exports().len() >= 2).then_some(()));
    fleet::send(&bridge, &plans());
    bridge.stop();
    collector.stop();

    let exports = collector.exports();
    let last = exports.last().unwrap();
    assert_are_as_declared(last, CUMULATIVE);
    let all = [plans(), plans()].concat();
    assert_eq!(totals(last), expected(&Totals::of(&all)));

    // A series goes on from the same start, and its time moves on.
    let mut starts: BTreeMap<(String, Labels), (u64, u64)> = BTreeMap::new();
    for point in exports.iter().flatten().filter(|point| point.kind != "gauge") {
        let (start, time) = (point.field("startTimeUnixNano") as u64, point.field("timeUnixNano") as u64);
        let before = starts.insert((point.metric.clone(), point.attributes.clone()), (start, time));
        let (first, last) = before.unwrap_or((start, 0));
        assert!(start == first && start <= time && last <= time, "{point:?}");
    }
}

#[test]
fn pushed_deltas_add_up_to_the_totals() {
    let mut collector = Collector::start();
    let options = Bridge::options().push_to(&collector);
    let mut bridge = options.variable("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta").start();
    fleet::send(&bridge, &plans());
    until("the first totals", || (!collector.exports().is_empty()).then_some(()));
    let more = sessions("crackerjack", "CrackerjackShell", "success", &[12.0, 4000.0]);
    fleet::send(&bridge, &more);
    until("the later totals", || {
        let points = collector.exports().concat();
        points
            .iter()
            .any(|point| point.attributes.get("component_name").is_some_and(|name| name == "crackerjack"))
            .then_some(())
    });
    bridge.stop();
    collector.stop();

    let exports = collector.exports();
    assert!(exports.len() >= 2);
    let points: Vec<Point> = exports.concat();
    assert_are_as_declared(&points, DELTA);
    let all = [plans(), more].concat();
    assert_eq!(totals(&points), expected(&Totals::of(&all)));
    // What did not change is not told again.
    let starts = points.iter().filter(|point| {
        point.metric == "session.start" && point.attributes["component_name"] == "session-buddy" && point.number() > 0.0
    });
    assert_eq!(starts.count(), 1);
}

fn has(span: &Span, (key, value): (&String, &String)) -> bool {
    span.attributes.get(key) == Some(value)
}

fn assert_is_span_of(span: &Span, sent: &Sent) {
    let plan = sent.plan;
    assert_eq!(span.name, format!("session {}", plan.component));
    assert_eq!((&span.trace_id, &span.span_id), (&sent.trace_id, &sent.span_id));
    let times = (span.nanos("startTimeUnixNano"), span.nanos("endTimeUnixNano"));
    assert_eq!(times, (sent.start_nanos, sent.end_nanos()));
    let status = span.data["status"].get("code").and_then(serde_json::Value::as_u64).unwrap_or(0);
    assert_eq!(status, if plan.end == Some("error") { 2 } else { 0 });
    let expected = labels(&[
        ("component_name", plan.component),
        ("shell_type", plan.shell),
        ("status", plan.end.unwrap()),
        ("session.id", &sent.session_id),
        ("host.name", "host-1"),
        ("process.pid", "4711"),
    ]);
    assert!(expected.iter().all(|pair| has(span, pair)), "{:?} lacks some of {expected:?}", span.attributes);
}

/// Every point is of a metric of the catalog, of its kind, unit and buckets, and of the temporality.
fn assert_are_as_declared(points: &[Point], temporality: u64) {
    for point in points {
        let metric = by_otel_name(&point.metric).unwrap_or_else(|| panic!("{point:?}"));
        assert_eq!(point.unit, metric.unit, "{}", point.metric);
        let declared = match metric.kind {
            Kind::Counter => ("sum", temporality, true),
            Kind::UpDownCounter => ("sum", CUMULATIVE, false),
            Kind::Gauge => ("gauge", 0, false),
            Kind::Histogram => ("histogram", temporality, false),
        };
        assert_eq!((point.kind.as_str(), point.temporality, point.monotonic), declared, "{}", point.metric);
        assert_eq!(point.list("explicitBounds"), metric.buckets, "{}", point.metric);
        let known: BTreeSet<&str> = metric.labels.iter().copied().collect();
        assert!(point.attributes.keys().all(|key| known.contains(key.as_str())), "{point:?}");
    }
}

/// The sums of the points of each series of a session: a number, or the counts of buckets and the sum.
fn totals(points: &[Point]) -> BTreeMap<(String, Labels), Vec<f64>> {
    let mut totals: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    let of_sessions = ["session.start", "session.end", "session.duration"];
    for point in points.iter().filter(|point| of_sessions.contains(&point.metric.as_str())) {
        let numbers = match point.kind.as_str() {
            "histogram" => {
                let counts = point.list("bucketCounts");
                assert_eq!(point.field("count"), counts.iter().sum::<f64>(), "{point:?}");
                [counts, vec![point.field("sum")]].concat()
            }
            _ => vec![point.number()],
        };
        let total = totals.entry((point.metric.clone(), point.attributes.clone())).or_default();
        total.resize(numbers.len(), 0.0);
        total.iter_mut().zip(&numbers).for_each(|(total, number)| *total += number);
    }
    totals
}

fn expected(totals: &Totals) -> BTreeMap<(String, Labels), Vec<f64>> {
    let mut expected = BTreeMap::new();
    for (&(component, shell), count) in &totals.starts {
        let attributes = labels(&[("component_name", component), ("shell_type", shell)]);
        expected.insert(("session.start".to_owned(), attributes), vec![*count]);
    }
    for (&(component, status), count) in &totals.ends {
        let attributes = labels(&[("component_name", component), ("status", status)]);
        expected.insert(("session.end".to_owned(), attributes), vec![*count]);
    }
    for component in totals.durations.keys() {
        let at_most: Vec<f64> = BOUNDS.iter().chain(&[f64::INFINITY]).map(|b| totals.at_most(component, *b)).collect();
        let mut numbers: Vec<f64> = at_most
            .iter()
            .scan(0.0, |below, count| {
                let inside = count - *below;
                *below = *count;
                Some(inside)
            })
            .collect();
        numbers.push(totals.seconds(component));
        let attributes = labels(&[("component_name", component)]);
        expected.insert(("session.duration".to_owned(), attributes), numbers);
    }
    expected
}
