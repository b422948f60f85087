//! Requests over HTTP, each with a deadline.

use std::io::Read as _;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The Content-Type.
    pub content_type: String,
    /// The body, uncompressed.
    pub body: String,
}

impl Answer {
    /// The body as JSON; the status must be 200.
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

fn agent() -> &'static ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent()
    })
}

/// Asks for a page.
pub fn get(url: &str, accept: &str) -> Result<Answer, ureq::Error> {
    agent().get(url).header("accept", accept).call().and_then(read)
}

/// Sends a body.
pub fn post(url: &str, content_type: &str, body: &str) -> Result<Answer, ureq::Error> {
    agent().post(url).header("content-type", content_type).send(body).and_then(read)
}

/// Sends a form.
pub fn post_form(url: &str, fields: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
    agent().post(url).send_form(fields.iter().copied()).and_then(read)
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut body = String::new();
    response.body_mut().as_reader().read_to_string(&mut body)?;
    Ok(Answer { status: response.status().as_u16(), content_type, body })
}
