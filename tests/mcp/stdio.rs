//! `mcp-otel-bridge mcp`: a server on stdio that asks a running bridge, and says so where there is none.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use mcp_otel_bridge::config::Secret;
use serde_json::json;

use crate::bench::Bench;
use crate::client::{Client, Command, Revision, initialize};
use crate::process::{program, run, text};

const SUMMARY: &str = "get_metrics_summary";

/// The URL of a port where nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn without_a_bridge_every_tool_says_so_and_how_to_start_one() {
    for revision in Revision::ALL {
        let url = nowhere();
        let mut client = Client::stdio(&url, &[], revision);
        let event = json!({"event": {"event_type": "search_call"}});
        for (tool, arguments) in [
            ("get_prometheus_metrics", json!({})),
            ("list_session_metrics", json!({})),
            (SUMMARY, json!({})),
            ("track_session_end", json!({"session_id": "a"})),
            ("record_event", event),
        ] {
            let told = client.failed(tool, arguments);
            assert!(told.contains(&format!("no bridge answers at {url}")), "{told}");
            assert!(told.contains("mcp-otel-bridge serve") && told.contains("MCP_OTEL_BRIDGE_URL"), "{told}");
        }
    }
}

#[test]
fn without_a_bridge_its_log_says_so_too() {
    let url = nowhere();
    let mut command = Command::start(&url, &[]);
    command.write(&initialize().to_string());
    command.read();
    command.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    command.write(&Revision::Handshake.request(1, "tools/call", json!({"name": SUMMARY})).to_string());
    assert_eq!(command.read()["result"]["isError"], true);
    let (code, rest, log) = command.finish();
    assert_eq!((code, rest.len()), (Some(0), 0));
    assert!(log.contains(&format!("mcp-otel-bridge: no bridge answers at {url}")), "{log}");
}

#[test]
fn what_is_in_hand_when_the_input_closes_is_answered() {
    let bench = Bench::start();
    let mut command = Command::start(&format!("http://{}", bench.addr), &[]);
    for id in 1..=20 {
        let event = json!({"event": {"event_type": "search_call"}});
        let params = json!({"name": "record_event", "arguments": event});
        command.write(&Revision::Stateless.request(id, "tools/call", params).to_string());
    }
    let (code, answers, log) = command.finish();
    assert_eq!((code, log.as_str()), (Some(0), ""));
    let mut ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
    assert_eq!(bench.sum("mcp_hub_search_api_calls_total"), 20.0);
}

#[test]
fn a_line_that_is_no_message_costs_only_itself() {
    let bench = Bench::start();
    let mut command = Command::start(&format!("http://{}", bench.addr), &[]);
    command.write(&initialize().to_string());
    assert_eq!(command.read()["result"]["protocolVersion"], "2025-11-25");
    command.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    command.write("{nonsense");
    command.write(&Revision::Handshake.request(7, "tools/call", json!({"name": SUMMARY})).to_string());
    let answer = loop {
        let answer = command.read();
        if answer["id"] == 7 {
            break answer;
        }
        assert!(answer["error"].is_object(), "{answer}");
    };
    assert_eq!(answer["result"]["isError"], false);
}

#[test]
fn the_token_comes_from_the_environment() {
    let bench = Bench::with(|config| config.auth.all = Some(Secret::new("s3cret").into()));
    let url = format!("http://{}", bench.addr);
    let told = Client::stdio(&url, &[], Revision::Stateless).failed(SUMMARY, json!({}));
    assert!(told.contains("asks for its token: set MCP_OTEL_BRIDGE_TOKEN"), "{told}");
    let mut client = Client::stdio(&url, &[("MCP_OTEL_BRIDGE_TOKEN", "s3cret")], Revision::Stateless);
    assert_eq!(client.structured(SUMMARY, json!({}))["total_sessions_started"], 0);
}

#[test]
fn what_is_no_bridge_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let other = std::thread::spawn(move || {
        // The start of the server asks once, and the tool's call once.
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").unwrap();
        }
    });
    let told = Client::stdio(&url, &[], Revision::Stateless).failed(SUMMARY, json!({}));
    assert!(told.contains(&format!("what answers at {url} is no mcp-otel-bridge")), "{told}");
    other.join().unwrap();
}

#[test]
fn an_input_that_ends_at_once_is_no_fault_and_a_wrong_url_is_one_of_usage() {
    let output = program().arg("mcp").output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), ""));
    let output = run(&["mcp", "--bridge", "nonsense"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is no URL of a bridge"), "{}", text(&output.stderr));
}
