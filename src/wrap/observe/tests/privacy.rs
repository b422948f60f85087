//! What clients and servers say to each other stays with them.

use serde_json::{Value, json};

use super::script::Script;
use crate::wrap::tap::Way;

/// Stands wherever a client or a server can put something of its own.
const SECRET: &str = "hunter2";

#[test]
fn nothing_of_what_is_said_is_reported() {
    let mut script = Script::begun();
    script.list_tools();
    let deep = json!({SECRET: [{SECRET: SECRET, "name": SECRET, "_meta": {"traceparent": SECRET}}]});
    let calls = [
        ("tools/call", json!({"name": "search", "arguments": deep, "_meta": {"traceparent": SECRET, SECRET: 1}})),
        ("tools/call", json!({"name": SECRET, "arguments": {"query": SECRET}})),
        ("prompts/get", json!({"name": SECRET, "arguments": {"a": SECRET}})),
        ("resources/read", json!({"uri": format!("file:///{SECRET}")})),
        ("resources/subscribe", json!({"uri": SECRET})),
        ("completion/complete", json!({"ref": {"name": SECRET}, "argument": {"name": SECRET, "value": SECRET}})),
        ("logging/setLevel", json!({"level": SECRET})),
        (SECRET, json!({SECRET: SECRET})),
    ];
    let answers = [
        json!({"result": {"content": [{"type": "text", "text": SECRET}], "isError": true, "structuredContent": deep}}),
        json!({"error": {"code": -32000, "message": SECRET, "data": deep}}),
        json!({"result": {"resultType": "input_required", "requestState": SECRET, "inputRequests": {SECRET: deep}}}),
        json!({"result": {"resultType": SECRET, "tools": [{"name": SECRET}], "serverInfo": {"name": SECRET}}}),
        json!({"error": {"code": SECRET}}),
        json!({"result": SECRET}),
    ];
    let mut id = 0;
    for (method, params) in &calls {
        for answer in &answers {
            id += 1;
            let own = format!("{SECRET}-{id}");
            let mut answer = answer.clone();
            answer["id"] = own.clone().into();
            script.client(json!({"jsonrpc": "2.0", "id": own, "method": method, "params": params}));
            script.server(answer.clone());
            // The same the other way.
            script.server(json!({"jsonrpc": "2.0", "id": own, "method": method, "params": params}));
            script.client(answer);
        }
        script.client(json!({"jsonrpc": "2.0", "method": method, "params": params}));
        script.server(
            json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": SECRET, "logger": SECRET}}),
        );
    }
    script.server(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": SECRET, "reason": SECRET}}));
    script.bytes(Way::ToClient, format!("{SECRET}\n").as_bytes());
    script.bytes(Way::ToClient, SECRET.as_bytes());
    script.exit(1 << 8);
    let text = Value::from(script.events.clone()).to_string();
    assert!(!text.contains(SECRET), "{text}");
    // It was all seen: each request of both ways is told of.
    assert_eq!(script.operations().len(), 2 * calls.len() * answers.len());
    assert!(script.operations().iter().all(|(_, tool, ..)| matches!(tool, None | Some("search" | "_other"))));
}

#[test]
fn a_tool_has_its_name_once_a_list_has_named_it() {
    let mut script = Script::begun();
    script.call(1, "search");
    script.result(1, json!({}));
    script.request(2, "tools/list");
    script.result(2, json!({"tools": [{"name": "search"}, {"name": "line\nbreak"}, {"name": 7}], "nextCursor": "x"}));
    script.client(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list", "params": {"cursor": "x"}}));
    script.result(3, json!({"tools": [{"name": "add"}]}));
    // The list changes, and what was named before may still be called.
    script.server(json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    script.request(4, "tools/list");
    script.result(4, json!({"tools": [{"name": "remove"}]}));
    script.events.clear();
    // An answer to something else names no tools.
    script.request(5, "resources/list");
    script.result(5, json!({"tools": [{"name": "other"}]}));
    script.events.clear();
    for (id, tool) in [(6, "search"), (7, "add"), (8, "remove"), (9, "other"), (10, "line\nbreak")] {
        script.call(id, tool);
        script.result(id, json!({}));
    }
    let tools: Vec<_> = script.operations().into_iter().map(|(_, tool, ..)| tool.unwrap()).collect();
    assert_eq!(tools, ["search", "add", "remove", "_other", "_other"]);
}

#[test]
fn a_server_with_too_many_tools_makes_no_more_labels_than_may_be() {
    let mut script = Script::begun();
    for page in 0..3 {
        let tools: Vec<Value> = (0..1000).map(|tool| json!({"name": format!("tool-{page}-{tool}")})).collect();
        script.request(page, "tools/list");
        script.result(page, json!({"tools": tools}));
    }
    script.events.clear();
    for (id, tool) in [(1, "tool-0-0"), (2, "tool-1-23"), (3, "tool-1-24"), (4, "tool-2-0")] {
        script.call(id, tool);
        script.result(id, json!({}));
    }
    let tools: Vec<_> = script.operations().into_iter().map(|(_, tool, ..)| tool.unwrap()).collect();
    assert_eq!(tools, ["tool-0-0", "tool-1-23", "_other", "_other"]);
}
