//! The updates: once an interval, one look at what the bridge remembers, for all clients.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use tokio::time::{MissedTickBehavior, interval};

use super::protocol::{Data, Told};
use super::registry::Registry;
use crate::Bridge;
use crate::event::Timestamp;
use crate::skills::{SkillAnomaly, SkillSummary};
use crate::state::State;
use crate::telemetry::Instrument;

/// The skills of an update.
const TOP: usize = 10;
/// Of what time anomalies are shown.
const RECENT_NS: u64 = 3600 * 1_000_000_000;
/// The most anomalies that are looked through, and the most of one update; the last seen go first.
const MOST_LOOKED_AT: usize = 1000;
const MOST_SHOWN: usize = 100;

/// Feeds whoever is there.
pub(super) async fn run(bridge: &Bridge, registry: &Registry, every: Duration, dropped: &Instrument) {
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if registry.occupied().await {
            ticks.reset_immediately();
        }
        ticks.tick().await;
        let wanted = registry.wanted();
        let now = Timestamp::now();
        // A writer that is too busy to be asked is asked again in the next interval.
        let Some(seen) = bridge.inspect(move |state| Seen::new(state, now, wanted)).await else { continue };
        let update = Update::new(&seen);
        let lost = registry.deliver(|skill| update.of(skill));
        if lost > 0 {
            dropped.add(&[], lost, None);
        }
    }
}

/// What was seen in one look.
struct Seen {
    at: Timestamp,
    top: Vec<SkillSummary>,
    wanted: Vec<(Arc<str>, Option<SkillSummary>)>,
    anomalies: Vec<SkillAnomaly>,
    active_sessions: u64,
}

impl Seen {
    /// On the writer's thread: it only copies what is there.
    fn new(state: &State, at: Timestamp, wanted: HashSet<Arc<str>>) -> Self {
        let since = i64::try_from(at.unix_nanos().saturating_sub(RECENT_NS)).unwrap_or(i64::MAX);
        let anomalies = state.anomalies(since, MOST_LOOKED_AT).unwrap_or_else(|error| {
            // That the store fails is said where it matters, and not every second.
            tracing::debug!(%error, "anomalies cannot be read");
            Vec::new()
        });
        let summary = |skill: Arc<str>| {
            let summary = state.skills.summary(&skill);
            (skill, summary)
        };
        Self {
            at,
            top: state.skills.top(TOP),
            wanted: wanted.into_iter().map(summary).collect(),
            anomalies,
            active_sessions: state.active_sessions(),
        }
    }

    fn told(&self, skills: &[SkillSummary], of: impl Fn(&SkillAnomaly) -> bool) -> Utf8Bytes {
        let anomalies = self.anomalies.iter().filter(|anomaly| of(anomaly)).take(MOST_SHOWN).collect();
        let data = Data { top_skills: skills, anomalies, active_sessions: self.active_sessions };
        Told::MetricsUpdate { timestamp: self.at, data }.text()
    }
}

/// An update in the words of each subscription, made once for all who share it.
struct Update {
    all: Utf8Bytes,
    by_skill: HashMap<Arc<str>, Utf8Bytes>,
}

impl Update {
    fn new(seen: &Seen) -> Self {
        let of_one = |(skill, summary): &(Arc<str>, Option<SkillSummary>)| {
            let text = seen.told(summary.as_slice(), |anomaly| *anomaly.skill_name == **skill);
            (Arc::clone(skill), text)
        };
        Self { all: seen.told(&seen.top, |_| true), by_skill: seen.wanted.iter().map(of_one).collect() }
    }

    fn of(&self, skill: Option<&str>) -> Option<Utf8Bytes> {
        match skill {
            None => Some(self.all.clone()),
            Some(skill) => self.by_skill.get(skill).cloned(),
        }
    }
}
