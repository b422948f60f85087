//! Why an event was not taken.

use super::{ComponentName, EventId, EventType};
use crate::event::source::Fault;

/// Why an event was not taken, as a label: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not JSON, not an object, not UTF-8, or a name twice.
    Malformed,
    /// No such type of event.
    UnknownEventType,
    /// A field that must be there is not.
    MissingField,
    /// A string for a number, and the like.
    WrongType,
    /// The right type, and out of range or form.
    InvalidValue,
    /// An `event_version` other than 1.0.
    UnsupportedVersion,
    /// More than the bridge takes at once.
    TooLarge,
    /// The bridge has no room for it now.
    Overloaded,
    /// The store cannot keep it now.
    Storage,
    /// As many sessions are active as may be.
    SessionLimit,
    /// As many requests are open as may be.
    RequestLimit,
    /// It contradicts what is known.
    Conflict,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Malformed,
        Self::UnknownEventType,
        Self::MissingField,
        Self::WrongType,
        Self::InvalidValue,
        Self::UnsupportedVersion,
        Self::TooLarge,
        Self::Overloaded,
        Self::Storage,
        Self::SessionLimit,
        Self::RequestLimit,
        Self::Conflict,
    ];

    /// Its name as a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownEventType => "unknown_event_type",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::InvalidValue => "invalid_value",
            Self::UnsupportedVersion => "unsupported_version",
            Self::TooLarge => "too_large",
            Self::Overloaded => "overloaded",
            Self::Storage => "storage",
            Self::SessionLimit => "session_limit",
            Self::RequestLimit => "request_limit",
            Self::Conflict => "conflict",
        }
    }

    /// Whether the same event may be taken later.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::Storage | Self::SessionLimit | Self::RequestLimit)
    }
}

/// An event that was not taken: why, and what could be read of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejection {
    /// The field at fault, as `user.username`; `None` where it is the event as a whole.
    pub field: Option<String>,
    /// What was wrong and what would be right.
    pub error: String,
    /// The same, as a label.
    pub reason: Reason,
    /// The id of the event, where it could be read.
    pub id: Option<EventId>,
    /// The type of the event, where it could be read.
    pub event_type: Option<EventType>,
    /// The component, where it could be read.
    pub component: Option<ComponentName>,
}

impl Rejection {
    /// A rejection of an event as a whole.
    pub fn new(reason: Reason, error: impl Into<String>) -> Self {
        Self { field: None, error: error.into(), reason, id: None, event_type: None, component: None }
    }

    /// A rejection of an event for one of its fields.
    pub fn of_field(reason: Reason, field: &str, error: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(reason, error) }
    }
}

impl From<Fault> for Rejection {
    fn from(Fault { path, reason, message }: Fault) -> Self {
        if path.is_empty() {
            return Self::new(reason, format!("the event {message}"));
        }
        Self { error: format!("{path} {message}"), field: Some(path), ..Self::new(reason, "") }
    }
}
