//! `send`: every event arrives once, and what did not is told.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::process::{Serving, program, text};

const GOOD: &str = r#"{"event_type":"session_quality","component_name":"a","quality_score":80}"#;

fn send(bridge: &str, input: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let mut process = program()
        .args(["send", "--bridge", bridge])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn everything_taken_exits_with_0_and_a_summary() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[]);
    let lines = format!("{GOOD}\n\n").repeat(2500);
    let (code, out, log) = send(&bridge.url(""), &lines, &[]);
    assert_eq!((code, out.as_str()), (Some(0), "2500 accepted, 0 duplicates, 0 rejected\n"), "{log}");
    assert!(bridge.get("/metrics").contains("bridge_events_accepted_total{source=\"http\"} 2500\n"));
}

#[test]
fn what_is_rejected_is_told_by_its_line_and_exits_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[]);
    let file = dir.path().join("events.ndjson");
    fs::write(&file, format!("{GOOD}\n\n{{not json\n{GOOD}\n{{\"event_type\":\"session_end\"}}\n")).unwrap();
    let output = program().args(["send", "--bridge", &bridge.url("")]).arg(&file).output().unwrap();
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("line 3: ") && out.contains("line 5: "), "{out}");
    assert!(out.ends_with("2 accepted, 0 duplicates, 2 rejected\n"), "{out}");
}

#[test]
fn the_token_is_sent_and_a_wrong_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::spawn(
        program()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path())
            .env("MCP_OTEL_BRIDGE_TOKEN", "open-sesame"),
    );
    let file = dir.path().join("events.ndjson");
    fs::write(&file, GOOD).unwrap();
    let with = |token: &str| {
        program()
            .args(["send", "--bridge", &bridge.url("")])
            .arg(&file)
            .env("MCP_OTEL_BRIDGE_TOKEN", token)
            .output()
            .unwrap()
    };
    assert_eq!(with("open-sesame").status.code(), Some(0));
    let refused = with("wrong");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("MCP_OTEL_BRIDGE_TOKEN"));
}

#[test]
fn a_bridge_that_is_not_there_is_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, log) = send(&format!("http://{free}"), GOOD, &["--retry-for", "0"]);
    assert!(code == Some(1) && log.contains("is a bridge running there?"), "{log}");
}

#[test]
fn a_bridge_that_comes_later_still_gets_everything() {
    let dir = tempfile::tempdir().unwrap();
    let first = Serving::start(dir.path(), &[]);
    let address = first.address();
    drop(first);
    let mut waiting = program()
        .args(["send", "--bridge", &format!("http://{address}"), "--retry-for", "30"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    waiting.stdin.take().unwrap().write_all(GOOD.as_bytes()).unwrap();
    let _second = Serving::spawn(program().args(["serve", "--listen", &address, "--data-dir"]).arg(dir.path()));
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "1 accepted, 0 duplicates, 0 rejected\n");
}
