//! A bridge and its collector, and the models of both: what happens to the ones happens to the others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::event::Outcome;
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use crate::act::{Act, Plan};
use crate::expected::Model;
use crate::line::Line;
use crate::pushed;
use crate::step::Step;
use crate::support::collector::Collector;
use crate::support::events::try_send;
use crate::support::files::{self, COMMITS_FAIL, WELL_AGAIN, tell};
use crate::support::samples::Samples;

/// How long a flush or a stop may take that the collector does not let succeed.
const BRIEF: Duration = Duration::from_millis(100);
/// How long it may take until all is delivered.
const LONG: Duration = Duration::from_secs(20);

pub struct Run {
    pub dir: TempDir,
    /// Where bridges are that were killed, and have not noticed it.
    pub graves: Vec<TempDir>,
    pub bridge: Bridge,
    pub collector: Collector,
    pub model: Model,
    pub line: Line,
    plan: Plan,
    /// Some batch was refused: series of it may be there, at 0.
    refused: bool,
    /// The collector is away.
    away: bool,
    tick: usize,
}

/// Whether a sample must be the same after a restart, and as the model has it. Completion rates are worked out anew.
fn stays(key: &str) -> bool {
    !key.starts_with("bridge_") && !key.starts_with("skill_completion_rate")
}

/// What a bridge shows that must outlive it, to the last bit.
pub type Lasting = BTreeMap<String, u64>;

impl Run {
    pub fn new(plan: Plan) -> Self {
        let (dir, collector) = (files::in_memory(), Collector::start());
        let bridge = files::open(dir.path(), &plan.config(&collector.endpoint()));
        let (model, line) = (Model::default(), Line::default());
        Self { dir, graves: Vec::new(), bridge, collector, model, line, plan, refused: false, away: false, tick: 0 }
    }

    pub fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Submit(steps) => self.submit(steps)?,
            Act::Refuse(steps) => self.refuse(steps)?,
            Act::Checkpoint => {
                let db = rusqlite::Connection::open(self.dir.path().join("bridge.db")).unwrap();
                db.busy_timeout(Duration::from_secs(10)).unwrap();
                let left: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
                prop_assert_eq!(left, 0, "somebody holds the log");
            }
            Act::Kill => self.kill()?,
            Act::KillInFlight { steps, taken } => self.kill_in_flight(steps, *taken)?,
            Act::KillWithin { steps, part } => self.kill_within(steps, *part)?,
            Act::KillDuring { steps, micros } => self.kill_during(steps, Duration::from_micros(*micros))?,
            Act::Stop => self.stop()?,
            Act::Away => {
                self.collector.kill();
                self.away = true;
            }
            Act::Back => self.come_back(),
            Act::Answers(signal, reply) => self.collector.then_to(*signal, [reply.answer()]),
            // The filing succeeds, whatever the collector makes of it.
            Act::Collect => drop(self.bridge.flush(BRIEF)),
            Act::Drain => self.drain()?,
        }
        self.compare()
    }

    pub fn submit(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        let (model, events) = self.events(steps);
        let taken = try_send(&self.bridge, &events);
        prop_assert!(taken.is_ok(), "{taken:?}");
        self.taken(model, &events, &taken.unwrap());
        Ok(())
    }

    fn refuse(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        let (_, events) = self.events(steps);
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
        Ok(())
    }

    fn stop(&mut self) -> Result<(), TestCaseError> {
        let (before, dropped) = (self.lasting(), self.dropped());
        // It may be that not all can be delivered.
        let _ = self.bridge.shutdown(BRIEF);
        self.line.dropped += dropped;
        self.start();
        self.check_filed(self.filed())?;
        self.check_lasting(&before, &self.lasting())
    }

    /// Starts another bridge where the last one was, with a collector that the last one does not know.
    pub fn start(&mut self) {
        self.collector.move_on();
        if self.away {
            self.collector.kill();
        }
        self.line.earlier = self.collector.seen(|seen| seen.spans.len());
        self.bridge = files::open(self.dir.path(), &self.plan.config(&self.collector.endpoint()));
    }

    /// The collector is there, from now on if it was not.
    pub fn come_back(&mut self) {
        if !self.collector.is_up() {
            self.collector.come_back();
        }
        self.away = false;
    }

    /// Delivers all that waits.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        self.come_back();
        let deadline = Instant::now() + LONG;
        let samples = loop {
            let flushed = self.bridge.flush(BRIEF * 5);
            let samples = Samples::of(&self.bridge);
            if flushed.is_ok() && samples.total("bridge_outbox_items") == 0.0 {
                break samples;
            }
            prop_assert!(Instant::now() < deadline, "not delivered: {flushed:?}");
        };
        self.line.drained(self.collector.seen(|seen| seen.spans.len()));
        let walk = self.walk()?;
        let [taken, rejected] = ["taken", "rejected"].map(|outcome| items(&samples, outcome));
        let missed = (walk.booked.0 + walk.booked.1).checked_sub(taken + rejected);
        prop_assert!(
            missed.is_some_and(|missed| missed <= walk.doubtful),
            "{taken} taken, {rejected} rejected: {walk:?}"
        );
        if walk.doubtful == 0 {
            prop_assert_eq!((taken, rejected), walk.booked, "what the bridge has booked is what it was answered");
        }
        let ended = walk.settled() + self.line.dropped + self.dropped();
        prop_assert!(
            (self.line.len()..=self.line.len() + walk.doubtful).contains(&ended),
            "{ended} met an end: {walk:?}"
        );
        Ok(())
    }

    /// Lets the collector take all that waits, and looks whether it has everything then.
    pub fn finish(mut self) -> Result<(), TestCaseError> {
        self.collector.seen(|seen| seen.answers.clear());
        for signal in pushed::SIGNALS {
            self.collector.seen(|seen| seen.answers_to(signal).clear());
        }
        self.drain()?;
        self.compare()?;
        let Some(temporality) = self.plan.temporality else { return Ok(()) };
        let scrape = self.bridge.render(mcp_otel_bridge::expose::exposition::Format::OpenMetrics100).unwrap();
        self.collector.seen(|seen| pushed::check(&seen.metrics, temporality, &scrape, self.refused))
    }

    /// The events of these steps, and what the model is once they are taken.
    pub fn events(&mut self, steps: &[Step]) -> (Model, Vec<Value>) {
        let (mut model, mut events) = (self.model.clone(), Vec::new());
        for step in steps {
            self.tick += 1;
            events.extend(model.take(*step, self.tick));
        }
        (model, events)
    }

    /// A batch was taken, and answered so: its spans join the line.
    pub fn taken(&mut self, mut model: Model, events: &[Value], answers: &[Outcome]) {
        for id in model.take_spans() {
            let at = events.iter().position(|event| event["event_id"] == *id).unwrap();
            self.line.join(&answers[at]);
        }
        self.model = model;
    }

    /// How many spans gave way in this life of the bridge.
    pub fn dropped(&self) -> usize {
        items(&Samples::of(&self.bridge), "dropped")
    }

    pub fn lasting(&self) -> Lasting {
        let samples = Samples::of(&self.bridge).values.into_iter().filter(|(key, _)| stays(key));
        samples.map(|(key, value)| (key, value.to_bits())).collect()
    }

    /// What was shown before is shown after, and nothing else.
    pub fn check_lasting(&self, before: &Lasting, after: &Lasting) -> Result<(), TestCaseError> {
        for key in before.keys().chain(after.keys()) {
            let value = |shown: &Lasting| shown.get(key).map(|bits| f64::from_bits(*bits));
            // What a refused batch left at 0 is stored with the next batch that is taken.
            let left = self.refused && value(before) == Some(0.0) && value(after).is_none();
            let same = before.get(key) == after.get(key) || left;
            prop_assert!(same, "{key}: {:?}, then {:?}", value(before), value(after));
        }
        Ok(())
    }

    /// How many spans were filed in this life of the bridge, those that it found among them.
    pub fn filed(&self) -> usize {
        items(&Samples::of(&self.bridge), "queued")
    }

    /// A bridge that has just begun has filed what waited when the one before ended: no more and no less.
    pub fn check_filed(&self, filed: usize) -> Result<(), TestCaseError> {
        self.check_waiting(filed, self.line.dropped, self.line.earlier)
    }

    /// So many spans wait that `dropped` and the requests up to one leave.
    fn check_waiting(&self, waiting: usize, dropped: usize, requests: usize) -> Result<(), TestCaseError> {
        let gives_way = self.plan.budget.is_some();
        let walk = self.collector.seen(|seen| self.line.walk(&seen.spans[..requests], gives_way))?;
        let may_wait = self.line.may_wait(&walk, dropped);
        prop_assert!(may_wait.contains(&waiting), "{waiting} spans wait rather than {may_wait:?}");
        Ok(())
    }

    fn walk(&self) -> Result<crate::line::Walk, TestCaseError> {
        self.collector.seen(|seen| self.line.walk(&seen.spans, self.plan.budget.is_some()))
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let mut samples = Samples::of(&self.bridge);
        self.walk()?;
        if let Some(budget) = self.plan.budget {
            let bytes = samples.total("bridge_outbox_size_bytes");
            prop_assert!(bytes <= budget as f64, "{bytes} bytes of {budget} wait");
        } else {
            prop_assert_eq!(items(&samples, "dropped"), 0, "there is room for all");
        }
        if !self.collector.is_up() {
            let waiting = samples.total("bridge_outbox_items{signal=\"spans\"") as usize;
            let requests = self.collector.seen(|seen| seen.spans.len());
            self.check_waiting(waiting, self.line.dropped + items(&samples, "dropped"), requests)?;
        }
        let expected = self.model.samples();
        samples
            .values
            .retain(|key, value| stays(key) && !(self.refused && *value == 0.0 && !expected.contains_key(key)));
        crate::compare(&samples, expected.into_iter().filter(|(key, _)| stays(key)).collect())
    }
}

/// The spans that met this end in this life of the bridge.
fn items(samples: &Samples, outcome: &str) -> usize {
    let key = format!("bridge_push_items_total{{signal=\"spans\",outcome=\"{outcome}\"}}");
    samples.find(&key).unwrap_or(0.0) as usize
}
