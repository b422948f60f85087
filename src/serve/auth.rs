//! The bearer token, where one is set.

use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, StatusCode};
use subtle::ConstantTimeEq as _;

use super::request::is_grpc;
use crate::config::Secret;

/// What supervisors ask for, which have no token and learn nothing that is secret.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// Who may ask.
#[derive(Debug)]
pub(super) struct Auth(Option<Secret>);

impl Auth {
    pub(super) fn new(token: Option<&Secret>) -> Self {
        Self(token.cloned())
    }

    /// The answer to a request that may not be served.
    pub(super) fn refuse(&self, request: &Parts) -> Option<Response> {
        let token = self.0.as_ref()?;
        let reads = request.method == Method::GET || request.method == Method::HEAD;
        if reads && OPEN.contains(&request.uri.path()) {
            return None;
        }
        let given = request.headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let why = match given.and_then(bearer) {
            Some(given) if bool::from(given.ct_eq(token.expose().as_bytes())) => return None,
            Some(_) => "the bearer token is not the right one",
            None => "this needs a bearer token: Authorization: Bearer ...",
        };
        if is_grpc(&request.headers) {
            return Some(tonic::Status::unauthenticated(why).into_http());
        }
        let challenge = if given.is_some() { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        Some((StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], format!("{why}\n")).into_response())
    }
}

/// The token of an `Authorization` header of that scheme.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}
