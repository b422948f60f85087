//! What became of an event, and how that is told in JSON and protobuf.

use opentelemetry::trace::SpanContext;
use serde::{Serialize, Serializer};

use super::{Rejection, SessionId, TraceParent};
use crate::proto::v1;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// A session's start was taken.
    Tracked,
    /// A session's end was taken.
    Ended,
    /// A session's end was taken, and no such session is known.
    NotFound,
    /// Any other event was taken.
    Recorded,
    /// The event was not taken.
    Error,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tracked, Self::Ended, Self::NotFound, Self::Recorded, Self::Error];

    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracked => "tracked",
            Self::Ended => "ended",
            Self::NotFound => "not_found",
            Self::Recorded => "recorded",
            Self::Error => "error",
        }
    }
}

/// Something odd about an event that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A field that means nothing in an event of this type, as a path.
    UnknownField(String),
    /// The end of a session or request is earlier than its start: its duration was not observed.
    ClockSkew,
    /// The session or request had already ended by timeout.
    LateEnd,
}

impl Warning {
    /// Its name as a label.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::UnknownField(_) => "unknown_field",
            Self::ClockSkew => "clock_skew",
            Self::LateEnd => "late_end",
        }
    }

    /// The field that it is about.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::UnknownField(field) => Some(field),
            Self::ClockSkew | Self::LateEnd => None,
        }
    }

    /// What it means, for a person.
    pub fn message(&self) -> String {
        match self {
            Self::UnknownField(field) => format!("{field} is not a field of this type of event, and was not used"),
            Self::ClockSkew => "it ends before it starts: its duration was not observed".to_owned(),
            Self::LateEnd => "it had ended by timeout: only its duration was observed".to_owned(),
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            reason: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            message: String,
        }
        Wire { reason: self.reason(), field: self.field(), message: self.message() }.serialize(serializer)
    }
}

/// The answer to one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What became of it.
    pub status: Status,
    /// The session that it belongs to.
    pub session_id: Option<SessionId>,
    /// The span that was made of it.
    pub traceparent: Option<TraceParent>,
    /// What was odd about it.
    pub warnings: Vec<Warning>,
    /// What was wrong and what would be right.
    pub error: Option<String>,
    /// The field at fault, where there is one.
    pub field: Option<String>,
    /// Whether it was taken before, and not counted again.
    pub duplicate: bool,
}

impl Outcome {
    /// An event that was taken.
    pub const fn new(status: Status) -> Self {
        Self {
            status,
            session_id: None,
            traceparent: None,
            warnings: Vec::new(),
            error: None,
            field: None,
            duplicate: false,
        }
    }

    /// It belongs to this session.
    #[must_use]
    pub fn with_session_id(self, id: &str) -> Self {
        Self { session_id: Some(SessionId::lossy(id)), ..self }
    }

    /// This span was made of it.
    #[must_use]
    pub fn with_span(self, span: &SpanContext) -> Self {
        Self { traceparent: TraceParent::new(span.trace_id(), span.span_id(), span.trace_flags()), ..self }
    }

    /// This was wrong with a field of it, though it was taken.
    #[must_use]
    pub fn with_error(self, field: &str, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), field: Some(field.to_owned()), ..self }
    }

    /// Whether the event was not taken.
    pub fn is_rejected(&self) -> bool {
        self.status == Status::Error
    }

    /// The answer's HTTP status, 200 or 400, and its JSON body, where it answers one event on its own.
    pub fn to_json(&self) -> (u16, Vec<u8>) {
        (if self.is_rejected() { 400 } else { 200 }, json(self))
    }
}

impl From<Rejection> for Outcome {
    fn from(rejection: Rejection) -> Self {
        Self { error: Some(rejection.error), field: rejection.field, ..Self::new(Status::Error) }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            status: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            session_id: &'a Option<SessionId>,
            #[serde(skip_serializing_if = "Option::is_none")]
            traceparent: &'a Option<TraceParent>,
            #[serde(skip_serializing_if = "<[Warning]>::is_empty")]
            warnings: &'a [Warning],
            #[serde(skip_serializing_if = "Option::is_none")]
            error: &'a Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: &'a Option<String>,
        }
        let Self { status, session_id, traceparent, warnings, error, field, duplicate: _ } = self;
        Wire { status: status.name(), session_id, traceparent, warnings, error, field }.serialize(serializer)
    }
}

/// How many events of a batch were taken, how many had been before, and which were not.
struct Tally<'a> {
    accepted: u64,
    duplicates: u64,
    rejected: Vec<(usize, &'a Outcome)>,
}

impl<'a> Tally<'a> {
    fn of(outcomes: &'a [Outcome]) -> Self {
        let mut tally = Self { accepted: 0, duplicates: 0, rejected: Vec::new() };
        for (index, outcome) in outcomes.iter().enumerate() {
            if outcome.is_rejected() {
                tally.rejected.push((index, outcome));
            } else if outcome.duplicate {
                tally.duplicates += 1;
            } else {
                tally.accepted += 1;
            }
        }
        tally
    }
}

/// The JSON body of the answer to a batch: the outcomes are those of its events, in order.
pub fn batch_json(outcomes: &[Outcome]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Rejected<'a> {
        index: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<&'a str>,
        error: &'a str,
    }
    #[derive(Serialize)]
    struct Wire<'a> {
        accepted: u64,
        duplicates: u64,
        rejected: Vec<Rejected<'a>>,
        results: &'a [Outcome],
    }
    let Tally { accepted, duplicates, rejected } = Tally::of(outcomes);
    let rejected = rejected.into_iter().map(|(index, outcome)| Rejected {
        index,
        field: outcome.field.as_deref(),
        error: outcome.error.as_deref().unwrap_or_default(),
    });
    json(&Wire { accepted, duplicates, rejected: rejected.collect(), results: outcomes })
}

/// The protobuf form of the answer to a batch: the outcomes are those of its events, in order.
pub fn record_response(batch_id: Option<u64>, outcomes: Vec<Outcome>) -> v1::RecordResponse {
    let Tally { accepted, duplicates, rejected } = Tally::of(&outcomes);
    let rejected = rejected.into_iter().map(|(index, outcome)| v1::RejectedEvent {
        index: index as u64,
        field: outcome.field.clone().unwrap_or_default(),
        error: outcome.error.clone().unwrap_or_default(),
    });
    let rejected = rejected.collect();
    let results = outcomes.into_iter().map(v1::EventResult::from).collect();
    v1::RecordResponse { batch_id, accepted, duplicates, rejected, results, failure: None }
}

/// A batch of which nothing was recorded.
impl From<Rejection> for v1::BatchFailure {
    fn from(rejection: Rejection) -> Self {
        Self {
            reason: rejection.reason.name().to_owned(),
            retryable: rejection.reason.is_retryable(),
            error: rejection.error,
        }
    }
}

impl From<Outcome> for v1::EventResult {
    fn from(outcome: Outcome) -> Self {
        let text = |value: Option<&dyn ToString>| value.map(ToString::to_string).unwrap_or_default();
        let warnings = outcome.warnings.iter().map(|warning| v1::EventWarning {
            reason: warning.reason().to_owned(),
            field: warning.field().unwrap_or_default().to_owned(),
            message: warning.message(),
        });
        Self {
            status: outcome.status.name().to_owned(),
            session_id: text(outcome.session_id.as_ref().map(|id| id as &dyn ToString)),
            traceparent: text(outcome.traceparent.as_ref().map(|parent| parent as &dyn ToString)),
            warnings: warnings.collect(),
            error: outcome.error.unwrap_or_default(),
            field: outcome.field.unwrap_or_default(),
        }
    }
}

/// Serializes a value whose maps all have string keys, which cannot fail.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
