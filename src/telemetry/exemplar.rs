//! Exemplars: the measurement that leads from a bucket or a counter to its trace.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, TraceId};

/// One measurement made in a sampled span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    /// What was measured.
    pub value: f64,
    /// When.
    pub time: SystemTime,
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
}

/// Where and when a measurement was made, if that was in a sampled span.
///
/// It cannot be made of an unsampled one: no exemplar ever names a trace of which its owner keeps nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    time: SystemTime,
    trace_id: TraceId,
    span_id: SpanId,
}

impl Link {
    /// The link to `span`; `None` where it is invalid or not sampled.
    pub fn to(span: &SpanContext, time: SystemTime) -> Option<Self> {
        (span.is_valid() && span.is_sampled()).then(|| Self {
            time,
            trace_id: span.trace_id(),
            span_id: span.span_id(),
        })
    }

    fn exemplar(self, value: f64) -> Exemplar {
        Exemplar { value, time: self.time, trace_id: self.trace_id, span_id: self.span_id }
    }
}

/// The latest exemplar of each bucket of one series; a counter has one slot.
#[derive(Debug, Default)]
pub(super) struct Slots {
    any: AtomicBool,
    slots: Mutex<Box<[Option<Exemplar>]>>,
}

impl Slots {
    /// Keeps the measurement as the latest of slot `index` of `count`.
    pub(super) fn keep(&self, index: usize, count: usize, value: f64, link: Link) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.is_empty() {
            *slots = vec![None; count].into_boxed_slice();
        }
        if let Some(slot) = slots.get_mut(index) {
            *slot = Some(link.exemplar(value));
        }
        self.any.store(true, Ordering::Release);
    }

    /// Hands the slots to `read`: one a bucket, or none at all while nothing sampled was measured.
    pub(super) fn read<R>(&self, read: impl FnOnce(&[Option<Exemplar>]) -> R) -> R {
        if !self.any.load(Ordering::Acquire) {
            return read(&[]);
        }
        read(&self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
