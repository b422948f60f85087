//! Which tools there are, and what clients are told of them.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::client::{Client, Revision, every_way};

const TOOLS: [&str; 6] = [
    "get_prometheus_metrics",
    "list_session_metrics",
    "get_metrics_summary",
    "track_session_start",
    "track_session_end",
    "record_event",
];

pub fn definitions(client: &mut Client) -> Vec<Value> {
    client.request("tools/list", json!({}))["result"]["tools"].as_array().unwrap().clone()
}

/// A definition by the tool's name.
pub fn definition(client: &mut Client, name: &str) -> Value {
    definitions(client).into_iter().find(|tool| tool["name"] == name).unwrap()
}

#[test]
fn the_tools_are_the_same_on_every_way() {
    every_way(|client, _| {
        let tools = definitions(client);
        assert_eq!(tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect::<Vec<_>>(), TOOLS);
        for tool in tools {
            for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
                assert!(schema.is_null() || jsonschema::draft202012::new(schema).is_ok(), "{tool}");
            }
        }
    });
}

#[test]
fn each_tool_says_what_it_does_and_what_each_argument_is() {
    let bench = Bench::start();
    for tool in definitions(&mut Client::http(&bench, Revision::Handshake)) {
        assert!(tool["description"].as_str().unwrap().len() > 20 && tool["title"].is_string(), "{tool}");
        let input = &tool["inputSchema"];
        assert_eq!(input["type"], "object");
        // Some hosts refuse a tool whose arguments are alternatives.
        assert!(["oneOf", "anyOf", "allOf"].iter().all(|key| input[key].is_null()), "{tool}");
        for (name, argument) in input["properties"].as_object().unwrap() {
            assert!(argument["description"].is_string(), "{name} of {}", tool["name"]);
        }
        let reads = ["get", "list"].iter().any(|verb| tool["name"].as_str().unwrap().starts_with(verb));
        let hints = &tool["annotations"];
        assert_eq!(
            (&hints["readOnlyHint"], &hints["idempotentHint"], &hints["destructiveHint"], &hints["openWorldHint"]),
            (&json!(reads), &json!(reads), &json!(false), &json!(false))
        );
        assert_eq!(tool["outputSchema"].is_object(), tool["name"] != "get_prometheus_metrics");
    }
}

#[test]
fn the_start_of_a_session_asks_for_what_only_its_host_knows() {
    let bench = Bench::start();
    let tool = definition(&mut Client::http(&bench, Revision::Stateless), "track_session_start");
    let required = ["component_name", "shell_type", "pid", "user", "hostname", "environment"];
    assert_eq!(tool["inputSchema"]["required"], json!(required));
    let end = definition(&mut Client::http(&bench, Revision::Stateless), "track_session_end");
    assert_eq!(end["inputSchema"]["required"], json!(["session_id"]));
}

#[test]
fn the_schema_of_events_is_served() {
    let bench = Bench::start();
    let answer = bench.get("/v1/events/schema");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/schema+json")));
    assert_eq!(answer.json(), mcp_otel_bridge::event::schema());
    assert!(bench.get("/").text().contains("/v1/events/schema"));
}

#[test]
fn what_there_is_not_is_refused() {
    every_way(|client, _| {
        let answer = client.request("tools/call", json!({"name": "get_metrics", "arguments": {}}));
        assert_eq!(answer["error"]["code"], -32602);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(TOOLS.iter().all(|tool| message.contains(tool)), "{message}");
        for method in ["prompts/list", "resources/list", "resources/templates/list", "nonsense"] {
            assert_eq!(client.request(method, json!({}))["error"]["code"], -32601, "{method}");
        }
    });
}

#[test]
fn a_call_whose_parameters_cannot_be_read_says_what_they_must_be() {
    every_way(|client, _| {
        for params in [json!({}), json!({"name": 5}), json!({"name": "get_metrics_summary", "arguments": [1]})] {
            let error = client.request("tools/call", params.clone())["error"].take();
            assert_eq!(error["code"], -32602, "{params}: {error}");
            let why = error["message"].as_str().unwrap();
            assert!(why.contains("name, a string") && why.contains("arguments, an object"), "{why}");
        }
        let error = client.request("no/such", json!({}))["error"].take();
        assert_eq!(
            (error["code"].as_i64(), error["message"].as_str()),
            (Some(-32601), Some("there is no method \"no/such\" here"))
        );
    });
}
