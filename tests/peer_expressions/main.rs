//! Every PromQL expression that stands in the seeds, run by a real Prometheus on a workload of all four systems.
//!
//! Three links make the proof: what Prometheus scraped are the totals that an independent program works out from the
//! workload; what an expression must give is worked out from the raw samples, without PromQL; and Prometheus gives it.
//! Only the times of the scrapes are Prometheus's own. How long an alert waits before it fires is not proved.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/peers/mod.rs"]
mod peers;
mod right;
#[path = "../support/workload.rs"]
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use peers::bridge::Bridge;
use peers::prometheus::Prometheus;
use peers::raw::{Raw, Vector};
use peers::relay::Relay;
use peers::until;
use right::{RIGHT, Right};
use serde::Deserialize;
use workload::Values;

const EXPRESSIONS: &str = include_str!("../data/expressions.json");
/// The jobs, as the seeds name them.
const JOBS: [&str; 3] = ["mcp_server", "mcp-hub", "session-buddy"];
/// Long enough for a scrape on a busy machine.
const INTERVAL: &str = "1s";

#[derive(Deserialize)]
struct File {
    expressions: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    document: String,
    title: String,
    kind: String,
    expression: String,
    /// The right expression, where this one cannot give what its title says.
    right: Option<String>,
}

impl Entry {
    fn place(&self) -> String {
        format!("{} {} {:?}: {}", self.document, self.kind, self.title, self.expression)
    }

    /// The expression that gives what the title says.
    fn right(&self) -> &str {
        self.right.as_ref().unwrap_or(&self.expression)
    }

    fn expected(&self) -> Right {
        RIGHT.iter().find(|(known, _)| *known == self.right()).unwrap_or_else(|| panic!("{}", self.place())).1
    }

    /// Whether it is about targets that are gone, of which there are none at first.
    fn is_of_targets(&self) -> bool {
        self.expression.starts_with("up")
    }
}

fn entries() -> Vec<Entry> {
    serde_json::from_str::<File>(EXPRESSIONS).unwrap().expressions
}

/// A Prometheus that scrapes one bridge for all jobs. Of `mcp-hub`, a file tells where the target is.
fn scraping(bridge: &Bridge, hub_targets: &Path) -> Prometheus {
    let direct = |job: &str| format!("{{job_name: {job}, static_configs: [{{targets: [\"{}\"]}}]}}", bridge.address);
    let hub = format!(
        "{{job_name: mcp-hub, metrics_path: /api/get_prometheus_metrics_service, \
         file_sd_configs: [{{files: [\"{}\"], refresh_interval: 1s}}]}}",
        hub_targets.display()
    );
    Prometheus::with_jobs(INTERVAL, &[direct(JOBS[0]), hub, direct(JOBS[2])])
}

/// Sends a part, and waits until every job has scraped it more than once; gives the time of what all have scraped.
fn send(bridge: &Bridge, prometheus: &Prometheus, part: &str) -> f64 {
    let expected = workload::expected(part);
    bridge.send(&workload::events(part));
    let accepted = format!("count(bridge_events_accepted_total{{source=\"http\"}} == {})", expected.accepted);
    until(part, || (prometheus.value(&accepted) == Some(JOBS.len() as f64)).then_some(()));
    let scrapes = || prometheus.value("min(count_over_time(up[5m]))").unwrap();
    let before = scrapes();
    until("two more scrapes", || (scrapes() >= before + 2.0).then_some(()));
    let end = prometheus.value("min(timestamp(up))").unwrap();

    // What was scraped is what the independent program says.
    let mut found: BTreeMap<String, Values> = BTreeMap::new();
    for series in prometheus.query_at("{job=~\".+\",__name__!~\"scrape_.+\"}", end) {
        let mut labels = series.labels;
        let (name, job) = (labels.remove("__name__").unwrap(), labels.remove("job").unwrap());
        labels.remove("instance");
        let key = workload::series(&name, labels.iter().map(|(label, value)| (label.as_str(), value.as_str())));
        if workload::is_counted(&key) {
            found.entry(job).or_default().insert(key, series.samples[0].1);
        }
    }
    assert!(found.keys().eq(BTreeSet::from(JOBS)), "{:?}", found.keys());
    for (job, found) in found {
        workload::assert_same(&format!("{job} after {part}"), &found, &expected.values);
    }
    end
}

/// Every expression gives what is worked out from the raw samples; gives that by expression.
fn check_all(prometheus: &Prometheus, end: f64) -> BTreeMap<String, Vector> {
    let raw = Raw::of(prometheus, end);
    let mut given = BTreeMap::new();
    for entry in entries() {
        let expected = entry.expected()(&raw);
        let found = Vector::from(prometheus.query_at(entry.right(), end));
        assert!(found.is_close_to(&expected), "{}: {found:#?} rather than {expected:#?}", entry.place());
        given.insert(entry.place(), expected);
    }
    given
}

#[test]
fn every_expression_is_worked_out_and_nothing_else() {
    let entries = entries();
    let known: BTreeSet<&str> = RIGHT.iter().map(|(expression, _)| *expression).collect();
    assert_eq!(entries.iter().map(Entry::right).collect::<BTreeSet<_>>(), known);
    let documents: BTreeSet<&str> = entries.iter().map(|entry| entry.document.as_str()).collect();
    assert_eq!(documents, BTreeSet::from(["000", "001", "002", "003", "004"]));
}

#[test]
fn every_expression_of_the_seeds_gives_what_it_must() {
    let dir = tempfile::tempdir().unwrap();
    let hub_targets = dir.path().join("hub.json");
    let bridge = Bridge::options().start();
    let relay = Relay::to(&bridge.address, 41.5);
    std::fs::write(&hub_targets, format!("[{{\"targets\": [\"{}\"]}}]", relay.address)).unwrap();
    let prometheus = scraping(&bridge, &hub_targets);

    // Rates need something to rise from.
    send(&bridge, &prometheus, "warm_up");
    let quiet = send(&bridge, &prometheus, "quiet");
    let on_a_quiet_day = check_all(&prometheus, quiet);
    relay.set_memory_percent(97.5);
    let storm = send(&bridge, &prometheus, "storm");
    let in_the_storm = check_all(&prometheus, storm);

    for entry in entries().iter().filter(|entry| !entry.is_of_targets()) {
        let place = entry.place();
        assert!(!in_the_storm[&place].0.is_empty(), "{place} gives nothing");
        if entry.kind == "alert" {
            // The other jobs show how much memory the machine really has.
            let mut quiet = on_a_quiet_day[&place].clone();
            quiet.0.retain(|labels, _| labels.get("job").is_none_or(|job| job == "mcp-hub"));
            assert_eq!(quiet, Vector::default(), "{place} is not quiet");
        }
        if entry.right.is_some() {
            let found = Vector::from(prometheus.query_at(&entry.expression, storm));
            assert!(!found.is_close_to(&in_the_storm[&place]), "{place} gives what its title says after all");
        }
    }
    targets_that_go(&prometheus, relay, &hub_targets);
}

/// The alert on a service that is down: fires while its target does not answer; once the job has no target at all,
/// only the right one does.
fn targets_that_go(prometheus: &Prometheus, relay: Relay, hub_targets: &Path) {
    let entries = entries();
    let [alert] = entries.iter().filter(|entry| entry.is_of_targets()).collect::<Vec<_>>()[..] else { panic!() };
    let now = |expression: &str| Vector::from(prometheus.query(expression));
    assert_eq!((now(&alert.expression), now(alert.right())), (Vector::default(), Vector::default()));

    drop(relay);
    until("a target that is down", || (prometheus.value("up{job=\"mcp-hub\"}") == Some(0.0)).then_some(()));
    let down = now(&alert.expression);
    assert_eq!(down.0.values().collect::<Vec<_>>(), [&0.0]);
    assert_eq!(now(alert.right()), down);

    std::fs::write(hub_targets, "[]").unwrap();
    until("a job without a target", || prometheus.query("up{job=\"mcp-hub\"}").is_empty().then_some(()));
    assert_eq!(now(&alert.expression), Vector::default());
    let gone = now(alert.right());
    assert_eq!(gone.0, BTreeMap::from([(peers::labels(&[("job", "mcp-hub")]), 1.0)]));
}
