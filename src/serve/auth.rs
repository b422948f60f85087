//! Who may ask for what: client certificates, bearer tokens with rights, basic authentication.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, StatusCode};

use super::credentials::{Credentials, Granted, bearer};
use super::request::is_grpc;
use crate::client::UNCERTIFIED;
use crate::config::{self, Right};
use crate::expose::{LIVE_PATH, Needs, needs};

/// Guards the listeners.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    /// What is known now; it changes with the files that it came from.
    credentials: Arc<ArcSwap<Credentials>>,
    metrics_path: Arc<str>,
    /// Whether the feed is at `/` too.
    feed_at_root: bool,
}

impl Auth {
    pub(super) fn new(auth: &config::Auth, metrics_path: &str) -> Self {
        let credentials = Arc::new(ArcSwap::from_pointee(Credentials::new(auth)));
        Self { credentials, metrics_path: metrics_path.into(), feed_at_root: false }
    }

    pub(super) fn feed_at_root(self) -> Self {
        Self { feed_at_root: true, ..self }
    }

    /// From now on these hold, on every listener.
    pub(super) fn exchange(&self, auth: &config::Auth) {
        self.credentials.store(Arc::new(Credentials::new(auth)));
    }

    /// What the token opens.
    pub(crate) fn grants(&self, token: &[u8]) -> Granted {
        self.credentials.load().of_token(token)
    }

    /// What a request may do; else the answer to it. `certified`: no certificate is asked for, or a right one was shown.
    pub(super) fn admit(&self, request: &Parts, certified: bool) -> Result<Granted, Box<Response>> {
        let path = match request.uri.path() {
            "/" if self.feed_at_root => LIVE_PATH,
            path => path,
        };
        let reads = request.method == Method::GET || request.method == Method::HEAD;
        let needs = needs(path, &self.metrics_path);
        let open = reads && needs == Needs::Nothing;
        if !certified && !open {
            return Err(Box::new(uncertified(&request.headers)));
        }
        let credentials = self.credentials.load();
        let given = request.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let granted = credentials.of_header(given);
        // Browsers cannot set the header of an upgrade: there the token may come after it.
        let later = reads && path == LIVE_PATH && given.is_none();
        if open || later {
            return Ok(granted);
        }
        if granted.is_nothing() {
            return Err(Box::new(unknown(&credentials, given, &request.headers)));
        }
        let needed = match needs {
            Needs::Nothing | Needs::AnyToken => return Ok(granted),
            Needs::Right(right) => Some(right),
            Needs::Undeclared => None,
        };
        if granted.has(needed.unwrap_or(Right::Admin)) {
            return Ok(granted);
        }
        Err(Box::new(forbidden(needed, &request.headers)))
    }
}

/// The answer to a client that showed no certificate, though one is asked for.
fn uncertified(headers: &HeaderMap) -> Response {
    let why = format!("{UNCERTIFIED} (tls.client_ca_file)");
    if is_grpc(headers) {
        return tonic::Status::unauthenticated(why).into_http();
    }
    (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
}

/// The answer to a client that showed nothing which the bridge knows.
fn unknown(credentials: &Credentials, given: Option<&[u8]>, headers: &HeaderMap) -> Response {
    let by_name = credentials.take_names();
    let why = match given {
        Some(given) if bearer(given).is_some() => "the bearer token is not the right one",
        Some(_) if by_name => "the user name or the password is not the right one",
        _ if by_name => "this needs a bearer token (Authorization: Bearer ...), or a user name and password",
        _ => "this needs a bearer token: Authorization: Bearer ...",
    };
    if is_grpc(headers) {
        return tonic::Status::unauthenticated(why).into_http();
    }
    let mut response = (StatusCode::UNAUTHORIZED, format!("{why}\n")).into_response();
    let challenge = if given.is_some() { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    if by_name {
        let challenge = HeaderValue::from_static("Basic realm=\"mcp-otel-bridge\", charset=\"UTF-8\"");
        response.headers_mut().append(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The answer to a client that is known and may not do this.
fn forbidden(needed: Option<Right>, headers: &HeaderMap) -> Response {
    let Some(needed) = needed.map(Right::name) else {
        let why = "there is nothing at this path that the given token opens";
        if is_grpc(headers) {
            return tonic::Status::permission_denied(why).into_http();
        }
        return (StatusCode::FORBIDDEN, format!("{why}; GET / says what there is\n")).into_response();
    };
    let why = format!("this needs the right `{needed}`, which was not given with what was shown");
    if is_grpc(headers) {
        return tonic::Status::permission_denied(why).into_http();
    }
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
    (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)], format!("{why}\n")).into_response()
}
