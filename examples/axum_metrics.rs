//! An axum application with the bridge's `/metrics` among its own routes.
//!
//!     cargo run --example axum_metrics
//!     curl http://127.0.0.1:8000/metrics

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use mcp_otel_bridge::Bridge;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bridge = Bridge::builder().build()?;
    let app =
        Router::new().route("/forecast", get(forecast)).with_state(bridge.clone()).merge(bridge.metrics_service());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    println!("http://{}/forecast and /metrics", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn forecast(State(bridge): State<Bridge>) -> &'static str {
    let _timer = bridge.time_event("weather-server", "forecast");
    "sunny\n"
}
