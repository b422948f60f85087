//! An application that has a `prometheus::Registry` of its own: the bridge's metrics appear in it, beside the
//! application's.
//!
//!     cargo run --example own_registry

use mcp_otel_bridge::Bridge;
use prometheus::{IntCounter, Registry, TextEncoder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    let forecasts = IntCounter::new("forecasts_total", "Forecasts given")?;
    registry.register(Box::new(forecasts.clone()))?;

    let bridge = Bridge::builder().with_registry(registry.clone()).build()?;
    bridge.session_start("weather-agent", "AgentShell")?;
    forecasts.inc();

    print!("{}", TextEncoder::new().encode_to_string(&registry.gather())?);
    Ok(())
}
