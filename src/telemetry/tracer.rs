//! Spans of events: their ids and sampling decision when they start, their data when they are over.
//!
//! They are made as finished span data, because the SDK's builder sets neither ids nor an end, and events tell of what
//! is over already. The sampling decision is the SDK sampler's own.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceState};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler as SdkSampler, SamplingDecision, ShouldSample, SpanData, SpanEvents,
    SpanLinks,
};

use super::SCOPE;
use crate::config::Sampler;

/// Makes the spans of events.
#[derive(Debug)]
pub struct EventTracer {
    sampler: SdkSampler,
    scope: InstrumentationScope,
}

/// What a finished span tells.
#[derive(Debug)]
pub struct FinishedSpan {
    /// Its name.
    pub name: String,
    /// What it was to the one that it called or was called by.
    pub kind: SpanKind,
    /// When it started.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// How it ended.
    pub status: Status,
    /// Its attributes.
    pub attributes: Vec<KeyValue>,
}

impl EventTracer {
    /// A tracer with this sampler.
    pub fn new(sampler: Sampler) -> Self {
        Self { sampler: sdk_sampler(sampler), scope: InstrumentationScope::builder(SCOPE).build() }
    }

    /// The ids of a new span under `parent`, with the sampling decision taken.
    pub fn start(&self, parent: Option<&SpanContext>, name: &str, kind: &SpanKind) -> SpanContext {
        let ids = RandomIdGenerator::default();
        let parent = parent.filter(|parent| parent.is_valid());
        let trace_id = parent.map_or_else(|| ids.new_trace_id(), SpanContext::trace_id);
        let context = parent.map(|parent| Context::new().with_remote_span_context(parent.clone()));
        let sampled = self.sampler.should_sample(context.as_ref(), trace_id, name, kind, &[], &[]).decision
            == SamplingDecision::RecordAndSample;
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        SpanContext::new(trace_id, ids.new_span_id(), flags, false, TraceState::NONE)
    }

    /// The data of a span that is over.
    pub fn finish(&self, context: SpanContext, parent: Option<SpanId>, span: FinishedSpan) -> SpanData {
        SpanData {
            span_context: context,
            parent_span_id: parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: parent.is_some(),
            span_kind: span.kind,
            name: Cow::Owned(span.name),
            start_time: span.start,
            end_time: span.end.max(span.start),
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The SDK's sampler for a configured one.
pub fn sdk_sampler(sampler: Sampler) -> SdkSampler {
    let root = match sampler.ratio {
        ratio if ratio >= 1.0 => SdkSampler::AlwaysOn,
        ratio if ratio <= 0.0 => SdkSampler::AlwaysOff,
        ratio => SdkSampler::TraceIdRatioBased(ratio),
    };
    if sampler.parent_based { SdkSampler::ParentBased(Box::new(root)) } else { root }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TraceId;

    fn parent(flags: TraceFlags) -> SpanContext {
        SpanContext::new(TraceId::from(7), SpanId::from(9), flags, true, TraceState::NONE)
    }

    #[test]
    fn a_parents_decision_goes_before_the_roots() {
        let none = EventTracer::new(Sampler { parent_based: true, ratio: 0.0 });
        let all = EventTracer::new(Sampler { parent_based: true, ratio: 1.0 });
        let name_and_kind = ("session x", SpanKind::Internal);
        let start = |tracer: &EventTracer, parent: Option<&SpanContext>| {
            tracer.start(parent, name_and_kind.0, &name_and_kind.1)
        };
        assert!(!start(&none, None).is_sampled());
        assert!(start(&all, None).is_sampled());
        assert!(start(&none, Some(&parent(TraceFlags::SAMPLED))).is_sampled());
        assert!(!start(&all, Some(&parent(TraceFlags::NOT_SAMPLED))).is_sampled());
    }

    #[test]
    fn a_child_is_in_its_parents_trace() {
        let tracer = EventTracer::new(Sampler::default());
        let child = tracer.start(Some(&parent(TraceFlags::SAMPLED)), "x", &SpanKind::Client);
        assert_eq!(child.trace_id(), TraceId::from(7));
        assert_ne!(child.span_id(), SpanId::from(9));
        assert_ne!(tracer.start(None, "x", &SpanKind::Client).trace_id(), TraceId::from(7));
    }
}
