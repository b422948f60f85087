//! Guards without a layer: parents, panics, and the bridges that they belong to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::event::SessionStatus;
use mcp_otel_bridge::expose::exposition::Format;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, ContextGuard};
use tracing::dispatcher::with_default;

use crate::support::collector::Collector;
use crate::support::samples::Samples;
use crate::support::traced::{attributes, builder, hex};
use crate::{arrived, layered, recorded};

/// Makes a span of another process current, as an application does that has read a request's header.
fn under_a_remote_span() -> ContextGuard {
    let remote =
        SpanContext::new(TraceId::from(0xabc), SpanId::from(0xdef), TraceFlags::SAMPLED, true, TraceState::default());
    Context::new().with_remote_span_context(remote).attach()
}

#[test]
fn guards_are_under_the_span_that_was_current_when_they_were_made() {
    for layer in [false, true] {
        let collector = Collector::start();
        let bridge = builder(&collector).build().unwrap();
        let dispatch = if layer { layered(&bridge) } else { tracing::Dispatch::none() };
        with_default(&dispatch, || {
            let remote = under_a_remote_span();
            let (call, timer) = (bridge.llm_call("p", "m"), bridge.time_event("a", "x"));
            let session = bridge.session("a", "S");
            drop(remote);
            drop((call, timer));
            session.finish(SessionStatus::Success);
        });
        let (_, spans) = arrived(&bridge, &collector, 4.0);
        for name in ["chat m", "emit x", "session a"] {
            let span = spans.one(name);
            let ids = (hex(&span.trace_id), hex(&span.parent_span_id));
            assert_eq!(ids, (format!("{:032x}", 0xabc), format!("{:016x}", 0xdef)), "layer: {layer}, {name}");
        }
    }
}

#[test]
fn a_call_of_a_session_is_under_the_session_whatever_is_current() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let session = bridge.session("a", "S");
    let remote = under_a_remote_span();
    session.llm_call("p", "m").finish();
    drop(remote);
    drop(session);
    let (_, spans) = arrived(&bridge, &collector, 3.0);
    let (session, call) = (spans.one("session a"), spans.one("chat m"));
    assert_eq!((&call.trace_id, &call.parent_span_id), (&session.trace_id, &session.span_id));
}

#[test]
fn what_a_panic_drops_has_failed() {
    for layer in [false, true] {
        let collector = Collector::start();
        let bridge = builder(&collector).build().unwrap();
        let dispatch = if layer { layered(&bridge) } else { tracing::Dispatch::none() };
        with_default(&dispatch, || {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let session = bridge.session("a", "S");
                let _call = session.llm_call("p", "m");
                let _timer = bridge.time_event("a", "x");
                std::panic::resume_unwind(Box::new("as asked"));
            }));
            assert!(panicked.is_err());
        });
        let (samples, spans) = arrived(&bridge, &collector, 4.0);
        assert_eq!(samples.get("session_end_total{component_name=\"a\",status=\"error\"}"), 1.0);
        let failed = "mcp_event_emit_failure_total{component_name=\"a\",event_type=\"x\",error_type=\"panic\"}";
        assert_eq!(samples.get(failed), 1.0);
        let labels = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"p\",gen_ai_request_model=\"m\"";
        let call = format!("gen_ai_client_operation_duration_seconds_count{{{labels},error_type=\"panic\"}}");
        assert_eq!(samples.get(&call), 1.0);
        for name in ["session a", "chat m", "emit x"] {
            assert_eq!(spans.one(name).status.clone().unwrap().code, 2, "layer: {layer}, {name}");
        }
        assert_eq!(attributes(spans.one("session a"))["status"], "\"error\"");
        assert_eq!(attributes(spans.one("chat m"))["error.type"], "\"panic\"");
    }
}

#[test]
fn what_a_label_may_not_hold_is_replaced() {
    let bridge = Bridge::builder().build().unwrap();
    bridge.session("my server!", "two\nlines").finish(SessionStatus::Success);
    bridge.time_event("", "\u{202e}x").finish();
    let samples = recorded(&bridge, 3.0);
    assert_eq!(samples.get("session_start_total{component_name=\"my_server_\",shell_type=\"two_lines\"}"), 1.0);
    assert_eq!(samples.get("mcp_event_emit_success_total{component_name=\"_\",event_type=\"_x\"}"), 1.0);
}

#[test]
fn a_guard_outlives_its_bridge_in_peace() {
    let bridge = Bridge::builder().build().unwrap();
    let session = bridge.session("a", "S");
    bridge.shutdown(Duration::from_secs(5)).unwrap();
    drop(bridge);
    session.heartbeat();
    drop(session);
}

#[test]
fn a_guards_duration_is_the_time_that_it_was_alive() {
    let bridge = Bridge::builder().build().unwrap();
    let begun = std::time::Instant::now();
    let timer = bridge.time_event("a", "x");
    crate::support::events::until("a while has gone by", || timer.elapsed() > Duration::from_millis(30));
    timer.finish();
    let most = begun.elapsed().as_secs_f64();
    let sum = "mcp_event_emit_duration_seconds_sum{component_name=\"a\",event_type=\"x\"}";
    let took = recorded(&bridge, 1.0).get(sum);
    assert!((0.03..=most).contains(&took), "{took} of {most}");
}

#[test]
fn bridges_know_nothing_of_each_other() {
    let (one, other) = (Bridge::builder().build().unwrap(), Bridge::builder().build().unwrap());
    let session = one.session("a", "S");
    other.session_end(session.id(), SessionStatus::Success).unwrap();
    assert_eq!(recorded(&one, 1.0).get("active_sessions_total"), 1.0);
    let samples = Samples::of(&other);
    assert_eq!(samples.get("active_sessions_total"), 0.0);
    assert_eq!(samples.total("session_start_total"), 0.0);
    assert_eq!(samples.total("mcp_event_emit_failure_total"), 1.0);
}

#[test]
fn the_global_bridge_is_one_and_can_be_set() {
    // One test for both: the process has one global bridge.
    Bridge::global().mcp_event("a", "x", 0.5, None).unwrap();
    let count = |bridge: &Bridge| Samples::of(bridge).total("mcp_event_emit_success_total");
    assert_eq!(count(&Bridge::global()), 1.0);
    let mine = Bridge::builder().resource_attribute("service.name", "mine").build().unwrap();
    Bridge::set_global(mine.clone());
    Bridge::global().mcp_event("a", "x", 0.5, None).unwrap();
    assert_eq!((count(&mine), count(&Bridge::global())), (1.0, 1.0));
    assert!(Bridge::global().render(Format::Text004).unwrap().contains("service_name=\"mine\""));
}
