//! An axum application with a circuit breaker around the service that it calls, and every request recorded.
//!
//!     cargo run --example axum_breaker
//!     curl -i http://127.0.0.1:8000/forecast      # 502 five times, since nothing listens upstream; then 503
//!     curl http://127.0.0.1:8000/metrics
//!     curl http://127.0.0.1:8000/health/metrics
//!
//! With something on port 8001 (`python3 -m http.server 8001`) and half a minute of patience it is 200 again.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use mcp_otel_bridge::{BreakerSettings, Bridge, CallError, CircuitBreaker};

const UPSTREAM: &str = "http://127.0.0.1:8001/";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bridge = Bridge::builder().build()?;
    let settings = BreakerSettings { timeout: Duration::from_secs(30), ..BreakerSettings::default() };
    let upstream = bridge.breaker_with("weather-api", settings)?;
    let app = Router::new()
        .route("/forecast", get(forecast))
        .with_state(upstream)
        .layer(bridge.http_layer())
        .merge(bridge.metrics_service())
        .merge(bridge.breakers_service());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("http://{0}/forecast, /metrics, /health/metrics and /prometheus/query?q=", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn forecast(State(upstream): State<CircuitBreaker>) -> Response {
    match upstream.call_async(ask_upstream).await {
        Ok(body) => body.into_response(),
        Err(CallError::Failed(error)) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
        Err(CallError::Open(open)) => {
            let wait = open.retry_after_seconds().to_string();
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, wait)], format!("{open}\n")).into_response()
        }
    }
}

async fn ask_upstream() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let asked = tokio::task::spawn_blocking(|| ureq::get(UPSTREAM).call()?.body_mut().read_to_string());
    Ok(asked.await??)
}
