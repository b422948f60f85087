//! The commands and blocks of the pages that need peers, and those that need curl, openssl and sqlite3, which must be
//! there for this.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deploy;
#[path = "../support/pages/mod.rs"]
mod pages;
#[path = "../support/peers/mod.rs"]
mod peers;
mod python;
mod secrets;
mod sqlite;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::Stdio;

use pages::commands::{Need, Shell, commands, run};
use pages::{Block, Page, for_users};
use peers::bridge::Bridge;
use peers::process::Process;
use peers::prometheus::Prometheus;
use peers::{http, installed, until};
use serde_json::Value;

/// A file of the repository.
fn at(path: &str) -> PathBuf {
    PathBuf::from(pages::ROOT).join(path)
}

fn folder_of(program: &str) -> PathBuf {
    installed(program).parent().unwrap().to_owned()
}

/// The commands of the pages that begin so.
fn found(begins: &str) -> Vec<Block> {
    let found: Vec<Block> =
        for_users().iter().flat_map(commands).filter(|block| block.text.starts_with(begins)).collect();
    assert!(!found.is_empty(), "no page has {begins}");
    found
}

#[test]
fn commands_that_need_curl_or_promtool_do_what_the_pages_say() {
    assert!(Shell::new(&[]).has("curl"), "there is no curl on this machine");
    let ran = run(&[Need::Curl, Need::Peers], &[folder_of("bin/promtool")]);
    assert!(ran >= 4, "only {ran} were run");
}

#[test]
fn prometheus_starts_as_the_pages_say() {
    let shell = Shell::new(&[folder_of("bin/prometheus")]);
    for block in found("prometheus --config.file") {
        let text = block.text.replace("127.0.0.1:9091", "127.0.0.1:0");
        let mut process = Process::start("Prometheus", &mut shell.command(&format!("exec {}", text.trim()), ""));
        let address = process.find_line("where it listens", |line| {
            let rest = line.contains("msg=\"Listening on\"").then(|| line.split_once("address="))??.1;
            rest.split_whitespace().next().map(str::to_owned)
        });
        let ready = format!("http://{address}/-/ready");
        until("Prometheus to be ready", || http::get(&ready, "*/*").ok().filter(|answer| answer.status == 200));
        let grave: Vec<_> = process.lines().into_iter().filter(|line| line.contains("level=ERROR")).collect();
        assert!(grave.is_empty(), "{grave:?}");
    }
}

#[test]
fn the_configurations_of_prometheus_are_good() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = for_users().iter().flat_map(Page::blocks).collect::<Vec<_>>();
    let blocks: Vec<_> = blocks.into_iter().filter(|block| block.text.starts_with("# prometheus.yml")).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let file = dir.path().join("prometheus.yml");
        std::fs::write(&file, &block.text).unwrap();
        let mut promtool = std::process::Command::new(installed("bin/promtool"));
        let output = promtool.args(["check", "config", "--syntax-only"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}: {}", block.place(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_query_for_exemplars_finds_a_trace() {
    let bridge = Bridge::options().start();
    let operation = serde_json::json!({
        "event_type": "mcp_operation", "component_name": "a", "method": "tools/call", "tool_name": "search",
        "direction": "to_server", "duration_seconds": 0.25, "transport": "stdio",
    });
    bridge.send(&[operation]);
    let prometheus = Prometheus::scraping(&bridge.address);
    let shell = Shell::new(&[]);
    let address = prometheus.url("").trim_start_matches("http://").to_owned();
    for block in found("curl -s 'http://localhost:9091") {
        let text = block.text.replace("localhost:9091", &address);
        until("an exemplar", || {
            let output = shell.command(&text, "").output().unwrap();
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            answer["data"][0]["exemplars"][0]["labels"]["trace_id"].as_str().map(str::to_owned)
        });
    }
}

#[test]
fn a_wrapped_server_answers_as_the_pages_say() {
    // The server is the one that is installed there: nothing is fetched.
    let server = folder_of("mcp-node/node_modules/.bin/mcp-server-everything");
    let shell = Shell::new(&[folder_of("bin/npx")]);
    for block in found("cargo run --release -- wrap --serve") {
        let mut command = shell.command(&format!("exec {}", block.text.trim()), "");
        command.current_dir(&server).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let initialize = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}},
        });
        writeln!(stdin, "{initialize}").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        drop(stdin);
        let status = child.wait().unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert!(answer["result"]["serverInfo"].is_object(), "{answer}");
        assert!(status.success(), "{}: {status}", block.place());
    }
}
