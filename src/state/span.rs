//! The ids of a span that is made only when what it tells of has ended, as they are remembered until then.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use rusqlite::Row;

/// The ids of a span, and the sampling decision that was taken with them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpanIds {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The span that it is under, in another process.
    pub parent: Option<SpanId>,
    /// Whether the trace is kept.
    pub sampled: bool,
}

impl SpanIds {
    /// The span as OpenTelemetry knows it.
    pub fn context(&self) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        SpanContext::new(self.trace_id, self.span_id, flags, false, TraceState::NONE)
    }

    /// From the columns `trace_id`, `span_id`, `parent_span_id` and `sampled`, of which this is the first.
    pub(super) fn read(row: &Row<'_>, first: usize) -> Result<Self, rusqlite::Error> {
        let parent = row.get::<_, Option<[u8; 8]>>(first + 2)?.map(SpanId::from_bytes);
        Self::with_parent(row, first, parent, first + 3)
    }

    /// The same of what ended, which has no `parent_span_id`: its span was made.
    pub(super) fn read_ended(row: &Row<'_>, first: usize) -> Result<Self, rusqlite::Error> {
        Self::with_parent(row, first, None, first + 2)
    }

    fn with_parent(
        row: &Row<'_>,
        first: usize,
        parent: Option<SpanId>,
        sampled: usize,
    ) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            trace_id: TraceId::from_bytes(row.get(first)?),
            span_id: SpanId::from_bytes(row.get(first + 1)?),
            parent,
            sampled: row.get(sampled)?,
        })
    }
}
