//! What the bridge tells of skills: their totals, their anomalies, and how anomalies are found.

pub mod anomaly;

use serde::Serialize;

use crate::event::Timestamp;

/// A skill's invocations that came within `skills.retention` (in whole days, UTC).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkillSummary {
    /// The skill.
    pub skill_name: String,
    /// How often it was used.
    pub total_invocations: u64,
    /// The share of these that were completed, 0 to 1.
    pub completion_rate: f64,
    /// The mean duration in seconds of the invocations that told theirs; `None` where none did.
    pub avg_duration_seconds: Option<f64>,
}

/// Something unusual that was seen in a skill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkillAnomaly {
    /// The skill.
    pub skill_name: String,
    /// What was seen: `drop`, `spike`, `pattern_shift`, or whatever a host reports.
    pub anomaly_type: String,
    /// How far from the usual: of one that the bridge found, the z-score that was furthest from 0 so far.
    pub deviation_score: Option<f64>,
    /// When it was first seen.
    pub timestamp: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// Whether the bridge found it itself; else a host reported it.
    pub detected: bool,
}
