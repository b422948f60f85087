//! Batches that are taken, batches that cannot be kept, kills and stops in any order: what is shown is what was taken,
//! and a restart changes none of it.

use std::collections::BTreeMap;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::Config;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::expected::Model;
use crate::step::{Step, step};
use crate::support::events::try_send;
use crate::support::files::{self, COMMITS_FAIL, WELL_AGAIN, tell};
use crate::support::samples::Samples;

/// How many cases are tried where PROPTEST_CASES does not say it.
const CASES: u32 = 50;

#[derive(Debug, Clone)]
enum Act {
    /// A batch is taken.
    Submit(Vec<Step>),
    /// A batch comes while nothing can be kept.
    Refuse(Vec<Step>),
    /// The process is killed and started again.
    Kill,
    /// It is told to stop and started again.
    Stop,
    /// The log is copied into the database, and begun anew.
    Checkpoint,
}

fn act() -> impl Strategy<Value = Act> {
    let batch = || prop::collection::vec(step(), 1..8);
    prop_oneof![
        5 => batch().prop_map(Act::Submit),
        1 => batch().prop_map(Act::Refuse),
        2 => Just(Act::Kill),
        1 => Just(Act::Stop),
        1 => Just(Act::Checkpoint),
    ]
}

/// What came is what became of it.
fn balance(samples: &Samples) -> Result<(), TestCaseError> {
    let sum = |name: &str| samples.total(&format!("bridge_events_{name}_total"));
    prop_assert_eq!(sum("received"), sum("accepted") + sum("duplicate") + sum("rejected"));
    Ok(())
}

struct Run {
    dir: TempDir,
    bridge: Bridge,
    model: Model,
    /// Some batch was refused: series of it may be there, at 0.
    refused: bool,
    tick: usize,
}

/// Whether a sample must be the same after a restart, and as the model has it. Completion rates are worked out anew.
fn stays(key: &str) -> bool {
    !key.starts_with("bridge_") && !key.starts_with("skill_completion_rate")
}

impl Run {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bridge = files::open(dir.path(), &Config::default());
        Self { dir, bridge, model: Model::default(), refused: false, tick: 0 }
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Submit(steps) => {
                let mut model = self.model.clone();
                let events = self.events(&mut model, steps);
                let taken = try_send(&self.bridge, &events);
                prop_assert!(taken.is_ok(), "{taken:?}");
                self.model = model;
            }
            Act::Refuse(steps) => {
                let events = self.events(&mut self.model.clone(), steps);
                if events.is_empty() {
                    return Ok(());
                }
                tell(self.dir.path(), COMMITS_FAIL);
                let before = Samples::of(&self.bridge);
                let refused = try_send(&self.bridge, &events);
                tell(self.dir.path(), WELL_AGAIN);
                if refused.is_err() {
                    let key = "bridge_events_rejected_total{source=\"http\",reason=\"storage\"}";
                    let counted = Samples::of(&self.bridge).get(key) - before.find(key).unwrap_or(0.0);
                    prop_assert_eq!(counted, events.len() as f64);
                }
                // A batch of nothing but repeated events keeps no id, and so cannot fail.
                self.refused |= refused.is_err();
            }
            Act::Checkpoint => {
                let db = rusqlite::Connection::open(self.dir.path().join("bridge.db")).unwrap();
                db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
                let left: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
                prop_assert_eq!(left, 0, "somebody holds the log");
            }
            Act::Kill => self.restart(|run| {
                let killed = tempfile::tempdir().unwrap();
                files::as_killed(run.dir.path(), killed.path());
                run.dir = killed;
            })?,
            Act::Stop => self.restart(|run| run.bridge.shutdown(std::time::Duration::from_secs(10)).unwrap())?,
        }
        self.compare()
    }

    fn events(&mut self, model: &mut Model, steps: &[Step]) -> Vec<serde_json::Value> {
        let mut events = Vec::new();
        for step in steps {
            self.tick += 1;
            events.extend(model.take(*step, self.tick));
        }
        events
    }

    fn restart(&mut self, stop: impl FnOnce(&mut Self)) -> Result<(), TestCaseError> {
        let shown = |bridge: &Bridge| -> BTreeMap<String, u64> {
            let samples = Samples::of(bridge).values.into_iter().filter(|(key, _)| stays(key));
            samples.map(|(key, value)| (key, value.to_bits())).collect()
        };
        let before = shown(&self.bridge);
        stop(self);
        self.bridge = files::open(self.dir.path(), &Config::default());
        let after = shown(&self.bridge);
        for key in before.keys().chain(after.keys()) {
            let value = |shown: &BTreeMap<String, u64>| shown.get(key).map(|bits| f64::from_bits(*bits));
            // What a refused batch left at 0 is stored with the next batch that is taken.
            let left = self.refused && value(&before) == Some(0.0) && value(&after).is_none();
            let same = before.get(key) == after.get(key) || left;
            prop_assert!(same, "{key}: {:?}, then {:?}", value(&before), value(&after));
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let mut samples = Samples::of(&self.bridge);
        balance(&samples)?;
        let expected = self.model.samples();
        samples
            .values
            .retain(|key, value| stays(key) && !(self.refused && *value == 0.0 && !expected.contains_key(key)));
        crate::compare(&samples, expected.into_iter().filter(|(key, _)| stays(key)).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_what_was_taken_is_shown_and_nothing_else(acts in prop::collection::vec(act(), 1..12)) {
        let mut run = Run::new();
        for act in &acts {
            run.act(act)?;
        }
    }
}
