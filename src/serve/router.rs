//! Which path is answered by what: the one place where a way in or out over HTTP is added.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use super::error::ServeError;
use super::request::is_grpc;
use crate::Bridge;
use crate::config::Config;
use crate::expose::Live;
use crate::{expose, ingest, mcp};

/// Everything: HTTP and gRPC.
pub(super) fn all(bridge: &Bridge, config: &Config, grpc: Router, live: Option<&Live>) -> Result<Router, ServeError> {
    check_path(&config.metrics.path)?;
    let router = Router::new()
        .merge(bridge.metrics_service())
        .merge(expose::router(bridge))
        .merge(bridge.breakers_service())
        .merge(expose::health_router(bridge))
        .merge(ingest::http::router(bridge, &config.limits))
        .merge(mcp::router(bridge, config))
        .merge(grpc)
        .merge(live.map(Live::router).unwrap_or_default());
    Ok(observed(bridge, config, closed(router)))
}

/// gRPC, where it has a listener of its own.
pub(super) fn grpc_alone(bridge: &Bridge, config: &Config, grpc: Router) -> Router {
    observed(bridge, config, closed(grpc))
}

/// The live feed, where it has a listener of its own.
pub(super) fn live_alone(bridge: &Bridge, config: &Config, live: &Live) -> Router {
    observed(bridge, config, closed(live.router_alone()))
}

/// The metrics and the bridge's health, for programs that have no server.
pub(super) fn metrics_alone(bridge: &Bridge) -> Result<Router, ServeError> {
    check_path(&bridge.config().metrics.path)?;
    Ok(closed(bridge.metrics_service().merge(expose::health_router(bridge))))
}

/// With each request recorded as a call, where that is asked for.
fn observed(bridge: &Bridge, config: &Config, router: Router) -> Router {
    if config.circuit_breakers.observe_requests { router.layer(bridge.http_layer()) } else { router }
}

/// With an answer for what nobody answers.
fn closed(router: Router) -> Router {
    router.fallback(unknown).method_not_allowed_fallback(other_method)
}

async fn unknown(request: Request) -> Response {
    if is_grpc(request.headers()) {
        let why = format!("there is no method {}; reflection tells which there are", request.uri().path());
        return tonic::Status::unimplemented(why).into_http();
    }
    (StatusCode::NOT_FOUND, "there is nothing at this path; GET / says what there is\n").into_response()
}

async fn other_method() -> Response {
    let line = "this path does not take this method; the header Allow says which it takes\n";
    (StatusCode::METHOD_NOT_ALLOWED, line).into_response()
}

fn check_path(path: &str) -> Result<(), ServeError> {
    let error = if !path.starts_with('/') {
        "it must start with a slash"
    } else if path.contains(['{', '}', '?', '#']) || path.chars().any(|c| c.is_control() || c.is_whitespace()) {
        "it must be a plain path, without spaces, braces, query and fragment"
    } else if path == "/" || expose::PATHS.iter().any(|known| known.path == path) {
        "something else is served there"
    } else {
        return Ok(());
    };
    Err(ServeError::MetricsPath { path: path.to_owned(), error })
}
