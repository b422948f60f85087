//! Events that leave something in every metric that a bridge records of itself and of what it is sent.

use serde_json::{Value, json};

use super::bridge::Bridge;
use super::fleet::{self, end_event, now_millis, open_sessions, sessions, start_event};

/// A configuration in which one instrument has room for so few series that it overflows.
pub const OVERFLOWING: &str = "\
meter_provider:
  views:
    - selector: {instrument_name: mcp.event.emit.duration}
      stream: {aggregation_cardinality_limit: 4}
";

/// The families that have samples then, as the text format names them.
pub const FAMILIES: &[&str] = &[
    "target_info",
    "session_start_total",
    "session_end_total",
    "session_duration_seconds",
    "mcp_event_emit_success_total",
    "mcp_event_emit_failure_total",
    "mcp_event_emit_duration_seconds",
    "active_sessions",
    "session_quality_score",
    "active_sessions_total",
    "mcp_hub_llm_api_calls_total",
    "gen_ai_client_operation_duration_seconds",
    "gen_ai_client_token_usage",
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "bridge_build_info",
    "bridge_ready",
    "bridge_events_received_total",
    "bridge_events_accepted_total",
    "bridge_events_duplicate_total",
    "bridge_events_rejected_total",
    "bridge_event_warnings_total",
    "bridge_series_overflow_total",
    "bridge_scrapes_total",
    "bridge_scrape_duration_seconds",
    "bridge_push_requests_total",
    "bridge_push_items_total",
    "bridge_outbox_items",
    "bridge_outbox_size_bytes",
];

/// The bridge's metrics that move by being looked at or pushed: no two ways out can show the same values of them.
pub const MOVING: &[&str] = &[
    "bridge_scrapes",
    "bridge_scrape_duration_seconds",
    "bridge_push_requests",
    "bridge_push_items",
    "bridge_outbox_items",
    "bridge_outbox_size_bytes",
];

/// Whether a sample is of a metric that moves by itself.
pub fn moves(sample: &str) -> bool {
    MOVING.iter().any(|family| sample.starts_with(family))
}

/// Sends them.
pub fn send(bridge: &Bridge) {
    let plans = [
        sessions("mahavishnu", "MahavishnuShell", "success", &[30.0, 60.0, 1000.25, 40000.0]),
        sessions("mahavishnu", "MahavishnuShell", "error", &[90.0]),
        sessions("session-buddy", "SessionBuddyShell", "success", &[3000.0]),
        open_sessions("crackerjack", "CrackerjackShell", 2),
    ];
    let sent = fleet::send(bridge, &plans.concat());
    let open = &sent[6].session_id;
    let now = now_millis();
    let call = |more: Value| {
        let mut call = json!({"event_type": "llm_call", "provider": "openai", "model": "gpt-5"});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    let emission = |more: Value| {
        let mut emission = json!({"event_type": "mcp_event", "component_name": "mahavishnu",
            "emitted_type": "tool_call", "duration_seconds": 0.0125});
        emission.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        emission
    };
    let mut odd_start = start_event("oneiric", "Shell \"quoted\" \\ back é", now);
    odd_start["no_such_field"] = json!(1);
    let repeated = start_event("dhruva", "DhruvaShell", now);
    let answer = bridge.send(&[
        emission(json!({})),
        emission(json!({"error_type": "ConnectionError", "duration_seconds": 12.5})),
        emission(json!({"emitted_type": "other"})),
        call(json!({"duration_seconds": 1.5, "input_tokens": 1000, "output_tokens": 20, "session_id": open,
            "time_to_first_token_seconds": 0.25})),
        call(json!({"duration_seconds": 0.5, "error_type": "timeout", "operation": "embeddings"})),
        json!({"event_type": "session_quality", "component_name": "mahavishnu", "quality_score": 85.5}),
        json!({"event_type": "active_sessions", "count": 17, "host": "host-2"}),
        json!({"event_type": "session_heartbeat", "session_id": open}),
        odd_start,
        repeated.clone(),
        repeated,
        end_event("dhruva-20260101-000000", "success", now),
        json!({"event_type": "session_start", "component_name": "mahavishnu"}),
        json!({"event_type": "no_such_type"}),
    ]);
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(11), &json!(1)), "{answer}");
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 2, "{answer}");

    // An end before its start.
    let skewed = bridge.send(&[start_event("akosha_core", "AkoshaShell", now)]);
    let id = skewed["results"][0]["session_id"].as_str().unwrap();
    bridge.send(&[end_event(id, "success", now - 5000)]);
}
