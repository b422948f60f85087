//! LLM calls: the hub's counter, the GenAI metrics, and a span.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use super::span::{Over, Place};
use super::{Context, Fault, Tracing};
use crate::catalog::metrics::{
    GEN_AI_CLIENT_OPERATION_DURATION, GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK, GEN_AI_CLIENT_TOKEN_USAGE,
    MCP_HUB_LLM_API_CALLS,
};
use crate::event::{Event, EventKind, LlmCall, Outcome, Status, Timestamp};
use crate::telemetry::{Instrument, Telemetry};

/// Records LLM calls.
#[derive(Debug)]
pub(super) struct LlmRecorder {
    calls: Arc<Instrument>,
    duration: Arc<Instrument>,
    tokens: Arc<Instrument>,
    first_chunk: Arc<Instrument>,
    tracing: Arc<Tracing>,
}

impl LlmRecorder {
    pub(super) fn new(telemetry: &Telemetry, tracing: Arc<Tracing>) -> Self {
        Self {
            calls: telemetry.instrument(&MCP_HUB_LLM_API_CALLS),
            duration: telemetry.instrument(&GEN_AI_CLIENT_OPERATION_DURATION),
            tokens: telemetry.instrument(&GEN_AI_CLIENT_TOKEN_USAGE),
            first_chunk: telemetry.instrument(&GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK),
            tracing,
        }
    }

    pub(super) fn call(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::LlmCall(call) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let end = event.timestamp.unwrap_or_else(Timestamp::now);
        let place = Place::of(context, &event, call.session_id.as_ref(), end)?;
        let over = Over {
            name: span_name(call),
            kind: SpanKind::Client,
            took: call.duration_seconds,
            end,
            error_type: call.error_type.as_ref(),
        };
        let attributes = || attributes(call, place.session_id.as_deref());
        let span = self.tracing.over(context.staged, &event, place.parent, over, attributes);
        let link = self.tracing.link(&span, end);

        let (operation, provider, model) = (call.operation.as_str(), call.provider.as_str(), call.model.as_str());
        let error = call.error_type.as_ref().map_or("", |error| error.as_str());
        let staged = &mut *context.staged;
        staged.add(self.calls.series(&[provider, model]), 1, link);
        if let Some(took) = call.duration_seconds {
            staged.record(self.duration.series(&[operation, provider, model, error]), took.get(), link);
        }
        for (kind, count) in [("input", call.input_tokens), ("output", call.output_tokens)] {
            if let Some(count) = count {
                staged.record(self.tokens.series(&[operation, provider, model, kind]), count.get() as f64, link);
            }
        }
        if let Some(wait) = call.time_to_first_token_seconds {
            staged.record(self.first_chunk.series(&[operation, provider, model]), wait.get(), link);
        }

        let mut outcome = Outcome::new(Status::Recorded).with_span(&span);
        if let Some(session_id) = &place.session_id {
            outcome = outcome.with_session_id(session_id);
        }
        Ok(outcome)
    }
}

/// The name of a call's span.
pub(crate) fn span_name(call: &LlmCall) -> String {
    format!("{} {}", call.operation.as_str(), call.model.as_str())
}

/// The attributes of a call's span: the labels of its metrics, then what metrics must not have.
pub(crate) fn attributes(call: &LlmCall, session_id: Option<&str>) -> Vec<KeyValue> {
    let text = |key: &'static str, value: &str| KeyValue::new(key, value.to_owned());
    let number = |key: &'static str, value: u64| KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX));
    let mut attributes = vec![
        text("gen_ai.operation.name", call.operation.as_str()),
        text("gen_ai.provider.name", call.provider.as_str()),
        text("gen_ai.request.model", call.model.as_str()),
        text("provider", call.provider.as_str()),
        text("model", call.model.as_str()),
    ];
    attributes.extend(call.error_type.as_ref().map(|error| text("error.type", error.as_str())));
    attributes.extend(call.input_tokens.map(|count| number("gen_ai.usage.input_tokens", count.get())));
    attributes.extend(call.output_tokens.map(|count| number("gen_ai.usage.output_tokens", count.get())));
    attributes.extend(
        call.time_to_first_token_seconds.map(|wait| KeyValue::new("gen_ai.response.time_to_first_chunk", wait.get())),
    );
    attributes.extend(session_id.map(|id| text("session.id", id)));
    attributes
}
