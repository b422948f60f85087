//! Guards whose `tracing` spans become OpenTelemetry spans: the same trace as everything else that the program traces.
//!
//! Start a collector on port 4317, then
//!
//!     cargo run --example tracing_layer -- http://localhost:4317

use std::time::Duration;

use mcp_otel_bridge::Bridge;
use opentelemetry::trace::TracerProvider as _;
use tracing::Instrument as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1).unwrap_or_else(|| "http://localhost:4317".to_owned());
    let bridge = Bridge::builder().otlp_endpoint(endpoint).build()?;
    let tracer = bridge.tracer_provider().tracer("weather-agent");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(layer).init();

    let session = bridge.session("weather-agent", "AgentShell");
    let answer = async {
        let mut call = session.llm_call("openai", "gpt-4o");
        tokio::time::sleep(Duration::from_millis(20)).await;
        call.output_tokens(48);
    };
    answer.instrument(session.span().clone()).await;
    println!("session {}", session.id());
    drop(session);

    let bridge_to_end = bridge.clone();
    tokio::task::spawn_blocking(move || bridge_to_end.shutdown(Duration::from_secs(5))).await??;
    Ok(())
}
