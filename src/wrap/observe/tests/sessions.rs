//! The session: what it is called, when it begins, how it ends; of both kinds of revisions.

use serde_json::{Value, json};

use super::script::Script;
use crate::wrap::tap::{Piece, Way};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The `_meta` of a request of the newer revisions.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "inspector", "version": "9"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn modern(id: i64, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"_meta": meta()}})
}

#[test]
fn a_session_begins_with_the_first_answer_and_knows_both_sides() {
    let mut script = Script::of(None, "node", Some(PARENT));
    script.after(400).initialize();
    let start = &script.events[0];
    assert_eq!(start["event_type"], "session_start");
    assert_eq!(start["component_name"], "-acme-Notes-2");
    assert_eq!(start["shell_type"], "claude-ai");
    assert_eq!(start["server"], json!({"name": "@acme/Notes 2", "version": "3.1"}));
    assert_eq!(start["client"], json!({"name": "claude-ai", "version": "0.1.0"}));
    assert_eq!(start["protocol_version"], "2025-11-25");
    assert_eq!(start["transport"], "stdio");
    assert_eq!(start["traceparent"], PARENT);
    assert_eq!(start["event_version"], "1.0");
    // It started when the server did.
    assert_eq!(start["timestamp"], "2026-02-06T12:34:56Z");
    let operation = &script.events[1];
    assert_eq!(operation["method"], "initialize");
    let id = format!("-acme-Notes-2-20260206-123456-{}", &start["event_id"].as_str().unwrap()[..8]);
    assert_eq!(operation["session_id"], id);
    assert_eq!(operation["protocol_version"], "2025-11-25");
    assert_eq!(operation["traceparent"], Value::Null);
}

#[test]
fn the_component_is_the_given_name_or_the_servers_or_the_commands() {
    let component = |script: &Script| script.events[0]["component_name"].clone();
    let mut given = Script::of(Some("my server"), "node", None);
    given.initialize();
    assert_eq!(component(&given), "my-server");
    assert_eq!(given.events[0]["server"]["name"], "@acme/Notes 2");
    assert_eq!(given.events[1]["component_name"], "my-server");
    let mut slow = Script::of(None, "/opt/my tools/notes.py", None);
    slow.request(1, "ping");
    slow.after(999);
    assert_eq!(slow.events.len(), 0);
    slow.after(1);
    assert_eq!(component(&slow), "notes-py");
    assert_eq!(slow.events[0]["shell_type"], "unknown");
    assert_eq!(slow.events[0]["server"], Value::Null);
    // What is said later is for what comes later.
    slow.initialize();
    assert_eq!(slow.of_type("session_start").len(), 1);
    assert_eq!(slow.events[1]["component_name"], "-acme-Notes-2");
    assert_eq!(slow.events[1]["session_id"].as_str().unwrap()[..9], *"notes-py-");
}

#[test]
fn an_older_server_that_refuses_the_question_for_the_era_made_no_error() {
    for code in [-32601, -32602, -32000] {
        let mut script = Script::new();
        script.client(modern(1, "server/discover"));
        script.after(20).error(1, code);
        // Not yet: the answer that tells who it is comes next.
        assert_eq!(script.events.len(), 0);
        script.after(20).initialize();
        assert_eq!(script.events[0]["component_name"], "-acme-Notes-2");
        assert_eq!(script.events[0]["protocol_version"], "2025-11-25");
        let expected = [("server/discover", None, 20, None), ("initialize", None, 0, None)];
        assert_eq!(script.operations(), expected);
    }
    // One that says nothing to it.
    let mut silent = Script::new();
    silent.client(modern(1, "server/discover"));
    silent.after(500).initialize();
    assert_eq!(silent.operations(), [("server/discover", None, 500, None), ("initialize", None, 0, None)]);
    // The errors of the newer revisions are errors.
    let mut modern_error = Script::new();
    modern_error.client(modern(1, "server/discover"));
    modern_error.error(1, -32022);
    assert_eq!(modern_error.operations(), [("server/discover", None, 0, Some("-32022"))]);
    // So is the same code to any other method.
    let mut other = Script::begun();
    other.request(1, "prompts/list");
    other.error(1, -32601);
    assert_eq!(other.operations(), [("prompts/list", None, 0, Some("-32601"))]);
}

#[test]
fn a_session_of_the_newer_revisions_needs_no_handshake() {
    let mut script = Script::new();
    script.client(modern(1, "server/discover"));
    script.after(5).result(
        1,
        json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"],
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "notes", "version": "4"}},
        }),
    );
    let start = &script.events[0];
    assert_eq!(start["component_name"], "notes");
    assert_eq!(start["server"]["version"], "4");
    assert_eq!(start["shell_type"], "inspector");
    assert_eq!(start["protocol_version"], "2026-07-28");
    script.client(modern(2, "tools/list"));
    script.result(2, json!({"tools": [{"name": "search"}], "resultType": "complete"}));
    let call = json!({"name": "search", "_meta": meta()});
    script.client(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call}));
    script.result(3, json!({"content": [], "resultType": "complete"}));
    let methods: Vec<_> = script.operations().into_iter().map(|(method, tool, ..)| (method, tool)).collect();
    assert_eq!(methods, [("server/discover", None), ("tools/list", None), ("tools/call", Some("search"))]);
    assert!(script.of_type("mcp_operation").iter().all(|event| event["protocol_version"] == "2026-07-28"));
}

#[test]
fn only_what_is_said_in_its_place_names_anybody() {
    let mut script = Script::new();
    let params = json!({"clientInfo": {"name": "SECRET"}, "arguments": {"_meta": meta()}, "protocolVersion": "SECRET"});
    script.client(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}));
    script.result(1, json!({"serverInfo": {"name": "SECRET"}, "protocolVersion": "SECRET"}));
    let text = Value::from(script.events.clone()).to_string();
    assert!(!text.contains("SECRET"), "{text}");
    assert_eq!(script.events[0]["component_name"], "notes-server");
    assert_eq!(script.events[0]["shell_type"], "unknown");
    let mut odd = Script::new();
    odd.client(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize"}));
    odd.result(1, json!({"protocolVersion": "SECRET", "serverInfo": {"name": "n"}}));
    assert_eq!(odd.events[0]["protocol_version"], "_other");
}

#[test]
fn a_client_that_makes_up_revisions_makes_no_more_labels_than_may_be() {
    let mut script = Script::begun();
    for day in 10..30 {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": format!("2031-01-{day}")});
        script.client(json!({"jsonrpc": "2.0", "id": day, "method": "ping", "params": {"_meta": meta}}));
        script.result(day, json!({}));
    }
    let versions: std::collections::HashSet<_> =
        script.events.iter().map(|event| event["protocol_version"].as_str().unwrap()).collect();
    assert!(versions.len() < 8 && versions.contains("_other") && versions.contains("2031-01-10"), "{versions:?}");
    // The known ones are told apart all the same.
    script.events.clear();
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    script.client(json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": meta}}));
    script.result(1, json!({}));
    assert_eq!(script.events[0]["protocol_version"], "2026-07-28");
}

#[test]
fn the_clients_trace_goes_on() {
    let mut script = Script::begun();
    let params = json!({"name": "x", "_meta": {"traceparent": PARENT, "tracestate": "a=b"}});
    script.client(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}));
    script.result(1, json!({}));
    let params = json!({"_meta": {"traceparent": "00-garbage"}, "arguments": {"_meta": {"traceparent": PARENT}}});
    script.client(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}));
    script.result(2, json!({}));
    let parents: Vec<_> = script.events.iter().map(|event| event["traceparent"].clone()).collect();
    assert_eq!(parents, [json!(PARENT), Value::Null]);
}

#[test]
fn a_session_says_every_hour_that_it_is_there() {
    let mut script = Script::begun();
    script.after(3_599_999);
    assert_eq!(script.events.len(), 0);
    script.after(1);
    script.after(1);
    script.after(3_600_000);
    let beats = script.of_type("session_heartbeat");
    assert_eq!(beats.len(), 2);
    assert_eq!(beats[0]["timestamp"], "2026-02-06T13:34:56Z");
}

#[test]
fn a_session_ends_with_its_server_and_a_crash_is_an_error() {
    const EXIT_3: i32 = 3 << 8;
    const SIGTERM: i32 = 15;
    const SIGSEGV: i32 = 11;
    for (exit, status) in [(0, "success"), (SIGTERM, "success"), (EXIT_3, "error"), (SIGSEGV, "error")] {
        let mut script = Script::begun();
        script.after(2000).shut_down(exit);
        let [end] = &script.events[..] else { panic!("{:?}", script.events) };
        assert_eq!(end["event_type"], "session_end");
        assert_eq!(end["status"], status);
        assert_eq!(end["timestamp"], "2026-02-06T12:34:58Z");
    }
    // Only a client that left first can have asked for it so.
    const SIGKILL: i32 = 9;
    let mut crashed = Script::begun();
    crashed.piece(Piece::End { way: Way::ToServer });
    crashed.exit(SIGKILL);
    assert_eq!(crashed.of_type("session_end")[0]["status"], "error");
    let mut forced = Script::begun();
    forced.shut_down(SIGKILL);
    assert_eq!(forced.of_type("session_end")[0]["status"], "success");
    // One that never said anything was a session too.
    let mut mute = Script::new();
    mute.exit(EXIT_3);
    let types: Vec<_> = mute.events.iter().map(|event| event["event_type"].clone()).collect();
    assert_eq!(types, ["session_start", "session_end"]);
    assert_eq!(mute.events[1]["status"], "error");
}
