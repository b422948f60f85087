//! How requests end, and what is told of it.

use serde_json::json;

use super::script::Script;
use crate::wrap::report::Loss;
use crate::wrap::tap::Way;

const ABORTED: Option<&str> = Some("aborted");

#[test]
fn a_call_is_its_method_its_tool_and_the_time_to_its_answer() {
    let mut script = Script::begun();
    script.list_tools();
    script.call(1, "search");
    script.after(250).result(1, json!({"content": [{"type": "text", "text": "found"}]}));
    assert_eq!(script.operations(), [("tools/call", Some("search"), 250, None)]);
    let event = &script.events[0];
    assert_eq!(event["component_name"], "-acme-Notes-2");
    assert_eq!(event["direction"], "to_server");
    assert_eq!(event["transport"], "stdio");
    assert_eq!(event["protocol_version"], "2025-11-25");
    assert_eq!(event["timestamp"], "2026-02-06T12:34:56.25Z");
    assert!(event["event_id"].is_string());
    assert!(event["session_id"].as_str().unwrap().starts_with("-acme-Notes-2-20260206-123456-"));
}

#[test]
fn answers_find_their_requests_in_any_order_and_ids_have_types() {
    let mut script = Script::begun();
    for (id, method) in [(json!(1), "ping"), (json!("1"), "tools/list"), (json!(1.5), "prompts/list")] {
        script.request(id, method);
    }
    script.after(10).result(1.5, json!({}));
    script.after(10).result("1", json!({}));
    // The number of the request, written in another way.
    script.after(10).bytes(Way::ToClient, b"{\"jsonrpc\":\"2.0\",\"id\":1.0e0,\"result\":{}}\n");
    let expected = [("prompts/list", None, 10, None), ("tools/list", None, 20, None), ("ping", None, 30, None)];
    assert_eq!(script.operations(), expected);
}

#[test]
fn an_answer_counts_once_and_only_to_what_was_asked() {
    let mut script = Script::begun();
    script.request(1, "ping");
    script.result(2, json!({}));
    script.result(1, json!({}));
    script.result(1, json!({}));
    script.error(1, -32603);
    script.server(json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "parse"}}));
    script.server(json!({"jsonrpc": "2.0", "result": {}}));
    // Answers of the client answer nothing that the client asked.
    script.request(3, "ping");
    script.client(json!({"jsonrpc": "2.0", "id": 3, "result": {}}));
    assert_eq!(script.operations(), [("ping", None, 0, None)]);
}

#[test]
fn an_id_may_be_used_again_once_it_is_answered() {
    let mut script = Script::begun();
    script.request(1, "ping");
    script.result(1, json!({}));
    script.request(1, "tools/list");
    script.after(5).error(1, -32601);
    assert_eq!(script.operations(), [("ping", None, 0, None), ("tools/list", None, 5, Some("-32601"))]);
    script.events.clear();
    // Before that, the two cannot be told from each other.
    script.request(2, "ping");
    script.after(7).request(2, "prompts/list");
    script.after(7).result(2, json!({}));
    assert_eq!(script.operations(), [("ping", None, 7, ABORTED), ("prompts/list", None, 7, None)]);
}

#[test]
fn errors_have_their_code_and_failed_tools_their_name() {
    let mut script = Script::begun();
    script.list_tools();
    script.call(1, "add");
    script.error(1, -32602);
    script.call(2, "add");
    script.result(2, json!({"isError": true, "content": []}));
    script.call(3, "add");
    script.result(3, json!({"isError": false, "structuredContent": {"isError": true}}));
    // What is no tool's result may hold anything.
    script.request(4, "resources/read");
    script.result(4, json!({"isError": true}));
    let errors: Vec<_> = script.operations().into_iter().map(|(.., error)| error).collect();
    assert_eq!(errors, [Some("-32602"), Some("tool_error"), None, None]);
}

#[test]
fn a_server_that_invents_codes_makes_no_more_labels_than_may_be() {
    let mut script = Script::begun();
    for id in 0..100 {
        script.request(id, "ping");
        script.error(id, id);
    }
    script.request(1, "ping");
    script.server(json!({"jsonrpc": "2.0", "id": 1, "error": {"code": "secret", "message": "no"}}));
    let mut errors: Vec<_> = script.operations().into_iter().filter_map(|(.., error)| error).collect();
    assert_eq!(errors.len(), 101);
    errors.sort_unstable();
    errors.dedup();
    assert_eq!(errors.len(), 33);
    assert!(errors.contains(&"_OTHER") && !errors.contains(&"secret"));
}

#[test]
fn a_request_that_is_taken_back_is_over_and_its_late_answer_is_none() {
    let mut script = Script::begun();
    script.list_tools();
    script.call("a", "search");
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a", "reason": "x"}});
    script.after(40).client(cancelled);
    script.after(40).result("a", json!({}));
    assert_eq!(script.operations(), [("tools/call", Some("search"), 40, Some("cancelled"))]);
    assert_eq!(script.of_type("mcp_event")[0]["emitted_type"], "notifications/cancelled");
}

#[test]
fn what_has_no_answer_at_the_end_is_aborted() {
    let mut script = Script::begun();
    script.request(1, "ping");
    script.after(5).request(2, "tools/list");
    script.server(json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}));
    script.after(5).shut_down(0);
    let mut operations = script.operations();
    operations.sort_unstable();
    let expected = [("ping", None, 10, ABORTED), ("roots/list", None, 5, ABORTED), ("tools/list", None, 5, ABORTED)];
    assert_eq!(operations, expected);
}

#[test]
fn a_server_asks_its_client_under_ids_of_its_own() {
    let mut script = Script::begun();
    script.list_tools();
    script.call(1, "search");
    for (id, method) in [(1, "sampling/createMessage"), (2, "elicitation/create"), (3, "roots/list")] {
        script.server(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}}));
    }
    script.after(10).client(json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    script.client(json!({"jsonrpc": "2.0", "id": 2, "error": {"code": -1, "message": "user declined"}}));
    script.server(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}));
    script.after(10).result(1, json!({}));
    let expected = [
        ("sampling/createMessage", None, 10, None),
        ("elicitation/create", None, 10, Some("-1")),
        ("roots/list", None, 10, Some("cancelled")),
        ("tools/call", Some("search"), 20, None),
    ];
    assert_eq!(script.operations(), expected);
    let directions: Vec<_> = script.of_type("mcp_operation").iter().map(|event| event["direction"].clone()).collect();
    assert_eq!(directions, ["to_client", "to_client", "to_client", "to_server"]);
}

#[test]
fn notifications_are_counted_and_have_no_latency() {
    let mut script = Script::begun();
    script.client(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    script.server(
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.5}}),
    );
    script.server(json!({"jsonrpc": "2.0", "method": "acme/private"}));
    // One that takes a while to go by.
    script.bytes(Way::ToClient, br#"{"jsonrpc":"2.0","method":"notifi"#);
    script.after(125).bytes(Way::ToClient, b"cations/message\"}\n");
    assert_eq!(script.operations(), []);
    let events = script.of_type("mcp_event");
    let told: Vec<_> = events
        .iter()
        .map(|event| (event["emitted_type"].as_str().unwrap(), event["duration_seconds"].as_f64().unwrap()))
        .collect();
    let expected = [
        ("notifications/initialized", 0.0),
        ("notifications/progress", 0.0),
        ("_other", 0.0),
        ("notifications/message", 0.125),
    ];
    assert_eq!(told, expected);
    assert!(events.iter().all(|event| event["component_name"] == "-acme-Notes-2"));
}

#[test]
fn a_subscription_took_as_long_as_it_took_to_open() {
    let mut script = Script::begun();
    let acknowledged = |id: i64| {
        let meta = json!({"io.modelcontextprotocol/subscriptionId": id});
        json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {"_meta": meta}})
    };
    script.request(1, "subscriptions/listen");
    script.after(30).server(acknowledged(1));
    assert_eq!(script.operations(), [("subscriptions/listen", None, 30, None)]);
    script.events.clear();
    // However it ends, and however long after.
    script.after(3_000_000).result(1, json!({"resultType": "complete"}));
    script.request(2, "subscriptions/listen");
    script.server(acknowledged(2));
    script.events.clear();
    let cancelled =
        |id: i64| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    script.after(1000).client(cancelled(2));
    // One that ends without having opened, by the server's word, by an error, or gracefully.
    for id in [3, 4, 5] {
        script.request(id, "subscriptions/listen");
    }
    script.after(1000).server(cancelled(3));
    script.error(4, -32602);
    script.result(5, json!({"resultType": "complete"}));
    // How long nothing was heard is no latency; a refusal is.
    assert_eq!(script.operations(), [("subscriptions/listen", None, 1000, Some("-32602"))]);
    script.request(6, "subscriptions/listen");
    script.server(acknowledged(6));
    // And one that is never acknowledged at all.
    script.request(7, "subscriptions/listen");
    script.events.clear();
    script.after(1000).shut_down(0);
    assert_eq!(script.operations(), []);
}

/// A step of a call that needs input: what the client repeats.
fn step(script: &mut Script, id: i64, tool: &str, more: serde_json::Value) {
    let mut params = json!({"name": tool});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    script.client(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
}

#[test]
fn a_call_that_asks_for_input_is_one_from_its_first_step_to_its_last() {
    let mut script = Script::begun();
    script.list_tools();
    let long = "s".repeat(5000);
    script.call(1, "search");
    script.after(5).call(2, "search");
    script
        .after(5)
        .result(1, json!({"resultType": "input_required", "requestState": "one", "inputRequests": {"a": {}}}));
    script.result(2, json!({"resultType": "input_required", "requestState": long}));
    assert_eq!(script.operations(), []);
    // They go on in another order, and one asks twice.
    script.after(1000);
    step(&mut script, 3, "search", json!({"requestState": long}));
    step(&mut script, 4, "search", json!({"requestState": "one", "inputResponses": {"a": {}}}));
    script
        .after(10)
        .result(4, json!({"resultType": "input_required", "requestState": "two", "inputRequests": {"b": {}}}));
    script.result(3, json!({"isError": true}));
    script.after(1000);
    step(&mut script, 5, "search", json!({"requestState": "two", "inputResponses": {"b": {}}}));
    script.after(10).result(5, json!({"content": []}));
    let expected =
        [("tools/call", Some("search"), 1015, Some("tool_error")), ("tools/call", Some("search"), 2030, None)];
    assert_eq!(script.operations(), expected);
}

#[test]
fn without_a_state_the_next_step_is_known_by_what_it_is_about() {
    let mut script = Script::begun();
    script.list_tools();
    for (id, tool) in [(1, "search"), (2, "add")] {
        script.call(id, tool);
        script.result(id, json!({"resultType": "input_required", "inputRequests": {"a": {}}}));
    }
    // A new call of the same tool is none of them.
    script.after(100).call(3, "add");
    script.after(10).result(3, json!({}));
    step(&mut script, 4, "add", json!({"inputResponses": {"a": {}}}));
    script.after(10).result(4, json!({}));
    assert_eq!(script.operations(), [("tools/call", Some("add"), 10, None), ("tools/call", Some("add"), 120, None)]);
    script.events.clear();
    // The one that is never taken up again was answered at once, and then given up.
    script.after(1000).shut_down(0);
    assert_eq!(script.operations(), [("tools/call", Some("search"), 0, ABORTED)]);
}

#[test]
fn what_waits_is_bounded() {
    let mut script = Script::begun();
    for id in 0..5000 {
        script.request(id, "ping");
    }
    assert_eq!(script.losses, [Loss::OpenRequests; 5000 - 4096]);
    for id in 0..5000 {
        script.result(id, json!({}));
    }
    assert_eq!(script.operations().len(), 4096);
    script.events.clear();
    for id in 0..300 {
        script.call(id, "x");
        script.after(1).result(id, json!({"resultType": "input_required", "requestState": format!("{id}")}));
    }
    assert_eq!(script.operations(), [("tools/call", Some("_other"), 1, ABORTED); 300 - 256]);
}
