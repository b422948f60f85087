//! The client's side of a running bridge: where it is, its token, and requests to it over HTTP.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use ureq::RequestBuilder;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

/// The variable that names the running bridge.
pub const URL_VARIABLE: &str = "MCP_OTEL_BRIDGE_URL";
/// Where the bridge is, unless it is told.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9090";
/// The variable that holds the token.
pub(crate) const TOKEN_VARIABLE: &str = "MCP_OTEL_BRIDGE_TOKEN";
/// The variable that names the file with the token.
pub(crate) const TOKEN_FILE_VARIABLE: &str = "MCP_OTEL_BRIDGE_TOKEN_FILE";
/// The variable that names the file with the certificates of the authorities that a bridge's own may come from.
pub const CA_FILE_VARIABLE: &str = "MCP_OTEL_BRIDGE_CA_FILE";
/// More than any answer to a batch of events.
const LONGEST_ACCOUNT: u64 = 1024 * 1024;
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
/// A sentence that says which file cannot be read, and why, or that what is there is no token.
fn token() -> Result<Option<String>, String> {
    if let Some(token) = set(TOKEN_VARIABLE) {
        return usable(TOKEN_VARIABLE, &token);
    }
    let Some(path) = set(TOKEN_FILE_VARIABLE) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        // The bridge may know several, a line each; any of them will do.
        Ok(tokens) => {
            usable(TOKEN_FILE_VARIABLE, tokens.lines().find(|line| !line.trim().is_empty()).unwrap_or_default())
        }
        Err(error) => Err(format!("{TOKEN_FILE_VARIABLE}: cannot read {path}: {error}")),
    }
}

/// The token without the white space around it, which copying brings along.
fn usable(variable: &str, token: &str) -> Result<Option<String>, String> {
    let token = token.trim();
    // A header can carry more than this, but not every server reads it alike.
    match token.chars().position(|c| !c.is_ascii_graphic()) {
        Some(at) => Err(format!(
            "{variable}: the token has a character that no header can carry, its number {}; it must be of visible ASCII \
             characters",
            at + 1
        )),
        None => Ok(Some(token.to_owned()).filter(|token| !token.is_empty())),
    }
}

/// The variable's value. An empty one counts as unset.
fn set(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Whose certificate a bridge may have, where it is reached by https.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// One that comes from a public authority.
    #[default]
    Public,
    /// One that comes from one of these, or is one of these.
    These(RootCerts),
    /// Any. For a listener of this very process or machine, whose certificate is made for another name: nothing secret of
    /// others is sent there.
    Itself,
}

impl Trust {
    /// The authorities of the file that `MCP_OTEL_BRIDGE_CA_FILE` names, else the public ones.
    ///
    /// # Errors
    ///
    /// As of [`Trust::file`].
    pub fn from_environment() -> Result<Self, String> {
        match set(CA_FILE_VARIABLE) {
            Some(path) => Self::file(path.as_ref()).map_err(|problem| format!("{CA_FILE_VARIABLE}: {problem}")),
            None => Ok(Self::Public),
        }
    }

    /// The certificates of a PEM file, and no others.
    ///
    /// # Errors
    ///
    /// A sentence that says which file cannot be read, or holds no certificate.
    pub fn file(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let pem = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        let items = ureq::tls::parse_pem(&pem).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|error| format!("{shown} is no PEM file: {error}"))?;
        let certificates: Vec<Certificate<'static>> = items
            .into_iter()
            .filter_map(|item| if let PemItem::Certificate(certificate) = item { Some(certificate) } else { None })
            .collect();
        if certificates.is_empty() {
            return Err(format!("{shown} holds no certificate; it must hold those of the authorities, as PEM"));
        }
        Ok(Self::These(RootCerts::new_with_certs(&certificates)))
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
    /// A client of the bridge at that URL, with the token and the authorities of the environment.
    ///
    /// # Errors
    ///
    /// A sentence that says which variable or file is wrong, and what would be right.
    pub fn from_environment(bridge: &str) -> Result<Self, String> {
        Ok(Self::new(bridge, token()?.as_deref()).trusting(&Trust::from_environment()?))
    }

    /// A client of the bridge at that URL.
    pub fn new(bridge: &str, token: Option<&str>) -> Self {
        Self {
            agent: agent(bridge, &Trust::Public),
            base: bridge.trim_end_matches('/').to_owned(),
            authorization: token.map(|token| format!("Bearer {token}")),
            source: None,
            patience: Patience::default(),
        }
    }

    /// The same, which takes these certificates for the bridge's.
    #[must_use]
    pub fn trusting(self, trust: &Trust) -> Self {
        Self { agent: agent(&self.base, trust), ..self }
    }

    /// The same, which says that it is that part of this program: `mcp` or `wrap`.
    #[must_use]
    pub fn with_source(self, source: &'static str) -> Self {
        Self { source: Some(source), ..self }
    }

    /// The same, which shows no token.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self { authorization: None, ..self }
    }

    /// The same, which waits so long.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The URL of a path of the bridge as it can be shown: without the password that may stand in it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", masked(&self.base))
    }

    fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Asks for what is at a path.
    ///
    /// # Errors
    ///
    /// If the bridge cannot be reached, or does not answer in time.
    pub fn get(&self, path: &str) -> Result<Reply, ureq::Error> {
        self.prepare(self.agent.get(self.target(path)), self.patience)
            .call()
            .and_then(|answer| reply(answer, LONGEST_ANSWER))
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
        let mut request = self.prepare(self.agent.post(self.target(path)), patience);
        if let Some(source) = self.source {
            request = request.header(SOURCE_HEADER, source);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let longest = if path == EVENTS { LONGEST_ACCOUNT } else { LONGEST_ANSWER };
        request.send(body).and_then(|answer| reply(answer, longest))
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

fn agent(bridge: &str, trust: &Trust) -> ureq::Agent {
    let tls = TlsConfig::builder();
    let tls = match trust {
        Trust::Public => tls,
        Trust::These(roots) => tls.root_certs(roots.clone()),
        Trust::Itself => tls.disable_verification(true),
    };
    let mut config = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls.build());
    if is_loopback(bridge) || matches!(trust, Trust::Itself) {
        // A proxy would look for the bridge on its own machine.
        config = config.proxy(None);
    }
    config.build().new_agent()
}

/// The URL without the name and the password that may stand in it.
fn masked(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}****{}", &url[..start], &url[start + at..]),
        None => url.to_owned(),
    }
}

fn reply(mut response: ureq::http::Response<ureq::Body>, longest: u64) -> Result<Reply, ureq::Error> {
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let mut body = String::new();
    // An answer that breaks off says as much as it says.
    let _ = response.body_mut().as_reader().take(longest + 1).read_to_string(&mut body);
    if body.len() as u64 > longest {
        return Err(ureq::Error::BodyExceedsLimit(longest));
    }
    Ok(Reply { status: response.status(), retry_after, body })
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
    fn a_token_loses_the_space_around_it_and_must_fit_a_header() {
        assert_eq!(usable("V", " abc\n"), Ok(Some("abc".to_owned())));
        assert_eq!(usable("V", " \n"), Ok(None));
        for wrong in ["a\nb", "a b", "a\u{e4}"] {
            let problem = usable("V", wrong).unwrap_err();
            assert!(problem.starts_with("V: ") && problem.contains("number 2"), "{problem}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        let client = Client::new("http://me:pa@ss@127.0.0.1:9090/", None);
        assert_eq!(client.url("/v1/events"), "http://****@127.0.0.1:9090/v1/events");
        assert_eq!(masked("http://a/b@c"), "http://a/b@c");
    }

    #[test]
    fn an_answer_to_events_has_a_bound_of_its_own() {
        use std::io::{BufRead as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
                lines.map(Result::unwrap).take_while(|line| !line.is_empty()).for_each(drop);
                let length = LONGEST_ACCOUNT + 1;
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                let _ = stream.write_all(&vec![b' '; usize::try_from(length).unwrap()]);
            }
        });
        let client = Client::new(&url, None);
        let sent = client.send("", Patience::default());
        assert!(matches!(sent, Err(ureq::Error::BodyExceedsLimit(LONGEST_ACCOUNT))), "{sent:?}");
        assert_eq!(client.get("/metrics").unwrap().body.len() as u64, LONGEST_ACCOUNT + 1);
    }

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
