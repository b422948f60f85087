//! The client's side of a running bridge: where it is, what a client shows to it, and requests to it over HTTP.

mod access;
mod fault;
mod way;

pub(crate) use self::access::CREDENTIALS;
pub use self::access::{Access, CA_FILE_VARIABLE, CERTIFICATE_VARIABLE, CertificateFiles, KEY_VARIABLE, Token, Trust};
pub(crate) use self::fault::UNCERTIFIED;

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::RequestBuilder;
use ureq::http::StatusCode;

use self::access::Credentials;
use self::way::{Open, Way};

/// The variable that names the running bridge.
pub const URL_VARIABLE: &str = "MCP_OTEL_BRIDGE_URL";
/// Where the bridge is, unless it is told.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9090";
/// More than any answer to a batch of events.
const LONGEST_ACCOUNT: u64 = 1024 * 1024;
/// More than any answer of a bridge: what is longer is no bridge's.
const LONGEST_ANSWER: u64 = 256 * 1024 * 1024;
/// Where events are sent to.
pub const EVENTS: &str = "/v1/events";
/// Answers everyone.
const LIVENESS: &str = "/livez";
/// The header by which a client of this program says that it is not just any: `mcp` or `wrap`.
pub(crate) const SOURCE_HEADER: &str = "mcp-otel-bridge-source";

/// A running bridge.
#[derive(Clone)]
pub struct Client {
    way: Arc<Way>,
    base: String,
    source: Option<&'static str>,
    patience: Patience,
}

impl std::fmt::Debug for Client {
    /// What it shows is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url("")).field("source", &self.source).finish_non_exhaustive()
    }
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
    /// A client of the bridge at that URL, with the token, the authorities and the certificate of the environment.
    ///
    /// # Errors
    ///
    /// A sentence that says which variable or file is wrong, and what would be right.
    pub fn from_environment(bridge: &str) -> Result<Self, String> {
        Self::by_environment(bridge).checked()
    }

    /// The same, whatever is wrong: that is the error of each request, until the files are right.
    pub fn by_environment(bridge: &str) -> Self {
        match Access::from_environment() {
            Ok(access) => Self::by(bridge, |base| Way::new(base, access)),
            Err(problem) => Self::by(bridge, |base| Way::closed(base, problem)),
        }
    }

    /// A client of the bridge at that URL, which shows this, and trusts whom this says.
    ///
    /// # Errors
    ///
    /// A sentence that says which file is wrong, and what would be right.
    pub fn with_access(bridge: &str, access: Access) -> Result<Self, String> {
        Self::by(bridge, |base| Way::new(base, access)).checked()
    }

    /// A client of the bridge at that URL, which shows no certificate, and trusts the public authorities.
    pub fn new(bridge: &str, token: Option<&str>) -> Self {
        let credentials = Credentials { token: token.map(str::to_owned), ..Credentials::default() };
        Self::by(bridge, |base| Way::fixed(base, credentials))
    }

    fn by(bridge: &str, way: impl FnOnce(&str) -> Way) -> Self {
        let base = bridge.trim_end_matches('/');
        Self { way: Arc::new(way(base)), base: base.to_owned(), source: None, patience: Patience::default() }
    }

    fn checked(self) -> Result<Self, String> {
        self.way.problem().map_or(Ok(self), Err)
    }

    /// The same, which shows neither token nor certificate.
    #[must_use]
    pub fn anonymous(self) -> Self {
        let trusted = self.way.last().map(|open| open.credentials.trusted.clone()).unwrap_or_default();
        let credentials = Credentials { trusted, ..Credentials::default() };
        Self { way: Arc::new(Way::fixed(&self.base, credentials)), ..self }
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
        self.get_within(path, self.patience)
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
        let open = self.way.open()?;
        let mut request = Self::prepare(&open, open.agent.post(self.target(path)), patience);
        if let Some(source) = self.source {
            request = request.header(SOURCE_HEADER, source);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let longest = if path == EVENTS { LONGEST_ACCOUNT } else { LONGEST_ANSWER };
        let begun = Instant::now();
        request.send(body).and_then(|answer| reply(answer, longest)).map_err(|error| {
            let whole = patience.whole.saturating_sub(begun.elapsed());
            self.reason(error, Patience { whole, ..patience })
        })
    }

    fn get_within(&self, path: &str, patience: Patience) -> Result<Reply, ureq::Error> {
        let open = self.way.open()?;
        let request = Self::prepare(&open, open.agent.get(self.target(path)), patience);
        request.call().and_then(|answer| reply(answer, LONGEST_ANSWER))
    }

    /// Why a connection broke off. Whoever refuses a certificate says so and closes the connection; while a body is being
    /// written the end is seen before that is read. A request without a body has nothing to do but to read.
    fn reason(&self, error: ureq::Error, patience: Patience) -> ureq::Error {
        if !self.base.starts_with("https://") || !fault::is_broken_off(&error) || patience.whole.is_zero() {
            return error;
        }
        match self.get_within(LIVENESS, patience) {
            Err(told) if self.distrust(&told).is_some() => told,
            _ => error,
        }
    }

    fn prepare<B>(open: &Open, request: RequestBuilder<B>, patience: Patience) -> RequestBuilder<B> {
        let request = request.config();
        let request = request.timeout_connect(Some(patience.connect)).timeout_global(Some(patience.whole)).build();
        match &open.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }
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
