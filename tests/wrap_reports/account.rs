//! What the bridge shows of a session is what went on in it, and nothing of what was said.

use std::path::Path;

use serde_json::json;
use support::traced::{attributes, hex};

use crate::process::{PATIENCE, Serving};
use crate::session::{COMPONENT, Session, await_accepted, command, samples};
use crate::support::collector::Collector;
use crate::support::events::until;
use crate::support::{self};

/// The server gives it in every answer, and the client puts it wherever it can.
const SECRET: &str = "hunter2";
const OUTSIDE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CLIENTS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn the_numbers_and_the_spans_are_those_of_the_session_and_hold_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let bridge = Serving::start(dir.path(), &["--otlp-endpoint", &collector.endpoint()]);
    let mut command = command();
    command.env("TRACEPARENT", OUTSIDE);
    let mut session = Session::with(command, &bridge.address());
    session.notify("notifications/initialized", json!({}));
    session.ask("tools/list", json!({}));
    let call = |tool: &str| json!({"name": tool, "arguments": {SECRET: SECRET}, "_meta": {"progressToken": SECRET}});
    for _ in 0..7 {
        session.ask("tools/call", call("search"));
    }
    for _ in 0..3 {
        session.ask("tools/call", call("fail"));
    }
    session.ask("tools/call", json!({"name": "search", "_meta": {"traceparent": CLIENTS}}));
    session.ask("tools/call", call(SECRET));
    session.ask("resources/read", json!({"uri": format!("file:///{SECRET}")}));
    session.ask("prompts/get", json!({"name": SECRET}));
    session.ask("prompts/get", json!({"name": SECRET}));
    session.ask(SECRET, json!({}));
    let cancelled = session.send("tools/call", call("silent"));
    session.notify("notifications/cancelled", json!({"requestId": cancelled, "reason": SECRET}));
    session.send("tools/call", call("silent"));
    session.ping(20);
    // All but the request without an answer, and the end.
    await_accepted(&bridge, 42);
    assert_eq!(session.close(), "");

    let operations = [
        ("initialize", "", "", 1.0),
        ("tools/list", "", "", 1.0),
        ("tools/call", "search", "", 8.0),
        ("tools/call", "fail", "tool_error", 3.0),
        ("tools/call", "_other", "", 1.0),
        ("resources/read", "", "", 1.0),
        ("prompts/get", "", "-32602", 2.0),
        ("_other", "", "", 1.0),
        ("tools/call", "silent", "cancelled", 1.0),
        ("tools/call", "silent", "aborted", 1.0),
        ("ping", "", "", 20.0),
    ];
    // And the start, the end, and two notifications.
    let total: f64 = operations.iter().map(|(.., count)| count).sum();
    await_accepted(&bridge, total as u64 + 4);
    let samples = samples(&bridge);
    for (method, tool, error, count) in operations {
        let tool = if tool.is_empty() { String::new() } else { format!("gen_ai_tool_name=\"{tool}\",") };
        let error = if error.is_empty() { String::new() } else { format!("error_type=\"{error}\",") };
        let key = format!(
            "mcp_server_operation_duration_seconds_count{{component_name=\"{COMPONENT}\",mcp_method_name=\"{method}\",\
             {tool}{error}mcp_protocol_version=\"2025-11-25\",network_transport=\"pipe\"}}"
        );
        assert_eq!(samples.get(&key), count, "{key}");
    }
    assert_eq!(samples.named(&["mcp_server_operation_duration_seconds_count"]).len(), operations.len());
    let started = format!("session_start_total{{component_name=\"{COMPONENT}\",shell_type=\"claude-ai\"}}");
    assert_eq!(samples.get(&started), 1.0);
    assert_eq!(samples.get(&format!("session_end_total{{component_name=\"{COMPONENT}\",status=\"success\"}}")), 1.0);
    for method in ["notifications/initialized", "notifications/cancelled"] {
        let key = format!("mcp_event_emit_success_total{{component_name=\"{COMPONENT}\",event_type=\"{method}\"}}");
        assert_eq!(samples.get(&key), 1.0);
    }

    // The session's span is the last to come.
    let session_span = format!("session {COMPONENT}");
    until("all spans", || collector.seen(|seen| seen.all_spans().len()) > total as usize);
    let spans = collector.seen(|seen| seen.all_spans());
    let session = spans.iter().find(|span| span.name == session_span).unwrap();
    assert_eq!(hex(&session.parent_span_id), "b7ad6b7169203331");
    assert_eq!(attributes(session)["server_name"], "\"Notes 2\"");
    for span in spans.iter().filter(|span| span.name != session_span) {
        let parent = hex(&span.parent_span_id);
        if parent == "00f067aa0ba902b7" {
            assert_eq!((span.name.as_str(), hex(&span.trace_id)), ("tools/call search", CLIENTS[3..35].to_owned()));
        } else {
            assert_eq!(parent, hex(&session.span_id), "{}", span.name);
        }
    }
    assert_eq!(spans.iter().filter(|span| hex(&span.trace_id) == CLIENTS[3..35]).count(), 1);

    // Nothing of it anywhere that the bridge shows, keeps, logs or sends.
    for path in ["/metrics", "/v1/sessions", "/v1/metrics/summary", "/health/metrics", "/readyz"] {
        assert!(!bridge.get(path).contains(SECRET), "{path}");
    }
    assert!(!format!("{spans:?}").contains(SECRET));
    collector.seen(|seen| {
        for got in &seen.metrics {
            assert!(!format!("{:?}", got.request).contains(SECRET));
        }
    });
    let (_, took, log) = bridge.stop("-TERM");
    assert!(took < PATIENCE && !log.contains(SECRET), "{log}");
    assert_files_hold_nothing(dir.path());
}

fn assert_files_hold_nothing(dir: &Path) {
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_files_hold_nothing(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "{}", path.display());
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn a_crash_is_a_session_that_ended_in_error() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[]);
    let mut crashing = crate::client::wrap(&["--component", "crasher"], "read line; exit 3");
    crashing.env("MCP_OTEL_BRIDGE_URL", format!("http://{}", bridge.address()));
    let mut server = crate::client::Wrapped::start(crashing);
    server.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
    assert_eq!(server.wait().code(), Some(3));
    await_accepted(&bridge, 3);
    let samples = samples(&bridge);
    assert_eq!(samples.get("session_end_total{component_name=\"crasher\",status=\"error\"}"), 1.0);
    let counts = samples.named(&["mcp_server_operation_duration_seconds_count{"]);
    assert!(counts.keys().all(|key| key.contains("error_type=\"aborted\"")) && counts.len() == 1, "{counts:?}");
}
