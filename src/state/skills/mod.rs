//! Skills: their totals in memory, and in the store their invocations, totals by day, five-minute counts and anomalies.
//!
//! Totals are never counted from the invocations: a batch adds to the totals of its skills, their day and their slot,
//! so that its cost does not depend on what is kept. Durations are multiples of 2^-20 s, so their sums are exact and
//! what a day added can be taken away again.
//!
//! Retention goes by the bridge's own clock: events may be replayed, and what came late is kept as long. The search for
//! anomalies goes by the events' times.

mod found;
mod log;
mod schedule;
mod slots;
mod totals;

pub use found::since as anomalies_since;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use log::Log;
use schedule::Schedule;
use slots::{SLOT_NS, Slots, Span, rules};
use totals::{Days, Totals};

use super::store::{Store, StoreError};
use crate::config;
use crate::skills::SkillSummary;
use crate::skills::anomaly::{self, Finding, Rules};

pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// Hosts' clocks differ; what claims to come from further in the future than this is taken to be of now.
const AHEAD_NS: i64 = 60_000_000_000;
/// The most phases of a skill that are told apart in the search for anomalies; further ones count as one.
const MOST_PHASES: usize = 16;

/// One use of a skill, as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The skill.
    pub skill_name: &'a str,
    /// The phase of the workflow.
    pub workflow_phase: &'a str,
    /// The workflow's path.
    pub workflow_path: Option<&'a str>,
    /// Whether it came to its end.
    pub completed: bool,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// The session that used it.
    pub session_id: Option<&'a str>,
    /// When, in nanoseconds since 1970.
    pub time_ns: i64,
}

/// A skill that was searched for anomalies.
#[derive(Debug)]
pub struct Searched {
    /// The skill.
    pub skill_name: Arc<str>,
    /// The anomalies that began; those that go on since before are not among them.
    pub began: Vec<Finding>,
}

impl Searched {
    fn new(skill_name: Arc<str>) -> Self {
        Self { skill_name, began: Vec::new() }
    }
}

/// All skills that are remembered.
#[derive(Debug)]
pub struct Skills {
    by_name: HashMap<Arc<str>, Skill>,
    next_id: i64,
    /// The skills of the batch that is not committed yet.
    changed: HashSet<Arc<str>>,
    days: Days,
    slots: Slots,
    log: Log,
    schedule: Schedule,
    retention_ms: i64,
    most: usize,
    span: Span,
    rules: Rules,
    cooldown_ms: i64,
}

/// What is remembered of a skill.
#[derive(Debug)]
struct Skill {
    id: i64,
    totals: Totals,
    /// The time of its first invocation, and of its newest.
    first_ns: Option<i64>,
    newest_ns: Option<i64>,
    /// The completion rate that a host reported last, and when.
    reported: Option<(f64, i64)>,
    /// When something last came of it, by the bridge's own clock, in milliseconds since 1970.
    heard_ms: i64,
    /// Its phases; their places are their numbers in the store.
    phases: Vec<String>,
}

impl Skill {
    /// The completion rate to show: the host's, unless there are newer invocations.
    fn rate(&self) -> Option<f64> {
        let own = self.totals.rate();
        match self.reported {
            Some((rate, at_ns)) if own.is_none() || self.newest_ns <= Some(at_ns) => Some(rate),
            _ => own,
        }
    }

    fn phase(&mut self, name: &str) -> usize {
        let known = self.phases.iter().position(|phase| phase == name);
        known.unwrap_or_else(|| {
            if self.phases.len() < MOST_PHASES {
                self.phases.push(name.to_owned());
                self.phases.len() - 1
            } else {
                MOST_PHASES
            }
        })
    }

    fn summary(&self, name: &str) -> Option<SkillSummary> {
        Some(SkillSummary {
            skill_name: name.to_owned(),
            total_invocations: self.totals.invocations,
            completion_rate: self.totals.rate()?,
            avg_duration_seconds: self.totals.mean_seconds(),
        })
    }
}

impl Skills {
    pub(super) fn new(config: &config::Skills) -> Self {
        let anomalies = &config.anomalies;
        Self {
            by_name: HashMap::new(),
            next_id: 1,
            changed: HashSet::new(),
            days: Days::default(),
            slots: Slots::default(),
            log: Log::new(config.max_invocations),
            schedule: Schedule::new(config.refresh_interval, anomalies.enabled.then_some(anomalies.interval)),
            retention_ms: millis(config.retention),
            most: config.max_skills,
            span: Span::new(anomalies),
            rules: rules(anomalies),
            cooldown_ms: millis(anomalies.cooldown),
        }
    }

    /// Keeps an invocation.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn invoked(&mut self, store: &Store, invocation: &Invocation<'_>, now_ms: i64) -> Result<(), StoreError> {
        let time_ns = not_ahead(invocation.time_ns, now_ms);
        self.log.add(store, invocation, time_ns, now_ms)?;
        let Some(name) = self.remember(invocation.skill_name) else { return Ok(()) };
        let Some(skill) = self.by_name.get_mut(&name) else { return Ok(()) };
        let mut one = Totals { invocations: 1, completed: u64::from(invocation.completed), ..Totals::default() };
        if let Some(seconds) = invocation.duration_seconds {
            (one.timed, one.seconds) = (1, seconds);
        }
        skill.totals.add(&one);
        skill.first_ns = Some(skill.first_ns.map_or(time_ns, |first| first.min(time_ns)));
        skill.newest_ns = skill.newest_ns.max(Some(time_ns));
        let phase = skill.phase(invocation.workflow_phase);
        skill.heard_ms = now_ms;
        self.days.add(skill.id, now_ms, &one);
        self.slots.add(skill.id, phase, time_ns, invocation.completed);
        self.changed.insert(name);
        Ok(())
    }

    /// Keeps a completion rate that a host reported in place of its last one; `false` where that one is newer.
    pub fn rate_reported(&mut self, skill_name: &str, rate: f64, time_ns: i64, now_ms: i64) -> bool {
        let time_ns = not_ahead(time_ns, now_ms);
        // One skill too many is shown, and not remembered.
        let Some(name) = self.remember(skill_name) else { return true };
        let Some(skill) = self.by_name.get_mut(&name) else { return true };
        if skill.reported.is_some_and(|(_, at_ns)| at_ns > time_ns) {
            return false;
        }
        skill.reported = Some((rate, time_ns));
        skill.heard_ms = now_ms;
        self.changed.insert(name);
        true
    }

    /// Keeps an anomaly that a host reported.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn anomaly_reported(
        &mut self,
        store: &Store,
        skill_name: &str,
        anomaly_type: &str,
        score: Option<f64>,
        (time_ns, now_ms): (i64, i64),
    ) -> Result<(), StoreError> {
        found::report(store, skill_name, anomaly_type, score, (not_ahead(time_ns, now_ms), now_ms))
    }

    /// The most used skills, the most used first.
    pub fn top(&self, limit: usize) -> Vec<SkillSummary> {
        let mut all: Vec<(&Arc<str>, &Skill)> =
            self.by_name.iter().filter(|(_, skill)| skill.totals.invocations > 0).collect();
        let order = |(a, one): &(&Arc<str>, &Skill), (b, other): &(&Arc<str>, &Skill)| {
            other.totals.invocations.cmp(&one.totals.invocations).then_with(|| a.cmp(b))
        };
        // A few of many are asked for once a second: only these are sorted.
        if limit < all.len() {
            all.select_nth_unstable_by(limit, order);
            all.truncate(limit);
        }
        all.sort_unstable_by(order);
        all.into_iter().filter_map(|(name, skill)| skill.summary(name)).collect()
    }

    /// One skill; `None` where no invocation of it is remembered.
    pub fn summary(&self, name: &str) -> Option<SkillSummary> {
        self.by_name.get(name)?.summary(name)
    }

    /// The completion rate of each skill that has one: the host's, unless there are newer invocations.
    pub fn rates(&self) -> impl Iterator<Item = (&str, f64)> {
        self.by_name.iter().filter_map(|(name, skill)| Some((&**name, skill.rate()?)))
    }

    /// Whether rates or searches are due.
    pub fn due(&self, now_ms: i64) -> bool {
        self.schedule.due(now_ms)
    }

    /// Whether the completion rates are to be shown anew now.
    pub fn take_refresh(&mut self, now_ms: i64) -> bool {
        self.schedule.take_refresh(now_ms)
    }

    /// Searches one more skill for anomalies, where a search is due.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub fn search_next(&mut self, store: &Store, now_ms: i64) -> Result<Option<Searched>, StoreError> {
        let Self { by_name, span, .. } = self;
        let used_lately = || {
            let from = Some(span.recent(slot(now_ms)) * SLOT_NS);
            let lately = by_name.iter().filter(|(_, skill)| skill.newest_ns >= from);
            lately.map(|(name, _)| Arc::clone(name)).collect()
        };
        let Some((name, at_ms)) = self.schedule.next(now_ms, used_lately) else { return Ok(None) };
        let Some(skill) = self.by_name.get(&name) else { return Ok(Some(Searched::new(name))) };
        let (baseline, recent) = self.slots.history(store, skill, self.span, slot(at_ms))?;
        let mut searched = Searched::new(Arc::clone(&name));
        for finding in anomaly::find(&baseline, &recent, &self.rules) {
            if found::found(store, &name, &finding, at_ms, self.cooldown_ms)? {
                searched.began.push(finding);
            }
        }
        Ok(Some(searched))
    }

    /// Writes what the batch gathered.
    pub(super) fn write(&mut self, store: &Store) -> Result<(), StoreError> {
        self.log.write(store)?;
        self.days.write(store)?;
        self.slots.write(store)?;
        for name in self.changed.drain() {
            if let Some(skill) = self.by_name.get(&name) {
                totals::write(store, &name, skill)?;
            }
        }
        Ok(())
    }

    /// Forgets what is older than the retention. After an error memory does not fit the store any more.
    pub(super) fn prune(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        store.begin()?;
        let result = self.prune_within(store, now_ms).and_then(|()| store.commit());
        if result.is_err() {
            store.roll_back();
        }
        result
    }

    fn prune_within(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        let cut_ms = now_ms.saturating_sub(self.retention_ms);
        self.log.prune(store, cut_ms)?;
        found::prune(store, cut_ms)?;
        self.slots.prune(store, self.by_name.values(), self.span, slot(now_ms))?;
        let gone = Days::take_before(store, cut_ms)?;
        for (name, skill) in &mut self.by_name {
            if let Some(gone) = gone.get(&skill.id) {
                skill.totals.subtract(gone);
                totals::write(store, name, skill)?;
            }
        }
        let over = |skill: &Skill| skill.totals.invocations == 0 && skill.heard_ms < cut_ms;
        for (_, skill) in self.by_name.extract_if(|_, skill| over(skill)) {
            totals::delete(store, skill.id)?;
        }
        Ok(())
    }

    /// What is in memory of the skills themselves stays where the store cannot be read.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        self.changed.clear();
        self.days = Days::default();
        self.slots.load(store)?;
        self.log.load(store)?;
        self.by_name = totals::load(store)?;
        self.next_id = self.by_name.values().map(|skill| skill.id).max().unwrap_or(0) + 1;
        Ok(())
    }

    /// Writes the skills to a store in place of those that it has, and adds no more to their days and slots.
    pub(super) fn write_all(&mut self, store: &Store) -> Result<(), StoreError> {
        self.changed.clear();
        self.days = Days::default();
        store.db().execute("DELETE FROM skills", [])?;
        self.by_name.iter().try_for_each(|(name, skill)| totals::write(store, name, skill))
    }

    /// The skill, known from now on; `None` where there are too many.
    fn remember(&mut self, name: &str) -> Option<Arc<str>> {
        if let Some((known, _)) = self.by_name.get_key_value(name) {
            return Some(Arc::clone(known));
        }
        if self.by_name.len() >= self.most {
            return None;
        }
        let name: Arc<str> = name.into();
        let skill = Skill {
            id: self.next_id,
            totals: Totals::default(),
            first_ns: None,
            newest_ns: None,
            reported: None,
            heard_ms: 0,
            phases: Vec::new(),
        };
        self.next_id += 1;
        self.by_name.insert(Arc::clone(&name), skill);
        Some(name)
    }
}

/// The time of an event that came at `now_ms`.
fn not_ahead(time_ns: i64, now_ms: i64) -> i64 {
    let now_ns = now_ms.saturating_mul(1_000_000);
    if time_ns > now_ns.saturating_add(AHEAD_NS) { now_ns } else { time_ns }
}

fn slot(now_ms: i64) -> i64 {
    now_ms.saturating_mul(1_000_000) / SLOT_NS
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
