//! The search for anomalies against its reference in Python (data/anomaly_reference.py, whose output lies beside it).

#![allow(clippy::unwrap_used)]

use mcp_otel_bridge::skills::anomaly::{Rules, Window, find, scores};
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("data/anomaly_reference.json")).unwrap()
}

fn rules(reference: &Value) -> Rules {
    let rules = &reference["rules"];
    Rules {
        threshold: rules["threshold"].as_f64().unwrap(),
        min_samples: rules["min_samples"].as_u64().unwrap(),
        min_windows: rules["min_windows"].as_u64().unwrap() as usize,
    }
}

fn counts(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
}

fn window(invocations: &Value, completed: &Value, phases: &Value) -> Window {
    Window {
        invocations: invocations.as_u64().unwrap(),
        completed: completed.as_u64().unwrap(),
        phases: counts(phases),
    }
}

fn named(value: &Value) -> Window {
    window(&value["invocations"], &value["completed"], &value["phases"])
}

fn kinds(baseline: &[Window], recent: &Window, rules: &Rules) -> Vec<&'static str> {
    find(baseline, recent, rules).into_iter().map(|finding| finding.kind.name()).collect()
}

#[test]
fn the_defaults_are_the_reference_s() {
    assert_eq!(rules(&reference()), Rules::default());
}

#[test]
fn every_score_is_the_reference_s() {
    let reference = reference();
    let rules = rules(&reference);
    for judgement in reference["judgements"].as_array().unwrap() {
        let name = &judgement["name"];
        let baseline: Vec<Window> = judgement["baseline"].as_array().unwrap().iter().map(named).collect();
        let recent = named(&judgement["recent"]);
        let ours = scores(&baseline, &recent, &rules);
        for (kind, ours) in [("drop", ours.drop), ("spike", ours.spike), ("pattern_shift", ours.pattern_shift)] {
            let theirs = judgement["scores"][kind].as_f64();
            let same = match (ours, theirs) {
                (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
                (ours, theirs) => ours == theirs,
            };
            assert!(same, "{name} {kind}: {ours:?}, the reference has {theirs:?}");
        }
        assert_eq!(judgement["anomalies"], Value::from(kinds(&baseline, &recent, &rules)), "{name}");
    }
}

#[test]
fn whole_weeks_have_the_reference_s_anomalies() {
    let reference = reference();
    let rules = rules(&reference);
    let length = reference["rules"]["baseline_windows"].as_u64().unwrap() as usize;
    for week in reference["weeks"].as_array().unwrap() {
        let windows = week["windows"].as_array().unwrap();
        let windows: Vec<Window> = windows.iter().map(|one| window(&one[0], &one[1], &one[2])).collect();
        let mut found = Vec::new();
        for hour in length..windows.len() {
            for kind in kinds(&windows[hour - length..hour], &windows[hour], &rules) {
                found.push(serde_json::json!([hour, kind]));
            }
        }
        assert_eq!(week["found"], Value::from(found), "{}", week["name"]);
    }
}

fn found_in(week: &str) -> Vec<Value> {
    let reference = reference();
    let weeks = reference["weeks"].as_array().unwrap();
    weeks.iter().find(|one| one["name"] == week).unwrap()["found"].as_array().unwrap().clone()
}

/// Together with the test above: what docs/anomalies.md says of these kinds of data holds of the code.
#[test]
fn the_reference_s_weeks_are_as_the_docs_say() {
    for quiet in ["steady", "daily season, exact", "sparse"] {
        assert!(found_in(quiet).is_empty(), "{quiet}");
    }
    assert_eq!(found_in("sparse with a burst"), [serde_json::json!([100, "spike"])]);
    assert!(found_in("breaks at hour 100").contains(&serde_json::json!([100, "drop"])));
    // The second Monday: a baseline of a day knows only the Sunday.
    let monday = 24 * 7..24 * 8;
    let spikes = found_in("quiet weekends").into_iter();
    assert!(spikes.filter(|one| monday.contains(&one[0].as_u64().unwrap()) && one[1] == "spike").count() > 3);
}
