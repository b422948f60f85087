//! LLM calls: the hub's counter, the GenAI metrics, and a span.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanKind, Status as SpanStatus};

use super::{Context, Fault, Tracing};
use crate::catalog::metrics::{
    GEN_AI_CLIENT_OPERATION_DURATION, GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK, GEN_AI_CLIENT_TOKEN_USAGE,
    MCP_HUB_LLM_API_CALLS,
};
use crate::event::{Event, EventKind, LlmCall, Outcome, SessionId, SpanOwner, Status, Timestamp};
use crate::telemetry::{FinishedSpan, Instrument, Telemetry};

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
        let mut parent = event.traceparent.as_ref().map(|parent| parent.span_context());
        let session = match &call.session_id {
            Some(id) => Some(hear(context, id, end, parent.is_none())?),
            None => None,
        };
        parent = parent.or_else(|| session.as_ref()?.span.clone());
        let session_id = session.map(|session| session.id);
        let span = self.span(context, event.span_owner, call, parent, session_id.as_deref(), end);
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
        if let Some(session_id) = &session_id {
            outcome = outcome.with_session_id(session_id);
        }
        Ok(outcome)
    }

    /// The call's span: the caller's own, or a new one under `parent`.
    fn span(
        &self,
        context: &mut Context<'_>,
        owner: SpanOwner,
        call: &LlmCall,
        parent: Option<SpanContext>,
        session_id: Option<&str>,
        end: Timestamp,
    ) -> SpanContext {
        if let (SpanOwner::Caller, Some(own)) = (owner, &parent) {
            return own.clone();
        }
        let name = span_name(call);
        let span = self.tracing.tracer.start(parent.as_ref(), &name, &SpanKind::Client);
        if span.is_sampled() {
            let took = call.duration_seconds.map_or(Duration::ZERO, |took| Duration::from_secs_f64(took.get()));
            let end = SystemTime::from(end);
            let finished = FinishedSpan {
                name,
                kind: SpanKind::Client,
                start: end.checked_sub(took).unwrap_or(end),
                end,
                status: match &call.error_type {
                    Some(error) => SpanStatus::error(error.as_str().to_owned()),
                    None => SpanStatus::Unset,
                },
                attributes: attributes(call, session_id),
            };
            let parent = parent.filter(SpanContext::is_valid).map(|parent| parent.span_id());
            context.staged.spans.push(self.tracing.tracer.finish(span.clone(), parent, finished));
        }
        span
    }
}

/// The session that a call names.
struct Caller {
    /// Its whole id, where it is known.
    id: Arc<str>,
    span: Option<SpanContext>,
}

/// Finds the session that a call names, which is thereby heard of; one that ended only where that is asked for.
fn hear(context: &mut Context<'_>, id: &SessionId, end: Timestamp, or_ended: bool) -> Result<Caller, Fault> {
    let (store, sessions, ..) = context.state.parts();
    let end_ns = i64::try_from(end.unix_nanos()).unwrap_or(i64::MAX);
    sessions.hear(store, id.as_str(), end_ns, context.now_ms)?;
    if let Some(session) = sessions.find(id.as_str()) {
        return Ok(Caller { id: Arc::clone(&session.id), span: Some(session.span.context()) });
    }
    let ended = if or_ended { sessions.ended(store, id.as_str())? } else { Vec::new() };
    Ok(match ended.into_iter().next() {
        Some(ended) => Caller { id: ended.id, span: Some(ended.span.context()) },
        None => Caller { id: id.as_str().into(), span: None },
    })
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
