//! Skills: their invocations, completion rates and anomalies, reported and found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::span::{Place, nanos};
use super::{Context, Fault, Tracing};
use crate::catalog::metrics::{ANOMALIES_DETECTED, SKILL_COMPLETION_RATE, SKILL_DURATION, SKILL_INVOCATIONS};
use crate::event::{Event, EventKind, Outcome, Status, Timestamp};
use crate::state::{Invocation, StoreError};
use crate::telemetry::{Instrument, Telemetry};

/// The value of the `workflow_phase` label where no phase is given.
const NO_PHASE: &str = "unknown";
/// How long events may be kept waiting for the search for anomalies, each second.
const SEARCH_BUDGET: Duration = Duration::from_millis(20);

/// Records skills.
#[derive(Debug)]
pub(super) struct SkillRecorder {
    invocations: Arc<Instrument>,
    duration: Arc<Instrument>,
    completion_rate: Arc<Instrument>,
    anomalies: Arc<Instrument>,
    tracing: Arc<Tracing>,
}

impl SkillRecorder {
    pub(super) fn new(telemetry: &Telemetry, tracing: Arc<Tracing>) -> Self {
        Self {
            invocations: telemetry.instrument(&SKILL_INVOCATIONS),
            duration: telemetry.instrument(&SKILL_DURATION),
            completion_rate: telemetry.instrument(&SKILL_COMPLETION_RATE),
            anomalies: telemetry.instrument(&ANOMALIES_DETECTED),
            tracing,
        }
    }

    pub(super) fn invocation(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::SkillInvocation(invocation) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let skill_name = invocation.skill_name.as_str();
        let workflow_phase = invocation.workflow_phase.as_ref().map_or(NO_PHASE, |phase| phase.as_str());
        let duration_seconds = invocation.duration_seconds.map(|took| took.get());
        let place = Place::of(context, &event, invocation.session_id.as_ref(), time)?;

        let now_ms = context.now_ms;
        let (store, skills) = context.state.skill_parts();
        let kept = Invocation {
            skill_name,
            workflow_phase,
            workflow_path: invocation.workflow_path.as_ref().map(|path| path.as_str()),
            completed: invocation.completed,
            duration_seconds,
            session_id: place.session_id.as_deref(),
            time_ns: nanos(time),
        };
        skills.invoked(store, &kept, now_ms)?;

        let link = place.parent.and_then(|span| self.tracing.link(&span, time));
        let completed = if invocation.completed { "true" } else { "false" };
        context.staged.add(self.invocations.series(&[skill_name, workflow_phase, completed]), 1, link);
        if let Some(seconds) = duration_seconds {
            context.staged.record(self.duration.series(&[skill_name, workflow_phase]), seconds, link);
        }
        let outcome = Outcome::new(Status::Recorded);
        Ok(match &place.session_id {
            Some(id) => outcome.with_session_id(id),
            None => outcome,
        })
    }

    pub(super) fn completion_rate(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        if let EventKind::SkillCompletionRate(reported) = &event.kind {
            let time = event.timestamp.unwrap_or_else(Timestamp::now);
            let (skill_name, rate) = (reported.skill_name.as_str(), reported.rate.get());
            let now_ms = context.now_ms;
            let (_, skills) = context.state.skill_parts();
            if skills.rate_reported(skill_name, rate, nanos(time), now_ms) {
                context.staged.set(self.completion_rate.series(&[skill_name]), rate);
            }
        }
        Ok(Outcome::new(Status::Recorded))
    }

    pub(super) fn anomaly(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        if let EventKind::Anomaly(anomaly) = &event.kind {
            let time = event.timestamp.unwrap_or_else(Timestamp::now);
            let (skill_name, anomaly_type) = (anomaly.skill_name.as_str(), anomaly.anomaly_type.as_str());
            let score = anomaly.deviation_score.map(|score| score.get());
            let now_ms = context.now_ms;
            let (store, skills) = context.state.skill_parts();
            skills.anomaly_reported(store, skill_name, anomaly_type, score, (nanos(time), now_ms))?;
            let span = event.traceparent.as_ref().map(|parent| parent.span_context());
            let link = span.and_then(|span| self.tracing.link(&span, time));
            context.staged.add(self.anomalies.series(&[anomaly_type, skill_name]), 1, link);
        }
        Ok(Outcome::new(Status::Recorded))
    }

    /// Does what is due: completion rates, then the search for anomalies, as long as it may take.
    pub(super) fn watch(&self, context: &mut Context<'_>) -> Result<(), StoreError> {
        let now_ms = context.now_ms;
        if context.state.skills.take_refresh(now_ms) {
            self.show_rates(context);
        }
        let started = Instant::now();
        while started.elapsed() < SEARCH_BUDGET {
            let (store, skills) = context.state.skill_parts();
            let Some(searched) = skills.search_next(store, now_ms)? else { break };
            for finding in searched.began {
                let kind = finding.kind.name();
                context.staged.add(self.anomalies.series(&[kind, &searched.skill_name]), 1, None);
                tracing::info!(skill = &*searched.skill_name, kind, score = finding.score, "an anomaly began");
            }
        }
        Ok(())
    }

    pub(super) fn restore(&self, context: &mut Context<'_>) {
        self.show_rates(context);
    }

    fn show_rates(&self, context: &mut Context<'_>) {
        let Context { state, staged, .. } = context;
        for (skill_name, rate) in state.skills.rates() {
            staged.set(self.completion_rate.series(&[skill_name]), rate);
        }
    }
}

#[cfg(test)]
mod tests;
