//! MCP operations: their durations as the component saw them, the emission that each is, and a span.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use super::emit::EmitRecorder;
use super::span::{Over, Place};
use super::{Context, Fault, Tracing};
use crate::catalog::metrics::{MCP_CLIENT_OPERATION_DURATION, MCP_SERVER_OPERATION_DURATION};
use crate::event::{Direction, Event, EventKind, McpOperation, Outcome, Status, Timestamp};
use crate::telemetry::{Instrument, Telemetry};

/// The method that calls a tool.
const TOOLS_CALL: &str = "tools/call";

/// Records MCP operations.
#[derive(Debug)]
pub(super) struct McpRecorder {
    server: Arc<Instrument>,
    client: Arc<Instrument>,
    tracing: Arc<Tracing>,
    emit: Arc<EmitRecorder>,
}

impl McpRecorder {
    pub(super) fn new(telemetry: &Telemetry, tracing: Arc<Tracing>, emit: Arc<EmitRecorder>) -> Self {
        Self {
            server: telemetry.instrument(&MCP_SERVER_OPERATION_DURATION),
            client: telemetry.instrument(&MCP_CLIENT_OPERATION_DURATION),
            tracing,
            emit,
        }
    }

    pub(super) fn operation(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::McpOperation(operation) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let end = event.timestamp.unwrap_or_else(Timestamp::now);
        let place = Place::of(context, &event, operation.session_id.as_ref(), end)?;
        // A server that sends a request to its client is the client of that request.
        let (duration, kind) = match operation.direction {
            Direction::ToServer => (&self.server, SpanKind::Server),
            Direction::ToClient => (&self.client, SpanKind::Client),
        };
        let method = operation.method.as_str();
        let tool = operation.tool_name.as_ref().map(|tool| tool.as_str());
        let over = Over {
            name: tool.map_or_else(|| method.to_owned(), |tool| format!("{method} {tool}")),
            kind,
            took: Some(operation.duration_seconds),
            end,
            error_type: operation.error_type.as_ref(),
        };
        let attributes = || attributes(operation, place.session_id.as_deref());
        let span = self.tracing.over(context.staged, &event, place.parent, over, attributes);
        let link = self.tracing.link(&span, end);

        let component = operation.component_name.as_str();
        let error = operation.error_type.as_ref().map(|error| error.as_str());
        let labels = [
            component,
            method,
            tool.unwrap_or_default(),
            error.unwrap_or_default(),
            operation.protocol_version.as_ref().map_or("", |version| version.as_str()),
            operation.transport.label(),
        ];
        context.staged.record(duration.series(&labels), operation.duration_seconds.get(), link);
        self.emit.emitted(context, component, method, error, operation.duration_seconds, link);

        let mut outcome = Outcome::new(Status::Recorded).with_span(&span);
        if let Some(session_id) = &place.session_id {
            outcome = outcome.with_session_id(session_id);
        }
        Ok(outcome)
    }
}

/// The attributes of an operation's span: the labels of its metric, then what metrics must not have.
fn attributes(operation: &McpOperation, session_id: Option<&str>) -> Vec<KeyValue> {
    let text = |key: &'static str, value: &str| KeyValue::new(key, value.to_owned());
    let mut attributes = vec![
        text("component_name", operation.component_name.as_str()),
        text("mcp.method.name", operation.method.as_str()),
        text("network.transport", operation.transport.label()),
    ];
    attributes.extend(operation.tool_name.as_ref().map(|tool| text("gen_ai.tool.name", tool.as_str())));
    if let Some(error) = operation.error_type.as_ref().map(|error| error.as_str()) {
        attributes.push(text("error.type", error));
        // A number is the code of a JSON-RPC error, for which the conventions have a name of its own.
        if error.parse::<i32>().is_ok() {
            attributes.push(text("rpc.response.status_code", error));
        }
    }
    attributes
        .extend(operation.protocol_version.as_ref().map(|version| text("mcp.protocol.version", version.as_str())));
    if operation.method.as_str() == TOOLS_CALL {
        attributes.push(text("gen_ai.operation.name", "execute_tool"));
    }
    attributes.extend(session_id.map(|id| text("session.id", id)));
    attributes
}
