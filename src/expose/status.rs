//! What the bridge tells of itself as JSON: health, sessions, the catalog, the summary; and the index of all that.

use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Serialize;
use serde_json::Value;

use super::paths::{LIVE, PATHS, Path};
use super::{SEED_PATH, summary};
use crate::bridge::{Bridge, Health, WeakBridge};
use crate::catalog;
use crate::event::TraceParent;
use crate::state::Session;
use crate::telemetry::push::SignalStatus;

/// Sessions, catalog, summary and index.
pub(crate) fn router(bridge: &Bridge) -> Router {
    let config = bridge.config();
    let index = index(&config.metrics.path, config.live.enabled);
    Router::new()
        .route("/", get(move || std::future::ready(index.clone())))
        .route("/v1/sessions", get(sessions))
        .route("/v1/metrics/catalog", get(catalog_page))
        .route("/v1/metrics/summary", get(metrics_summary))
        .with_state(bridge.clone())
}

/// Liveness and readiness: what supervisors ask without a token.
pub(crate) fn health_router(bridge: &Bridge) -> Router {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(bridge.downgrade())
}

fn index(metrics: &str, live: bool) -> String {
    let mut text = format!(
        "mcp-otel-bridge {}\n\nGET  {metrics}  the metrics, for Prometheus (also at {SEED_PATH})\n",
        env!("CARGO_PKG_VERSION")
    );
    for Path { method, path, query, what, .. } in PATHS.iter().filter(|known| live || known.path != LIVE) {
        text.push_str(&format!("{method:4} {path}{query}  {what}\n"));
    }
    text.push_str("gRPC mcp_otel_bridge.v1.EventService  events (with health and reflection)\n");
    text
}

#[derive(Serialize)]
struct Liveness {
    live: bool,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    push: Push,
}

#[derive(Serialize)]
struct Push {
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<PushedSignal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spans: Option<PushedSignal>,
}

#[derive(Serialize)]
struct PushedSignal {
    endpoint: String,
    healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    waiting: u64,
}

impl From<SignalStatus> for PushedSignal {
    fn from(status: SignalStatus) -> Self {
        Self {
            endpoint: status.endpoint,
            healthy: status.failing_since.is_none(),
            last_success: status.last_success.and_then(rfc3339),
            failing_since: status.failing_since.and_then(rfc3339),
            last_error: status.last_error,
            waiting: status.waiting,
        }
    }
}

async fn livez(State(bridge): State<WeakBridge>) -> Response {
    let live = bridge.upgrade().is_some_and(|bridge| bridge.health().live);
    (status(live), json(&Liveness { live })).into_response()
}

async fn readyz(State(bridge): State<WeakBridge>) -> Response {
    let Some(bridge) = bridge.upgrade() else {
        let push = Push { metrics: None, spans: None };
        let gone = Readiness { ready: false, fault: Some("the bridge is stopping".to_owned()), push };
        return (StatusCode::SERVICE_UNAVAILABLE, json(&gone)).into_response();
    };
    let health = bridge.health();
    let ready = health.ready();
    let Health { live, fault, push } = health;
    let fault = fault.or_else(|| (!live).then(|| "the writer hangs".to_owned()));
    let push = Push { metrics: push.metrics.map(Into::into), spans: push.spans.map(Into::into) };
    (status(ready), json(&Readiness { ready, fault, push })).into_response()
}

fn status(well: bool) -> StatusCode {
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[derive(Serialize)]
struct SessionList {
    sessions: Vec<ActiveSession>,
}

#[derive(Serialize)]
struct ActiveSession {
    session_id: String,
    component_name: String,
    shell_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_heard: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<TraceParent>,
}

impl From<Session> for ActiveSession {
    fn from(session: Session) -> Self {
        let span = session.span.context();
        let started = jiff::Timestamp::from_nanosecond(session.start_ns.into()).ok();
        let last_heard = jiff::Timestamp::from_millisecond(session.heard_ms).ok();
        Self {
            session_id: session.id.to_string(),
            component_name: session.component_name.to_string(),
            shell_type: session.shell_type.to_string(),
            started: started.map(|time| time.to_string()),
            last_heard: last_heard.map(|time| time.to_string()),
            traceparent: TraceParent::new(span.trace_id(), span.span_id(), span.trace_flags()),
        }
    }
}

async fn sessions(State(bridge): State<Bridge>) -> Response {
    let sessions = bridge.sessions().await.into_iter().map(Into::into).collect();
    json(&SessionList { sessions })
}

async fn catalog_page(State(bridge): State<Bridge>) -> Response {
    ([(CONTENT_TYPE, "application/json")], format!("{:#}\n", catalog_json(&bridge))).into_response()
}

/// The catalog, and whether the scrape answers.
pub(crate) fn catalog_json(bridge: &Bridge) -> Value {
    let mut catalog = catalog::json();
    catalog["scraped"] = bridge.config().metrics.enabled.into();
    catalog
}

async fn metrics_summary(State(bridge): State<Bridge>) -> Response {
    match bridge.exposed().collections.ask(|collected| summary::of(&collected.snapshot)).await {
        Ok(summary) => json(&summary),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], format!("{error}\n")).into_response(),
    }
}

fn rfc3339(time: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| time.to_string())
}

fn json(value: &impl Serialize) -> Response {
    axum::Json(value).into_response()
}
