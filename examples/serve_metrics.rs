//! A program without a server, and without an async runtime, that Prometheus can scrape all the same.
//!
//!     cargo run --example serve_metrics
//!     curl http://127.0.0.1:9464/metrics

use std::io::stdin;

use mcp_otel_bridge::Bridge;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bridge = Bridge::global();
    let address = bridge.serve_metrics(([127, 0, 0, 1], 9464))?;
    let _session = bridge.session("batch-job", "Cron");
    println!("http://{address}/metrics; Enter ends the program");
    stdin().read_line(&mut String::new())?;
    Ok(())
}
