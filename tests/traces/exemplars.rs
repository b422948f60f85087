//! Exemplars, as scraped and as pushed, point at spans that the collector has.

use std::collections::BTreeSet;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, ExemplarFilter};
use mcp_otel_bridge::expose::exposition::Format;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar, metric::Data};
use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::events::{end, send, start, with};
use crate::support::samples::Samples;
use crate::support::traced::{LONG, builder, hex, pushing_to, spans};

const ID: &str = "a-20260206-123456-00000001";

fn call(seconds: f64) -> Value {
    json!({"event_type": "llm_call", "provider": "p", "model": "m", "duration_seconds": seconds, "input_tokens": 3,
           "time_to_first_token_seconds": 0.5, "session_id": ID})
}

/// A session of ten minutes with a call, all sampled.
fn sampled_session(bridge: &Bridge) {
    send(bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    send(bridge, call(2.0));
    send(bridge, end(ID, "2026-02-06T12:44:56Z"));
}

#[test]
fn those_of_durations_and_calls_point_at_the_spans_of_the_session_and_the_call() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    sampled_session(&bridge);
    let samples = Samples::of(&bridge);
    let spans = spans(&bridge, &collector);
    let (session, call) = (spans.one("session a"), spans.one("chat m"));
    for (name, span, value) in [
        ("session_duration_seconds_bucket{component_name=\"a\",le=\"900.0\"}", session, 600.0),
        ("session_start_total{component_name=\"a\",shell_type=\"TestShell\"}", session, 1.0),
        ("session_end_total{component_name=\"a\",status=\"success\"}", session, 1.0),
        ("mcp_hub_llm_api_calls_total{provider=\"p\",model=\"m\"}", call, 1.0),
    ] {
        let got = &samples.exemplars[name];
        assert_eq!((&got.trace_id, &got.span_id), (&hex(&span.trace_id), &hex(&span.span_id)), "{name}");
        assert_eq!(got.value, value, "{name}");
    }
    for (name, value) in [
        ("gen_ai_client_operation_duration_seconds_bucket", 2.0),
        ("gen_ai_client_token_usage_bucket", 3.0),
        ("gen_ai_client_operation_time_to_first_chunk_seconds_bucket", 0.5),
    ] {
        let got = samples.exemplars_of(name);
        assert_eq!(got.len(), 1, "{name}");
        assert_eq!((&got[0].span_id, got[0].value), (&hex(&call.span_id), value), "{name}");
    }
}

#[test]
fn only_openmetrics_has_them() {
    let bridge = Bridge::builder().build().unwrap();
    sampled_session(&bridge);
    for format in [Format::Text004, Format::Text100] {
        assert!(!bridge.render(format).unwrap().contains("trace_id"));
    }
    assert!(bridge.render(Format::OpenMetrics100).unwrap().contains("trace_id"));
}

#[test]
fn the_filter_turns_them_off_and_leaves_the_spans() {
    let collector = Collector::start();
    let config = Config { exemplar_filter: ExemplarFilter::AlwaysOff, ..pushing_to(&collector) };
    let bridge = Bridge::builder().config(config).build().unwrap();
    sampled_session(&bridge);
    assert!(Samples::of(&bridge).exemplars.is_empty());
    assert_eq!(spans(&bridge, &collector).0.len(), 2);
    assert!(pushed(&bridge, &collector, "session.duration").is_empty());
}

/// The exemplars of a metric in the last push.
fn pushed(bridge: &Bridge, collector: &Collector, metric: &str) -> Vec<Exemplar> {
    bridge.flush(LONG).unwrap();
    let metrics = collector.seen(|seen| seen.metric(metric));
    match metrics.last().unwrap_or_else(|| panic!("no {metric}")).data.clone().unwrap() {
        Data::Histogram(histogram) => histogram.data_points.into_iter().flat_map(|point| point.exemplars).collect(),
        Data::Sum(sum) => sum.data_points.into_iter().flat_map(|point| point.exemplars).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_push_carries_the_same_ones() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    sampled_session(&bridge);
    let spans = spans(&bridge, &collector);
    let (session, call) = (spans.one("session a"), spans.one("chat m"));
    for (metric, span, value) in [
        ("session.start", session, 1.0),
        ("session.end", session, 1.0),
        ("session.duration", session, 600.0),
        ("mcp_hub.llm_api_calls", call, 1.0),
        ("gen_ai.client.operation.duration", call, 2.0),
        ("gen_ai.client.token.usage", call, 3.0),
        ("gen_ai.client.operation.time_to_first_chunk", call, 0.5),
    ] {
        let got = pushed(&bridge, &collector, metric);
        assert_eq!(got.len(), 1, "{metric}: {got:?}");
        assert_eq!((&got[0].trace_id, &got[0].span_id), (&span.trace_id, &span.span_id), "{metric}");
        assert_eq!(got[0].value, Some(exemplar::Value::AsDouble(value)), "{metric}");
        assert!(got[0].time_unix_nano > 0);
    }
}

#[test]
fn a_histogram_that_was_never_recorded_has_no_extremes() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    // Bound ahead, as a series is whose batch is being committed just now.
    bridge.telemetry().instrument(&mcp_otel_bridge::catalog::metrics::SESSION_DURATION).series(&["a"]);
    bridge.flush(LONG).unwrap();
    let metrics = collector.seen(|seen| seen.metric("session.duration"));
    let Some(Data::Histogram(histogram)) = &metrics.last().unwrap().data else { panic!("{metrics:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.min, point.max), (0, None, None));
}

#[test]
fn no_exemplar_names_a_trace_that_is_not_sampled() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let unsampled = |trace: u32| format!("00-{trace:032x}-00000000000000aa-00");
    let mut calls = Vec::new();
    for number in 1..=20_u32 {
        let prefix = format!("{number:08x}");
        let traceparent = unsampled(number);
        // Every other session is sampled; whatever is measured goes to the same series.
        let mut begun = start("a", "2026-02-06T12:34:56Z", &prefix);
        let mut call = call(2.0);
        call["session_id"] = format!("a-20260206-123456-{prefix}").into();
        let mut event = json!({"event_type": "mcp_event", "component_name": "a", "emitted_type": "x",
                               "duration_seconds": 0.5});
        if number % 2 == 0 {
            for event in [&mut begun, &mut call, &mut event] {
                event["traceparent"] = traceparent.clone().into();
            }
        }
        send(&bridge, begun);
        calls.push(send(&bridge, call));
        send(&bridge, event);
        send(&bridge, end(&format!("a-20260206-123456-{prefix}"), "2026-02-06T12:44:56Z"));
    }
    let known: BTreeSet<String> = spans(&bridge, &collector).0.iter().map(|span| hex(&span.span_id)).collect();
    assert_eq!(known.len(), 20, "ten sessions and their calls");
    let samples = Samples::of(&bridge);
    assert!(samples.exemplars.len() > 5, "{:#?}", samples.exemplars);
    for (key, exemplar) in &samples.exemplars {
        assert!(known.contains(&exemplar.span_id), "{key}: {exemplar:?}");
    }
    for metric in ["session.start", "session.duration", "mcp.event.emit.duration", "gen_ai.client.token.usage"] {
        for exemplar in pushed(&bridge, &collector, metric) {
            assert!(known.contains(&hex(&exemplar.span_id)), "{metric}");
        }
    }
}

#[test]
fn a_mcp_event_under_a_sampled_span_points_at_that_span() {
    let bridge = Bridge::builder().build().unwrap();
    let event = json!({"event_type": "mcp_event", "component_name": "a", "emitted_type": "x",
                       "duration_seconds": 0.5});
    send(&bridge, with(event, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    let samples = Samples::of(&bridge);
    let exemplars = samples.exemplars_of("mcp_event_emit");
    assert_eq!(exemplars.len(), 2);
    assert!(exemplars.iter().all(|exemplar| exemplar.span_id == "b7ad6b7169203331"));
}
