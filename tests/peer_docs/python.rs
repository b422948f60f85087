//! The blocks of Python: what a former system recorded, told by the page's own `send`, is what the page's JSON tells.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::pages::{Block, Page};
use crate::peers::bridge::Bridge;
use crate::peers::installed;

/// What a bridge counted of what was sent: not how long that took it, nor what it says of itself and of the machine.
fn counted(bridge: &Bridge) -> BTreeMap<String, f64> {
    let samples = bridge.samples().into_iter();
    let counts = |series: &str| {
        let name = series.split('{').next().unwrap();
        ["_total", "_count", "_success", "_failed", "_state", "_rate"].iter().any(|end| name.ends_with(end))
            && !name.starts_with("bridge_")
    };
    samples.filter(|(series, _)| counts(series)).collect()
}

#[test]
fn the_calls_of_the_former_systems_become_the_events_of_the_pages() {
    let blocks = Page::read("docs/migrating.md").blocks();
    let is = |language: &'static str| move |block: &Block| block.language == language;
    let python: Vec<usize> = (0..blocks.len()).filter(|at| is("python")(&blocks[*at])).collect();
    let ([send, before @ ..], true) = (&python[..], python.len() == 5) else { panic!("{} blocks", python.len()) };
    let (by_python, by_json) = (Bridge::options().start(), Bridge::options().start());

    let plan = json!({
        "send": blocks[*send].text.replace("127.0.0.1:9090", &by_python.address),
        "before": before.iter().map(|at| &blocks[*at].text).collect::<Vec<_>>(),
    });
    let mut command = Command::new(installed("venv/bin/python"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/former.py"));
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(plan.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    // As the comment behind it says.
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "recorded\n");

    for at in before {
        for block in blocks[at + 1..].iter().take_while(|block| is("json")(block)) {
            let events: Value = serde_json::from_str(&block.text).unwrap();
            by_json.send(&events.as_array().cloned().unwrap_or_else(|| vec![events]));
        }
    }
    let (mut by_python, mut by_json) = (counted(&by_python), counted(&by_json));
    // The page's first block is of no former system, and its JSON tells how long the LLM call took, as the call did not.
    by_python.retain(|series, _| !series.contains("cache_access") && !series.contains("cache_type"));
    by_json.retain(|series, _| !series.starts_with("gen_ai_"));
    assert!(by_python.len() > 25, "{by_python:?}");
    assert_eq!(by_python, by_json);
}
