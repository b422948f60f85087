//! What an event is read from, whatever form it came in: named values, and how a field is read from them.
//!
//! JSON and protobuf both become [`Fields`]; every rule about fields stands behind [`Fields`], so it holds for both.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde_json::json;

use super::Reason;
use super::field::Invalid;
use super::schema::Property;

/// The most characters of an offending value, or of an unknown field's name, that are shown.
pub(super) const SHOWN: usize = 64;
/// The most unknown fields that are named.
const UNKNOWN_MAX: usize = 16;

/// A value as it came in.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// Absent, or as good as absent.
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    String(Cow<'a, str>),
    /// A time as protobuf gives it: seconds since 1970 and nanoseconds.
    Instant(i64, i32),
    /// An array; no field takes one, so its members are not kept.
    Array,
    Object(Fields<'a>),
}

impl Value<'_> {
    /// The number, if it is one.
    pub(super) fn real(&self) -> Option<f64> {
        match *self {
            Value::Unsigned(value) => Some(value as f64),
            Value::Signed(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, if it is a number and whole: 3.0 is 3, as JSON knows one kind of number only.
    pub(super) fn whole(&self) -> Option<i128> {
        match *self {
            Value::Unsigned(value) => Some(value.into()),
            Value::Signed(value) => Some(value.into()),
            // Casts of floats saturate, so one out of range stays out of range.
            Value::Float(value) if value.fract() == 0.0 => Some(value as i128),
            _ => None,
        }
    }
}

/// The value, short enough for a message.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Unsigned(value) => write!(f, "{value}"),
            Value::Signed(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value:?}"),
            Value::String(value) => f.write_str(&quoted(value)),
            Value::Instant(seconds, nanos) => write!(f, "{seconds} seconds and {nanos} nanoseconds since 1970"),
            Value::Array => f.write_str("an array"),
            Value::Object(_) => f.write_str("an object"),
        }
    }
}

/// The text in quotes, escaped, and cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The start of a name, cut where it is long.
pub(super) fn cut(name: &str) -> &str {
    name.char_indices().nth(SHOWN).map_or(name, |(end, _)| &name[..end])
}

/// Named values, each of which remembers whether it was asked for. No name appears twice.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(Vec<Entry<'a>>);

#[derive(Debug)]
struct Entry<'a> {
    name: Cow<'a, str>,
    value: Value<'a>,
    asked: Cell<bool>,
}

impl<'a> Fields<'a> {
    /// The most fields of one object: looking for names takes time by the square of it.
    pub(super) const MAX: usize = 256;

    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Adds a value whose name is new.
    pub(super) fn push(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        self.0.push(Entry { name, value, asked: Cell::new(false) });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|entry| entry.name == name)
    }

    /// The value of that name, unless it is null; asking makes it a known one.
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        let entry = self.0.iter().find(|entry| entry.name == name)?;
        entry.asked.set(true);
        (!matches!(entry.value, Value::Null)).then_some(&entry.value)
    }

    /// The names that nobody asked for, those of inner objects as paths; the first few, each cut where it is long.
    pub(super) fn unknown(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.collect_unknown("", &mut names);
        names
    }

    fn collect_unknown(&self, prefix: &str, names: &mut Vec<String>) {
        for entry in &self.0 {
            if names.len() == UNKNOWN_MAX {
                return;
            }
            match &entry.value {
                _ if !entry.asked.get() => names.push(format!("{prefix}{}", cut(&entry.name))),
                Value::Object(fields) => fields.collect_unknown(&format!("{prefix}{}.", entry.name), names),
                _ => {}
            }
        }
    }
}

/// Why a field could not be read.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The field, as `user.username`; empty for the event as a whole.
    pub(super) path: String,
    pub(super) reason: Reason,
    /// What was wrong, as what follows the path in a sentence.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(path: &str, reason: Reason, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), reason, message: message.into() }
    }

    pub(super) fn missing(path: &str, expected: &str) -> Self {
        Self::new(path, Reason::MissingField, format!("is missing: must be {expected}"))
    }

    pub(super) fn wrong_type(expected: &'static str, value: &Value<'_>) -> Self {
        Self::new("", Reason::WrongType, Invalid::new(expected, value).to_string())
    }

    /// The fault as seen from outside: its path starts with `name`.
    pub(super) fn within(mut self, name: &str) -> Self {
        self.path = if self.path.is_empty() { name.to_owned() } else { format!("{name}.{}", self.path) };
        self
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::new("", Reason::InvalidValue, invalid.to_string())
    }
}

/// A type that a field can have.
pub(crate) trait Field: Sized {
    /// What a value must be, as what follows "must be" in a sentence.
    const EXPECTED: &'static str;

    /// Reads a value that is not null.
    fn read(value: &Value<'_>) -> Result<Self, Fault>;

    /// The name under which a schema of several types of events holds [`Field::schema`] once, where that is long.
    const SHARED: Option<&'static str> = None;

    /// What a value must be, as JSON Schema says it.
    fn schema() -> serde_json::Value;

    /// The fields of a value, where it is an object.
    fn parts() -> Vec<Property> {
        Vec::new()
    }

    /// The value of a protobuf enum's number.
    fn numbered(number: i32) -> Value<'static> {
        Value::Signed(number.into())
    }
}

/// A place in an event for a field: a type that must be there, or an `Option` of one that may be.
pub(crate) trait Slot: Sized {
    /// The type of the field.
    type Field: Field;
    /// Whether it may be left out.
    const OPTIONAL: bool;

    fn read_from(fields: &Fields<'_>, name: &str) -> Result<Self, Fault>;

    fn is_absent(&self) -> bool;
}

impl<T: Field> Slot for T {
    type Field = T;
    const OPTIONAL: bool = false;

    fn read_from(fields: &Fields<'_>, name: &str) -> Result<Self, Fault> {
        let value = fields.get(name).ok_or_else(|| Fault::missing(name, T::EXPECTED))?;
        T::read(value).map_err(|fault| fault.within(name))
    }

    fn is_absent(&self) -> bool {
        false
    }
}

impl<T: Field> Slot for Option<T> {
    type Field = T;
    const OPTIONAL: bool = true;

    fn read_from(fields: &Fields<'_>, name: &str) -> Result<Self, Fault> {
        fields.get(name).map(T::read).transpose().map_err(|fault| fault.within(name))
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// What is seldom there need not make every event larger.
impl<T: Field> Field for Box<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const SHARED: Option<&'static str> = T::SHARED;

    fn schema() -> serde_json::Value {
        T::schema()
    }

    fn parts() -> Vec<Property> {
        T::parts()
    }

    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        T::read(value).map(Box::new)
    }
}

impl Field for bool {
    const EXPECTED: &'static str = "true or false";

    fn schema() -> serde_json::Value {
        json!({"type": "boolean"})
    }

    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        match value {
            Value::Bool(value) => Ok(*value),
            other => Err(Fault::wrong_type(Self::EXPECTED, other)),
        }
    }
}
