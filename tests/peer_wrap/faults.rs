//! Servers that crash, hang, flood stderr, write half a line, answer twice or out of order, or print garbage: a client
//! sees what it sees without `wrap`, and the faults are counted as what they are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ledger::{assert_counted, expected, value};
use crate::peers::bridge::Bridge;
use crate::peers::until;
use crate::raw::{Raw, Seen};
use crate::servers::{ask, call, faulty, large, with};
use crate::stage::{Client, Played, Session, play, through_wrap};
use crate::transparent::of_the_server;

/// Faults that a client in Python or for Node.js takes in its stride, and how the session then ends.
const FAULTS: [(&str, &str); 8] = [
    ("crash", "error"),
    ("be_killed", "error"),
    ("half", "error"),
    ("flood", "success"),
    ("hang", "success"),
    ("twice", "success"),
    ("hold", "success"),
    ("garbage", "success"),
];

/// Sessions of the official clients, each with one fault in it.
fn with_client(client: Client) {
    let bridge = Bridge::options().start();
    let sessions = FAULTS.iter().flat_map(|(fault, _)| {
        let bare = Session::bare("legacy").named(&format!("bare-{fault}"));
        [bare, Session::wrapped(&bridge, fault, "legacy")].map(|session| session.steps(steps(fault)))
    });
    let played = play(client, &faulty(), &sessions.collect::<Vec<_>>()).finish();
    for ((fault, end), played) in FAULTS.iter().zip(played.chunks(2)) {
        let [bare, wrapped] = played else { panic!("{played:?}") };
        assert_eq!(bare.transcript, wrapped.transcript, "{fault}");
        assert_eq!(bare.stderr, wrapped.stderr, "{fault}");
        assert_eq!(bare.outer["stdout"], wrapped.outer["stdout"], "{fault}");
        assert_eq!(bare.outer["status"], wrapped.outer["status"], "{fault}");
        assert_eq!(wrapped.outer["stdout"], wrapped.inner["stdout"], "{fault}");
        assert_outcomes(fault, wrapped);
        assert_counted(&bridge, wrapped);
        let ends = |status| value(&bridge, "session_end_total", &[("component_name", fault), ("status", status)]);
        until(&format!("the end of {fault} as {end}"), || (ends(end) == 1.0).then_some(()));
        assert_eq!(ends("success") + ends("error"), 1.0, "{fault}");
    }
}

#[test]
fn the_python_client_sees_a_fault_as_it_is() {
    with_client(Client::Python);
}

#[test]
fn the_node_client_sees_a_fault_as_it_is() {
    with_client(Client::Node);
}

/// What is asked of a server with a fault.
fn steps(fault: &str) -> Vec<Value> {
    let echo = |text: &str| call("echo", json!({"text": text}));
    let mut steps = vec![ask("tools/list"), echo("before"), call("fail", json!({})), call("refuse", json!({}))];
    match fault {
        // Two at once: the second is answered first.
        "hold" => {
            steps.push(json!({"together": [call("hold", json!({"text": "1"})), call("hold", json!({"text": "2"}))]}))
        }
        "hang" => steps.push(with(call("hang", json!({})), json!({"timeout": 0.3}))),
        _ => steps.push(call(fault, json!({}))),
    }
    if !["crash", "be_killed", "half"].contains(&fault) {
        steps.extend([echo("after"), ask("ping")]);
    }
    steps
}

/// The client's own ledger has the outcome that the fault must have, so that what is counted is too.
fn assert_outcomes(fault: &str, played: &Played) {
    let outcome = match fault {
        "crash" | "be_killed" | "half" => "aborted",
        "hang" => "cancelled",
        _ => "",
    };
    let outcomes: BTreeMap<String, String> =
        expected(played).into_keys().map(|(_, _, tool, error)| (tool, error)).collect();
    assert_eq!(outcomes[fault], outcome, "{fault}");
    assert_eq!((outcomes["fail"].as_str(), outcomes["refuse"].as_str()), ("tool_error", "-32077"));
}

#[test]
fn every_byte_and_the_end_are_the_same() {
    let bridge = Bridge::options().start();
    let faults = ["crash", "be_killed", "half", "flood", "hang", "twice", "hold", "garbage", "binary", "echo"];
    for fault in faults {
        let bare = seen(None, fault);
        let wrapped = seen(Some(&bridge), fault);
        assert_eq!(bare, wrapped, "{fault}");
    }
}

#[test]
fn every_byte_is_the_same_without_a_bridge() {
    let mut bridge = Bridge::options().start();
    bridge.process.kill();
    for fault in ["crash", "flood", "garbage", "binary", "echo"] {
        let mut wrapped = seen(Some(&bridge), fault);
        let servers = without_the_wrapper(&wrapped.stderr).len();
        assert!(servers < wrapped.stderr.len(), "{fault}: the wrapper says that there is no bridge");
        wrapped.stderr.truncate(servers);
        assert_eq!(seen(None, fault), wrapped, "{fault}");
    }
}

/// As [`of_the_server`], of bytes that need not be text.
fn without_the_wrapper(stderr: &[u8]) -> &[u8] {
    // The wrapper's line is the last, and text.
    let text: String = stderr.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect();
    &stderr[..of_the_server(&text).len()]
}

#[test]
fn a_message_of_64_mebibytes_goes_by_a_frozen_bridge() {
    let bridge = Bridge::options().start();
    let _frozen = bridge.process.freeze();
    let message =
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"large\",\"params\":{{\"text\":\"{}\"}}}}\n", large(64 << 20));
    let mut raw = Raw::start(&through_wrap(Some(&bridge.url("")), "large", &["cat".to_owned()]));
    raw.write(message.as_bytes());
    let seen = raw.finish();
    assert!(seen.stdout == message.as_bytes(), "{seen:?}");
    assert!(without_the_wrapper(&seen.stderr).is_empty() && seen.status.success(), "{seen:?}");
}

#[test]
fn a_command_that_is_not_there_fails_as_it_would_bare() {
    let bridge = Bridge::options().start();
    let missing = through_wrap(Some(&bridge.url("")), "missing", &["/no/such/program".to_owned()]);
    let seen = Raw::start(&missing).finish();
    assert!(!seen.status.success(), "{seen:?}");
    assert_eq!(seen.stdout, b"");
    assert!(String::from_utf8_lossy(&seen.stderr).contains("/no/such/program"), "{seen:?}");
}

/// What a client sees that writes all its requests at once, not all of which are requests.
fn seen(bridge: Option<&Bridge>, fault: &str) -> Seen {
    let server = faulty();
    let url = bridge.map(|bridge| bridge.url(""));
    let mut raw = Raw::start(&through_wrap(url.as_deref(), &format!("raw-{fault}"), &server.command));
    let call = |id: u32, tool: &str, text: &str| {
        let params = json!({"name": tool, "arguments": {"text": text}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let client = json!({"name": "raw", "version": "1"});
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let large = "large ".repeat(500_000);
    for message in [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "id": "text", "method": "no/such/method"}),
        json!({"jsonrpc": "2.0", "id": null, "result": 1}),
        call(2, "echo", &large),
        call(3, fault, "first"),
        call(4, fault, "second"),
        call(5, "echo", &large),
    ] {
        raw.write(format!("{message}\n").as_bytes());
    }
    raw.finish()
}
