//! The unit, as systemd reads it.

use std::process::Command;

use crate::{at, run, told};

const UNIT: &str = "deploy/systemd/mcp-otel-bridge.service";

fn unit(program: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    // It is asked of a program that is there.
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(at(UNIT)).unwrap();
    assert!(text.contains("/usr/local/bin/mcp-otel-bridge serve"));
    let path = dir.path().join("mcp-otel-bridge.service");
    std::fs::write(&path, text.replace("/usr/local/bin/mcp-otel-bridge", program)).unwrap();
    (dir, path)
}

#[test]
fn systemd_finds_nothing_to_complain_about() {
    let (_dir, path) = unit(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
    let verify = |path| {
        let output = Command::new("systemd-analyze").arg("verify").arg(path).output();
        let output = output.expect("there is no systemd-analyze: install systemd");
        told(&output).map(|_| String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(verify(&path).unwrap(), "");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("StateDirectory=", "StateDirektory=")).unwrap();
    assert!(verify(&path).unwrap_or_else(|told| told).contains("StateDirektory"));
}

#[test]
fn it_is_as_little_exposed_as_the_documentation_says() {
    let mut command = Command::new("systemd-analyze");
    let told = run(command.args(["security", "--offline=true", "--no-pager"]).arg(at(UNIT)), "").unwrap();
    let number = |text: &str, before: &str| -> f64 {
        let (_, after) = text.split_once(before).unwrap();
        after.split_whitespace().next().unwrap().parse().unwrap()
    };
    let score = number(&told, "Overall exposure level for mcp-otel-bridge.service: ");
    let documented = number(&std::fs::read_to_string(at("docs/deployment.md")).unwrap(), "gives it ");
    // Versions of systemd weigh a little differently.
    assert!((score - documented).abs() < 0.5, "it is {score}, not {documented}");
}
