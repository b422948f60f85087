//! The span of a guard: a `tracing` span, and the trace span that a layer may make of it.

use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::event::{Event, SpanOwner, Timestamp, TraceParent};

/// A `tracing` span, and where it stands among the spans of traces.
#[derive(Debug)]
pub(super) struct GuardSpan {
    span: Span,
    /// The trace span that a layer has made of it, if there is such a layer.
    own: Option<Context>,
    /// The span that was current when the guard was made.
    around: SpanContext,
}

impl GuardSpan {
    /// Starts the trace span, where there is a layer to make one.
    pub(super) fn new(span: Span) -> Self {
        let around = Context::map_current(|current| current.span().span_context().clone());
        let own = span.context();
        let own = own.span().span_context().is_valid().then(|| own.clone());
        Self { span, own, around }
    }

    pub(super) fn tracing(&self) -> &Span {
        &self.span
    }

    /// Whether a layer has made a trace span of it.
    pub(super) fn is_traced(&self) -> bool {
        self.own.is_some()
    }

    /// The span that was current when the guard was made.
    pub(super) fn around(&self) -> &SpanContext {
        &self.around
    }

    /// Puts the event where it belongs: it is the span where a layer made a trace span of it, else it is under what
    /// was current when the guard was made.
    pub(super) fn place(&self, event: &mut Event) {
        match &self.own {
            Some(own) => be(event, own.span().span_context()),
            None => event.traceparent = trace_parent(&self.around),
        }
    }

    /// Gives the trace span those attributes that are not fields of the `tracing` span already.
    pub(super) fn adorn(&self, attributes: Vec<KeyValue>) {
        if let Some(own) = &self.own {
            let attributes = attributes.into_iter().filter(|attribute| !self.span.has_field(attribute.key.as_str()));
            own.span().set_attributes(attributes);
        }
    }

    pub(super) fn rename(&self, name: String) {
        if let Some(own) = &self.own {
            own.span().update_name(name);
        }
    }

    /// Ends the trace span at the time of its event, however long the `tracing` span is held.
    pub(super) fn end(&self, error: Option<&str>, time: Timestamp) {
        if let Some(own) = &self.own {
            if let Some(error) = error {
                own.span().set_status(Status::error(error.to_owned()));
            }
            own.span().end_with_timestamp(time.into());
        }
    }
}

/// Says that this very span is the event's.
pub(super) fn be(event: &mut Event, span: &SpanContext) {
    event.traceparent = trace_parent(span);
    event.span_owner = SpanOwner::Caller;
}

/// The span that is current here, for what is recorded under it.
pub(crate) fn current_parent() -> Option<TraceParent> {
    Context::map_current(|current| trace_parent(current.span().span_context()))
}

fn trace_parent(context: &SpanContext) -> Option<TraceParent> {
    TraceParent::new(context.trace_id(), context.span_id(), context.trace_flags())
}
