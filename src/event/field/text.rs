//! Strings of bounded length and of characters that can be printed.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{EventId, Invalid, Timestamp};
use crate::event::source::{Fault, Field, Value};

/// Whether a reader can see the character for what it is: no control characters, no line or paragraph separators, and
/// none of those that change the direction of what stands around them.
fn printable(c: char) -> bool {
    !(c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

/// [`printable`] as a regular expression of JSON Schema: of what all its dialects have, which is no `\p`.
const PRINTABLE: &str =
    "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*$";

fn name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// [`name_character`] as a regular expression of JSON Schema.
const NAME: &str = "^[A-Za-z0-9_-]*$";

macro_rules! strings {
    ($($(#[$doc:meta])* $Name:ident(1..=$max:literal, $allowed:path, $pattern:path) $expected:literal;)+) => {
        $(
            $(#[$doc])*
            ///
            /// Cheap to clone.
            #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub struct $Name(Arc<str>);

            impl $Name {
                /// The most characters.
                pub const MAX_CHARS: usize = $max;

                /// Takes the value as it is.
                ///
                /// # Errors
                ///
                #[doc = concat!("If it is not ", $expected, ".")]
                pub fn new(value: &str) -> Result<Self, Invalid> {
                    // A character is a byte at least: only what exceeds the bound in bytes needs to be counted.
                    let fits = value.len() <= $max || value.chars().nth($max).is_none();
                    if !value.is_empty() && fits && value.chars().all($allowed) {
                        Ok(Self(value.into()))
                    } else {
                        Err(Invalid::text($expected, value))
                    }
                }

                /// Takes any value, changed where it must be: `_` for each character that is not allowed, cut where
                /// it is too long, `_` where it is empty.
                pub fn lossy(value: &str) -> Self {
                    Self::new(value).unwrap_or_else(|_| {
                        let kept = value.chars().map(|c| if $allowed(c) { c } else { '_' }).take($max);
                        let kept: String = kept.collect();
                        Self(if kept.is_empty() { "_".into() } else { kept.into() })
                    })
                }

                /// The value.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl fmt::Display for $Name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl AsRef<str> for $Name {
                fn as_ref(&self) -> &str {
                    &self.0
                }
            }

            impl Borrow<str> for $Name {
                fn borrow(&self) -> &str {
                    &self.0
                }
            }

            impl FromStr for $Name {
                type Err = Invalid;

                fn from_str(value: &str) -> Result<Self, Invalid> {
                    Self::new(value)
                }
            }

            impl TryFrom<&str> for $Name {
                type Error = Invalid;

                fn try_from(value: &str) -> Result<Self, Invalid> {
                    Self::new(value)
                }
            }

            impl Serialize for $Name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(&self.0)
                }
            }

            impl Field for $Name {
                const EXPECTED: &'static str = $expected;
                const SHARED: Option<&'static str> = Some(stringify!($Name));

                fn schema() -> serde_json::Value {
                    serde_json::json!({"type": "string", "minLength": 1, "maxLength": $max, "pattern": $pattern})
                }

                fn read(value: &Value<'_>) -> Result<Self, Fault> {
                    match value {
                        Value::String(text) => Ok(Self::new(text)?),
                        other => Err(Fault::wrong_type($expected, other)),
                    }
                }
            }
        )+
    };
}

strings! {
    /// The name of a component: 1 to 128 of `A-Z a-z 0-9 _ -`.
    ComponentName(1..=128, name_character, NAME) "a string of 1 to 128 of the characters A-Z a-z 0-9 _ -";
    /// A value that can be a label of a metric: 1 to 128 printable characters.
    Label(1..=128, printable, PRINTABLE) "a string of 1 to 128 printable characters";
    /// The id of a session: 1 to 256 printable characters.
    SessionId(1..=256, printable, PRINTABLE) "a string of 1 to 256 printable characters";
    /// The id that joins a request's start and end: 1 to 256 printable characters.
    RequestId(1..=256, printable, PRINTABLE) "a string of 1 to 256 printable characters";
    /// A value that is never a label, only an attribute of a span: 1 to 1024 printable characters.
    Text(1..=1024, printable, PRINTABLE) "a string of 1 to 1024 printable characters";
}

impl Label {
    /// A label that the code itself gives.
    pub(crate) fn literal(value: &'static str) -> Self {
        debug_assert!(Self::new(value).is_ok());
        Self(value.into())
    }
}

/// A component's name is a label like any other.
impl From<ComponentName> for Label {
    fn from(name: ComponentName) -> Self {
        Self(name.0)
    }
}

impl SessionId {
    /// The id of a session that starts: `{component}-{YYYYMMDD-HHMMSS}-{first 8 hex digits of event_id}`, in UTC.
    pub fn derive(component: &ComponentName, start: Timestamp, event_id: EventId) -> Self {
        Self(format!("{component}-{}-{}", start.compact(), event_id.prefix()).into())
    }

    /// The short form of such an id, without the part of the event's id.
    pub fn derive_short(component: &ComponentName, start: Timestamp) -> Self {
        Self(format!("{component}-{}", start.compact()).into())
    }

    /// The id in its short form, `{component}-{YYYYMMDD-HHMMSS}`; `None` where it was not made in either form.
    pub fn short(&self) -> Option<&str> {
        self.parts().map(|(short, _)| short)
    }

    /// Whether the id already is in its short form.
    pub fn is_short(&self) -> bool {
        self.short().is_some_and(|short| short.len() == self.0.len())
    }

    /// The component that the id tells, where it was made in one of the two forms.
    pub fn component(&self) -> Option<ComponentName> {
        self.parts().and_then(|(_, component)| ComponentName::new(component).ok())
    }

    /// The short form, and the component at its start.
    fn parts(&self) -> Option<(&str, &str)> {
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        // The time has six digits, so a last part of eight can only be that of the event's id.
        let short = match self.0.rsplit_once('-')? {
            (head, tail) if tail.len() == 8 && tail.bytes().all(|b| b.is_ascii_hexdigit()) => head,
            _ => &self.0,
        };
        let (head, time) = short.rsplit_once('-')?;
        let (component, date) = head.rsplit_once('-')?;
        (digits(time, 6) && digits(date, 8)).then_some((short, component))
    }
}
