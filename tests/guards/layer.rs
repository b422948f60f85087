//! With a layer on the bridge's provider, the `tracing` span is the trace; without one the bridge makes the same.

use std::collections::BTreeMap;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Sampler};
use opentelemetry_proto::tonic::trace::v1::Span;
use tracing::dispatcher::with_default;

use crate::support::collector::Collector;
use crate::support::samples::Samples;
use crate::support::traced::{Spans, attributes, builder, hex, pushing_to};
use crate::{WORK, arrived, layered, stable, work};

/// The spans that [`work`] makes.
const NAMES: [&str; 4] = ["session my-server", "text_completion gpt-4", "chat gpt-4o", "emit tools/list"];

fn worked(layer: bool) -> (Samples, Spans) {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    if layer {
        with_default(&layered(&bridge), || work(&bridge));
    } else {
        work(&bridge);
    }
    arrived(&bridge, &collector, WORK)
}

#[test]
fn each_span_exists_once_with_the_layer_and_without() {
    for layer in [true, false] {
        let (_, spans) = worked(layer);
        assert_eq!(spans.0.len(), NAMES.len(), "layer: {layer}, {:?}", spans.names());
        for name in NAMES {
            spans.one(name);
        }
    }
}

#[test]
fn the_calls_are_under_the_session() {
    for layer in [true, false] {
        let (_, spans) = worked(layer);
        let session = spans.one(NAMES[0]);
        assert!(session.parent_span_id.is_empty());
        for name in &NAMES[1..3] {
            let call = spans.one(name);
            assert_eq!((&call.trace_id, &call.parent_span_id), (&session.trace_id, &session.span_id), "layer: {layer}");
        }
    }
    // An emission is under the session where it is entered, which only a layer can see.
    let (_, spans) = worked(true);
    assert_eq!(spans.one(NAMES[3]).parent_span_id, spans.one(NAMES[0]).span_id);
}

#[test]
fn the_layer_changes_neither_name_nor_kind_nor_status_nor_attributes() {
    type Told = BTreeMap<&'static str, (i32, Option<(i32, String)>, BTreeMap<String, String>)>;
    let told = |span: &Span| {
        let status = span.status.as_ref().map(|status| (status.code, status.message.clone()));
        (span.kind, status.filter(|(code, _)| *code != 0), stable(attributes(span)))
    };
    let [with, without]: [Told; 2] = [true, false].map(|layer| {
        let (_, spans) = worked(layer);
        NAMES.into_iter().map(|name| (name, told(spans.one(name)))).collect()
    });
    assert_eq!(with, without);
    let (_, _, session) = &with[NAMES[0]];
    for key in ["component_name", "shell_type", "status", "session.id", "host.name", "process.pid"] {
        assert!(session.contains_key(key), "{key} in {session:#?}");
    }
    let (_, _, call) = &with[NAMES[1]];
    assert_eq!((&*call["gen_ai.usage.input_tokens"], &*call["gen_ai.usage.output_tokens"]), ("12", "34"));
    assert_eq!(with[NAMES[2]].2["error.type"], "\"Timeout\"");
    assert_eq!(with[NAMES[3]].2["error_type"], "\"ConnectionError\"");
}

#[test]
fn the_layer_changes_no_metric() {
    let counts = |samples: &Samples| -> BTreeMap<String, f64> {
        let names = ["session_", "active_", "mcp_", "gen_ai", "bridge_events"];
        let all = samples.named(&names).into_iter();
        all.filter(|(key, _)| !key.contains("_sum") && !key.contains("_bucket")).collect()
    };
    let (with, _) = worked(true);
    let (without, _) = worked(false);
    assert_eq!(counts(&with), counts(&without));
    assert_eq!(with.get("session_end_total{component_name=\"my-server\",status=\"error\"}"), 1.0);
    assert_eq!(with.get("session_quality_score{component_name=\"my-server\"}"), 80.0);
    assert_eq!(with.get("active_sessions_total"), 0.0);
    assert_eq!(with.total("mcp_hub_llm_api_calls_total"), 2.0);
}

#[test]
fn the_exemplars_point_at_the_spans() {
    for layer in [true, false] {
        let (samples, spans) = worked(layer);
        for (series, name) in [
            ("session_start_total", NAMES[0]),
            ("session_duration_seconds_bucket", NAMES[0]),
            ("mcp_hub_llm_api_calls_total{provider=\"openai\",model=\"gpt-4\"}", NAMES[1]),
            ("gen_ai_client_token_usage_bucket", NAMES[1]),
            ("mcp_hub_llm_api_calls_total{provider=\"openai\",model=\"gpt-4o\"}", NAMES[2]),
            ("mcp_event_emit_failure_total", NAMES[3]),
        ] {
            let exemplars = samples.exemplars_of(series);
            assert!(!exemplars.is_empty(), "layer: {layer}, {series}");
            let span = spans.one(name);
            for exemplar in exemplars {
                let got = (&exemplar.trace_id, &exemplar.span_id);
                assert_eq!(got, (&hex(&span.trace_id), &hex(&span.span_id)), "layer: {layer}, {series}");
            }
        }
    }
}

#[test]
fn what_is_not_sampled_leaves_neither_span_nor_exemplar() {
    for layer in [true, false] {
        let collector = Collector::start();
        let sampler = Sampler { parent_based: true, ratio: 0.0 };
        let bridge = Bridge::builder().config(Config { sampler, ..pushing_to(&collector) }).build().unwrap();
        if layer {
            with_default(&layered(&bridge), || work(&bridge));
        } else {
            work(&bridge);
        }
        let (samples, spans) = arrived(&bridge, &collector, WORK);
        assert_eq!(spans.names(), Vec::<&str>::new(), "layer: {layer}");
        assert!(samples.exemplars.is_empty(), "layer: {layer}, {:#?}", samples.exemplars);
    }
}

#[test]
fn guards_are_under_the_applications_own_span() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    with_default(&layered(&bridge), || {
        let request = tracing::info_span!("request");
        request.in_scope(|| {
            bridge.llm_call("p", "m").finish();
            bridge.session("a", "S").finish(mcp_otel_bridge::event::SessionStatus::Success);
            bridge.time_event("a", "x").finish();
        });
    });
    let (_, spans) = arrived(&bridge, &collector, 4.0);
    let request = spans.one("request");
    for name in ["chat m", "session a", "emit x"] {
        assert_eq!(spans.one(name).parent_span_id, request.span_id, "{name}");
    }
}

#[test]
fn a_span_ends_with_its_guard_even_where_it_is_held() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let held = with_default(&layered(&bridge), || {
        let session = bridge.session("a", "S");
        session.span().clone()
    });
    let (_, spans) = arrived(&bridge, &collector, 2.0);
    spans.one("session a");
    drop(held);
    assert_eq!(crate::support::traced::spans(&bridge, &collector).0.len(), 1);
}
