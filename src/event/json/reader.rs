//! A JSON value as the values that fields are read from, in one pass and borrowed where it can be.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::event::Reason;
use crate::event::source::{Fault, Fields, Value, cut, quoted};

/// Reads a value: an object's members down to the second level, and of what lies deeper only its type.
#[derive(Clone, Copy)]
pub(super) struct Reader<'f> {
    depth: usize,
    /// Filled in where a field stops the parser, from the inside out.
    at_fault: &'f RefCell<Option<Fault>>,
}

/// No field lies deeper.
const MAX_DEPTH: usize = 2;

/// A member's name, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'f> Reader<'f> {
    /// A reader that notes in `at_fault` which field stopped the parser.
    pub(super) const fn new(at_fault: &'f RefCell<Option<Fault>>) -> Self {
        Self { depth: 0, at_fault }
    }

    /// Notes that the field is what stops the parser.
    fn blame(&self, name: &str, fault: impl FnOnce() -> Fault) {
        let mut at_fault = self.at_fault.borrow_mut();
        let inner = at_fault.take().unwrap_or_else(fault);
        *at_fault = Some(inner.within(cut(name)));
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut fields = Fields::with_capacity(if self.depth == 0 { crate::event::proto::CAPACITY } else { 0 });
        if self.depth == MAX_DEPTH {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Object(fields));
        }
        while let Some(Name(name)) = map.next_key()? {
            if fields.contains(&name) {
                self.blame(&name, || Fault::new("", Reason::Malformed, "stands in the object twice"));
                return Err(A::Error::custom(format!("{} stands in the object twice", quoted(&name))));
            }
            if fields.len() == Fields::MAX {
                let message = format!("is one too many: an object has at most {} fields", Fields::MAX);
                self.blame(&name, || Fault::new("", Reason::TooLarge, message));
                return Err(A::Error::custom("too many fields"));
            }
            // Metadata is not looked into.
            let depth = if self.depth == 0 && name == "metadata" { MAX_DEPTH } else { self.depth + 1 };
            let value = map.next_value_seed(Reader { depth, ..self }).inspect_err(|_| {
                self.blame(&name, || Fault::new("", Reason::Malformed, ""));
            })?;
            fields.push(name, value);
        }
        Ok(Value::Object(fields))
    }
}
