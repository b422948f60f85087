//! The emission of MCP events: `mcp_event`, every `mcp_operation`, and every session_start and session_end that comes
//! in.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::{Context, Fault, Tracing};
use crate::catalog::metrics::{MCP_EVENT_EMIT_DURATION, MCP_EVENT_EMIT_FAILURE, MCP_EVENT_EMIT_SUCCESS};
use crate::event::{Event, EventId, EventKind, EventType, McpEvent, Outcome, Rejection, Seconds, Status, Timestamp};
use crate::telemetry::{Instrument, Link, Telemetry};

/// The component of an event of which no component can be known.
const UNKNOWN_COMPONENT: &str = "unknown";

/// Records emissions.
#[derive(Debug)]
pub(super) struct EmitRecorder {
    success: Arc<Instrument>,
    failure: Arc<Instrument>,
    duration: Arc<Instrument>,
    tracing: Arc<Tracing>,
}

impl EmitRecorder {
    pub(super) fn new(telemetry: &Telemetry, tracing: Arc<Tracing>) -> Self {
        Self {
            success: telemetry.instrument(&MCP_EVENT_EMIT_SUCCESS),
            failure: telemetry.instrument(&MCP_EVENT_EMIT_FAILURE),
            duration: telemetry.instrument(&MCP_EVENT_EMIT_DURATION),
            tracing,
        }
    }

    pub(super) fn mcp_event(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::McpEvent(emitted) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let link = event.traceparent.as_ref().and_then(|parent| self.tracing.link(&parent.span_context(), time));
        self.emitted(
            context,
            emitted.component_name.as_str(),
            emitted.emitted_type.as_str(),
            emitted.error_type.as_ref().map(|error| error.as_str()),
            emitted.duration_seconds,
            link,
        );
        Ok(Outcome::new(Status::Recorded))
    }

    /// A session_start or session_end was handled, with success or the error of that type.
    pub(super) fn handled(
        &self,
        context: &mut Context<'_>,
        component: Option<&str>,
        event_type: EventType,
        error_type: Option<&str>,
        link: Option<Link>,
    ) {
        let took = Seconds::from(context.handling());
        let component = component.unwrap_or(UNKNOWN_COMPONENT);
        self.emitted(context, component, event_type.name(), error_type, took, link);
    }

    /// An event could not be understood: a failed emission, where it was one of a session.
    pub(super) fn rejected(&self, context: &mut Context<'_>, rejection: &Rejection) {
        if let Some(event_type @ (EventType::SessionStart | EventType::SessionEnd)) = rejection.event_type {
            let component = rejection.component.as_ref().map(|component| component.as_str());
            self.refused(context, component, event_type, rejection.id);
        }
    }

    /// A session_start or session_end was refused: a failed emission, unless it is the same event once more, from a client
    /// to which the answer was lost.
    pub(super) fn refused(
        &self,
        context: &mut Context<'_>,
        component: Option<&str>,
        event_type: EventType,
        id: Option<EventId>,
    ) {
        if id.is_none_or(|id| context.state.event_ids.insert_refused(id.as_u128())) {
            self.handled(context, component, event_type, Some("ValidationError"), None);
        }
    }

    /// Something was emitted, with success or the error of that type.
    pub(super) fn emitted(
        &self,
        context: &mut Context<'_>,
        component: &str,
        event_type: &str,
        error_type: Option<&str>,
        took: Seconds,
        link: Option<Link>,
    ) {
        let counted = match error_type {
            None => self.success.series(&[component, event_type]),
            Some(error_type) => self.failure.series(&[component, event_type, error_type]),
        };
        context.staged.add(counted, 1, link);
        context.staged.record(self.duration.series(&[component, event_type]), took.get(), link);
    }
}

/// The name of the span of an emission that is timed.
pub(crate) fn span_name(emitted: &McpEvent) -> String {
    format!("emit {}", emitted.emitted_type.as_str())
}

/// The attributes of that span: the labels of its metrics, and the name that the conventions give to the error.
pub(crate) fn attributes(emitted: &McpEvent) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("component_name", emitted.component_name.as_str().to_owned()),
        KeyValue::new("event_type", emitted.emitted_type.as_str().to_owned()),
    ];
    if let Some(error) = &emitted.error_type {
        attributes.push(KeyValue::new("error_type", error.as_str().to_owned()));
        attributes.push(KeyValue::new("error.type", error.as_str().to_owned()));
    }
    attributes
}
