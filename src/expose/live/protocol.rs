//! The messages of the feed: what a client may say, and what it is told.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::config::Secret;
use crate::event::{Label, Timestamp};
use crate::skills::{SkillAnomaly, SkillSummary};

/// What a client says.
pub(super) enum Request {
    Auth(Secret),
    Subscribe(Arc<str>),
    Unsubscribe,
    Ping,
}

impl Request {
    /// Reads a message; else what is wrong with it. What was sent is not repeated: it may hold the token.
    pub(super) fn read(message: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(message).map_err(|error| format!("this is not JSON: {error}"))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        match text("type") {
            Some("auth") => text("token").map(|token| Self::Auth(Secret::new(token))).ok_or_else(|| missing("token")),
            Some("subscribe") => {
                let skill = text("skill").ok_or_else(|| missing("skill"))?;
                let label = Label::new(skill).map_err(|error| format!("skill: {error}"))?;
                Ok(Self::Subscribe(label.as_str().into()))
            }
            Some("unsubscribe") => Ok(Self::Unsubscribe),
            Some("ping") => Ok(Self::Ping),
            Some(_) => Err("unknown type; known are auth, subscribe, unsubscribe and ping".to_owned()),
            None => Err(missing("type")),
        }
    }
}

fn missing(name: &str) -> String {
    format!(
        "the message has no text under `{name}`; right would be, say, {{\"type\":\"subscribe\",\"skill\":\"lint\"}}"
    )
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Told<'a> {
    Connected {
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'static str>,
        interval_seconds: f64,
        auth_required: bool,
        timestamp: Timestamp,
    },
    AuthConfirmed,
    SubscriptionConfirmed {
        skill: &'a str,
    },
    UnsubscriptionConfirmed,
    Pong {
        timestamp: Timestamp,
    },
    Error {
        error: &'a str,
    },
    MetricsUpdate {
        timestamp: Timestamp,
        data: Data<'a>,
    },
}

/// What an update tells.
#[derive(Debug, Serialize)]
pub(super) struct Data<'a> {
    pub(super) top_skills: &'a [SkillSummary],
    pub(super) anomalies: Vec<&'a SkillAnomaly>,
    pub(super) active_sessions: u64,
}

impl Told<'_> {
    /// The message as JSON.
    pub(super) fn text(&self) -> Utf8Bytes {
        // These types hold nothing that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_without_what_was_sent() {
        for text in [
            "",
            "s3cret",
            "[]",
            "{}",
            "null",
            r#"{"type":7}"#,
            r#"{"type":"s3cret"}"#,
            r#"{"type":"auth"}"#,
            r#"{"type":"auth","token":7}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","skill":""}"#,
            r#"{"type":"subscribe","skill":null}"#,
        ] {
            let error = Request::read(text.as_bytes()).err().unwrap();
            assert!(!error.is_empty() && !error.contains("s3cret"), "{text}: {error}");
        }
        assert!(Request::read(b"\xff\xfe").is_err());
        assert!(Request::read("[".repeat(60_000).as_bytes()).is_err());
    }
}
