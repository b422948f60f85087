//! Sessions and the emission of MCP events, as Session-Buddy names them.

use super::{buckets, declare};

declare! { Session:
    SESSION_START = Counter("session_start_total", "session.start", "{event}", ["component_name", "shell_type"])
        "Total number of session start events tracked";
    SESSION_END = Counter("session_end_total", "session.end", "{event}", ["component_name", "status"])
        "Total number of session end events tracked";
    SESSION_DURATION = Histogram("session_duration_seconds", "session.duration", "s", ["component_name"], buckets::SESSION)
        "Session duration from start to end, in seconds";
    MCP_EVENT_EMIT_SUCCESS = Counter("mcp_event_emit_success_total", "mcp.event.emit.success", "{event}", ["component_name", "event_type"])
        "Total number of successful MCP event emissions";
    MCP_EVENT_EMIT_FAILURE = Counter("mcp_event_emit_failure_total", "mcp.event.emit.failure", "{event}", ["component_name", "event_type", "error_type"])
        "Total number of failed MCP event emissions";
    MCP_EVENT_EMIT_DURATION = Histogram("mcp_event_emit_duration_seconds", "mcp.event.emit.duration", "s", ["component_name", "event_type"], buckets::EMIT)
        "MCP event emission duration in seconds";
    ACTIVE_SESSIONS = Gauge("active_sessions", "active_sessions", "{session}", ["component_name"])
        "Number of currently active sessions";
    SESSION_QUALITY_SCORE = Gauge("session_quality_score", "session.quality_score", "", ["component_name"])
        "Last reported session quality score, 0 to 100";
}
