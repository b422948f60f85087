//! The readers of expositions: Python's `prometheus_client` and Prometheus's `promtool`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::installed;

/// A family, as `prometheus_client` reads it.
#[derive(Debug)]
pub struct Family {
    /// Its name, without the `_total` of a counter.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its samples, as `tests/peers/read_openmetrics.py` prints them.
    pub samples: Vec<Value>,
}

/// Reads an exposition with the strict OpenMetrics parser.
pub fn read_openmetrics(exposition: &str) -> Vec<Family> {
    read("openmetrics", exposition)
}

/// Reads an exposition with the parser of the text format.
pub fn read_text(exposition: &str) -> Vec<Family> {
    read("text", exposition)
}

fn read(format: &str, exposition: &str) -> Vec<Family> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/read_openmetrics.py");
    let mut command = Command::new(installed("venv/bin/python"));
    let (done, out, err) = run(command.args([script, format]), exposition);
    assert!(done, "the {format} parser: {err}\n{exposition}");
    let families: Vec<Value> = serde_json::from_str(&out).unwrap();
    families
        .iter()
        .map(|family| Family {
            name: family["name"].as_str().unwrap().to_owned(),
            kind: family["type"].as_str().unwrap().to_owned(),
            samples: family["samples"].as_array().unwrap().clone(),
        })
        .collect()
}

/// What `promtool check metrics` finds fault with, a line each.
pub fn promtool_faults(exposition: &str) -> Vec<String> {
    let mut command = Command::new(installed("bin/promtool"));
    let (_, out, err) = run(command.args(["check", "metrics"]), exposition);
    out.lines().chain(err.lines()).filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// Runs a program on an input: whether it succeeded, and what it printed.
fn run(command: &mut Command, input: &str) -> (bool, String, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A reader that stops early has its say in its status.
    let _ = writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}
