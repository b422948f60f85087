//! Kills: at rest, while a batch is in flight, and in the middle of a transaction.
//!
//! A kill is a copy of the files while the bridge runs, which from then on reaches nobody: the next one begins with the
//! copy. The client sends again what had not been acknowledged by then.

use std::time::{Duration, Instant};

use mcp_otel_bridge::event::Outcome;
use mcp_otel_bridge::telemetry::push::Signal;
use proptest::prelude::*;
use serde_json::Value;

use crate::expected::Model;
use crate::run::{Lasting, Run};
use crate::step::Step;
use crate::support::collector::{Answer, Seen};
use crate::support::events::try_send;
use crate::support::files;
use crate::support::samples::Samples;

/// How long it may take until a batch is in flight.
const IN_FLIGHT: Duration = Duration::from_secs(10);

/// A batch that may or may not have been kept when the bridge was killed.
struct Unknown {
    model: Model,
    events: Vec<Value>,
    /// How the bridge that was killed answered, to nobody.
    answers: Vec<Outcome>,
    /// What was shown without it and with it, and how many spans had given way.
    without: (Lasting, usize),
    with: (Lasting, usize),
}

impl Run {
    pub fn kill(&mut self) -> Result<(), TestCaseError> {
        self.collector.kill();
        let (before, dropped) = (self.lasting(), self.dropped());
        self.line.dropped += dropped;
        self.bury(u64::MAX);
        self.start();
        self.check_filed(self.filed())?;
        self.check_lasting(&before, &self.lasting())
    }

    /// Kills it when the collector has a batch of spans, and has not answered.
    pub fn kill_in_flight(&mut self, steps: &[Step], taken: bool) -> Result<(), TestCaseError> {
        let answer = if taken { Answer::TakenAndHang } else { Answer::Hang };
        let came = self.collector.seen(|seen| {
            seen.answers_to(Signal::Spans).push_front(answer);
            seen.spans.len()
        });
        self.come_back();
        self.submit(steps)?;
        let in_flight = |seen: &mut Seen| seen.spans.len() > came && seen.spans.last().unwrap().answer.is_none();
        let deadline = Instant::now() + IN_FLIGHT;
        // Where no span waits nothing will be in flight.
        while self.waits() && !self.collector.seen(in_flight) {
            // A sender that rests after a refusal is woken.
            let _ = self.bridge.flush(Duration::from_millis(5));
            prop_assert!(Instant::now() < deadline, "nothing is in flight");
        }
        self.kill()
    }

    /// Kills it when so many thousandths of a batch are written to the log.
    pub fn kill_within(&mut self, steps: &[Step], part: u64) -> Result<(), TestCaseError> {
        self.collector.kill();
        let (model, events) = self.events(steps);
        if events.is_empty() {
            return self.kill();
        }
        let log = self.dir.path().join("bridge.db-wal");
        let length = || std::fs::metadata(&log).unwrap().len();
        let (without, from) = (self.shown(), length());
        let answers = try_send(&self.bridge, &events);
        prop_assert!(answers.is_ok(), "{answers:?}");
        let (with, to) = (self.shown(), length());
        self.bury(from + (to - from) * part / 1000);
        let kept = self.resume(Unknown { model, events, answers: answers.unwrap(), without, with })?;
        prop_assert!(kept || part < 1000, "all of it was written");
        Ok(())
    }

    /// Kills it so long after a batch was handed over, whatever it is doing then.
    pub fn kill_during(&mut self, steps: &[Step], after: Duration) -> Result<(), TestCaseError> {
        self.collector.kill();
        let (model, events) = self.events(steps);
        if events.is_empty() {
            return self.kill();
        }
        let without = self.shown();
        let sender = std::thread::spawn({
            let (bridge, events) = (self.bridge.clone(), events.clone());
            move || try_send(&bridge, &events)
        });
        std::thread::sleep(after);
        let acknowledged = sender.is_finished();
        self.bury(u64::MAX);
        let answers = sender.join().unwrap();
        prop_assert!(answers.is_ok(), "{answers:?}");
        let with = self.shown();
        let kept = self.resume(Unknown { model, events, answers: answers.unwrap(), without, with })?;
        prop_assert!(kept || !acknowledged, "it was acknowledged");
        Ok(())
    }

    /// Starts a bridge, finds out whether it has the batch, and sends the batch again; whether it had it.
    fn resume(&mut self, unknown: Unknown) -> Result<bool, TestCaseError> {
        let Unknown { model, events, answers, without, with } = unknown;
        self.start();
        let (found, filed) = (self.lasting(), self.filed());
        let again = try_send(&self.bridge, &events);
        prop_assert!(again.is_ok(), "{again:?}");
        let again = again.unwrap();
        // All of it is known by now, or just what was known before.
        let known = |answers: &[Outcome]| answers.iter().map(|answer| answer.duplicate).collect::<Vec<_>>();
        let kept = known(&again).iter().all(|known| *known);
        prop_assert!(kept || known(&again) == known(&answers), "half of it was kept: {:?}", known(&again));
        let (shown, dropped) = if kept { with } else { without };
        self.line.dropped += dropped;
        if kept {
            self.taken(model, &events, &answers);
            self.check_filed(filed)?;
        } else {
            self.check_filed(filed)?;
            self.taken(model, &events, &again);
        }
        self.check_lasting(&shown, &found)?;
        Ok(kept)
    }

    fn shown(&self) -> (Lasting, usize) {
        (self.lasting(), self.dropped())
    }

    fn waits(&self) -> bool {
        Samples::of(&self.bridge).total("bridge_outbox_items{signal=\"spans\"") > 0.0
    }

    /// Copies what the disk holds by now, of the log no more than that, for the next bridge to begin with.
    fn bury(&mut self, log_bytes: u64) {
        let copy = files::in_memory();
        files::as_killed(self.dir.path(), copy.path());
        let log = std::fs::File::options().write(true).open(copy.path().join("bridge.db-wal")).unwrap();
        log.set_len(log_bytes.min(log.metadata().unwrap().len())).unwrap();
        self.graves.push(std::mem::replace(&mut self.dir, copy));
    }
}
