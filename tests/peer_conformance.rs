//! The conformance suite of the Model Context Protocol against `POST /mcp`: what each of its server scenarios finds, in
//! both revisions, is what docs/mcp.md says.
//!
//! Most scenarios drive tools, prompts and resources that only the suite's own example server has. They are run all the
//! same, so that one that begins to apply is seen.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use peers::bridge::Bridge;
use peers::installed;

const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
const PAGE: &str = include_str!("../docs/mcp.md");

/// What each scenario finds, in the words of the page.
type Findings = BTreeMap<String, String>;

/// Runs all server scenarios of a revision.
fn run(bridge: &Bridge, revision: &str) -> Findings {
    let dir = tempfile::tempdir().unwrap();
    let mut suite = Command::new(installed("bin/conformance"));
    suite.args(["server", "--url", &bridge.url("/mcp"), "--requirements", revision, "--output-dir"]).arg(dir.path());
    // It exits with 1 where a scenario fails, and some do.
    let output = suite.output().unwrap();
    let findings: Findings = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (scenario(&path), finding(&path.join("checks.json"))))
        .collect();
    assert!(findings.len() > 20, "{}{}", text(&output.stdout), text(&output.stderr));
    findings
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The scenario of a folder such as `server-ping-2026-11-20T20-01-06-081Z`.
fn scenario(path: &Path) -> String {
    const TIME: usize = "-2026-11-20T20-01-06-081Z".len();
    let name = path.file_name().unwrap().to_str().unwrap();
    name[..name.len() - TIME].strip_prefix("server-").unwrap().to_owned()
}

fn finding(checks: &Path) -> String {
    let checks: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(checks).unwrap()).unwrap();
    let count = |status: &str| checks.iter().filter(|check| check["status"] == status).count();
    let (passed, failed, warned) = (count("SUCCESS"), count("FAILURE"), count("WARNING"));
    let warnings = if warned > 0 { format!(", {warned} warned") } else { String::new() };
    match (passed, failed) {
        (_, 0) => format!("{passed} passed{warnings}"),
        _ => format!("{failed} of {} failed{warnings}", passed + failed),
    }
}

/// The rows of the page's table, by scenario: the findings, and why not all is well.
fn told() -> BTreeMap<String, [String; 3]> {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| scenario |")).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [scenario, first, second, why] = cells[..] else { panic!("not four cells: {line}") };
            (scenario.trim_matches('`').to_owned(), [first, second, why].map(str::to_owned))
        })
        .collect()
}

#[test]
fn every_scenario_of_the_suite_finds_what_the_page_says() {
    let bridge = Bridge::options().start();
    let found = REVISIONS.map(|revision| run(&bridge, revision));
    let mut rows: BTreeMap<String, [String; 2]> = BTreeMap::new();
    for scenario in found.iter().flat_map(BTreeMap::keys) {
        let finding = |findings: &Findings| findings.get(scenario).map_or("-", String::as_str).to_owned();
        rows.insert(scenario.clone(), [finding(&found[0]), finding(&found[1])]);
    }
    let told = told();
    let told_rows: BTreeMap<String, [String; 2]> =
        told.iter().map(|(scenario, [first, second, _])| (scenario.clone(), [first.clone(), second.clone()])).collect();
    let table: Vec<String> =
        rows.iter().map(|(scenario, [first, second])| format!("| `{scenario}` | {first} | {second} |")).collect();
    assert!(told_rows == rows, "docs/mcp.md does not say what was found:\n{}", table.join("\n"));
    for (scenario, [first, second, why]) in &told {
        let well = [first, second].iter().all(|finding| !finding.contains("failed") && !finding.contains("warned"));
        assert!(well || why.len() > 10, "the page does not say why {scenario} does not apply");
    }
}
