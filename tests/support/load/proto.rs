//! The protobuf form of the workload's events.

use mcp_otel_bridge::proto::v1;
use mcp_otel_bridge::proto::v1::event::Event as Kind;
use serde_json::Value;

/// The same event as a message.
pub fn message(json: &Value) -> v1::Event {
    let text = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
    let maybe = |field: &str| json[field].as_str().map(str::to_owned);
    let real = |field: &str| json[field].as_f64();
    let truth = |field: &str| json[field].as_bool();
    let number = |field: &str| json[field].as_u64();
    let choice = |field: &str, names: &[&str]| {
        names.iter().position(|name| json[field] == **name).map_or(0, |at| i32::try_from(at).unwrap() + 1)
    };
    let kind = match json["event_type"].as_str().unwrap() {
        "session_start" => Kind::SessionStart(v1::SessionStart {
            component_name: text("component_name"),
            shell_type: text("shell_type"),
            pid: number("pid").map(|pid| u32::try_from(pid).unwrap()),
            user: Some(v1::User {
                username: json["user"]["username"].as_str().unwrap().to_owned(),
                home: json["user"]["home"].as_str().unwrap().to_owned(),
            }),
            hostname: text("hostname"),
            environment: Some(v1::Environment {
                python_version: None,
                platform: json["environment"]["platform"].as_str().unwrap().to_owned(),
                cwd: json["environment"]["cwd"].as_str().unwrap().to_owned(),
            }),
            quality_score: None,
            protocol_version: maybe("protocol_version"),
            transport: choice("transport", &["stdio", "http"]),
            ..Default::default()
        }),
        "session_end" => Kind::SessionEnd(v1::SessionEnd {
            session_id: text("session_id"),
            status: choice("status", &["success", "error"]),
            quality_score: None,
        }),
        "session_heartbeat" => {
            Kind::SessionHeartbeat(v1::SessionHeartbeat { session_id: text("session_id"), ..Default::default() })
        }
        "session_quality" => Kind::SessionQuality(v1::SessionQuality {
            component_name: text("component_name"),
            quality_score: real("quality_score"),
        }),
        "mcp_event" => Kind::McpEvent(v1::McpEvent {
            component_name: text("component_name"),
            emitted_type: text("emitted_type"),
            duration_seconds: real("duration_seconds"),
            error_type: maybe("error_type"),
        }),
        "skill_invocation" => Kind::SkillInvocation(v1::SkillInvocation {
            skill_name: text("skill_name"),
            workflow_phase: maybe("workflow_phase"),
            completed: truth("completed"),
            duration_seconds: real("duration_seconds"),
            ..v1::SkillInvocation::default()
        }),
        "skill_completion_rate" => {
            Kind::SkillCompletionRate(v1::SkillCompletionRate { skill_name: text("skill_name"), rate: real("rate") })
        }
        "anomaly" => Kind::Anomaly(v1::Anomaly {
            skill_name: text("skill_name"),
            anomaly_type: text("anomaly_type"),
            deviation_score: None,
        }),
        "active_sessions" => Kind::ActiveSessions(v1::ActiveSessions { count: number("count"), host: maybe("host") }),
        "circuit_breaker_call" => Kind::CircuitBreakerCall(v1::CircuitBreakerCall {
            component: text("component"),
            latency_seconds: real("latency_seconds"),
            success: truth("success"),
        }),
        "circuit_breaker_state" => Kind::CircuitBreakerState(v1::CircuitBreakerState {
            component: text("component"),
            state: choice("state", &["closed", "open", "half_open"]),
        }),
        "request" => Kind::Request(v1::Request {
            agent: text("agent"),
            operation: text("operation"),
            duration_seconds: real("duration_seconds"),
            error_type: maybe("error_type"),
        }),
        "request_start" => Kind::RequestStart(v1::RequestStart {
            request_id: text("request_id"),
            agent: text("agent"),
            operation: text("operation"),
        }),
        "request_end" => Kind::RequestEnd(v1::RequestEnd {
            request_id: text("request_id"),
            agent: text("agent"),
            operation: text("operation"),
            error_type: maybe("error_type"),
        }),
        "llm_call" => Kind::LlmCall(v1::LlmCall {
            provider: text("provider"),
            model: text("model"),
            operation: None,
            duration_seconds: real("duration_seconds"),
            input_tokens: number("input_tokens"),
            output_tokens: number("output_tokens"),
            time_to_first_token_seconds: real("time_to_first_token_seconds"),
            error_type: maybe("error_type"),
            session_id: maybe("session_id"),
        }),
        "search_call" => Kind::SearchCall(v1::SearchCall {}),
        "code_execution" => {
            Kind::CodeExecution(v1::CodeExecution { status: choice("status", &["success", "failure"]) })
        }
        "cache_access" => Kind::CacheAccess(v1::CacheAccess { cache_type: text("cache_type"), hit: truth("hit") }),
        "retry" => Kind::Retry(v1::Retry {
            service: text("service"),
            attempt: number("attempt").map(|attempt| u32::try_from(attempt).unwrap()),
            exhausted: truth("exhausted"),
        }),
        "mcp_operation" => Kind::McpOperation(v1::McpOperation {
            component_name: text("component_name"),
            method: text("method"),
            tool_name: maybe("tool_name"),
            direction: choice("direction", &["to_server", "to_client"]),
            duration_seconds: real("duration_seconds"),
            error_type: maybe("error_type"),
            protocol_version: None,
            transport: choice("transport", &["stdio", "http"]),
            session_id: None,
        }),
        other => panic!("no message for {other}"),
    };
    let time = json["timestamp"].as_str().map(|time| time.parse::<jiff::Timestamp>().unwrap());
    v1::Event {
        event_id: text("event_id"),
        event_version: text("event_version"),
        timestamp: time
            .map(|time| prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }),
        traceparent: text("traceparent"),
        metadata: None,
        event: Some(kind),
    }
}
