//! The writer: the one thread behind the door, which decides, remembers, records and answers.
//!
//! It takes what waits as a batch. Inside one transaction each event is decided on and its measurements and spans are
//! staged; the spans go into the outbox, and what the push orders is done; then all is committed, applied to the
//! instruments, and only then answered. What is answered is remembered, and what is counted was remembered first.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::door::{Change, Command, Incoming, Refused, Reply, Shared, Source, Submission, type_of};
use crate::event::{Outcome, Reason, Warning};
use crate::record::{Context, Fault, Ledger, Recorder, Staged};
use crate::state::{Orders, State, StoreError, now_ms};
use crate::telemetry::push::{SpanSink, Stats};
use crate::telemetry::{Instrument, Telemetry};

/// The most events that one transaction takes, where more wait.
const BATCH_EVENTS: usize = 8192;
/// What a batch that failed may have wanted of the disk: a page an event, and something for what it has in common.
const PROBE_BYTES_AN_EVENT: usize = 4096;
const PROBE_BYTES: usize = 64 << 10;
/// What an event may want of the disk, in the log and in the database: few take half of it.
const ROOM_AN_EVENT: usize = 2048;
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
    pub(super) push_stats: Arc<dyn Stats>,
    pub(super) shared: Arc<Shared>,
    /// The gauge of [`BRIDGE_READY`](crate::catalog::metrics::BRIDGE_READY).
    pub(super) ready: Arc<Instrument>,
    /// Memory may differ from the store: it is rebuilt before anything else.
    pub(super) stale: bool,
    /// The events of the largest batch that could not be kept since one was.
    pub(super) refused_events: usize,
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
            self.state.bound_log();
            if Instant::now() >= next_tick {
                self.tick();
                next_tick = Instant::now() + TICK;
            }
            if Instant::now() >= next_prune {
                if let Err(error) = self.refresh_memory().and_then(|()| self.state.prune()) {
                    self.abandon(&error);
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
        self.shared.tray.close();
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
                Command::Wake => {}
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
        self.shared.turn();
        let mut orders = self.shared.tray.take();
        // A snapshot is large, and events may find room where it does not.
        self.serve(orders.take_filings());
        // Events that are refused must not keep the push from emptying what fills the disk.
        if batch.is_empty() || self.shared.store_fault().is_some() {
            self.serve(std::mem::take(&mut orders));
        }
        if batch.is_empty() {
            return;
        }
        let events: usize = batch.iter().map(|submission| submission.events.len()).sum();
        let mut staged = Staged::default();
        let mut answered = Vec::with_capacity(batch.len());
        let mut waiting = batch.into_iter();
        let result =
            self.decide(&mut waiting, &mut staged, &mut answered).and_then(|()| self.commit(&mut staged, &mut orders));
        if let Err(error) = result {
            let mut replies: Vec<Reply> = answered.into_iter().map(|answered| answered.reply).collect();
            for Submission { source, events, reply, .. } in waiting {
                self.not_decided(source, events);
                replies.push(reply);
            }
            self.ledger.refuse_all(Reason::Storage);
            self.refused_events = self.refused_events.max(events);
            self.abandon(&error);
            self.shared.done(events);
            orders.refuse(&error);
            let refused = Refused::Storage(error.to_string());
            for reply in replies {
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
        orders.answer();
    }

    /// Does what the push orders, in a transaction of its own.
    fn serve(&mut self, mut orders: Orders) {
        if orders.is_empty() {
            return;
        }
        match self.try_to_serve(&mut orders) {
            Ok(()) => {
                self.apply(&mut Staged::default());
                orders.answer();
            }
            Err(error) => {
                orders.refuse(&error);
                // Whether events find room is another question.
                if error.is_full() { self.mend(&error) } else { self.abandon(&error) }
            }
        }
    }

    fn try_to_serve(&mut self, orders: &mut Orders) -> Result<(), StoreError> {
        self.refresh_memory()?;
        let bytes = orders.bytes();
        if bytes > 0 {
            self.state.check_room(bytes)?;
        }
        self.state.begin()?;
        self.state.serve(orders, now_ms())?;
        self.state.commit()
    }

    fn decide(
        &mut self,
        batch: &mut std::vec::IntoIter<Submission>,
        staged: &mut Staged,
        answered: &mut Vec<Answered>,
    ) -> Result<(), StoreError> {
        let now_ms = now_ms();
        self.refresh_memory()?;
        let events: usize = batch.as_slice().iter().map(|submission| submission.events.len()).sum();
        self.state.check_room(events * ROOM_AN_EVENT)?;
        self.try_to_write(now_ms, 0)?;
        self.state.begin()?;
        for Submission { source, events, received, reply } in batch {
            let mut outcomes = Vec::with_capacity(events.len());
            let mut fault = None;
            let mut events = events.into_iter();
            for incoming in events.by_ref() {
                let event_type = type_of(&incoming);
                let mut context = Context { state: &mut self.state, staged, received, now_ms };
                match decide_one(&self.recorder, &mut self.ledger, &mut context, source, incoming) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(error) => {
                        self.ledger.received(source, event_type);
                        fault = Some(error);
                        break;
                    }
                }
            }
            answered.push(Answered { reply, outcomes });
            if let Some(error) = fault {
                self.not_decided(source, events);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Counts events of a batch that failed before their turn.
    fn not_decided(&mut self, source: Source, events: impl IntoIterator<Item = Incoming>) {
        for event in events {
            self.ledger.received(source, type_of(&event));
        }
    }

    /// Makes a change that no event makes, in a transaction of its own.
    fn change(&mut self, change: Change) {
        let Change { make, reply } = change;
        let mut staged = Staged::default();
        let made = self.refresh_memory().and_then(|()| {
            self.try_to_write(now_ms(), 0)?;
            self.state.begin()?;
            let made = make(&mut self.state)?;
            self.commit(&mut staged, &mut Orders::default())?;
            Ok(made)
        });
        match made {
            Ok(made) => {
                self.apply(&mut staged);
                reply(Ok(made));
            }
            Err(error) => {
                self.abandon(&error);
                reply(Err(Refused::Storage(error.to_string())));
            }
        }
    }

    /// Commits the batch, and with it what its measurements make of their series, its finished spans, and what the push
    /// ordered.
    fn commit(&mut self, staged: &mut Staged, orders: &mut Orders) -> Result<(), StoreError> {
        self.state.settle()?;
        self.recorder.refresh(&mut self.state, staged);
        staged.count(&mut self.state.series, &self.telemetry);
        let now_ms = now_ms();
        if let Some(spans) = &self.spans {
            self.state.file_spans(&spans.rows(std::mem::take(&mut staged.spans)), now_ms)?;
        }
        self.state.serve(orders, now_ms)?;
        self.state.commit()
    }

    /// Rebuilds memory from the store where the two may differ.
    fn refresh_memory(&mut self) -> Result<(), StoreError> {
        if self.stale {
            self.state.roll_back()?;
            self.stale = false;
        }
        Ok(())
    }

    /// While events cannot be kept: finds out whether they can be by now, before anything is decided in vain.
    /// An event that comes meanwhile is tried itself, after a row; else as many bytes are as failed.
    fn try_to_write(&mut self, now_ms: i64, bytes: usize) -> Result<(), StoreError> {
        if self.shared.store_fault().is_some() { self.state.try_to_write(now_ms, bytes) } else { Ok(()) }
    }

    /// Nothing of the batch was kept: it is forgotten, and the store is mended where that can be done.
    fn abandon(&mut self, error: &StoreError) {
        let reason = error.to_string();
        if self.shared.store_fault().as_ref() != Some(&reason) {
            tracing::error!("events cannot be kept, and are refused until they can: {reason}");
        }
        self.shared.set_store_fault(Some(reason));
        {
            let telemetry = Arc::clone(&self.telemetry);
            let _no_collection = telemetry.hold();
            self.account();
        }
        self.mend(error);
    }

    /// After a failure: the store is mended where that can be done, and memory rebuilt from it.
    fn mend(&mut self, error: &StoreError) {
        let shared = &self.shared;
        self.stale = match self.state.recover(error, &|| shared.turn()) {
            Ok(()) => false,
            Err(error) => {
                tracing::debug!(%error, "the store could not be mended");
                true
            }
        };
    }

    fn apply(&mut self, staged: &mut Staged) {
        {
            let telemetry = Arc::clone(&self.telemetry);
            let _no_collection = telemetry.hold();
            staged.apply();
            self.account();
            self.state.outbox.lost(self.shared.tray.take_lost());
            self.state.outbox.show(&*self.push_stats);
        }
    }

    /// Shows what became of events, and whether more can be kept: also where nothing of a batch was. The caller keeps
    /// collections out meanwhile.
    fn account(&mut self) {
        let ledger = &mut self.ledger;
        self.shared.take_refused(|source, event_type, count| {
            ledger.refused(source, event_type, Reason::Overloaded, count);
        });
        ledger.apply();
        let ready = !self.shared.is_closed() && self.shared.store_fault().is_none();
        self.ready.set(&[], f64::from(u8::from(ready)));
    }

    /// Shows what is remembered from before a restart.
    pub(super) fn restore(&mut self) {
        let mut staged = Staged::default();
        let mut context =
            Context { state: &mut self.state, staged: &mut staged, received: Instant::now(), now_ms: now_ms() };
        self.recorder.restore(&mut context);
        self.recorder.refresh(&mut self.state, &mut staged);
        staged.count(&mut self.state.series, &self.telemetry);
        self.state.series.keep_for_later();
        self.apply(&mut staged);
    }

    /// What time alone changes: sessions and requests that time out, skills, a fault that is over, and the count of what
    /// was refused.
    fn tick(&mut self) {
        let mut staged = Staged::default();
        match self.tend(&mut staged) {
            Ok(()) => {
                self.kept();
                self.apply(&mut staged);
                given_back(self.state.give_back_room());
            }
            Err(error) => {
                self.abandon(&error);
                // What the outbox took while the collector was away may be what is missing.
                if error.is_full() {
                    given_back(self.state.give_back_all_room());
                }
            }
        }
    }

    /// Ends what timed out, and looks at skills. While events cannot be kept, it also tries whether they can be by now:
    /// those who are told so may well send none until they hear otherwise.
    fn tend(&mut self, staged: &mut Staged) -> Result<(), StoreError> {
        self.refresh_memory()?;
        let now_ms = now_ms();
        self.state.check_place()?;
        // Where there is room for one row and for no batch, those who are told to come back would be sent away again.
        self.state.check_room(self.refused_events * ROOM_AN_EVENT)?;
        self.try_to_write(now_ms, PROBE_BYTES + self.refused_events * PROBE_BYTES_AN_EVENT)?;
        if !self.state.is_overdue(now_ms) {
            return Ok(());
        }
        self.state.begin()?;
        let mut context = Context { state: &mut self.state, staged, received: Instant::now(), now_ms };
        self.recorder.time_out(&mut context)?;
        self.recorder.watch_skills(&mut context)?;
        self.commit(staged, &mut Orders::default())
    }

    /// Something was kept, or there was nothing to keep and no fault.
    fn kept(&mut self) {
        if self.shared.store_fault().is_some() {
            tracing::info!("events can be kept again");
            self.shared.set_store_fault(None);
            self.refused_events = 0;
        }
    }
}

fn given_back(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "room on the disk that nothing needs could not be given back");
    }
}

fn decide_one(
    recorder: &Recorder,
    ledger: &mut Ledger,
    context: &mut Context<'_>,
    source: Source,
    incoming: Incoming,
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
