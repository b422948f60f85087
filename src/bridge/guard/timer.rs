//! The guard of an emission of an MCP event.

use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use tracing::Span;

use super::error_at_drop;
use super::span::{GuardSpan, be};
use crate::bridge::{Bridge, Source};
use crate::event::{ComponentName, Event, Label, McpEvent, Seconds, Timestamp};
use crate::record;
use crate::telemetry::SCOPE;

impl Bridge {
    /// The emission of an MCP event: timed from now until the guard is dropped or finished.
    pub fn time_event(&self, component_name: &str, event_type: &str) -> EventTimer {
        let emitted = McpEvent {
            component_name: ComponentName::lossy(component_name),
            emitted_type: Label::lossy(event_type),
            duration_seconds: Seconds::from(Duration::ZERO),
            error_type: None,
        };
        let span = GuardSpan::new(tracing::info_span!(
            target: "mcp_otel_bridge",
            "mcp_event",
            otel.name = record::emit_span_name(&emitted),
            otel.kind = "producer",
            component_name = emitted.component_name.as_str(),
            event_type = emitted.emitted_type.as_str(),
        ));
        EventTimer { bridge: self.clone(), emitted, span, started: Instant::now(), began: Timestamp::now() }
    }
}

/// The emission of an MCP event under way.
#[derive(Debug)]
#[must_use = "the emission ends when the guard is dropped"]
pub struct EventTimer {
    bridge: Bridge,
    emitted: McpEvent,
    span: GuardSpan,
    started: Instant,
    began: Timestamp,
}

impl EventTimer {
    /// The emission's `tracing` span.
    pub fn span(&self) -> &Span {
        self.span.tracing()
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The emission has failed, with this kind of error. Without a word it has succeeded, and failed in a panic.
    pub fn fail(&mut self, error_type: &str) {
        self.emitted.error_type = Some(Label::lossy(error_type));
    }

    /// Ends the emission now.
    pub fn finish(self) {}

    /// The span where no layer made one. An `mcp_event` as such has none, so it is made here and not by the writer.
    fn own_span(&self, end: Timestamp) -> SpanContext {
        let tracer = self.bridge.tracer_provider().tracer(SCOPE);
        let builder = SpanBuilder::from_name(record::emit_span_name(&self.emitted))
            .with_kind(SpanKind::Producer)
            .with_start_time(self.began)
            .with_attributes(record::emit_attributes(&self.emitted));
        let around = self.span.around();
        // To a sampler, a parent that is there and invalid is an unsampled one.
        let parent = match around.is_valid() {
            true => Context::new().with_remote_span_context(around.clone()),
            false => Context::new(),
        };
        let mut span = tracer.build_with_context(builder, &parent);
        if let Some(error) = &self.emitted.error_type {
            span.set_status(Status::error(error.as_str().to_owned()));
        }
        span.end_with_timestamp(end.into());
        span.span_context().clone()
    }
}

impl Drop for EventTimer {
    fn drop(&mut self) {
        let time = Timestamp::now();
        self.emitted.duration_seconds = Seconds::from(self.started.elapsed());
        self.emitted.error_type = error_at_drop(self.emitted.error_type.take());
        let mut event = Event { timestamp: Some(time), ..Event::new(self.emitted.clone()) };
        if self.span.is_traced() {
            self.span.adorn(record::emit_attributes(&self.emitted));
            self.span.end(self.emitted.error_type.as_ref().map(Label::as_str), time);
            self.span.place(&mut event);
        } else {
            be(&mut event, &self.own_span(time));
        }
        self.bridge.submit_and_forget(Source::Library, event);
    }
}
