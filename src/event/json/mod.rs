//! Events in JSON: one object, an array of them, or one a line.
//!
//! A bad event never costs its neighbours: each is parsed on its own, and only what is no list of events at all is
//! refused as a whole.

mod reader;

use std::cell::RefCell;

use serde::de::{DeserializeSeed, IgnoredAny};
use serde_json::value::RawValue;

use self::reader::Reader;
use super::source::{Fault, Value};
use super::{Event, Reason, Rejection};

/// How the events of a body are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    /// One JSON value: an object, or an array of objects (`application/json`).
    Json,
    /// One object a line (`application/x-ndjson`).
    Ndjson,
}

impl BodyForm {
    /// The form of that content type; parameters such as a charset are ignored.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else if essence.eq_ignore_ascii_case("application/x-ndjson") {
            Some(Self::Ndjson)
        } else {
            None
        }
    }
}

/// The events of a body, in order.
#[derive(Debug)]
pub struct Body {
    /// Each event, or why it is none.
    pub events: Vec<Result<Event, Rejection>>,
    /// Whether the body was one JSON value that is no array, which is answered as one event and not as a batch.
    pub single: bool,
}

/// Why a body was refused as a whole: nothing of it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not JSON.
    #[error("the body is not valid JSON: {message} at line {line} column {column}")]
    NotJson {
        /// What was wrong.
        message: String,
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1; 0 is the end of the line before.
        column: usize,
    },
    /// It holds more events than are taken at once.
    #[error("the body holds more than {max} events: send them in several requests", max = Body::MAX_EVENTS)]
    TooManyEvents,
}

/// The body counts as one event that was not taken.
impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        let reason = match error {
            BodyError::NotJson { .. } => Reason::Malformed,
            BodyError::TooManyEvents => Reason::TooLarge,
        };
        Rejection::new(reason, error.to_string())
    }
}

impl Body {
    /// The most events of one body: an answer takes room too, however small the event.
    pub const MAX_EVENTS: usize = 65_536;
}

/// Reads the events of a body.
///
/// # Errors
///
/// If the body as a whole is not JSON, or holds more than [`Body::MAX_EVENTS`]. A line of NDJSON that is not JSON is a
/// [`Rejection`] of its own.
pub fn parse_body(body: &[u8], form: BodyForm) -> Result<Body, BodyError> {
    match form {
        BodyForm::Json => parse_json(body),
        BodyForm::Ndjson => parse_lines(body),
    }
}

fn parse_json(body: &[u8]) -> Result<Body, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    if !text.trim_start().starts_with('[') {
        // What is valid JSON and no event is one event that is at fault; what is not JSON is no event at all.
        let event = match parse_event(text) {
            Ok(event) => Ok(event),
            Err(Failure::Rejected(rejection)) => Err(rejection),
            Err(failure) => Err(json_error(text).map_or_else(|| Ok(failure.into_rejection()), Err)?),
        };
        return Ok(Body { events: vec![event], single: true });
    }
    let members: Vec<&RawValue> = serde_json::from_str(text).map_err(not_json)?;
    if members.len() > Body::MAX_EVENTS {
        return Err(BodyError::TooManyEvents);
    }
    let parse = |member: &RawValue| parse_event(member.get()).map_err(Failure::into_rejection);
    Ok(Body { events: members.into_iter().map(parse).collect(), single: false })
}

fn parse_lines(body: &[u8]) -> Result<Body, BodyError> {
    let mut events = Vec::new();
    for line in body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        if events.len() == Body::MAX_EVENTS {
            return Err(BodyError::TooManyEvents);
        }
        events.push(match std::str::from_utf8(line) {
            Ok(text) => parse_event(text).map_err(Failure::into_rejection),
            Err(error) => {
                let error = format!("the line is not valid UTF-8 at byte {}", error.valid_up_to() + 1);
                Err(Rejection::new(Reason::Malformed, error))
            }
        });
    }
    Ok(Body { events, single: false })
}

fn not_utf8(body: &[u8], valid_up_to: usize) -> BodyError {
    let before = &body[..valid_up_to];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    BodyError::NotJson { message: "invalid UTF-8".to_owned(), line, column }
}

fn not_json(error: serde_json::Error) -> BodyError {
    BodyError::NotJson { message: message_of(&error), line: error.line(), column: error.column() }
}

/// The error's message without the place, which each caller gives in its own way.
fn message_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map(str::to_owned).unwrap_or(text)
}

/// Why a text is no event.
enum Failure {
    /// The parser stopped, with no field to blame.
    Syntax(serde_json::Error),
    Rejected(Rejection),
}

impl Failure {
    fn into_rejection(self) -> Rejection {
        match self {
            Failure::Syntax(error) => {
                let message = message_of(&error);
                let error = format!("not valid JSON: {message} at column {}", error.column());
                Rejection::new(Reason::Malformed, error)
            }
            Failure::Rejected(rejection) => rejection,
        }
    }
}

/// Where and why the text is not JSON, if it is not.
fn json_error(text: &str) -> Option<BodyError> {
    serde_json::from_str::<IgnoredAny>(text).err().map(not_json)
}

fn parse_event(text: &str) -> Result<Event, Failure> {
    let at_fault = RefCell::new(None);
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Reader::new(&at_fault).deserialize(&mut json).and_then(|value| {
        json.end()?;
        Ok(value)
    });
    match value {
        Ok(Value::Object(fields)) => Event::read(&fields).map_err(Failure::Rejected),
        Ok(other) => {
            let error = format!("an event must be a JSON object, got {other}");
            Err(Failure::Rejected(Rejection::new(Reason::Malformed, error)))
        }
        Err(error) => Err(failure(text, error, at_fault.into_inner())),
    }
}

/// Blames the field where the parser stopped, if the text is JSON all the same.
fn failure(text: &str, error: serde_json::Error, fault: Option<Fault>) -> Failure {
    let Some(mut fault) = fault.filter(|_| json_error(text).is_none()) else {
        return Failure::Syntax(error);
    };
    if fault.message.is_empty() {
        fault.message = format!("cannot be read: {}", message_of(&error));
        if fault.message.ends_with("number out of range") {
            fault.reason = Reason::InvalidValue;
            fault.message = "must be a number that a 64-bit float can hold".to_owned();
        }
    }
    Failure::Rejected(fault.into())
}
