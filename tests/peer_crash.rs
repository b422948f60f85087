//! The bridge is killed while a real collector is away and a real Prometheus watches: the collector's file ends up with
//! every span, and Prometheus sees no reset.
//!
//! `CRASH_OUTAGE` is how many seconds the collector is away, 10 unless it is set.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/load/mod.rs"]
mod load;
#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use load::bridge::Bridge;
use load::client::{Common, Sent, under_load};
use load::dice::Dice;
use load::ledger::key;
use load::watch::{Shown, differences, prometheus_name, starts_anew};
use peers::collector::{Collector, Point, Span};
use peers::installed;
use peers::prometheus::Prometheus;

/// Events a second.
const RATE: u64 = 1500;
/// How long it may take until all has arrived.
const SETTLED: Duration = Duration::from_secs(60);
/// The hours that the clock goes on at once while a day goes by, and how long each such step takes in truth. The bridge
/// looks at the clock's setting once a second.
const STEP_HOURS: u64 = 2;
const STEP: Duration = Duration::from_millis(1300);
/// The parts of a second that durations are rounded down to.
const PARTS: f64 = (1 << 20) as f64;
/// Longer than the day that goes by.
const LONG: &str = "10d";

#[test]
fn an_outage_with_kills_in_it_loses_no_span_and_resets_no_series() {
    let outage = std::env::var("CRASH_OUTAGE").map_or(10, |seconds| seconds.parse().unwrap());
    let mut stage = Stage::new(11);
    stage.bridge.start();
    stage.under_load(|stage| {
        stage.go_on_for(Duration::from_secs(2));
        stage.kill();
        stage.go_on_for(Duration::from_secs(2));
        stage.collector_leaves();
        let away = Instant::now();
        while away.elapsed() < Duration::from_secs(outage) {
            stage.go_on_for(Duration::from_secs(outage / 3));
            stage.kill();
        }
        stage.collector_comes_back();
        stage.go_on_for(Duration::from_secs(2));
        stage.kill();
        stage.go_on_for(Duration::from_secs(1));
    });
}

#[test]
fn an_outage_of_a_day_loses_no_span_and_resets_no_series() {
    let mut stage = Stage::new(12);
    let clock = stage.bridge.data().with_file_name("clock");
    set_clock(&clock, 0);
    stage.bridge.set("LD_PRELOAD", installed("lib/libfaketimeMT.so.1").to_str().unwrap());
    stage.bridge.set("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap());
    stage.bridge.set("FAKETIME_CACHE_DURATION", "1");
    // A clock that is set does not make timers go off.
    stage.bridge.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    stage.bridge.set("DONT_FAKE_MONOTONIC", "1");
    // What is open when the day begins stays open.
    for name in ["MCP_OTEL_BRIDGE_SESSIONS_TIMEOUT", "MCP_OTEL_BRIDGE_REQUESTS_TIMEOUT"] {
        stage.bridge.set(name, LONG);
    }
    stage.bridge.start();
    stage.under_load(|stage| {
        stage.go_on_for(Duration::from_secs(2));
        stage.collector_leaves();
        for hours in (STEP_HOURS..=24).step_by(STEP_HOURS as usize) {
            set_clock(&clock, hours);
            stage.go_on_for(STEP);
            if hours % 8 == 0 {
                stage.kill();
            }
        }
        stage.collector_comes_back();
        stage.go_on_for(Duration::from_secs(2));
        stage.was_thinned();
    });
}

/// The clock is so many hours fast.
fn set_clock(file: &Path, hours: u64) {
    // In one move, so that nobody reads half of it.
    let new = file.with_extension("new");
    std::fs::write(&new, format!("+{hours}h\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// A bridge, a collector and a Prometheus.
struct Stage {
    bridge: Bridge,
    /// It has left, or it takes what comes.
    collector: Option<Collector>,
    /// The spans that the collector had which left.
    before: Vec<Span>,
    /// How often something was ended in whose midst spans may have been under way.
    cuts: usize,
    seed: u64,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let collector = Collector::start_on_a_port_of_its_own();
        let port_seed = Dice::new(u64::from(std::process::id()) + seed).next();
        let bridge = Bridge::pushing_to(&collector.endpoint(), port_seed);
        Self { bridge, collector: Some(collector), before: Vec::new(), cuts: 0, seed }
    }

    fn go_on_for(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn kill(&mut self) {
        self.bridge.kill();
        self.bridge.start();
        self.cuts += 1;
    }

    /// In good order, so that its files hold all that it took.
    fn collector_leaves(&mut self) {
        let collector = self.collector.as_mut().unwrap();
        collector.stop();
        self.before = collector.spans();
        self.cuts += 1;
    }

    fn collector_comes_back(&mut self) {
        self.collector = self.collector.take().map(Collector::come_back);
    }

    /// Of the hours of the outage a snapshot each has come, though several were made in each, and then the present.
    fn was_thinned(&self) {
        let collector = self.collector.as_ref().unwrap();
        let hour_of = |points: &Vec<Point>| {
            let times = points.iter().map(|point| point.data["timeUnixNano"].as_str().unwrap().parse::<u64>().unwrap());
            times.max().unwrap() / 3_600_000_000_000
        };
        let hours = peers::until("the snapshots of the outage", || {
            let hours: Vec<u64> = collector.exports().iter().map(hour_of).collect();
            // The newest come all in one hour, or in two.
            let newest = hours.iter().filter(|hour| hours.last() == Some(hour)).count();
            (newest > 2).then_some(hours)
        });
        let before = hours.iter().take_while(|hour| **hour + 1 < *hours.last().unwrap()).copied().collect::<Vec<_>>();
        assert!(before.is_sorted() && before.windows(2).all(|pair| pair[0] != pair[1]), "one an hour: {hours:?}");
        // In some steps of the clock no snapshot was made.
        assert!(before.len() as u64 >= 24 / STEP_HOURS / 2, "{hours:?}");
    }

    /// Lets this happen under load, and then checks everything.
    fn under_load(mut self, happens: impl FnOnce(&mut Self)) {
        let prometheus = Prometheus::scraping(&self.bridge.address.to_string());
        let common = Common::new(self.bridge.address);
        let sent = under_load(&common, self.seed, RATE, || happens(&mut self));
        let expected = sent.ledger.samples();
        println!("{} events a second; {} spans to come", sent.rate, sent.ledger.spans.len());

        let stopped = Instant::now();
        let faults = loop {
            let faults = self.faults(&sent, &expected, &prometheus);
            if faults.is_empty() || stopped.elapsed() > SETTLED {
                break faults;
            }
            std::thread::sleep(Duration::from_secs(1));
        };
        faults.iter().for_each(|fault| println!("    {fault}"));
        assert!(faults.is_empty(), "{} kinds of faults", faults.len());
    }

    /// What is not as it must be, a few of each kind.
    fn faults(&self, sent: &Sent, expected: &BTreeMap<String, f64>, prometheus: &Prometheus) -> Vec<String> {
        let collector = self.collector.as_ref().unwrap();
        let spans = [self.before.clone(), collector.spans()].concat();
        let mut faults = span_faults(&spans, sent, self.cuts);
        let last = collector.exports().pop().unwrap_or_default();
        faults.extend(differences(&shown(&last), expected).into_iter().take(5).map(|fault| format!("pushed: {fault}")));
        let scraped = scraped(prometheus);
        faults.extend(differences(&scraped, expected).into_iter().take(5).map(|fault| format!("scraped: {fault}")));
        faults.extend(resets(prometheus, &scraped));
        faults.extend(unbalanced(prometheus));
        let scrape = ureq::get(self.bridge.url("/metrics")).call().unwrap().body_mut().read_to_string().unwrap();
        faults.extend(Shown::of_text(&scrape).unbalanced());
        faults
    }
}

/// Every span of the ledger, under the id that was told, and twice only where something was cut.
fn span_faults(spans: &[Span], sent: &Sent, cuts: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let trace = |span: &Span| u128::from_str_radix(&span.trace_id, 16).unwrap();
    let mut ids: BTreeMap<u128, BTreeSet<&str>> = BTreeMap::new();
    let (mut repeated, mut runs, mut in_run) = (0, 0, false);
    for span in spans {
        let ids = ids.entry(trace(span)).or_default();
        let again = !ids.insert(&span.span_id);
        // The spans of one request come one after the other, so a request that came again is a run of them.
        runs += usize::from(again && !in_run);
        repeated += usize::from(again);
        in_run = again;
        if sent.told.get(&trace(span)).is_some_and(|told| format!("{told:016x}") != span.span_id) {
            faults.push(format!("{} is not the span that was told", span.span_id));
        }
    }
    let missing = sent.ledger.spans.iter().filter(|trace| !ids.contains_key(trace)).count();
    if missing > 0 {
        faults.push(format!("{missing} spans of {} are missing", sent.ledger.spans.len()));
    }
    let unknown = ids.keys().filter(|trace| !sent.ledger.spans.contains(trace)).count();
    if unknown > 0 {
        faults.push(format!("{unknown} spans are nobody's"));
    }
    let twins = ids.values().filter(|ids| ids.len() > 1).count();
    if twins > 0 {
        faults.push(format!("{twins} traces have more than one span"));
    }
    if runs > cuts {
        faults.push(format!("{repeated} spans came again in {runs} requests, after {cuts} cuts"));
    }
    faults
}

/// What an export holds, under the names that Prometheus gives it.
fn shown(points: &[Point]) -> Shown {
    let mut shown = Shown::default();
    for point in points {
        let name = prometheus_name(&point.metric, &point.unit);
        let labels: Vec<(String, &String)> =
            point.attributes.iter().map(|(label, value)| (label.replace('.', "_"), value)).collect();
        let mut show = |suffix: &str, le: Option<String>, value: f64| {
            let mut labels: Vec<(&str, &str)> =
                labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
            labels.extend(le.as_deref().map(|le| ("le", le)));
            shown.rising.insert(key(&format!("{name}{suffix}"), &labels), value);
        };
        if point.kind != "histogram" {
            show(if point.monotonic { "_total" } else { "" }, None, point.number());
            continue;
        }
        let (bounds, counts) = (point.list("explicitBounds"), point.list("bucketCounts"));
        let mut within = 0.0;
        for (at, count) in counts.iter().enumerate() {
            within += count;
            let le = bounds.get(at).map_or_else(|| "+Inf".to_owned(), |bound| format!("{bound:?}"));
            show("_bucket", Some(le), within);
        }
        show("_count", None, point.field("count"));
        // Whoever reads a number from JSON may miss its last bit; every sum here is a multiple of 2^-20.
        show("_sum", None, (point.field("sum") * PARTS).round() / PARTS);
    }
    shown
}

/// What Prometheus has now.
fn scraped(prometheus: &Prometheus) -> Shown {
    let mut shown = Shown::default();
    for series in prometheus.query("{job=\"bridge\"}") {
        let name = &series.labels["__name__"];
        let of_prometheus = |label: &str| ["__name__", "job", "instance"].contains(&label);
        // It writes bounds in a way of its own.
        let le = series.labels.get("le").map(|le| format!("{:?}", le.parse::<f64>().unwrap()));
        let le = le.map(|le| if le == "inf" { "+Inf".to_owned() } else { le });
        let labels: Vec<(&str, &str)> = series
            .labels
            .iter()
            .filter(|(label, _)| !of_prometheus(label))
            .map(|(label, value)| (label.as_str(), value.as_str()))
            .map(|(label, value)| (label, le.as_deref().filter(|_| label == "le").unwrap_or(value)))
            .collect();
        let of_the_scrape = name == "up" || name.starts_with("scrape_");
        if !of_the_scrape {
            shown.rising.insert(key(name, &labels), series.samples[0].1);
        }
    }
    shown
}

/// The books of the bridge that were not balanced in some scrape.
fn unbalanced(prometheus: &Prometheus) -> Vec<String> {
    let sum = |series: &str| format!("(sum({series}) or vector(0))");
    let events = |name: &str| sum(&format!("bridge_events_{name}_total"));
    let ends = ["accepted", "duplicate", "rejected"].map(events).join(" - ");
    let mut books = vec![("events".to_owned(), format!("{} - {ends}", events("received")))];
    for signal in ["metrics", "spans"] {
        let items =
            |outcome: &str| sum(&format!("bridge_push_items_total{{signal=\"{signal}\",outcome=\"{outcome}\"}}"));
        let ends = ["taken", "rejected", "superseded", "dropped"].map(items).join(" - ");
        let waiting = sum(&format!("bridge_outbox_items{{signal=\"{signal}\"}}"));
        books.push((signal.to_owned(), format!("{} - {ends} - {waiting}", items("queued"))));
    }
    let worst = |book: &str| prometheus.value(&format!("max_over_time(abs({book})[1h:1s])")).unwrap();
    let unbalanced = books.iter().map(|(of, book)| (of, worst(book))).filter(|(_, worst)| *worst != 0.0);
    unbalanced.map(|(of, worst)| format!("in some scrape {worst} {of} are not accounted for")).collect()
}

/// The metrics that Prometheus has seen a reset of, though they only rise.
fn resets(prometheus: &Prometheus, scraped: &Shown) -> Vec<String> {
    let rises = |name: &&str| {
        let of_a_counter = ["_total", "_bucket", "_count", "_sum"].iter().any(|suffix| name.ends_with(suffix));
        of_a_counter && *name != "active_sessions_total" && !starts_anew(name)
    };
    let names: BTreeSet<&str> = scraped.rising.keys().map(|key| key.split('{').next().unwrap()).filter(rises).collect();
    assert!(names.len() > 40, "only {names:?} are scraped");
    let resets = |name: &str| prometheus.value(&format!("max(resets({name}[1h]))")).unwrap();
    let reset = names.into_iter().filter(|name| resets(name) != 0.0);
    reset.map(|name| format!("{name} was reset {} times", resets(name))).collect()
}
