//! Skills and anomalies, as Session-Buddy's exporter names them.

use super::{buckets, declare};

declare! { Skill:
    SKILL_INVOCATIONS = Counter("skill_invocations_total", "skill.invocations", "{invocation}", ["skill_name", "workflow_phase", "completed"])
        "Total number of skill invocations";
    SKILL_DURATION = Histogram("skill_duration_seconds", "skill.duration", "s", ["skill_name", "workflow_phase"], buckets::SKILL)
        "Skill execution duration in seconds";
    SKILL_COMPLETION_RATE = Gauge("skill_completion_rate", "skill.completion_rate", "", ["skill_name"])
        "Current skill completion rate";
    ACTIVE_SESSIONS_TOTAL = Gauge("active_sessions_total", "active_sessions_total", "{session}", [])
        "Number of currently active sessions";
    ANOMALIES_DETECTED = Counter("anomalies_detected_total", "anomalies.detected", "{anomaly}", ["anomaly_type", "skill_name"])
        "Total number of anomalies detected";
}
