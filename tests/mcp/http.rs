//! `POST /mcp`: who may ask, and what is no request at all.

use mcp_otel_bridge::config::Secret;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::client::{Client, Revision, initialize, post};
use crate::process::Serving;

fn hello() -> String {
    initialize().to_string()
}

fn status(bench: &Bench, headers: &[(&str, &str)]) -> u16 {
    post(bench, hello(), headers).status
}

#[test]
fn only_known_hosts_may_be_asked_for() {
    let bench = Bench::with(|config| {
        config.mcp.allowed_hosts = vec!["Bridge.example".to_owned(), "other.example:9090".to_owned()];
    });
    for host in [
        "localhost",
        "localhost:9090",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:9090",
        "bridge.example",
        "bridge.example:80",
        "other.example:9090",
    ] {
        assert_eq!(status(&bench, &[("Host", host)]), 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "other.example", "other.example:80", "127.0.0.2", "[::2]"] {
        let answer = post(&bench, hello(), &[("Host", host)]);
        assert_eq!(answer.status, 403, "{host}");
        assert!(answer.text().contains("mcp.allowed_hosts"), "{}", answer.text());
    }
}

#[test]
fn only_pages_of_this_host_and_listed_ones_may_ask() {
    let bench = Bench::with(|config| config.mcp.allowed_origins = vec!["https://app.example:3000".to_owned()]);
    for origin in ["http://localhost:9090", "https://app.example:3000"] {
        assert_eq!(status(&bench, &[("Host", "localhost:9090"), ("Origin", origin)]), 200, "{origin}");
    }
    for origin in ["http://evil.example", "http://localhost:3000", "https://app.example", "null", ""] {
        let answer = post(&bench, hello(), &[("Host", "localhost:9090"), ("Origin", origin)]);
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.text().contains("mcp.allowed_origins"), "{}", answer.text());
    }
    // A page whose own name was pointed at this machine is of the host that it asks for.
    assert_eq!(status(&bench, &[("Host", "evil.example"), ("Origin", "http://evil.example")]), 403);
}

#[test]
fn the_token_holds_here_too() {
    let bench = Bench::with(|config| config.auth.all = Some(Secret::new("s3cret").into()));
    for (authorization, expected) in [(None, 401), (Some("Bearer wrong"), 401), (Some("Bearer s3cret"), 200)] {
        let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", *value)).collect();
        assert_eq!(status(&bench, &headers), expected);
    }
}

#[test]
fn each_tool_needs_its_right() {
    let bench = Bench::with(|config| {
        config.auth.scrape = Some(Secret::new("reads").into());
        config.auth.ingest = Some(Secret::new("reports").into());
        config.auth.admin = Some(Secret::new("both").into());
    });
    let call = |token: &str, method: &str, params: Value| {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
        let answer = post(&bench, Revision::Handshake.request(1, method, params).to_string(), &headers);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["result"].clone()
    };
    let reading = ["get_prometheus_metrics", "list_session_metrics", "get_metrics_summary"];
    let reporting = ["track_session_start", "track_session_end", "record_event"];
    for (token, right, may_not) in
        [("reads", "ingest", &reporting[..]), ("reports", "scrape", &reading), ("both", "", &[])]
    {
        let tools = call(token, "tools/list", json!({}))["tools"].as_array().unwrap().clone();
        assert_eq!(tools.len(), reading.len() + reporting.len());
        for tool in reading.iter().chain(&reporting) {
            let text =
                call(token, "tools/call", json!({"name": tool, "arguments": {}}))["content"][0]["text"].to_string();
            assert_eq!(text.contains(&format!("{tool} needs the right `{right}`")), may_not.contains(tool), "{text}");
        }
    }
    let record = |token| {
        let event =
            json!({"event_type": "mcp_event", "component_name": "a", "emitted_type": "b", "duration_seconds": 1.0});
        call(token, "tools/call", json!({"name": "record_event", "arguments": event}))["isError"].clone()
    };
    let recorded = |label: &str| {
        bench.bridge.render(mcp_otel_bridge::expose::exposition::Format::Text004).unwrap().contains(label)
    };
    assert_eq!((record("reads"), recorded("component_name=\"a\"")), (json!(true), false));
}

#[test]
fn what_is_no_message_is_a_fault_of_json_rpc() {
    let bench = Bench::start();
    for (body, code) in
        [("{", -32700), ("", -32700), ("[]", -32600), ("{}", -32600), ("17", -32600), (r#"{"jsonrpc":"1.0"}"#, -32600)]
    {
        let answer = post(&bench, body, &[]);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(code)), "{body}");
        assert_eq!((&answer.json()["jsonrpc"], &answer.json()["id"]), (&json!("2.0"), &Value::Null));
    }
    assert_eq!(status(&bench, &[("Content-Type", "text/plain")]), 415);
    assert_eq!(status(&bench, &[("Accept", "text/html")]), 406);
    let get = bench.get_with("/mcp", &[("Host", "localhost")]);
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let bench = Bench::with(|config| config.limits.body_bytes = 2048);
    assert_eq!(status(&bench, &[]), 200);
    assert_eq!(post(&bench, vec![b' '; 2049], &[]).status, 413);
}

#[test]
fn no_session_is_kept() {
    let bench = Bench::start();
    let answer = post(&bench, hello(), &[]);
    assert_eq!((answer.status, answer.header("mcp-session-id")), (200, None));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    // A call without a handshake, as after a restart of the bridge.
    let call = Revision::Handshake.request(1, "tools/call", json!({"name": "get_metrics_summary"}));
    let answer = post(&bench, call.to_string(), &[("MCP-Protocol-Version", "2025-11-25")]);
    assert_eq!(answer.json()["result"]["isError"], false);
}

#[test]
fn a_revision_that_is_not_known_is_refused_with_those_that_are() {
    let bench = Bench::start();
    let mut request = Revision::Stateless.request(1, "tools/list", json!({}));
    request["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2030-01-01".into();
    let headers = [("MCP-Protocol-Version", "2030-01-01"), ("Mcp-Method", "tools/list")];
    let answer = post(&bench, request.to_string(), &headers);
    assert_eq!(answer.status, 400);
    let supported = answer.json()["error"]["data"]["supported"].as_array().unwrap().clone();
    assert!(supported.contains(&json!("2025-11-25")) && supported.contains(&json!("2026-07-28")), "{supported:?}");
    // An older client that asks for a newer handshake is offered the newest there is.
    let mut hello = initialize();
    hello["params"]["protocolVersion"] = "2030-01-01".into();
    assert_eq!(post(&bench, hello.to_string(), &[]).json()["result"]["protocolVersion"], "2025-11-25");
    let answer = post(&bench, request.to_string(), &[("MCP-Protocol-Version", "2025-11-25")]);
    assert_eq!(answer.status, 400, "the header and the request name different ones");
}

#[test]
fn many_clients_are_answered_at_once() {
    let bench = Bench::start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::http(&bench, Revision::Stateless);
                for _ in 0..20 {
                    let event = json!({"event_type": "search_call"});
                    client.structured("record_event", json!({"event": event}));
                }
            });
        }
    });
    assert_eq!(bench.sum("mcp_hub_search_api_calls_total"), 160.0);
}

#[test]
fn the_log_says_nothing_of_single_requests() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path(), &[]);
    for (host, expected) in [("localhost", 200), ("evil.example", 403)] {
        let request = ureq::post(serving.url("/mcp")).header("host", host).header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream");
        let answer = request.config().http_status_as_error(false).build().send(hello()).unwrap();
        assert_eq!(answer.status().as_u16(), expected);
    }
    let (code, _, log) = serving.stop("-TERM");
    assert_eq!(code, Some(0));
    assert!(!log.contains("serve_inner") && !log.contains("evil.example"), "{log}");
}
