//! What the fields of events may hold: types that cannot hold anything else.
//!
//! A label that exists is bounded, a number that exists is finite and in range, an id that exists is well formed.

mod choice;
mod id;
mod number;
mod text;
mod time;
mod trace;

pub use choice::{BreakerState, Direction, ExecutionStatus, SessionStatus, Transport};
pub use id::EventId;
pub use number::{Attempt, Count, Finite, Rate, Score, Seconds};
pub use text::{ComponentName, Label, RequestId, SessionId, Text};
pub use time::Timestamp;
pub use trace::TraceParent;

use super::source::Value;

/// A value that a field may not hold: what it must be, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {expected}, got {got}")]
pub struct Invalid {
    expected: &'static str,
    got: String,
}

impl Invalid {
    pub(super) fn new(expected: &'static str, got: &Value<'_>) -> Self {
        Self { expected, got: got.to_string() }
    }

    fn text(expected: &'static str, got: &str) -> Self {
        Self { expected, got: super::source::quoted(got) }
    }
}

#[cfg(test)]
mod tests;
