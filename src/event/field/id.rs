//! The id of an event.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::json;
use uuid::Uuid;

use super::Invalid;
use crate::event::source::{Fault, Field, Value};

const EXPECTED: &str = "a UUID in its hyphenated form, such as 550e8400-e29b-41d4-a716-446655440000";
const PATTERN: &str = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";
/// The length of the hyphenated form; no other form has it.
const LENGTH: usize = 36;

/// What tells an event from all others: a UUID of any version. Its text is the hyphenated form, in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(u128);

impl EventId {
    /// A new one (UUID version 4).
    pub fn random() -> Self {
        Self(Uuid::new_v4().as_u128())
    }

    /// The id with these bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The first eight of its hex digits, as ids of sessions hold them.
    pub fn prefix(self) -> String {
        format!("{:08x}", self.0 >> 96)
    }
}

impl FromStr for EventId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let uuid = (text.len() == LENGTH).then(|| Uuid::try_parse(text).ok()).flatten();
        uuid.map(|uuid| Self(uuid.as_u128())).ok_or_else(|| Invalid::text(EXPECTED, text))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).hyphenated().fmt(f)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Field for EventId {
    const EXPECTED: &'static str = EXPECTED;

    fn schema() -> serde_json::Value {
        json!({"type": "string", "format": "uuid", "pattern": PATTERN})
    }

    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value {
            Value::String(text) => Ok(text.parse()?),
            other => Err(Fault::wrong_type(EXPECTED, other)),
        }
    }
}
