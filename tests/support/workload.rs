//! The recorded workload of every event type, and what it must come to after each of its parts.
//!
//! `tests/data/count_workload.py` works that out, independently of the bridge.

#![allow(dead_code, reason = "each test uses what it needs of this")]

use std::collections::BTreeMap;

use serde_json::Value;

/// One event a line.
pub const EVENTS: &str = include_str!("../data/workload.ndjson");
const EXPECTED: &str = include_str!("../data/workload.expected.json");

/// The parts, in their order.
pub const PARTS: [&str; 3] = ["warm_up", "quiet", "storm"];

/// Families that no program can work out from events: clocks, the machine, and what the bridge does of itself.
const OF_ITSELF: [&str; 14] = [
    "target_info",
    "mcp_hub_app_info",
    "mcp_hub_cpu_",
    "mcp_hub_memory_",
    "mcp_hub_disk_",
    "mcp_hub_uptime_",
    "bridge_build_info",
    "bridge_ready",
    "bridge_scrape",
    "bridge_push_",
    "bridge_outbox_",
    "bridge_live_",
    // Only their sum is known: the reasons are the bridge's own words.
    "bridge_events_rejected_total",
    // Prometheus's own.
    "up",
];

/// Values by the canonical form of their series.
pub type Values = BTreeMap<String, f64>;

/// What was worked out for one part and all before it.
pub struct Expected {
    pub accepted: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub values: Values,
}

/// The events of a part.
pub fn events(part: &str) -> Vec<Value> {
    let events = EVENTS.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["metadata"]["part"] == part).collect()
}

/// What all events up to the end of a part must come to.
pub fn expected(part: &str) -> Expected {
    let all: Value = serde_json::from_str(EXPECTED).unwrap();
    let one = &all["parts"][part];
    let mut values = Values::new();
    for (key, value) in one["samples"].as_object().unwrap() {
        values.insert(canonical(key), value.as_f64().unwrap());
    }
    for (key, numbers) in one["histograms"].as_object().unwrap() {
        let (name, labels) = key.split_once('{').unwrap();
        let numbers: Vec<f64> = numbers.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
        let bounds = all["bounds"][name].as_array().unwrap().iter().map(|bound| bound.as_f64().unwrap());
        values.insert(canonical(&format!("{name}_sum{{{labels}")), numbers[0]);
        values.insert(canonical(&format!("{name}_count{{{labels}")), numbers[numbers.len() - 1]);
        for (bound, count) in bounds.chain([f64::INFINITY]).zip(&numbers[1..]) {
            values.insert(canonical(&format!("{name}_bucket{{le=\"{bound}\",{labels}")), *count);
        }
    }
    let number = |name: &str| one[name].as_u64().unwrap();
    Expected { accepted: number("accepted"), duplicates: number("duplicates"), rejected: number("rejected"), values }
}

/// A series whose labels stand in the order of their names, and whose bound is a number as Rust writes it.
pub fn canonical(key: &str) -> String {
    let Some((name, labels)) = key.split_once('{') else { return key.to_owned() };
    let pairs = labels.trim_end_matches(['}', ',']).trim_end_matches('"').split("\",");
    series(name, pairs.map(|pair| pair.split_once("=\"").unwrap()))
}

/// The same from a name and labels.
pub fn series<'a>(name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<String> = labels
        .map(|(label, value)| match label {
            "le" => format!("le=\"{}\"", value.parse::<f64>().unwrap()),
            _ => format!("{label}=\"{value}\""),
        })
        .collect();
    pairs.sort();
    if pairs.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", pairs.join(",")) }
}

/// Whether a program can work out the value of a series from the events.
pub fn is_counted(key: &str) -> bool {
    let handling = key.starts_with("mcp_event_emit_duration_seconds_")
        && (key.contains("event_type=\"session_start\"") || key.contains("event_type=\"session_end\""));
    let timed = handling && !key.starts_with("mcp_event_emit_duration_seconds_count");
    // The ways in that nothing came through are there at 0.
    let unused = key.starts_with("bridge_events_") && !key.contains("source=\"http\"");
    !timed && !unused && !OF_ITSELF.iter().any(|name| key.starts_with(name))
}

/// Names every series that differs, rather than printing both.
#[track_caller]
pub fn assert_same(what: &str, found: &Values, expected: &Values) {
    let keys: std::collections::BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let same = |one: Option<&f64>, other: Option<&f64>| match (one, other) {
        // The mean of latencies is a sum over a number: the last bit is the division's.
        (Some(one), Some(other)) => (one - other).abs() <= 1e-12 * other.abs(),
        _ => one.is_none() && other.is_none(),
    };
    let differing: Vec<String> = keys
        .into_iter()
        .filter(|key| !same(found.get(*key), expected.get(*key)))
        .map(|key| format!("{key}: got {:?}, expected {:?}", found.get(key), expected.get(key)))
        .collect();
    assert!(differing.is_empty(), "{what}: {differing:#?}");
}
