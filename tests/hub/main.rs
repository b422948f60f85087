//! What a hub tells, sentence by sentence: requests, what times out, what survives a restart, caches, retries, guards.

#![allow(clippy::unwrap_used)]

mod guards;
mod model;
mod requests;
#[path = "../support/mod.rs"]
mod support;
mod timeouts;
mod uses;

use serde_json::{Value, json};

/// A start of a request of `planner`.
fn start(id: &str, timestamp: &str) -> Value {
    json!({
        "event_type": "request_start", "request_id": id, "agent": "planner", "operation": "plan",
        "timestamp": timestamp,
    })
}

/// Its end.
fn end(id: &str, timestamp: &str) -> Value {
    json!({
        "event_type": "request_end", "request_id": id, "agent": "planner", "operation": "plan", "timestamp": timestamp,
    })
}

const REQUESTS: &str = "mcp_hub_requests_total{agent=\"planner\",operation=\"plan\"}";
const SUCCESS: &str = "mcp_hub_requests_success_total{agent=\"planner\",operation=\"plan\"}";
const ACTIVE: &str = "mcp_hub_active_operations{agent=\"planner\"}";
const COUNT: &str = "mcp_hub_request_duration_seconds_count{agent=\"planner\",operation=\"plan\"}";
const SUM: &str = "mcp_hub_request_duration_seconds_sum{agent=\"planner\",operation=\"plan\"}";

fn failed(error_type: &str) -> String {
    format!("mcp_hub_requests_failed_total{{agent=\"planner\",operation=\"plan\",error_type=\"{error_type}\"}}")
}
