//! Five-minute counts of invocations: what the search for anomalies reads instead of the invocations themselves.

use std::collections::{BTreeSet, HashMap};

use super::totals::count;
use super::{MOST_PHASES, Skill};
use crate::config;
use crate::skills::anomaly::{Rules, Window};
use crate::state::store::{Store, StoreError};

/// The length of a slot.
pub(super) const SLOT_NS: i64 = 300_000_000_000;
/// The id under which the slots of all skills together stand.
const ALL: i64 = 0;
/// Slots that are kept beyond those that a search reads, for one that takes a while.
const SPARE: i64 = 12;
/// The most windows of a baseline: ninety days of five minutes.
const MOST_WINDOWS: i64 = 25_920;

/// The counts of the batch that is not committed yet, and which slots had any invocations at all.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// By skill, slot and phase: invocations, and how many were completed.
    pending: HashMap<(i64, i64, usize), (i64, i64)>,
    active: BTreeSet<i64>,
    pruned_to: i64,
}

/// What the search compares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The length of a window, in slots.
    window: i64,
    /// The number of windows in the baseline.
    windows: i64,
}

impl Span {
    pub(super) fn new(config: &config::Anomalies) -> Self {
        let slots = |length: std::time::Duration| i64::try_from(length.as_nanos()).unwrap_or(i64::MAX) / SLOT_NS;
        let window = slots(config.window).max(1);
        Self { window, windows: (slots(config.baseline) / window).min(MOST_WINDOWS) }
    }

    /// The first slot of the recent window that ends before `end`.
    pub(super) fn recent(self, end: i64) -> i64 {
        end - self.window
    }

    /// The first slot of the baseline before it.
    fn baseline(self, end: i64) -> i64 {
        self.recent(end).saturating_sub(self.window.saturating_mul(self.windows))
    }
}

impl Slots {
    pub(super) fn add(&mut self, skill: i64, phase: usize, time_ns: i64, completed: bool) {
        let slot = time_ns / SLOT_NS;
        if slot < self.pruned_to {
            return;
        }
        self.active.insert(slot);
        for key in [(skill, slot, phase), (ALL, slot, 0)] {
            let (invocations, done) = self.pending.entry(key).or_default();
            *invocations += 1;
            *done += i64::from(completed);
        }
    }

    pub(super) fn write(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut upsert = store.db().prepare_cached(
            "INSERT INTO skill_slots (skill_id, slot, phase, invocations, completed) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO UPDATE SET invocations = invocations + excluded.invocations, \
             completed = completed + excluded.completed",
        )?;
        for ((skill, slot, phase), (invocations, completed)) in self.pending.drain() {
            upsert.execute([skill, slot, i64::try_from(phase).unwrap_or(i64::MAX), invocations, completed])?;
        }
        Ok(())
    }

    /// The windows of a skill's baseline that tell something, and the recent window, which ends before the slot `end`.
    ///
    /// A skill that was first seen within the baseline is still new, and has none. Windows without any invocation of any
    /// skill only tell that everything was off, and are left out.
    pub(super) fn history(
        &self,
        store: &Store,
        skill: &Skill,
        span: Span,
        end: i64,
    ) -> Result<(Vec<Window>, Window), StoreError> {
        let start = span.baseline(end);
        let mut windows = vec![Window::default(); usize::try_from(span.windows + 1).unwrap_or(1)];
        let mut statement = store.db().prepare_cached(
            "SELECT slot, phase, invocations, completed FROM skill_slots \
             WHERE skill_id = ?1 AND slot >= ?2 AND slot < ?3",
        )?;
        let mut rows = statement.query([skill.id, start, end])?;
        while let Some(row) = rows.next()? {
            let at = usize::try_from((row.get::<_, i64>(0)? - start) / span.window).unwrap_or(usize::MAX);
            let Some(window) = windows.get_mut(at) else { continue };
            let phase = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0).min(MOST_PHASES);
            let invocations = count(row, 2)?;
            if window.phases.len() <= phase {
                window.phases.resize(phase + 1, 0);
            }
            window.phases[phase] += invocations;
            window.invocations += invocations;
            window.completed += count(row, 3)?;
        }
        let recent = windows.pop().unwrap_or_default();
        if skill.first_ns.is_none_or(|first_ns| first_ns > start.saturating_mul(SLOT_NS)) {
            return Ok((Vec::new(), recent));
        }
        let starts = (start..).step_by(usize::try_from(span.window).unwrap_or(1));
        let baseline = starts
            .zip(windows)
            .filter(|(from, _)| self.active.range(from..&(from + span.window)).next().is_some())
            .map(|(_, window)| window)
            .collect();
        Ok((baseline, recent))
    }

    /// Forgets the slots that no search will read any more.
    pub(super) fn prune<'a>(
        &mut self,
        store: &Store,
        skills: impl Iterator<Item = &'a Skill>,
        span: Span,
        now: i64,
    ) -> Result<(), StoreError> {
        let cut = span.baseline(now) - SPARE;
        if cut <= self.pruned_to {
            return Ok(());
        }
        let mut delete = store.db().prepare_cached("DELETE FROM skill_slots WHERE skill_id = ?1 AND slot < ?2")?;
        for id in skills.map(|skill| skill.id).chain([ALL]) {
            delete.execute([id, cut])?;
        }
        self.active = self.active.split_off(&cut);
        self.pruned_to = cut;
        Ok(())
    }

    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        self.pending.clear();
        let mut statement = store.db().prepare_cached("SELECT slot FROM skill_slots WHERE skill_id = ?1")?;
        let active = statement.query_map([ALL], |row| row.get(0))?;
        self.active = active.collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// The rules of the search, as configured.
pub(super) fn rules(config: &config::Anomalies) -> Rules {
    Rules { threshold: config.threshold, min_samples: config.min_samples as u64, min_windows: config.min_windows }
}
