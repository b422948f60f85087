//! The parent in `params._meta`: what a tool records belongs under it.

use serde_json::json;

use crate::bench::Bench;
use crate::client::{Client, Revision};
use crate::support::collector::Collector;
use crate::support::traced::{hex, pushing_to, spans};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

#[test]
fn what_a_tool_records_belongs_under_the_parent_of_its_call() {
    for revision in Revision::ALL {
        let collector = Collector::start();
        let pushing = pushing_to(&collector);
        let bench = Bench::with(|config| {
            (config.push_metrics, config.push_spans) = (pushing.push_metrics, pushing.push_spans);
        });
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let url = format!("http://{}", bench.addr);
        let clients = [&mut Client::http(&bench, revision), &mut Client::stdio(&url, &[], revision)];
        for (client, model) in clients.into_iter().zip(["over-http", "over-stdio"]) {
            let call = |model: &str| json!({"event": {"event_type": "llm_call", "provider": "p", "model": model}});
            let result = client.call_under(&parent, "record_event", call(model));
            assert_eq!(result["isError"], false, "{result}");
            // One that is malformed is none, and no error.
            let stray = format!("{model}-stray");
            assert_eq!(client.call_under("nonsense", "record_event", call(&stray))["isError"], false);
            let spans = spans(&bench.bridge, &collector);
            let span = spans.one(&format!("chat {model}"));
            assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), SPAN.to_owned()));
            assert!(spans.one(&format!("chat {stray}")).parent_span_id.is_empty());

            let start = json!({
                "component_name": model,
                "shell_type": "TestShell",
                "pid": 1,
                "user": {"username": "u", "home": "/home/u"},
                "hostname": "h",
                "environment": {"platform": "linux", "cwd": "/"},
            });
            let started = client.call_under(&parent, "track_session_start", start);
            let traceparent = started["structuredContent"]["traceparent"].as_str().unwrap();
            assert!(traceparent.contains(TRACE) && !traceparent.contains(SPAN), "{started}");
        }
    }
}
