//! Circuit breakers as JSON: whether their components are well, and all that is known of each.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::{Deserialize, Serialize};

use crate::bridge::{Bridge, Refused};
use crate::state::BreakerSummary;

/// A component of whose calls more than so many percent failed is not well.
const MOST_FAILURES: f64 = 50.0;

/// `/health/metrics` and `/prometheus/query`.
pub(super) fn router(bridge: &Bridge) -> Router {
    Router::new()
        .route("/health/metrics", get(health))
        .route("/prometheus/query", get(query))
        .with_state(bridge.clone())
}

#[derive(Serialize)]
struct Health {
    healthy: bool,
    components: BTreeMap<String, ComponentHealth>,
    /// In seconds since 1970.
    timestamp: f64,
}

#[derive(Serialize)]
struct ComponentHealth {
    total_calls: u64,
    success_rate: f64,
    failure_rate: f64,
    avg_latency_ms: f64,
    p99_latency_ms: f64,
}

impl From<&BreakerSummary> for ComponentHealth {
    fn from(summary: &BreakerSummary) -> Self {
        Self {
            total_calls: summary.total_calls,
            success_rate: summary.success_rate,
            failure_rate: summary.failure_rate,
            avg_latency_ms: summary.avg_latency * 1000.0,
            p99_latency_ms: summary.latency_percentiles.p99 * 1000.0,
        }
    }
}

async fn health(State(bridge): State<Bridge>) -> Response {
    let summaries = match bridge.breakers().summaries("").await {
        Ok(summaries) => summaries,
        Err(refused) => return unknown(&refused),
    };
    let healthy = summaries.iter().all(|summary| summary.failure_rate <= MOST_FAILURES);
    let components = summaries.iter().map(|summary| (summary.component.clone(), summary.into())).collect();
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Health { healthy, components, timestamp })).into_response()
}

#[derive(Deserialize)]
struct Filter {
    /// What the name of a component must hold; an empty one is in every name.
    #[serde(default)]
    q: String,
}

async fn query(State(bridge): State<Bridge>, Query(Filter { q }): Query<Filter>) -> Response {
    match bridge.breakers().summaries(&q).await {
        Ok(summaries) => {
            let by_component: BTreeMap<String, BreakerSummary> =
                summaries.into_iter().map(|summary| (summary.component.clone(), summary)).collect();
            Json(by_component).into_response()
        }
        Err(refused) => unknown(&refused),
    }
}

/// The writer could not be asked.
fn unknown(refused: &Refused) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], format!("{refused}\n")).into_response()
}
