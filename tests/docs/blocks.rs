//! The blocks of JSON and YAML.

use std::process::Command;

use serde_json::Value;

use crate::pages::{Block, for_users};
use crate::peers::bridge::Bridge;

/// How the blocks of YAML begin that are not the bridge's.
const OTHERS: [&str; 3] = ["prometheus.yml", "kustomization.yaml\n", "values.yaml of kube-prometheus-stack\n"];

fn blocks(language: &str) -> Vec<Block> {
    let blocks = for_users().iter().flat_map(crate::pages::Page::blocks).collect::<Vec<_>>();
    blocks.into_iter().filter(|block| block.language == language).collect()
}

#[test]
fn every_block_of_json_can_be_read() {
    let blocks = blocks("json");
    assert!(blocks.len() > 20, "{}", blocks.len());
    for block in blocks {
        let read: Result<Value, _> = serde_json::from_str(&block.text);
        assert!(read.is_ok(), "{}: {read:?}", block.place());
    }
}

#[test]
fn every_event_in_a_block_is_taken_as_it_stands() {
    let bridge = Bridge::options().start();
    let mut sent = 0;
    for block in blocks("json") {
        let events = match serde_json::from_str(&block.text).unwrap() {
            Value::Array(events) => events,
            event => vec![event],
        };
        if events.iter().any(|event| event.get("event_type").is_none()) {
            continue;
        }
        let answer = bridge.send(&events);
        sent += events.len();
        for result in answer["results"].as_array().unwrap() {
            assert!(result["status"] != "error" && result.get("warnings").is_none(), "{}: {result}", block.place());
        }
    }
    assert!(sent > 25, "{sent}");
}

#[test]
fn every_block_of_yaml_is_a_configuration_that_is_good() {
    let dir = tempfile::tempdir().unwrap();
    files_of_the_pages(dir.path());
    let mut checked = 0;
    for block in blocks("yaml") {
        let read: Result<Value, _> = serde_saphyr::from_str(&block.text);
        assert!(read.is_ok(), "{}: {read:?}", block.place());
        // The file of another program names itself; tests/peer_docs gives it to that program.
        if OTHERS.iter().any(|other| block.text.starts_with(&format!("# {other}"))) {
            continue;
        }
        let file = dir.path().join("bridge.yaml");
        std::fs::write(&file, block.text.replace("/etc/mcp-otel-bridge", dir.path().to_str().unwrap())).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"));
        let output = command.args(["check", "--config"]).arg(&file).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {log}", block.place());
        checked += 1;
    }
    assert!(checked > 2, "{checked}");
}

/// What the pages suppose in /etc/mcp-otel-bridge.
fn files_of_the_pages(dir: &std::path::Path) {
    for name in ["token", "scrape", "ingest", "password"] {
        std::fs::write(dir.join(name), format!("a-secret-for-{name}\n")).unwrap();
    }
    std::fs::create_dir(dir.join("tls")).unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, pem) in [
        ("tls.crt", certified.cert.pem()),
        ("tls.key", certified.signing_key.serialize_pem()),
        ("ca.crt", certified.cert.pem()),
    ] {
        std::fs::write(dir.join("tls").join(name), pem).unwrap();
    }
}
