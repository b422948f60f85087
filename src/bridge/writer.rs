//! The writer: the one thread behind the door, which decides, remembers, records and answers.
//!
//! It takes what waits as a batch. Inside one transaction each event is decided on and its measurements and spans are
//! staged; then the batch is committed, applied to the instruments, handed to the push, and only then answered. What
//! is answered is remembered, and what is counted was remembered first.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::door::{Change, Command, Refused, Reply, Shared, Source, Submission};
use crate::event::{Outcome, Reason, Warning};
use crate::record::{Context, Fault, Ledger, Recorder, Staged};
use crate::state::{State, StoreError, now_ms};
use crate::telemetry::Telemetry;
use crate::telemetry::push::SpanSink;

/// The most events that one transaction takes, where more wait.
const BATCH_EVENTS: usize = 8192;
/// How often the writer looks after what time alone changes.
const TICK: Duration = Duration::from_secs(1);
/// How often what is too old is forgotten.
const PRUNE: Duration = Duration::from_secs(60);

/// The state of the writer's thread.
pub(super) struct Writer {
    pub(super) state: State,
    pub(super) recorder: Recorder,
    pub(super) ledger: Ledger,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) spans: Option<SpanSink>,
    pub(super) shared: Arc<Shared>,
    /// Memory may differ from the store: it is rebuilt before anything else.
    pub(super) stale: bool,
}

/// A batch that was decided on and waits for its commit.
struct Answered {
    reply: Reply,
    outcomes: Vec<Outcome>,
}

impl Writer {
    /// Works until it is told to stop or nobody can tell it anything any more.
    pub(super) fn run(mut self, queue: &Receiver<Command>) {
        let mut next_tick = Instant::now() + TICK;
        let mut next_prune = Instant::now() + PRUNE;
        let mut stopping = false;
        while !stopping {
            self.shared.turn();
            let mut batch = Vec::new();
            match queue.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
                Ok(command) => stopping = self.gather(command, queue, &mut batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stopping = true,
            }
            self.process(batch);
            if Instant::now() >= next_tick {
                self.tick();
                next_tick = Instant::now() + TICK;
            }
            if Instant::now() >= next_prune {
                if let Err(error) = self.state.prune() {
                    tracing::warn!(%error, "what is too old could not be forgotten");
                    self.stale = true;
                }
                next_prune = Instant::now() + PRUNE;
            }
        }
        // What came between the last look and the closing of the door is taken too.
        let mut batch = Vec::new();
        for command in queue.try_iter() {
            if let Command::Submit(submission) = command {
                batch.push(submission);
            }
        }
        self.process(batch);
        self.tick();
    }

    /// Takes what waits; `true` when told to stop.
    fn gather(&mut self, first: Command, queue: &Receiver<Command>, batch: &mut Vec<Submission>) -> bool {
        let mut events = 0;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Submit(submission) => {
                    events += submission.events.len();
                    batch.push(submission);
                }
                // What was handed over before is part of what is asked for or changed.
                Command::Inspect(inspect) => {
                    self.process(std::mem::take(batch));
                    inspect(&self.state);
                }
                Command::Change(change) => {
                    self.process(std::mem::take(batch));
                    self.change(change);
                }
                Command::Stop => return true,
            }
            if events >= BATCH_EVENTS {
                break;
            }
            next = queue.try_recv().ok();
        }
        false
    }

    fn process(&mut self, batch: Vec<Submission>) {
        if batch.is_empty() {
            return;
        }
        let events: usize = batch.iter().map(|submission| submission.events.len()).sum();
        let mut staged = Staged::default();
        let mut answered = Vec::with_capacity(batch.len());
        let mut waiting = batch.into_iter();
        let result = self.decide(&mut waiting, &mut staged, &mut answered).and_then(|()| self.state.commit());
        if let Err(error) = result {
            self.abandon(&error);
            self.shared.done(events);
            let refused = Refused::Storage(error.to_string());
            let replies = answered.into_iter().map(|answered| answered.reply);
            for reply in replies.chain(waiting.map(|submission| submission.reply)) {
                reply(Err(refused.clone()));
            }
            return;
        }
        self.kept();
        self.apply(&mut staged);
        // Before the answers: who sends again at once must find the room that this batch leaves.
        self.shared.done(events);
        for Answered { reply, outcomes } in answered {
            reply(Ok(outcomes));
        }
    }

    fn decide(
        &mut self,
        batch: &mut std::vec::IntoIter<Submission>,
        staged: &mut Staged,
        answered: &mut Vec<Answered>,
    ) -> Result<(), StoreError> {
        self.refresh_memory()?;
        self.state.begin()?;
        let now_ms = now_ms();
        for Submission { source, events, received, reply } in batch {
            let mut outcomes = Vec::with_capacity(events.len());
            let mut fault = None;
            for incoming in events {
                let mut context = Context { state: &mut self.state, staged, received, now_ms };
                match decide_one(&self.recorder, &mut self.ledger, &mut context, source, incoming) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(error) => {
                        fault = Some(error);
                        break;
                    }
                }
            }
            answered.push(Answered { reply, outcomes });
            if let Some(error) = fault {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes a change that no event makes, in a transaction of its own.
    fn change(&mut self, change: Change) {
        let Change { make, reply } = change;
        let made = self.refresh_memory().and_then(|()| {
            self.state.begin()?;
            let made = make(&mut self.state)?;
            self.state.commit()?;
            Ok(made)
        });
        match made {
            Ok(made) => {
                self.apply(&mut Staged::default());
                reply(Ok(made));
            }
            Err(error) => {
                self.abandon(&error);
                reply(Err(Refused::Storage(error.to_string())));
            }
        }
    }

    /// Rebuilds memory from the store where the two may differ.
    fn refresh_memory(&mut self) -> Result<(), StoreError> {
        if self.stale {
            self.state.roll_back()?;
            self.stale = false;
        }
        Ok(())
    }

    /// Nothing of the batch was kept: it is forgotten, and memory is rebuilt from the store.
    fn abandon(&mut self, error: &StoreError) {
        if self.shared.store_fault().is_none() {
            tracing::error!(%error, "events cannot be kept; they are refused until they can");
        }
        self.shared.set_store_fault(Some(error.to_string()));
        self.ledger.forget();
        self.stale = self.state.roll_back().is_err();
    }

    fn apply(&mut self, staged: &mut Staged) {
        self.recorder.refresh(&mut self.state, staged);
        {
            let _no_collection = self.telemetry.hold();
            staged.apply();
            let ledger = &mut self.ledger;
            self.shared.take_refused(|source, event_type, count| {
                ledger.refused(source, event_type, Reason::Overloaded, count);
            });
            ledger.apply();
        }
        if let Some(spans) = &self.spans
            && !staged.spans.is_empty()
        {
            spans.send(std::mem::take(&mut staged.spans));
        }
    }

    /// Shows what is remembered from before a restart.
    pub(super) fn restore(&mut self) {
        let mut staged = Staged::default();
        let mut context =
            Context { state: &mut self.state, staged: &mut staged, received: Instant::now(), now_ms: now_ms() };
        self.recorder.restore(&mut context);
        self.apply(&mut staged);
    }

    /// What time alone changes: sessions and requests that time out, skills, a fault that is over, and the count of what
    /// was refused.
    fn tick(&mut self) {
        let mut staged = Staged::default();
        if let Err(error) = self.tend(&mut staged) {
            self.abandon(&error);
            return;
        }
        self.kept();
        self.apply(&mut staged);
    }

    /// Ends what timed out, and looks at skills. While events cannot be kept, it also tries whether they can be by now:
    /// those who are told so may well send none until they hear otherwise.
    fn tend(&mut self, staged: &mut Staged) -> Result<(), StoreError> {
        self.refresh_memory()?;
        let now_ms = now_ms();
        let faulty = self.shared.store_fault().is_some();
        if !faulty && !self.state.is_overdue(now_ms) {
            return Ok(());
        }
        self.state.begin()?;
        if faulty {
            self.state.try_to_write(now_ms)?;
        }
        let mut context = Context { state: &mut self.state, staged, received: Instant::now(), now_ms };
        self.recorder.time_out(&mut context)?;
        self.recorder.watch_skills(&mut context)?;
        self.state.commit()
    }

    /// Something was kept, or there was nothing to keep and no fault.
    fn kept(&self) {
        if self.shared.store_fault().is_some() {
            tracing::info!("events can be kept again");
            self.shared.set_store_fault(None);
        }
    }
}

fn decide_one(
    recorder: &Recorder,
    ledger: &mut Ledger,
    context: &mut Context<'_>,
    source: Source,
    incoming: super::door::Incoming,
) -> Result<Outcome, StoreError> {
    let rejection = match incoming {
        Err(rejection) => {
            recorder.rejected(context, &rejection);
            rejection
        }
        Ok(mut event) => {
            let event_type = event.event_type();
            let unknown = std::mem::take(&mut event.unknown_fields);
            match recorder.record(context, event) {
                Ok(mut outcome) => {
                    outcome.warnings.extend(unknown.into_iter().map(Warning::UnknownField));
                    ledger.outcome(source, event_type, &outcome);
                    return Ok(outcome);
                }
                Err(Fault::Store(error)) => return Err(error),
                Err(Fault::Rejected(mut rejection)) => {
                    rejection.event_type = Some(event_type);
                    rejection
                }
            }
        }
    };
    ledger.rejection(source, &rejection);
    Ok(Outcome::from(rejection))
}
