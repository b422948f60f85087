//! MCP operations: what each counts, the emission that it is, its span, and the sessions that speak MCP.

#![allow(clippy::unwrap_used)]

mod support;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::event::{ComponentName, Direction, Label, McpOperation, Seconds, Status, Transport};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};
use support::collector::Collector;
use support::events::{end, send, session_id, start, with};
use support::samples::Samples;
use support::traced::{attributes, builder, hex, spans, traceparent};

fn bridge() -> Bridge {
    Bridge::builder().build().unwrap()
}

/// A call of the tool `search` over stdio.
fn call() -> Value {
    json!({
        "event_type": "mcp_operation", "component_name": "notes-server", "method": "tools/call",
        "tool_name": "search", "direction": "to_server", "duration_seconds": 0.25, "protocol_version": "2025-11-25",
        "transport": "stdio", "timestamp": "2026-02-06T12:00:01Z",
    })
}

fn without(mut event: Value, field: &str) -> Value {
    event.as_object_mut().unwrap().remove(field);
    event
}

const LABELS: &str = "component_name=\"notes-server\",mcp_method_name=\"tools/call\",gen_ai_tool_name=\"search\",\
                      mcp_protocol_version=\"2025-11-25\",network_transport=\"pipe\"";

#[test]
fn an_operation_is_a_duration_of_its_direction_and_an_emission_of_its_method() {
    let bridge = bridge();
    assert_eq!(send(&bridge, call()).status, Status::Recorded);
    let samples = Samples::of(&bridge);
    assert_eq!(samples.get(&format!("mcp_server_operation_duration_seconds_count{{{LABELS}}}")), 1.0);
    assert_eq!(samples.get(&format!("mcp_server_operation_duration_seconds_sum{{{LABELS}}}")), 0.25);
    assert_eq!(samples.get(&format!("mcp_server_operation_duration_seconds_bucket{{{LABELS},le=\"0.2\"}}")), 0.0);
    assert_eq!(samples.get(&format!("mcp_server_operation_duration_seconds_bucket{{{LABELS},le=\"0.5\"}}")), 1.0);
    assert_eq!(samples.total("mcp_client_operation_duration"), 0.0);
    let emitted = "component_name=\"notes-server\",event_type=\"tools/call\"";
    assert_eq!(samples.get(&format!("mcp_event_emit_success_total{{{emitted}}}")), 1.0);
    assert_eq!(samples.get(&format!("mcp_event_emit_duration_seconds_sum{{{emitted}}}")), 0.25);
    assert_eq!(samples.total("mcp_event_emit_failure_total"), 0.0);
}

#[test]
fn what_is_absent_leaves_no_label_and_http_is_tcp() {
    let bridge = bridge();
    let ping = with(without(without(call(), "tool_name"), "protocol_version"), "method", "ping");
    send(&bridge, with(ping, "transport", "http"));
    let key = "mcp_server_operation_duration_seconds_count{component_name=\"notes-server\",mcp_method_name=\"ping\",\
               network_transport=\"tcp\"}";
    assert_eq!(Samples::of(&bridge).get(key), 1.0);
}

#[test]
fn a_failed_operation_carries_its_error_in_both() {
    let bridge = bridge();
    send(&bridge, with(call(), "error_type", "tool_error"));
    let samples = Samples::of(&bridge);
    let counts = samples.named(&["mcp_server_operation_duration_seconds_count"]);
    assert_eq!(counts.len(), 1);
    assert!(counts.keys().all(|key| key.contains("error_type=\"tool_error\"")), "{counts:?}");
    let failure = "mcp_event_emit_failure_total{component_name=\"notes-server\",event_type=\"tools/call\",\
                   error_type=\"tool_error\"}";
    assert_eq!(samples.get(failure), 1.0);
    assert_eq!(samples.total("mcp_event_emit_success_total"), 0.0);
}

#[test]
fn a_request_of_the_server_to_its_client_is_a_client_s() {
    let bridge = bridge();
    let sampling = with(without(call(), "tool_name"), "method", "sampling/createMessage");
    send(&bridge, with(sampling, "direction", "to_client"));
    let samples = Samples::of(&bridge);
    assert_eq!(samples.named(&["mcp_client_operation_duration_seconds_count"]).len(), 1);
    assert_eq!(samples.total("mcp_server_operation_duration"), 0.0);
    let emitted = "mcp_event_emit_success_total{component_name=\"notes-server\",event_type=\"sampling/createMessage\"}";
    assert_eq!(samples.get(emitted), 1.0);
}

#[test]
fn the_library_records_the_same() {
    let (library, json) = (bridge(), bridge());
    let operation = McpOperation {
        component_name: ComponentName::new("notes-server").unwrap(),
        method: Label::new("tools/call").unwrap(),
        tool_name: Some(Label::new("search").unwrap()),
        direction: Direction::ToServer,
        duration_seconds: Seconds::new(0.25).unwrap(),
        error_type: None,
        protocol_version: Some(Label::new("2025-11-25").unwrap()),
        transport: Transport::Stdio,
        session_id: None,
    };
    library.mcp_operation(operation).unwrap();
    send(&json, call());
    let recorded = |bridge: &Bridge| Samples::of(bridge).named(&["mcp_"]);
    assert_eq!(recorded(&library), recorded(&json));
}

#[test]
fn an_operation_is_a_span_under_its_session_with_the_labels_of_its_metric() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let started = send(&bridge, start("notes-server", "2026-02-06T12:00:00Z", "00000001"));
    let id = session_id(&started);
    let called = send(&bridge, with(with(call(), "session_id", id), "error_type", "tool_error"));
    assert_eq!(session_id(&called), id);
    let spans = spans(&bridge, &collector);
    let span = spans.one("tools/call search");
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(traceparent(span), called.traceparent.unwrap().to_string());
    let session = started.traceparent.unwrap();
    assert_eq!(hex(&span.trace_id), session.trace_id().to_string());
    assert_eq!(hex(&span.parent_span_id), session.span_id().to_string());
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 250_000_000);
    assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error);
    let expected = [
        ("component_name", "notes-server"),
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "search"),
        ("gen_ai.operation.name", "execute_tool"),
        ("error.type", "tool_error"),
        ("mcp.protocol.version", "2025-11-25"),
        ("network.transport", "pipe"),
        ("session.id", id),
    ];
    let found = attributes(span);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (key, value) in expected {
        assert_eq!(found[key], format!("{value:?}"), "{key}");
    }
    let samples = Samples::of(&bridge);
    for name in ["mcp_server_operation_duration_seconds", "mcp_event_emit_failure_total"] {
        let exemplars = samples.exemplars_of(name);
        assert_eq!(exemplars.len(), 1, "{name}");
        assert_eq!(exemplars[0].span_id, hex(&span.span_id), "{name}");
    }
}

#[test]
fn a_traceparent_goes_before_the_session_and_an_unsampled_one_leaves_no_trace() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let started = send(&bridge, start("notes-server", "2026-02-06T12:00:00Z", "00000001"));
    let called = with(call(), "session_id", session_id(&started));
    let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let hidden = with(with(called.clone(), "traceparent", unsampled), "tool_name", "hidden");
    assert!(!send(&bridge, hidden).traceparent.unwrap().is_sampled());
    let request = with(with(called, "traceparent", sampled), "direction", "to_client");
    send(&bridge, without(with(request, "method", "roots/list"), "tool_name"));
    let spans = spans(&bridge, &collector);
    let span = spans.one("roots/list");
    assert_eq!((span.kind(), hex(&span.parent_span_id).as_str()), (SpanKind::Client, "b7ad6b7169203331"));
    assert_eq!(spans.names(), ["roots/list"]);
    assert!(Samples::of(&bridge).exemplars_of("mcp_server_operation_duration").is_empty());
}

#[test]
fn the_span_of_a_session_tells_who_took_part() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let peers = with(
        with(
            start("acme-notes", "2026-02-06T12:00:00Z", "00000001"),
            "server",
            json!({"name": "@acme/notes", "version": "3"}),
        ),
        "client",
        json!({"name": "claude-ai"}),
    );
    let started = send(&bridge, peers);
    send(&bridge, end(session_id(&started), "2026-02-06T12:01:00Z"));
    let found = attributes(spans(&bridge, &collector).one("session acme-notes"));
    for (key, value) in [("server_name", "@acme/notes"), ("server_version", "3"), ("client_name", "claude-ai")] {
        assert_eq!(found[key], format!("{value:?}"), "{key}");
    }
    assert!(!found.contains_key("client_version"));
    // None of it is a label.
    assert!(Samples::of(&bridge).values.keys().all(|key| !key.contains("@acme")));
}

#[test]
fn a_session_that_told_of_mcp_has_an_mcp_duration_when_it_ends() {
    let bridge = bridge();
    let silent = send(&bridge, start("plain", "2026-02-06T12:00:00Z", "00000001"));
    let speaks = |prefix: &str| {
        let started = start("notes-server", "2026-02-06T12:00:00Z", prefix);
        with(with(started, "protocol_version", "2025-11-25"), "transport", "http")
    };
    let first = send(&bridge, speaks("00000002"));
    let second = send(&bridge, speaks("00000003"));
    send(&bridge, end(session_id(&silent), "2026-02-06T12:01:00Z"));
    send(&bridge, end(session_id(&first), "2026-02-06T12:01:00Z"));
    send(&bridge, with(end(session_id(&second), "2026-02-06T12:00:30Z"), "status", "error"));
    let labels = "component_name=\"notes-server\",mcp_protocol_version=\"2025-11-25\",network_transport=\"tcp\"";
    let samples = Samples::of(&bridge);
    let sum = "mcp_server_session_duration_seconds_sum";
    assert_eq!(samples.get(&format!("{sum}{{{labels}}}")), 60.0);
    assert_eq!(samples.get(&format!("{sum}{{{labels},error_type=\"_OTHER\"}}")), 30.0);
    assert_eq!(samples.named(&[sum]).len(), 2);
}

#[test]
fn the_code_of_an_error_has_its_own_name_on_the_span() {
    for (error, code) in [("-32602", Some("-32602")), ("tool_error", None)] {
        let collector = Collector::start();
        let bridge = builder(&collector).build().unwrap();
        send(&bridge, with(call(), "error_type", error));
        let found = attributes(spans(&bridge, &collector).one("tools/call search"));
        assert_eq!(found.get("rpc.response.status_code").cloned(), code.map(|code| format!("{code:?}")), "{found:?}");
    }
}
