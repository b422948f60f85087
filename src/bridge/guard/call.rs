//! The guard of an LLM call.

use std::time::Instant;

use tracing::Span;

use super::error_at_drop;
use super::span::GuardSpan;
use crate::bridge::{Bridge, Source};
use crate::event::{Count, Event, Label, LlmCall, Seconds, SessionId, Timestamp};
use crate::record;

impl Bridge {
    /// An LLM call: timed from now until the guard is dropped or finished.
    pub fn llm_call(&self, provider: &str, model: &str) -> LlmCallGuard {
        LlmCallGuard::new(self, None, provider, model)
    }
}

/// An LLM call under way.
#[derive(Debug)]
#[must_use = "the call ends when the guard is dropped"]
pub struct LlmCallGuard {
    bridge: Bridge,
    call: LlmCall,
    span: GuardSpan,
    started: Instant,
}

/// The span of a call; `$parent` is nothing, for what is current, or `parent: ...,`.
macro_rules! call_span {
    ($call:ident, $session:expr $(, $parent:tt : $id:expr)?) => {
        tracing::info_span!(
            target: "mcp_otel_bridge",
            $($parent: $id,)?
            "llm_call",
            otel.name = record::llm_span_name(&$call),
            otel.kind = "client",
            gen_ai.provider.name = $call.provider.as_str(),
            gen_ai.request.model = $call.model.as_str(),
            provider = $call.provider.as_str(),
            model = $call.model.as_str(),
            session.id = $session,
        )
    };
}

impl LlmCallGuard {
    pub(super) fn new(bridge: &Bridge, session: Option<(&SessionId, &Span)>, provider: &str, model: &str) -> Self {
        let call = LlmCall {
            session_id: session.map(|(id, _)| id.clone()),
            ..LlmCall::new(Label::lossy(provider), Label::lossy(model))
        };
        let session_id = call.session_id.as_ref().map(SessionId::as_str);
        let span = match session.and_then(|(_, span)| span.id()) {
            Some(parent) => call_span!(call, session_id, parent: parent),
            None => call_span!(call, session_id),
        };
        Self { bridge: bridge.clone(), span: GuardSpan::new(span), call, started: Instant::now() }
    }

    /// The call's `tracing` span.
    pub fn span(&self) -> &Span {
        self.span.tracing()
    }

    /// What is asked of the model, such as `embeddings`; `chat` without a word.
    pub fn operation(&mut self, operation: &str) {
        self.call.operation = Label::lossy(operation);
        self.span.rename(record::llm_span_name(&self.call));
    }

    /// The first token of the answer is here.
    pub fn first_token(&mut self) {
        self.call.time_to_first_token_seconds = Some(Seconds::from(self.started.elapsed()));
    }

    /// How many tokens were sent.
    pub fn input_tokens(&mut self, tokens: u64) {
        self.call.input_tokens = Count::new(tokens).ok();
    }

    /// How many tokens came back.
    pub fn output_tokens(&mut self, tokens: u64) {
        self.call.output_tokens = Count::new(tokens).ok();
    }

    /// The call has failed, with this kind of error. Without a word it has succeeded, and failed in a panic.
    pub fn fail(&mut self, error_type: &str) {
        self.call.error_type = Some(Label::lossy(error_type));
    }

    /// Ends the call now.
    pub fn finish(self) {}
}

impl Drop for LlmCallGuard {
    fn drop(&mut self) {
        let time = Timestamp::now();
        self.call.duration_seconds = Some(Seconds::from(self.started.elapsed()));
        self.call.error_type = error_at_drop(self.call.error_type.take());
        let session_id = self.call.session_id.as_ref().map(SessionId::as_str);
        self.span.adorn(record::llm_attributes(&self.call, session_id));
        self.span.end(self.call.error_type.as_ref().map(Label::as_str), time);
        let mut event = Event { timestamp: Some(time), ..Event::new(self.call.clone()) };
        // A call of a session is under the session's span, which the session's id tells.
        if self.span.is_traced() || self.call.session_id.is_none() {
            self.span.place(&mut event);
        }
        self.bridge.submit_and_forget(Source::Library, event);
    }
}
