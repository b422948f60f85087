//! The bearer token, where one is set.

use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, StatusCode};
use subtle::ConstantTimeEq as _;

use super::request::is_grpc;
use crate::config::Secret;

/// What supervisors ask for, which have no token and learn nothing that is secret.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// Where the token may come after the upgrade, because browsers cannot set the header of one.
const FEED: &str = "/live";

/// Who may ask.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    token: Option<Secret>,
    /// Whether the feed is at `/` too.
    feed_at_root: bool,
}

impl Auth {
    pub(super) fn new(token: Option<&Secret>) -> Self {
        Self { token: token.cloned(), feed_at_root: false }
    }

    pub(super) fn feed_at_root(self) -> Self {
        Self { feed_at_root: true, ..self }
    }

    /// The answer to a request that may not be served.
    pub(super) fn refuse(&self, request: &Parts) -> Option<Response> {
        if self.admits(&request.headers) {
            return None;
        }
        let path = request.uri.path();
        let reads = request.method == Method::GET || request.method == Method::HEAD;
        if reads && OPEN.contains(&path) {
            return None;
        }
        let given = request.headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let feed = path == FEED || (self.feed_at_root && path == "/");
        if reads && feed && given.is_none() {
            return None;
        }
        let why = match given.and_then(bearer) {
            Some(_) => "the bearer token is not the right one",
            None => "this needs a bearer token: Authorization: Bearer ...",
        };
        if is_grpc(&request.headers) {
            return Some(tonic::Status::unauthenticated(why).into_http());
        }
        let challenge = if given.is_some() { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        Some((StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], format!("{why}\n")).into_response())
    }

    /// Whether the headers carry the token, or none is needed.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        self.token.is_none()
            || headers
                .get(AUTHORIZATION)
                .and_then(|value| bearer(value.as_bytes()))
                .is_some_and(|given| self.takes(given))
    }

    /// Whether this is the token, or none is needed. How long it takes does not tell how much of it is right.
    pub(crate) fn takes(&self, given: &[u8]) -> bool {
        self.token.as_ref().is_none_or(|token| bool::from(given.ct_eq(token.expose().as_bytes())))
    }
}

/// The token of an `Authorization` header of that scheme.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}
