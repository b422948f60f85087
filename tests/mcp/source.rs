//! Who sends events says so in a header, where it is a part of the bridge.

use crate::bench::{Bench, mcp_event};

fn send(bench: &Bench, sources: &[&str]) -> crate::bench::Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(sources.iter().map(|source| ("mcp-otel-bridge-source", *source)));
    bench.request("POST", "/v1/events", &headers, mcp_event("a").to_string().as_bytes())
}

#[test]
fn events_count_under_the_source_that_their_header_names() {
    let bench = Bench::start();
    for sources in [&[][..], &["mcp"], &["wrap"]] {
        assert_eq!(send(&bench, sources).status, 200);
    }
    for source in ["http", "mcp", "wrap"] {
        assert_eq!(bench.sum(&format!("bridge_events_accepted_total{{source=\"{source}\"}}")), 1.0, "{source}");
    }
    // What cannot be read counts under it too.
    let headers = [("Content-Type", "application/json"), ("mcp-otel-bridge-source", "wrap")];
    assert_eq!(bench.request("POST", "/v1/events", &headers, b"{").status, 400);
    assert_eq!(bench.sum("bridge_events_rejected_total{source=\"wrap\""), 1.0);
}

#[test]
fn any_other_source_is_refused_and_records_nothing() {
    let bench = Bench::start();
    for sources in [&["http"][..], &["grpc"], &["MCP"], &[""], &["mcp, wrap"], &["mcp", "mcp"]] {
        let answer = send(&bench, sources);
        assert_eq!(answer.status, 400, "{sources:?}");
        let why = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(why.contains("mcp-otel-bridge-source") && why.contains("mcp or wrap"), "{why}");
    }
    assert_eq!(bench.sum("bridge_events_received_total"), 0.0);
}
