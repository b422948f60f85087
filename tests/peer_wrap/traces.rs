//! Numbers lead to traces: exemplars in Prometheus name spans that the collector has, and a client's trace goes on in
//! the operation that it asked for.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};

use crate::ledger::{assert_counted, expected};
use crate::peers::bridge::Bridge;
use crate::peers::collector::{Collector, Span};
use crate::peers::prometheus::Prometheus;
use crate::peers::until;
use crate::servers::{ask, call, everything, with};
use crate::stage::{Client, Session, play};

/// A call of a trace: its id, and the span that made it.
const TRACES: [(&str, &str); 2] = [
    ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"),
    ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"),
];

#[test]
fn exemplars_name_spans_and_a_client_s_trace_goes_on() {
    let collector = Collector::start();
    let bridge = Bridge::options().push_to(&collector).start();
    let prometheus = Prometheus::scraping(&bridge.address);

    let [python, node] = ["of-python", "of-node"].map(|name| Session::wrapped(&bridge, name, "legacy"));
    let python =
        thread::spawn(move || play(Client::Python, &everything().steps(steps(0)), &[python]).finish().remove(0));
    let node = play(Client::Node, &everything().steps(steps(1)), &[node]).finish().remove(0);
    let played = [python.join().unwrap(), node];

    for (one, (trace_id, span_id)) in played.iter().zip(TRACES) {
        assert_counted(&bridge, one);
        let operations: u64 = expected(one).values().sum();
        // Each operation is a span, and so is the session.
        let spans = until("the spans", || {
            let of_it = |span: &Span| span.attributes["component_name"] == one.name;
            let spans: Vec<Span> = collector.spans().into_iter().filter(of_it).collect();
            (spans.len() as u64 == operations + 1).then_some(spans)
        });
        let session = spans.iter().find(|span| span.name == format!("session {}", one.name)).unwrap();
        let (traced, others): (Vec<&Span>, Vec<&Span>) = spans.iter().partition(|span| span.trace_id == trace_id);
        let [traced] = &traced[..] else { panic!("{traced:#?}") };
        assert_eq!((traced.name.as_str(), &traced.data["parentSpanId"]), ("tools/call echo", &json!(span_id)));
        assert_eq!(traced.attributes["session.id"], session.attributes["session.id"]);
        for other in others.into_iter().filter(|span| span.span_id != session.span_id) {
            let ids = (&other.trace_id, other.data["parentSpanId"].as_str());
            assert_eq!(ids, (&session.trace_id, Some(session.span_id.as_str())), "{}", other.name);
        }
    }

    for histogram in ["mcp_server_operation_duration_seconds_bucket", "mcp_client_operation_duration_seconds_bucket"] {
        let exemplars = until(histogram, || {
            let found = prometheus.exemplars(histogram);
            played.iter().all(|one| found.iter().any(|it| it.series["component_name"] == one.name)).then_some(found)
        });
        let spans = collector.spans();
        let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
        for exemplar in exemplars {
            let span = by_id.get(exemplar.labels["span_id"].as_str()).unwrap_or_else(|| panic!("{exemplar:?}"));
            assert_eq!(span.trace_id, exemplar.labels["trace_id"]);
            assert_eq!(span.attributes["mcp.method.name"], exemplar.series["mcp_method_name"]);
            assert_eq!(span.attributes.get("gen_ai.tool.name"), exemplar.series.get("gen_ai_tool_name"));
        }
    }
}

/// What is asked; one call is made in a trace of the client's.
fn steps(trace: usize) -> Vec<Value> {
    let (trace_id, span_id) = TRACES[trace];
    let echo = || call("echo", json!({"message": "hello"}));
    vec![
        json!({"await": "roots/list"}),
        ask("tools/list"),
        echo(),
        with(echo(), json!({"trace": format!("00-{trace_id}-{span_id}-01")})),
        call("echo", json!({})),
        call("trigger-sampling-request", json!({"prompt": "say something"})),
        json!({"request": "prompts/get", "name": "no-such-prompt"}),
        ask("resources/list"),
    ]
}
