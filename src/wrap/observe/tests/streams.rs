//! Streams as they come: cut anywhere, of any size, with anything between the messages, and with pieces missing.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::script::Script;
use crate::wrap::report::Loss;
use crate::wrap::tap::{Piece, Way};

#[test]
fn whatever_is_no_message_is_passed_over() {
    let mut script = Script::begun();
    script.request(1, "ping");
    for line in [
        "",
        "\r",
        "   ",
        "Server listening on stdio",
        "{\"id\":1,\"result\":{}",
        "}",
        "null",
        "17",
        "\"text\"",
        "[]",
        "[1,[2]]",
        "{\"jsonrpc\":\"2.0\",\"id\":1}",
        "{\"id\":1,\"result\":{}} trailing",
        "{\"method\":17,\"id\":1}",
        "\u{feff}{}",
    ] {
        script.bytes(Way::ToClient, format!("{line}\n").as_bytes());
    }
    script.bytes(Way::ToClient, b"\xff\xfe\x00 \x01\n");
    assert_eq!(script.events, [] as [Value; 0]);
    script.after(3).bytes(Way::ToClient, b"\t{ \"jsonrpc\" : \"2.0\" , \"result\" : { } , \"id\" : 1 }\r\n");
    assert_eq!(script.operations(), [("ping", None, 3, None)]);
    // Half a line and the end.
    script.events.clear();
    script.request(2, "ping");
    script.bytes(Way::ToClient, b"{\"id\":2,\"result\":{}}");
    script.exit(1 << 8);
    assert_eq!(script.operations(), [("ping", None, 0, Some("aborted"))]);
}

#[test]
fn a_batch_is_its_messages() {
    let mut script = Script::begun();
    script.client(json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]));
    script.after(5).server(json!([
        {"jsonrpc": "2.0", "id": 2, "result": {"tools": [{"name": "search"}]}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no"}},
    ]));
    assert_eq!(script.operations(), [("tools/list", None, 5, None), ("ping", None, 5, Some("-32000"))]);
    assert_eq!(script.of_type("mcp_event").len(), 1);
    script.events.clear();
    script.call(3, "search");
    script.server(json!([{"jsonrpc": "2.0", "id": 3, "result": {"isError": true}}]));
    assert_eq!(script.operations(), [("tools/call", Some("search"), 0, Some("tool_error"))]);
}

#[test]
fn a_message_may_be_of_any_size_and_have_its_id_anywhere() {
    let mut script = Script::begun();
    script.list_tools();
    script.call(1, "search");
    let block = vec![b'x'; 1 << 20];
    script.bytes(Way::ToClient, br#"{"result":{"content":[{"type":"text","text":""#);
    for _ in 0..16 {
        script.after(1).bytes(Way::ToClient, &block);
    }
    script.bytes(Way::ToClient, b"\"}],\"isError\":true},\"id\":1}\n");
    assert_eq!(script.operations(), [("tools/call", Some("search"), 16, Some("tool_error"))]);
}

#[test]
fn the_last_of_a_name_that_comes_twice_holds() {
    let mut script = Script::begun();
    script.bytes(Way::ToServer, b"{\"id\":1,\"id\":2,\"method\":\"ping\",\"method\":\"tools/list\"}\n");
    script.bytes(Way::ToClient, b"{\"id\":2,\"result\":{\"isError\":true},\"result\":{}}\n");
    assert_eq!(script.operations(), [("tools/list", None, 0, None)]);
}

#[test]
fn after_a_gap_reading_goes_on_with_the_next_line() {
    let mut script = Script::begun();
    for id in 1..4 {
        script.request(id, "ping");
    }
    script.bytes(Way::ToClient, b"{\"id\":1,\"result\":{}}\n{\"id\":2,");
    script.piece(Piece::Gap { way: Way::ToClient, bytes: 5000 });
    // What comes may look like a message, and is the rest of one.
    script.bytes(Way::ToClient, b"\"result\":{}}\n{\"id\":3,\"result\":{}}\n");
    assert_eq!(script.operations(), [("ping", None, 0, None), ("ping", None, 0, None)]);
    assert_eq!(script.losses, [Loss::Unread]);
    // The other way had no gap.
    script.request(4, "tools/list");
    script.result(4, json!({}));
    assert_eq!(script.operations().len(), 3);
}

#[test]
fn what_there_is_no_time_to_read_is_counted_and_the_session_ends_all_the_same() {
    let mut script = Script::begun();
    script.request(1, "ping");
    script.request(2, "tools/list");
    script.result(1, json!({}));
    script.bytes(Way::ToServer, b"{\"id\":3,");
    script.hurry();
    script.bytes(Way::ToServer, b"\"method\":\"ping\"}\n{\"id\":4,\"method\":\"ping\"}\n");
    script.bytes(Way::ToClient, b"{\"id\":2,\"result\":{}}\n{\"id\":4,\"re");
    script.shut_down(0);
    assert_eq!(script.operations(), [("ping", None, 0, None), ("tools/list", None, 0, Some("aborted"))]);
    // The last one was not even whole.
    assert_eq!(script.losses, [Loss::Unread; 4]);
    assert_eq!(script.of_type("session_end")[0]["status"], "success");
    // Far too many open requests: the latest are reported.
    let mut script = Script::begun();
    for id in 1..1001 {
        script.request(id, "ping");
    }
    script.hurry();
    script.exit(0);
    assert_eq!(script.operations().len() + script.losses.len(), 1000);
    assert!(script.operations().len() < 500);
    // A gap that no line follows was at least a message.
    let mut script = Script::begun();
    script.piece(Piece::Gap { way: Way::ToClient, bytes: 5000 });
    script.exit(0);
    assert_eq!(script.losses, [Loss::Unread]);
}

/// A session with everything in it, as what each side says, in turns.
fn conversation() -> Vec<(Way, String)> {
    use Way::{ToClient, ToServer};
    let lines = [
        (ToServer, json!({"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "c"}}})),
        (
            ToClient,
            json!({"id": 0, "result": {"protocolVersion": "2025-11-25", "serverInfo": {"name": "späß \" \\ 😀"}}}),
        ),
        (ToServer, json!({"method": "notifications/initialized"})),
        (ToServer, json!([{"id": "a", "method": "tools/list"}, {"id": 1, "method": "ping"}])),
        (ToClient, json!({"id": "a", "result": {"tools": [{"name": "t\"\\x"}, {"name": "größe"}]}})),
        (
            ToServer,
            json!({"id": 2, "method": "tools/call", "params": {"name": "größe", "arguments": {"name": "n", "x": [[{"id": 9}]]}}}),
        ),
        (ToClient, json!({"id": 7, "method": "sampling/createMessage", "params": {"messages": ["x"]}})),
        (ToServer, json!({"id": 7, "result": {}})),
        (ToClient, json!({"id": 2, "result": {"isError": true}})),
        (ToClient, json!({"id": 1, "error": {"code": -32601}})),
    ];
    lines.into_iter().map(|(way, message)| (way, format!("{message}\r\n"))).collect()
}

/// What was reported, without what is random.
fn told(script: &Script) -> Vec<Value> {
    let mut events = script.events.clone();
    for event in &mut events {
        for key in ["event_id", "session_id"] {
            event.as_object_mut().unwrap().remove(key);
        }
    }
    events
}

proptest! {
    #[test]
    fn it_does_not_matter_where_the_stream_is_cut(cuts in proptest::collection::vec(1usize..40, 1..20)) {
        let mut whole = Script::new();
        let mut cut = Script::new();
        let mut lengths = cuts.iter().cycle();
        for (way, line) in conversation() {
            whole.bytes(way, line.as_bytes());
            let mut rest = line.as_bytes();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
                cut.bytes(way, piece);
                rest = more;
            }
        }
        prop_assert_eq!(told(&cut), told(&whole));
        prop_assert_eq!(whole.operations().len(), 5);
    }

    #[test]
    fn nothing_that_comes_stops_it(noise in proptest::collection::vec((any::<bool>(), any::<Vec<u8>>()), 0..20)) {
        let mut script = Script::begun();
        for (to_server, bytes) in noise {
            script.bytes(if to_server { Way::ToServer } else { Way::ToClient }, &bytes);
        }
        script.bytes(Way::ToServer, b"\n");
        script.bytes(Way::ToClient, b"\n");
        script.request(99, "ping");
        script.result(99, json!({}));
        prop_assert_eq!(script.operations(), [("ping", None, 0, None)]);
    }
}
