//! The span of a session: made at its start, finished at its end, and what it tells.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status as SpanStatus};

use super::super::Context;
use super::{PROTOCOL_VERSION, SessionRecorder, TRANSPORT, time_of};
use crate::event::{Event, SessionId, SessionStart, SpanOwner};
use crate::state::{EndedStatus, Session, SpanIds, SpanValue};
use crate::telemetry::FinishedSpan;

/// What the span of a session says that ended in an error.
pub(crate) const ERROR: &str = "the session ended in an error";

impl SessionRecorder {
    pub(super) fn span_of_start(&self, event: &Event, component: &str) -> SpanIds {
        let parent = event.traceparent.as_ref().map(|parent| parent.span_context());
        if let (SpanOwner::Caller, Some(own)) = (event.span_owner, &parent) {
            return SpanIds {
                trace_id: own.trace_id(),
                span_id: own.span_id(),
                parent: None,
                sampled: own.is_sampled(),
            };
        }
        let span = self.tracing.tracer.start(parent.as_ref(), &span_name(component), &SpanKind::Internal);
        SpanIds {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            parent: parent.map(|parent| parent.span_id()),
            sampled: span.is_sampled(),
        }
    }

    pub(super) fn finish_span(
        &self,
        context: &mut Context<'_>,
        session: &Session,
        status: EndedStatus,
        end: SystemTime,
    ) {
        if !session.span.sampled || session.span_elsewhere {
            return;
        }
        let mut attributes = vec![
            KeyValue::new("component_name", session.component_name.to_string()),
            KeyValue::new("shell_type", session.shell_type.to_string()),
            KeyValue::new("status", status.name()),
        ];
        attributes.extend(session.attributes.iter().cloned().map(key_value));
        let finished = FinishedSpan {
            name: span_name(&session.component_name),
            kind: SpanKind::Internal,
            start: time_of(session.start_ns),
            end,
            status: match status {
                EndedStatus::Success => SpanStatus::Unset,
                EndedStatus::Error => SpanStatus::error(ERROR),
                EndedStatus::Timeout => SpanStatus::error("nothing was heard of the session any more"),
            },
            attributes,
        };
        let data = self.tracing.tracer.finish(session.span.context(), session.span.parent, finished);
        context.staged.spans.push(data);
    }
}

/// The name of a session's span.
pub(crate) fn span_name(component: &str) -> String {
    format!("session {component}")
}

/// The attributes of a session's span that its start tells.
pub(crate) fn attributes(id: &SessionId, start: &SessionStart) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("component_name", start.component_name.as_str().to_owned()),
        KeyValue::new("shell_type", start.shell_type.as_str().to_owned()),
    ];
    attributes.extend(span_attributes(id, start).into_iter().map(key_value));
    attributes
}

fn key_value((key, value): (String, SpanValue)) -> KeyValue {
    match value {
        SpanValue::Int(value) => KeyValue::new(key, value),
        SpanValue::Text(value) => KeyValue::new(key, value),
    }
}

/// What only the span tells, under the names of OpenTelemetry's semantic conventions.
pub(super) fn span_attributes(id: &SessionId, start: &SessionStart) -> Vec<(String, SpanValue)> {
    let text = |key: &str, value: &str| (key.to_owned(), SpanValue::Text(value.to_owned()));
    let mut attributes = vec![
        text("session.id", id.as_str()),
        text("host.name", start.hostname.as_str()),
        ("process.pid".to_owned(), SpanValue::Int(i64::from(start.pid))),
        text("user.name", start.user.username.as_str()),
        text("process.working_directory", start.environment.cwd.as_str()),
        text("os.description", start.environment.platform.as_str()),
    ];
    if let Some(version) = &start.environment.python_version {
        attributes.push(text("process.runtime.name", "python"));
        attributes.push(text("process.runtime.version", version.as_str()));
    }
    attributes.extend(start.protocol_version.as_ref().map(|version| text(PROTOCOL_VERSION, version.as_str())));
    attributes.extend(start.transport.map(|transport| text(TRANSPORT, transport.label())));
    // The conventions have no names for these.
    let peers = [("server_name", "server_version", &start.server), ("client_name", "client_version", &start.client)];
    for (name, version, peer) in peers {
        let Some(peer) = peer else { continue };
        attributes.push(text(name, peer.name.as_str()));
        attributes.extend(peer.version.as_ref().map(|value| text(version, value.as_str())));
    }
    attributes
}
