//! The client's side of a running bridge: where it is, its token, and requests to it over HTTP.

use std::io::Read as _;
use std::time::Duration;

use serde::Deserialize;
use ureq::RequestBuilder;
use ureq::http::StatusCode;

/// The variable that names the running bridge.
pub const URL_VARIABLE: &str = "MCP_OTEL_BRIDGE_URL";
/// Where the bridge is, unless it is told.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9090";
/// The variable that holds the token.
const TOKEN_VARIABLE: &str = "MCP_OTEL_BRIDGE_TOKEN";
/// The variable that names the file with the token.
const TOKEN_FILE_VARIABLE: &str = "MCP_OTEL_BRIDGE_TOKEN_FILE";
/// More than any answer of a bridge: what is longer is no bridge's.
const LONGEST_ANSWER: u64 = 256 * 1024 * 1024;
/// Where events are sent to.
pub const EVENTS: &str = "/v1/events";
/// The header by which a client of this program says that it is not just any: `mcp` or `wrap`.
pub(crate) const SOURCE_HEADER: &str = "mcp-otel-bridge-source";

/// The token of the bridge from the environment: `MCP_OTEL_BRIDGE_TOKEN`, or the file that
/// `MCP_OTEL_BRIDGE_TOKEN_FILE` names.
///
/// # Errors
///
/// A sentence that says which file cannot be read, and why.
pub fn token() -> Result<Option<String>, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(token) = set(TOKEN_VARIABLE) {
        return Ok(Some(token));
    }
    let Some(path) = set(TOKEN_FILE_VARIABLE) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(token) => Ok(Some(token.trim_end().to_owned())),
        Err(error) => Err(format!("{TOKEN_FILE_VARIABLE}: cannot read {path}: {error}")),
    }
}

/// A running bridge.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    authorization: Option<String>,
    source: Option<&'static str>,
    patience: Patience,
}

/// How long to wait for the bridge.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until it is reached.
    pub connect: Duration,
    /// Until it has answered, reaching it included.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), whole: Duration::from_secs(60) }
    }
}

/// What the bridge said.
#[derive(Debug)]
pub struct Reply {
    /// The status of its answer.
    pub status: StatusCode,
    /// When it asks to be tried again.
    pub retry_after: Option<Duration>,
    /// The answer's body; as much of it as came.
    pub body: String,
}

/// The bridge's answer to a batch.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// How many events were taken.
    pub accepted: u64,
    /// How many were known already.
    pub duplicates: u64,
    /// Those that were not taken.
    pub rejected: Vec<Rejected>,
    /// What became of each, in order.
    #[serde(default)]
    pub results: Vec<Taken>,
}

/// An event that was not taken.
#[derive(Debug, Deserialize)]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why.
    pub error: String,
}

/// What became of one event.
#[derive(Debug, Deserialize)]
pub struct Taken {
    /// The span that was made of it.
    #[serde(default)]
    pub traceparent: Option<String>,
}

impl Client {
    /// A client of the bridge at that URL.
    pub fn new(bridge: &str, token: Option<&str>) -> Self {
        let mut config = ureq::Agent::config_builder().http_status_as_error(false);
        if is_loopback(bridge) {
            // A proxy would look for the bridge on its own machine.
            config = config.proxy(None);
        }
        Self {
            agent: config.build().new_agent(),
            base: bridge.trim_end_matches('/').to_owned(),
            authorization: token.map(|token| format!("Bearer {token}")),
            source: None,
            patience: Patience::default(),
        }
    }

    /// The same, which says that it is that part of this program: `mcp` or `wrap`.
    #[must_use]
    pub fn with_source(self, source: &'static str) -> Self {
        Self { source: Some(source), ..self }
    }

    /// The same, which waits so long.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The URL of a path of the bridge.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Asks for what is at a path.
    ///
    /// # Errors
    ///
    /// If the bridge cannot be reached, or does not answer in time.
    pub fn get(&self, path: &str) -> Result<Reply, ureq::Error> {
        self.prepare(self.agent.get(self.url(path)), self.patience).call().map(reply)
    }

    /// Sends a body to a path, with its headers.
    ///
    /// # Errors
    ///
    /// As of [`Client::get`].
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Reply, ureq::Error> {
        self.post_within(path, headers, body, self.patience)
    }

    /// Sends events, one a line.
    ///
    /// # Errors
    ///
    /// As of [`Client::get`].
    pub fn send(&self, lines: &str, patience: Patience) -> Result<Reply, ureq::Error> {
        self.post_within(EVENTS, &[("content-type", "application/x-ndjson")], lines, patience)
    }

    fn post_within(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        patience: Patience,
    ) -> Result<Reply, ureq::Error> {
        let mut request = self.prepare(self.agent.post(self.url(path)), patience);
        if let Some(source) = self.source {
            request = request.header(SOURCE_HEADER, source);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send(body).map(reply)
    }

    fn prepare<B>(&self, request: RequestBuilder<B>, patience: Patience) -> RequestBuilder<B> {
        let request = request.config();
        let request = request.timeout_connect(Some(patience.connect)).timeout_global(Some(patience.whole)).build();
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }
}

fn reply(mut response: ureq::http::Response<ureq::Body>) -> Reply {
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let mut body = String::new();
    // An answer that breaks off says as much as it says.
    let _ = response.body_mut().as_reader().take(LONGEST_ANSWER).read_to_string(&mut body);
    Reply { status: response.status(), retry_after, body }
}

fn is_loopback(url: &str) -> bool {
    let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_on_this_machine_is_known_by_its_host() {
        for here in ["http://127.0.0.1:9090", "http://localhost:1", "http://[::1]:9090/", "https://127.3.4.5"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["http://bridge:9090", "http://10.0.0.1", "http://localhost.example.org", "", "no url"] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
