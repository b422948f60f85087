//! Prometheus scrapes the bridge, and the queries that Session-Buddy's users know give the right numbers.
//!
//! What is right is worked out from the sessions that were sent. Only the times of the scrapes, which `rate()` needs,
//! are Prometheus's own.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::BTreeMap;

use peers::bridge::Bridge;
use peers::fleet::{self, BOUNDS, Plan, Totals, open_sessions, sessions};
use peers::prometheus::{Prometheus, Series};
use peers::{Labels, labels, promql, until};
use serde_json::json;

const MAHAVISHNU: (&str, &str) = ("mahavishnu", "MahavishnuShell");
const SESSION_BUDDY: (&str, &str) = ("session-buddy", "SessionBuddyShell");
const CRACKERJACK: (&str, &str) = ("crackerjack", "CrackerjackShell");

/// So many scrapes see what was there at first, and so many in all.
const SCRAPES: (f64, f64) = (4.0, 10.0);

/// Every query about sessions in Session-Buddy's two documents, where it stands there, and what it must give.
///
/// The metrics guide is docs/PROMETHEUS_METRICS.md, the summary that of its implementation.
const QUERIES: &[(&str, &str, Expected)] = &[
    ("metrics guide, dashboard: Session Starts", "rate(session_start_total[5m])", |seen| start_rates(seen, 300.0)),
    ("metrics guide, dashboard: Active Sessions", "active_sessions", active),
    (
        "metrics guide, dashboard: Session Duration",
        "histogram_quantile(0.95, rate(session_duration_seconds_bucket[5m]))",
        percentiles,
    ),
    ("metrics guide, dashboard: Session Quality Score", "session_quality_score", quality),
    ("metrics guide, queries: Session Rate", "rate(session_start_total[1m])", |seen| start_rates(seen, 60.0)),
    (
        "metrics guide, queries: Error Rate",
        "sum(rate(session_end_total{status=\"error\"}[5m])) / sum(rate(session_end_total[5m])) * 100",
        |seen| vec![(Labels::new(), error_share(seen) * 100.0)],
    ),
    (
        "metrics guide, queries: Average Session Duration",
        "rate(session_duration_seconds_sum[5m]) / rate(session_duration_seconds_count[5m])",
        averages,
    ),
    (
        "metrics guide, queries: Percentile Duration",
        "histogram_quantile(0.95, rate(session_duration_seconds_bucket[5m]))",
        percentiles,
    ),
    ("metrics guide, queries: Active Sessions by Component", "active_sessions", active),
    ("summary, queries: Session start rate", "rate(session_start_total[5m])", |seen| start_rates(seen, 300.0)),
    (
        "summary, queries: Average session duration",
        "rate(session_duration_seconds_sum[5m]) / rate(session_duration_seconds_count[5m])",
        averages,
    ),
    (
        "summary, queries: 95th percentile duration",
        "histogram_quantile(0.95, rate(session_duration_seconds_bucket[5m]))",
        percentiles,
    ),
    ("summary, queries: Active sessions", "active_sessions", active),
    (
        "summary, queries: Error rate",
        "sum(rate(session_end_total{status=\"error\"}[5m])) / sum(rate(session_end_total[5m]))",
        |seen| vec![(Labels::new(), error_share(seen))],
    ),
];

/// Works out what a query must give: series without `job` and `instance`, and their values.
type Expected = fn(&Evidence) -> Vec<(Labels, f64)>;

/// What was sent before the first scrape that counts, what was sent after it, and when Prometheus looked.
struct Evidence {
    first: Totals,
    then: Totals,
    all: Totals,
    quality: BTreeMap<&'static str, f64>,
    starts: Vec<Series>,
    end: f64,
}

#[test]
fn the_queries_of_session_buddys_users_give_the_right_numbers() {
    let bridge = Bridge::options().start();
    let prometheus = Prometheus::scraping(&bridge.address);

    // A rate needs a first value to rise from.
    let first = warm_up();
    fleet::send(&bridge, &first);
    let scrapes = || prometheus.value("max(count_over_time(session_start_total[5m]))").unwrap_or(0.0);
    until("the first scrapes", || (scrapes() >= SCRAPES.0).then_some(()));
    let then = main_sessions();
    fleet::send(&bridge, &then);
    let quality = BTreeMap::from([(MAHAVISHNU.0, 85.5), (SESSION_BUDDY.0, 0.0), (CRACKERJACK.0, 100.0)]);
    for (component, score) in [(MAHAVISHNU.0, 12.0)].into_iter().chain(quality.clone()) {
        let event = json!({"event_type": "session_quality", "component_name": component, "quality_score": score});
        bridge.send(&[event]);
    }
    let all: Vec<Plan> = first.iter().chain(&then).copied().collect();
    until("the scrape of everything", || {
        let quality = prometheus.value("session_quality_score{component_name=\"crackerjack\"}");
        (quality.is_some() && scrapes() >= SCRAPES.1).then_some(())
    });

    let starts = prometheus.query("session_start_total[5m]");
    let end = starts.iter().flat_map(|series| &series.samples).map(|sample| sample.0).fold(0.0, f64::max);
    let evidence = Evidence {
        first: Totals::of(&first),
        then: Totals::of(&then),
        all: Totals::of(&all),
        quality,
        starts: prometheus.query_at("session_start_total[5m]", end),
        end,
    };
    for (place, query, expected) in QUERIES {
        let found = prometheus.query_at(query, end);
        assert_close(&format!("{place}: {query}"), &bridge.address, found, expected(&evidence));
    }

    // The scrapes were OpenMetrics, all of them.
    let formats = prometheus.query("sum by (format, outcome) (bridge_scrapes_total)");
    let formats: Vec<&Labels> = formats.iter().map(|series| &series.labels).collect();
    assert_eq!(formats, [&labels(&[("format", "openmetrics_1.0.0"), ("outcome", "success")])]);
}

/// Something in every series, and in every bucket.
fn warm_up() -> Vec<Plan> {
    let mut plans = Vec::new();
    for (component, shell) in [MAHAVISHNU, SESSION_BUDDY, CRACKERJACK] {
        plans.extend(sessions(component, shell, "success", &[30.0, 60.0, 32400.0]));
        plans.extend(sessions(component, shell, "error", &[45.0]));
    }
    plans
}

/// Sessions in the lowest bucket and above the highest, on bounds, with and without errors, and some that go on.
fn main_sessions() -> Vec<Plan> {
    let [(mahavishnu, m), (session_buddy, s), (crackerjack, c)] = [MAHAVISHNU, SESSION_BUDDY, CRACKERJACK];
    [
        sessions(mahavishnu, m, "success", &[10.0, 61.0, 299.0, 300.0, 301.0, 1234.5, 2000.0, 3600.0, 7200.0, 9000.0]),
        sessions(mahavishnu, m, "error", &[59.0, 120.0, 14400.0]),
        sessions(session_buddy, s, "success", &[5.0, 40.0, 70.0, 800.0, 1799.0, 28800.0, 40000.0]),
        sessions(crackerjack, c, "success", &[100.0, 200.0, 1000.0, 1500.25]),
        sessions(crackerjack, c, "error", &[3000.0, 20000.0]),
        open_sessions(mahavishnu, m, 3),
        open_sessions(session_buddy, s, 1),
    ]
    .concat()
}

fn start_rates(seen: &Evidence, window: f64) -> Vec<(Labels, f64)> {
    let rate = |(&(component, shell), count): (&(&str, &str), &f64)| {
        let series = seen.starts.iter().find(|series| series.labels["component_name"] == component).unwrap();
        let samples: Vec<_> = series.samples.iter().copied().filter(|sample| sample.0 > seen.end - window).collect();
        let before = seen.first.starts[&(component, shell)];
        assert_eq!((samples[0].1, samples[samples.len() - 1].1), (before, before + count), "{component}");
        (labels(&[("component_name", component), ("shell_type", shell)]), promql::rate(&samples, seen.end, window))
    };
    seen.then.starts.iter().map(rate).collect()
}

fn active(seen: &Evidence) -> Vec<(Labels, f64)> {
    seen.all.active.iter().map(|(component, count)| (of(component), *count)).collect()
}

fn quality(seen: &Evidence) -> Vec<(Labels, f64)> {
    seen.quality.iter().map(|(component, score)| (of(component), *score)).collect()
}

fn percentiles(seen: &Evidence) -> Vec<(Labels, f64)> {
    let percentile = |values: &[f64]| promql::histogram_quantile(0.95, &BOUNDS, values);
    seen.then.durations.iter().map(|(component, values)| (of(component), percentile(values))).collect()
}

fn averages(seen: &Evidence) -> Vec<(Labels, f64)> {
    let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    seen.then.durations.iter().map(|(component, values)| (of(component), average(values))).collect()
}

fn error_share(seen: &Evidence) -> f64 {
    let ends = &seen.then.ends;
    let errors: f64 = ends.iter().filter(|((_, status), _)| *status == "error").map(|(_, count)| count).sum();
    errors / ends.values().sum::<f64>()
}

fn of(component: &str) -> Labels {
    labels(&[("component_name", component)])
}

/// The same series, and values that differ by no more than rounding.
fn assert_close(what: &str, instance: &str, found: Vec<Series>, expected: Vec<(Labels, f64)>) {
    let found: BTreeMap<Labels, f64> = found
        .into_iter()
        .map(|mut series| {
            series.labels.remove("__name__");
            if !series.labels.is_empty() {
                assert_eq!(series.labels.remove("job").as_deref(), Some("bridge"), "{what}");
                assert_eq!(series.labels.remove("instance").as_deref(), Some(instance), "{what}");
            }
            (series.labels, series.samples[0].1)
        })
        .collect();
    let expected: BTreeMap<Labels, f64> = expected.into_iter().collect();
    let series = |values: &BTreeMap<Labels, f64>| values.keys().cloned().collect::<Vec<_>>();
    assert_eq!(series(&found), series(&expected), "{what}");
    for (labels, value) in &expected {
        let off = (found[labels] - value).abs();
        assert!(off <= 1e-9 * value.abs().max(1.0), "{what} {labels:?}: {} rather than {value}", found[labels]);
    }
}
