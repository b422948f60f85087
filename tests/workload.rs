//! A recorded workload of every event type gives exactly the samples that an independent program works out.
//!
//! Times that handling took, and what the bridge tells of itself and of the machine, are not compared.

#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/workload.rs"]
mod workload;

use std::collections::BTreeSet;

use mcp_otel_bridge::event::{BodyForm, EventType, batch_json, parse_body};
use mcp_otel_bridge::{Bridge, Source};
use serde_json::Value;
use support::samples::Samples;
use workload::{PARTS, Values, assert_same, canonical, events, expected, is_counted};

/// Sends events as one body; gives its answer.
fn submit(bridge: &Bridge, events: &[Value]) -> Value {
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let body = parse_body(lines.as_bytes(), BodyForm::Ndjson).unwrap();
    serde_json::from_slice(&batch_json(&bridge.submit_blocking(Source::Http, body.events).unwrap())).unwrap()
}

fn counted(samples: &Samples) -> Values {
    let samples = samples.values.iter().map(|(key, value)| (canonical(key), *value));
    samples.filter(|(key, _)| is_counted(key)).collect()
}

#[test]
fn the_workload_has_events_of_every_type() {
    let sent: BTreeSet<String> =
        PARTS.iter().flat_map(|part| events(part)).map(|event| event["event_type"].as_str().unwrap().into()).collect();
    assert!(EventType::ALL.iter().all(|event_type| sent.contains(event_type.name())), "{sent:?}");
}

#[test]
fn after_each_part_every_sample_is_that_of_the_independent_program() {
    let bridge = Bridge::builder().build().unwrap();
    let (mut accepted, mut duplicates, mut rejected) = (0, 0, 0);
    for part in PARTS {
        let answer = submit(&bridge, &events(part));
        accepted += answer["accepted"].as_u64().unwrap();
        duplicates += answer["duplicates"].as_u64().unwrap();
        rejected += answer["rejected"].as_array().unwrap().len() as u64;

        let expected = expected(part);
        let samples = Samples::of(&bridge);
        assert_same(part, &counted(&samples), &expected.values);
        assert_eq!((accepted, duplicates, rejected), (expected.accepted, expected.duplicates, expected.rejected));
        assert_eq!(samples.total("bridge_events_rejected_total"), rejected as f64);
    }
}

#[test]
fn events_one_by_one_give_the_same() {
    let bridge = Bridge::builder().build().unwrap();
    for event in PARTS.iter().flat_map(|part| events(part)) {
        let body = parse_body(event.to_string().as_bytes(), BodyForm::Json).unwrap();
        bridge.submit_blocking(Source::Http, body.events).unwrap();
    }
    assert_same("one by one", &counted(&Samples::of(&bridge)), &expected("storm").values);
}

#[cfg(feature = "peers")]
#[test]
fn the_checked_in_file_is_what_the_program_gives_now() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let output = std::process::Command::new("python3").arg(format!("{data}/count_workload.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), include_str!("data/workload.expected.json"));
}
