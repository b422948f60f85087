//! The reference of the search for anomalies is what its script prints: Python is run again.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_script_prints_what_lies_beside_it() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/anomaly_reference.py");
    let run = Command::new("python3").arg(script).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let printed: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let kept: serde_json::Value = serde_json::from_str(include_str!("data/anomaly_reference.json")).unwrap();
    assert!(near(&printed, &kept), "run anomaly_reference.py again and keep what it prints");
}

/// The same, but for the last digits of numbers: versions of Python sum differently.
fn near(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-9 * b.abs().max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| near(a, b)))
        }
        (a, b) => a == b,
    }
}
