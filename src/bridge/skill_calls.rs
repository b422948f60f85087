//! The typed calls of the library for skills: what is told of them, and what is asked.

use std::sync::mpsc::sync_channel;

use super::{Bridge, RecordError};
use crate::event::{Anomaly, Finite, Label, Outcome, Rate, Seconds, SkillCompletionRate, SkillInvocation, Timestamp};
use crate::skills::{SkillAnomaly, SkillSummary};
use crate::state::State;

/// The most anomalies that one question is answered with.
const MOST_ANOMALIES: usize = 1000;

impl SkillInvocation {
    /// An invocation of which nothing more is known.
    pub fn new(skill_name: Label, completed: bool) -> Self {
        Self {
            skill_name,
            workflow_phase: None,
            completed,
            duration_seconds: None,
            session_id: None,
            workflow_path: None,
        }
    }
}

impl Bridge {
    /// A skill was used: in a phase of a workflow (`unknown`, if `None`), to its end or not, in so many seconds.
    ///
    /// [`Bridge::record`] takes a [`SkillInvocation`] with its session and its workflow's path as well. Safe from any
    /// thread, as every call.
    ///
    /// # Errors
    ///
    /// When a name cannot be a label, the duration is negative or not finite, or the bridge takes no events now.
    pub fn skill_invocation(
        &self,
        skill_name: &str,
        workflow_phase: Option<&str>,
        completed: bool,
        duration_seconds: Option<f64>,
    ) -> Result<Outcome, RecordError> {
        self.record(SkillInvocation {
            workflow_phase: workflow_phase.map(Label::new).transpose()?,
            duration_seconds: duration_seconds.map(Seconds::new).transpose()?,
            ..SkillInvocation::new(Label::new(skill_name)?, completed)
        })
    }

    /// The share of a skill's uses that were completed, 0 to 1, as the host knows it.
    ///
    /// It stands until the skill is used again: then the bridge's own count goes before it.
    ///
    /// # Errors
    ///
    /// When the name cannot be a label, the rate is out of range, or the bridge takes no events now.
    pub fn skill_completion_rate(&self, skill_name: &str, rate: f64) -> Result<Outcome, RecordError> {
        self.record(SkillCompletionRate { skill_name: Label::new(skill_name)?, rate: Rate::new(rate)? })
    }

    /// The host saw something unusual in a skill, such as `drop`, `spike` or `pattern_shift`; the score may have any
    /// unit.
    ///
    /// # Errors
    ///
    /// When a name cannot be a label, the score is not finite, or the bridge takes no events now.
    pub fn anomaly(
        &self,
        anomaly_type: &str,
        skill_name: &str,
        deviation_score: Option<f64>,
    ) -> Result<Outcome, RecordError> {
        self.record(Anomaly {
            skill_name: Label::new(skill_name)?,
            anomaly_type: Label::new(anomaly_type)?,
            deviation_score: deviation_score.map(Finite::new).transpose()?,
        })
    }

    /// The most used skills, the most used first; empty when the bridge is stopping.
    pub async fn top_skills(&self, limit: usize) -> Vec<SkillSummary> {
        self.inspect(move |state| state.skills.top(limit)).await.unwrap_or_default()
    }

    /// As [`Bridge::top_skills`], blocking the thread: not for an async task.
    pub fn top_skills_blocking(&self, limit: usize) -> Vec<SkillSummary> {
        self.ask(move |state| state.skills.top(limit)).unwrap_or_default()
    }

    /// One skill; `None` where no use of it is remembered, or the bridge is stopping.
    pub async fn skill_summary(&self, skill_name: &str) -> Option<SkillSummary> {
        let skill_name = skill_name.to_owned();
        self.inspect(move |state| state.skills.summary(&skill_name)).await.flatten()
    }

    /// The anomalies, found and reported, that were seen at `since` or later: the last seen first, 1000 at most.
    ///
    /// Empty when the bridge is stopping or its store cannot be read.
    pub async fn anomalies(&self, since: Timestamp) -> Vec<SkillAnomaly> {
        self.inspect(move |state| anomalies(state, since)).await.unwrap_or_default()
    }

    /// As [`Bridge::anomalies`], blocking the thread: not for an async task.
    pub fn anomalies_blocking(&self, since: Timestamp) -> Vec<SkillAnomaly> {
        self.ask(move |state| anomalies(state, since)).unwrap_or_default()
    }

    /// As [`Bridge::inspect`], blocking the thread.
    fn ask<R: Send + 'static>(&self, read: impl FnOnce(&State) -> R + Send + 'static) -> Option<R> {
        let (answer, answered) = sync_channel(1);
        self.0.door.inspect(Box::new(move |state| drop(answer.send(read(state)))));
        answered.recv().ok()
    }
}

fn anomalies(state: &State, since: Timestamp) -> Vec<SkillAnomaly> {
    let since_ns = i64::try_from(since.unix_nanos()).unwrap_or(i64::MAX);
    state.anomalies(since_ns, MOST_ANOMALIES).unwrap_or_else(|error| {
        tracing::warn!(%error, "anomalies cannot be read");
        Vec::new()
    })
}
