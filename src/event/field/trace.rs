//! The span that an event belongs under.

use std::fmt;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::Invalid;
use crate::event::source::{Fault, Field, Value};

const EXPECTED: &str =
    "a W3C traceparent with ids that are not zero, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const PATTERN: &str = "^(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\
    (-[\\u0000-\\u007f]*)?$";
/// The length of version 00; later versions may go on after a hyphen.
const LENGTH: usize = 55;
/// The flags that are known: sampled, and random trace id. Others must not be handed on.
const KNOWN_FLAGS: u8 = 0x03;

/// A span in another process or earlier, as W3C's `traceparent` header names it. Neither id is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

impl TraceParent {
    /// The span with these ids; `None` if one of them is zero.
    pub fn new(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Option<Self> {
        let valid = trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
        valid.then_some(Self { trace_id, span_id, flags })
    }

    /// The trace.
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span.
    pub const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The flags.
    pub const fn flags(&self) -> TraceFlags {
        self.flags
    }

    /// Whether the span is sampled.
    pub fn is_sampled(&self) -> bool {
        self.flags.is_sampled()
    }

    /// The span as OpenTelemetry's API takes it: a remote one without a trace state.
    pub fn span_context(&self) -> SpanContext {
        SpanContext::new(self.trace_id, self.span_id, self.flags, true, TraceState::default())
    }

    fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.len() < LENGTH {
            return None;
        }
        let (known, rest) = text.split_at(LENGTH);
        let mut parts = known.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let ends = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        if parts.next().is_some() || !ends {
            return None;
        }
        let flags = TraceFlags::new(flags & KNOWN_FLAGS);
        Self::new(TraceId::from(trace_id), SpanId::from(span_id), flags)
    }
}

/// So many digits as a number; the standard has them in lower case.
fn hex(digits: &str, length: usize) -> Option<u128> {
    let valid = digits.len() == length && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    valid.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

impl FromStr for TraceParent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text).ok_or_else(|| Invalid::text(EXPECTED, text))
    }
}

/// The header's form, version 00.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Field for TraceParent {
    const EXPECTED: &'static str = EXPECTED;

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": PATTERN})
    }

    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value {
            Value::String(text) => Ok(text.parse()?),
            other => Err(Fault::wrong_type(EXPECTED, other)),
        }
    }
}
