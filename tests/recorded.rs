//! A recorded file of session events gives exactly the samples that an independent count gives.
//!
//! `tests/data/count_sessions.py` is that count. Times that handling took are not compared: no count can know them.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use mcp_otel_bridge::event::{BodyForm, Outcome, batch_json, parse_body};
use mcp_otel_bridge::{Bridge, Source};
use serde_json::Value;
use support::samples::Samples;

const EVENTS: &[u8] = include_bytes!("data/sessions.ndjson");
const EXPECTED: &str = include_str!("data/sessions.expected.json");

/// All that the count tells of.
const COUNTED: [&str; 11] = [
    "session_start_total",
    "session_end_total",
    "session_duration_seconds",
    "active_sessions",
    "session_quality_score",
    "mcp_event_emit_success_total",
    "mcp_event_emit_failure_total",
    "mcp_event_emit_duration_seconds_count",
    "bridge_events_received_total",
    "bridge_events_accepted_total{source=\"http\"}",
    "bridge_events_duplicate_total{source=\"http\"}",
];

fn submit(bridge: &Bridge, body: &[u8]) -> Vec<Outcome> {
    bridge.submit_blocking(Source::Http, parse_body(body, BodyForm::Ndjson).unwrap().events).unwrap()
}

fn counted(bridge: &Bridge) -> BTreeMap<String, f64> {
    let warnings = "bridge_event_warnings_total";
    Samples::of(bridge).named(&[&COUNTED[..], &[warnings]].concat())
}

fn expected() -> (Value, BTreeMap<String, f64>) {
    let expected: Value = serde_json::from_str(EXPECTED).unwrap();
    let samples = expected["samples"].as_object().unwrap();
    let samples = samples.iter().map(|(key, value)| (key.clone(), value.as_f64().unwrap())).collect();
    (expected, samples)
}

/// Names every sample that differs, rather than printing both maps.
#[track_caller]
fn assert_same(got: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>) {
    let keys: std::collections::BTreeSet<&String> = got.keys().chain(expected.keys()).collect();
    let differing: Vec<String> = keys
        .into_iter()
        .filter(|key| got.get(*key) != expected.get(*key))
        .map(|key| format!("{key}: got {:?}, expected {:?}", got.get(key), expected.get(key)))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn every_sample_is_that_of_the_independent_count() {
    let bridge = Bridge::builder().build().unwrap();
    submit(&bridge, EVENTS);
    assert_same(&counted(&bridge), &expected().1);
}

#[test]
fn the_answer_counts_exactly_the_duplicates_and_the_rejected() {
    let bridge = Bridge::builder().build().unwrap();
    let answer: Value = serde_json::from_slice(&batch_json(&submit(&bridge, EVENTS))).unwrap();
    let (expected, _) = expected();
    assert_eq!(answer["accepted"], expected["accepted"]);
    assert_eq!(answer["duplicates"], expected["duplicates"]);
    let rejected: Vec<&Value> = answer["rejected"].as_array().unwrap().iter().map(|line| &line["index"]).collect();
    assert_eq!(rejected, expected["rejected"].as_array().unwrap().iter().collect::<Vec<_>>());

    let rejected = rejected.len() as f64;
    let samples = Samples::of(&bridge);
    assert_eq!(samples.total("bridge_events_rejected_total{source=\"http\""), rejected);
    let lines = EVENTS.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as f64;
    assert_eq!(samples.total("bridge_events_received_total{source=\"http\""), lines);
}

#[test]
fn how_the_events_are_cut_into_requests_makes_no_difference() {
    let bridge = Bridge::builder().build().unwrap();
    for line in EVENTS.split_inclusive(|byte| *byte == b'\n') {
        submit(&bridge, line);
    }
    assert_same(&counted(&bridge), &expected().1);
}

#[cfg(feature = "peers")]
#[test]
fn the_checked_in_file_is_what_the_count_gives_now() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let output = std::process::Command::new("python3").arg(format!("{data}/count_sessions.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), EXPECTED);
}
