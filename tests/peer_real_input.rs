//! Recorded sessions, sent with `mcp-otel-bridge send` to a fresh bridge, come to the totals that an independent count
//! (tests/data/count_sessions.py) gives for them.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use peers::bridge::{Bridge, OPENMETRICS};
use peers::reader::read_openmetrics;
use serde_json::Value;

#[test]
fn recorded_sessions_come_to_the_totals_of_an_independent_count() {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"));
    let expected = std::fs::read_to_string(data.join("sessions.expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let bridge = Bridge::options().start();

    let (code, summary) = bridge.send_file(&data.join("sessions.ndjson"));
    assert_eq!(code, Some(1), "some lines are rejected");
    let rejected = expected["rejected"].as_array().unwrap();
    let counts = format!(
        "{} accepted, {} duplicates, {} rejected",
        expected["accepted"],
        expected["duplicates"],
        rejected.len()
    );
    assert_eq!(summary.lines().last(), Some(counts.as_str()), "{summary}");
    // The first of the rejected are named by their line, which counts from 1.
    for (index, line) in rejected.iter().zip(summary.lines()).take(10) {
        assert!(line.starts_with(&format!("line {}: ", index.as_u64().unwrap() + 1)), "{line}");
    }

    let samples = expected["samples"].as_object().unwrap();
    let samples = samples.iter().map(|(series, value)| (series.clone(), value.as_f64().unwrap()));
    let expected = without_zeros(samples);
    let families: BTreeSet<&str> = expected.keys().map(|series| name(series)).collect();
    // What is at 0, or not counted there, is not compared.
    let compared = |found: BTreeMap<String, f64>| {
        without_zeros(found.into_iter().filter(|(series, _)| families.contains(name(series))))
    };
    assert_eq!(compared(bridge.samples()), expected);

    // The same in the format that Prometheus asks for, as its strict reader reads it.
    let read = read_openmetrics(&bridge.scrape(OPENMETRICS).body);
    for family in ["session_start_total", "session_end_total", "session_duration_seconds_sum"] {
        let samples = read.iter().flat_map(|family| &family.samples).filter(|sample| sample["name"] == family);
        let total: f64 = samples.map(|sample| sample["value"].as_f64().unwrap()).sum();
        let of_family = expected.iter().filter(|(series, _)| name(series) == family);
        assert_eq!(total, of_family.map(|(_, value)| value).sum::<f64>(), "{family}");
    }
}

fn name(series: &str) -> &str {
    series.split('{').next().unwrap()
}

fn without_zeros(samples: impl Iterator<Item = (String, f64)>) -> BTreeMap<String, f64> {
    samples.filter(|(_, value)| *value != 0.0).collect()
}
