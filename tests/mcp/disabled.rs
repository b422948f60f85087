//! Metrics are disabled: the tools say so, and recording goes on.

use serde_json::json;

use crate::bench::Bench;
use crate::client::{Client, Revision, text};
use crate::tools::definition;

#[test]
fn the_tools_that_read_say_that_metrics_are_disabled() {
    let bench = Bench::with(|config| config.metrics.enabled = false);
    let url = format!("http://{}", bench.addr);
    for revision in Revision::ALL {
        for client in [&mut Client::http(&bench, revision), &mut Client::stdio(&url, &[], revision)] {
            for tool in ["get_prometheus_metrics", "list_session_metrics", "get_metrics_summary"] {
                let result = client.call(tool, json!({}));
                assert_eq!(result["isError"], false, "{result}");
                let told = text(&result);
                assert!(told.contains("metrics are disabled") && told.contains("enable_prometheus_metrics"), "{told}");
                let schema = definition(client, tool)["outputSchema"].clone();
                let structured = &result["structuredContent"];
                assert_eq!(schema.is_object(), structured.is_object());
                assert!(schema.is_null() || jsonschema::draft202012::new(&schema).unwrap().is_valid(structured));
            }
            let event = json!({"event_type": "search_call"});
            assert_eq!(client.structured("record_event", json!({"event": event}))["status"], "recorded");
        }
    }
    // What was recorded is there for the push.
    let metrics = bench.bridge.render(mcp_otel_bridge::expose::exposition::Format::Text004).unwrap();
    assert!(metrics.contains("\nmcp_hub_search_api_calls_total 4\n"), "{metrics}");
}
