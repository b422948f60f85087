//! Every expression of every panel, variable and annotation of the dashboards, run by a real Prometheus that scrapes a
//! bridge under a known workload.
//!
//! What was scraped is what an independent program works out from the workload; what a panel must show is worked out
//! from the raw samples, from what its title says and without PromQL.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod grafana;
#[path = "../support/peers/mod.rs"]
mod peers;
mod right;
#[path = "../support/workload.rs"]
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use peers::bridge::Bridge;
use peers::collector::Collector;
use peers::prometheus::Prometheus;
use peers::raw::{Raw, Vector};
use peers::until;
use serde_json::{Value, json};
use workload::Values;

/// The job that the dashboards choose.
const JOB: &str = "mcp-otel-bridge";
/// Room for so few series that one instrument overflows.
const OVERFLOWING: &str = "\
meter_provider:
  views:
    - selector: {instrument_name: mcp_hub.retries}
      stream: {aggregation_cardinality_limit: 2}
";
/// The metrics of a bridge, and not what it tells of itself: as another exporter's that has the same names.
const FOREIGN: &str = "metrics: {groups: {bridge: false}}\n";
/// What a wrapper reports at a time that it had to leave out.
const LEFT_OUT: [(&str, f64); 2] = [("spool_full", 5.0), ("unread", 2.0)];
/// A span that is sampled, of whoever reports.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The metrics that the seeds count without calling them counters.
const UNCOUNTED: [&str; 2] = ["circuit_breaker_calls_success", "circuit_breaker_calls_failed"];

/// An expression of a dashboard.
struct Query {
    dashboard: String,
    title: String,
    expression: String,
    exemplars: bool,
}

/// The dashboards as Grafana imports them.
fn dashboards() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/otel-config/dashboards");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    json.map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// What Grafana puts in place of each variable where everything is chosen: its value for that, or else one of all values
/// that it offers.
fn everything(dashboard: &Value, prometheus: &Prometheus) -> Vec<(String, String)> {
    let mut chosen: Vec<(String, String)> = vec![("$__rate_interval".to_owned(), "5m".to_owned())];
    for variable in list(&dashboard["templating"]["list"]).iter().filter(|one| one["type"] == "query") {
        let value = match variable["allValue"].as_str() {
            Some(all) => all.to_owned(),
            None => format!("({})", Vec::from_iter(offered(variable, &chosen, prometheus)).join("|")),
        };
        chosen.push((format!("${}", text(&variable["name"])), value));
    }
    chosen
}

/// The values that a variable offers.
fn offered(variable: &Value, chosen: &[(String, String)], prometheus: &Prometheus) -> BTreeSet<String> {
    let query = text(&variable["query"]["query"]);
    assert_eq!(variable["definition"], query.as_str());
    let inside = filled_in(query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap(), chosen);
    let (selector, label) = inside.rsplit_once(", ").unwrap();
    prometheus.label_values(label, selector)
}

fn filled_in(expression: &str, chosen: &[(String, String)]) -> String {
    chosen.iter().fold(expression.to_owned(), |expression, (name, value)| expression.replace(name, value))
}

fn queries(prometheus: &Prometheus) -> Vec<Query> {
    let mut queries = Vec::new();
    for dashboard in dashboards() {
        let uid = text(&dashboard["uid"]);
        let chosen = everything(&dashboard, prometheus);
        let mut add = |title: &Value, query: &Value| {
            let expression = filled_in(&text(&query["expr"]), &chosen);
            let exemplars = query["exemplar"] == true;
            queries.push(Query { dashboard: uid.clone(), title: text(title), expression, exemplars });
        };
        for panel in list(&dashboard["panels"]).iter().filter(|panel| panel["type"] != "row") {
            list(&panel["targets"]).iter().for_each(|target| add(&panel["title"], target));
        }
        list(&dashboard["annotations"]["list"]).iter().for_each(|mark| add(&mark["name"], mark));
    }
    queries
}

/// Waits until there were two more scrapes; gives the time of the last.
fn scraped(prometheus: &Prometheus) -> f64 {
    let scrapes = || prometheus.value("min(count_over_time(up[5m]))").unwrap_or(0.0);
    let before = scrapes();
    until("two more scrapes", || (scrapes() >= before + 2.0).then_some(()));
    prometheus.value(&format!("timestamp(up{{job=\"{JOB}\"}})")).unwrap()
}

/// Sends a part, and waits until it was scraped more than once; gives the time of what was.
fn send(bridge: &Bridge, prometheus: &Prometheus, part: &str) -> f64 {
    let expected = workload::expected(part);
    let mut events = workload::events(part);
    events.iter_mut().for_each(|event| event["traceparent"] = PARENT.into());
    bridge.send(&events);
    let accepted = "sum(bridge_events_accepted_total{source=\"http\"})";
    until(part, || prometheus.value(accepted).filter(|value| *value == expected.accepted as f64));
    let end = scraped(prometheus);
    let mut found = Values::new();
    for series in prometheus.query_at(&format!("{{job=\"{JOB}\",__name__!~\"scrape_.+\"}}"), end) {
        let mut labels = series.labels;
        let name = labels.remove("__name__").unwrap();
        for of_the_scrape in ["job", "instance"] {
            labels.remove(of_the_scrape);
        }
        let key = workload::series(&name, labels.iter().map(|(label, value)| (label.as_str(), value.as_str())));
        if workload::is_counted(&key) && !limited(&key) {
            found.insert(key, series.samples[0].1);
        }
    }
    let mut counted = expected.values;
    counted.retain(|key, _| !limited(key));
    workload::assert_same(part, &found, &counted);
    end
}

/// What the limit of series changes.
fn limited(key: &str) -> bool {
    key.starts_with("mcp_hub_retries_total") || key.starts_with("bridge_series_overflow")
}

#[test]
fn every_panel_and_annotation_shows_what_its_title_says() {
    let collector = Collector::start();
    let bridge = Bridge::options().push_to(&collector).config(OVERFLOWING).start();
    let foreign = Bridge::options().config(FOREIGN).start();
    let job = |name: &str, bridge: &Bridge| {
        format!("{{job_name: {name}, static_configs: [{{targets: [\"{}\"]}}]}}", bridge.address)
    };
    let prometheus = Prometheus::with_jobs("1s", &[job(JOB, &bridge), job("foreign", &foreign)]);
    foreign.send(&workload::events("warm_up"));
    // What comes later begins beside a bridge that is known.
    until("the bridge", || {
        prometheus.value("count_over_time(bridge_build_info[5m])").filter(|scrapes| *scrapes >= 2.0)
    });
    // Rates need something to rise from.
    send(&bridge, &prometheus, "warm_up");
    send(&bridge, &prometheus, "quiet");
    let mut end = send(&bridge, &prometheus, "storm");
    // The workload has no event that is warned of, and no wrapper.
    let dropped: Value = LEFT_OUT.iter().map(|(reason, count)| ((*reason).to_owned(), json!(*count as u64))).collect();
    for _ in 0..2 {
        bridge.send(&[
            json!({"event_type": "search_call", "no_such_field": 1}),
            json!({"event_type": "session_heartbeat", "session_id": "of-no-session", "dropped": dropped}),
        ]);
        end = scraped(&prometheus);
    }

    let raw = Raw::of(&prometheus, end).of_job(JOB);
    for (reason, count) in LEFT_OUT {
        let found = raw.last("bridge_wrap_dropped_total").with("reason", reason).sum_by(&[]).single();
        assert_eq!(found, 2.0 * count, "{reason}");
    }
    let mut of_panel: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut shown = BTreeSet::new();
    for Query { dashboard, title, expression, exemplars } in queries(&prometheus) {
        let place = (dashboard.clone(), title.clone());
        let at = of_panel.entry(place.clone()).or_default();
        let expected = right::of(&dashboard, &title, *at)(&raw);
        *at += 1;
        let found = Vector::from(prometheus.query_at(&expression, end));
        assert!(found.is_close_to(&expected), "{place:?}: {expression} gives {found:#?} rather than {expected:#?}");
        assert!(!found.0.is_empty(), "{place:?}: {expression}");
        let mut remarks = prometheus.remarks_on(&expression);
        remarks.retain(|remark| !UNCOUNTED.iter().any(|name| remark.contains(&format!("\"{name}\""))));
        assert_eq!(remarks, Vec::<String>::new(), "{place:?}: {expression}");
        assert!(!exemplars || !prometheus.exemplars(&expression).is_empty(), "{place:?}: no exemplars of {expression}");
        shown.insert(place);
    }
    assert_eq!(shown, right::places(), "each panel is worked out, and nothing else");
}

#[test]
fn every_variable_offers_what_there_is() {
    let bridge = Bridge::options().start();
    let target = format!("{{job_name: {JOB}, static_configs: [{{targets: [\"{}\"]}}]}}", bridge.address);
    let prometheus = Prometheus::with_jobs("1s", &[target]);
    send(&bridge, &prometheus, "warm_up");
    let expected = |query: &str| -> BTreeSet<String> {
        let of = |event_types: &[&str], field: &str| {
            let events = workload::events("warm_up").into_iter();
            let events = events.filter(|event| event_types.iter().any(|known| event["event_type"] == *known));
            events.filter_map(|event| Some(event[field].as_str()?.to_owned())).collect()
        };
        match query {
            "label_values(bridge_build_info, job)" => BTreeSet::from([JOB.to_owned()]),
            _ if query.contains("session_start_total") => of(&["session_start"], "component_name"),
            _ if query.contains("circuit_breaker") => {
                of(&["circuit_breaker_call", "circuit_breaker_state"], "component")
            }
            other => panic!("{other}"),
        }
    };
    let mut seen = 0;
    for dashboard in dashboards() {
        let chosen = everything(&dashboard, &prometheus);
        for variable in list(&dashboard["templating"]["list"]).iter().filter(|one| one["type"] == "query") {
            let query = text(&variable["query"]["query"]);
            assert_eq!(offered(variable, &chosen, &prometheus), expected(&query), "{query}");
            seen += 1;
        }
    }
    assert!(seen >= 9, "{seen}");
}
