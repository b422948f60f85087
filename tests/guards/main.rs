//! Guards: what is timed in a scope is one span and one measurement, with a tracing-opentelemetry layer and without.

#![allow(clippy::unwrap_used)]

mod layer;
mod plain;
#[path = "../support/mod.rs"]
mod support;
mod tasks;

use std::collections::BTreeMap;

use mcp_otel_bridge::Bridge;
use opentelemetry::trace::TracerProvider as _;
use support::collector::Collector;
use support::events::until;
use support::samples::Samples;
use support::traced::Spans;
use tracing_subscriber::layer::SubscriberExt as _;

/// A subscriber that makes trace spans of `tracing` spans, with the bridge's own provider.
fn layered(bridge: &Bridge) -> tracing::Dispatch {
    let layer = tracing_opentelemetry::layer()
        .with_tracer(bridge.tracer_provider().tracer("application"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    tracing::Dispatch::new(tracing_subscriber::registry().with(layer))
}

/// Waits until the bridge has recorded so many events: guards do not.
fn recorded(bridge: &Bridge, events: f64) -> Samples {
    let key = "bridge_events_accepted_total{source=\"library\"}";
    until("the events are recorded", || Samples::of(bridge).get(key) >= events);
    let samples = Samples::of(bridge);
    assert_eq!(samples.get(key), events);
    samples
}

/// All spans that the collector has, once the bridge has recorded so many events.
fn arrived(bridge: &Bridge, collector: &Collector, events: f64) -> (Samples, Spans) {
    let samples = recorded(bridge, events);
    (samples, support::traced::spans(bridge, collector))
}

/// What a user of guards does: a session with a good call and a bad one, and an emission inside.
fn work(bridge: &Bridge) {
    let mut session = bridge.session("my-server", "MyShell");
    session.quality_score(80.0);
    {
        let mut call = session.llm_call("openai", "gpt-4");
        call.operation("text_completion");
        call.first_token();
        call.input_tokens(12);
        call.output_tokens(3);
        call.output_tokens(34);
        call.finish();
    }
    {
        let mut call = session.llm_call("openai", "gpt-4o");
        call.fail("RateLimit");
        call.fail("Timeout");
    }
    let mut timer = session.span().in_scope(|| bridge.time_event("my-server", "tools/list"));
    timer.fail("ConnectionError");
    timer.finish();
    session.finish(mcp_otel_bridge::event::SessionStatus::Error);
}

/// The number of events of [`work`].
const WORK: f64 = 5.0;

/// The attributes without what differs from run to run.
fn stable(mut attributes: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for key in ["session.id", "gen_ai.response.time_to_first_chunk"] {
        if let Some(value) = attributes.get_mut(key) {
            *value = "some".to_owned();
        }
    }
    attributes
}
