//! The sender of one signal: drains its outbox to the collector, one request at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonic::{Code, Status};

use super::health::Health;
use super::outbox::{Next, Outbox};
use super::retry::{Backoff, asked, may_pass};
use super::target::{Answer, Export, Target};
use super::{PushError, RequestOutcome, Signal, SignalStatus, Stats};

/// One signal on its way out: its outbox, how its requests fare, and a way to hurry them.
pub(super) struct Lane<O> {
    outbox: Arc<O>,
    health: Arc<Health>,
    kick: watch::Sender<()>,
}

/// Sends what an outbox holds, for as long as the runtime runs.
pub(super) struct Sender<O> {
    signal: Signal,
    outbox: Arc<O>,
    target: Target,
    health: Arc<Health>,
    stats: Arc<dyn Stats>,
    backoff: Backoff,
    kicked: watch::Receiver<()>,
}

impl<O: Outbox> Sender<O>
where
    O::Request: Export,
{
    /// A sender and the lane it serves; `period` is how often it will have something to send.
    pub(super) fn new(
        signal: Signal,
        outbox: Arc<O>,
        target: Target,
        period: Duration,
        stats: Arc<dyn Stats>,
    ) -> (Self, Lane<O>) {
        let health = Health::new(signal, target.shown());
        let (kick, kicked) = watch::channel(());
        let lane = Lane { outbox: Arc::clone(&outbox), health: Arc::clone(&health), kick };
        (Self { signal, outbox, target, health, stats, backoff: Backoff::new(period), kicked }, lane)
    }

    /// Sends until the runtime ends.
    pub(super) async fn run(mut self) {
        let mut changed = self.outbox.subscribe();
        let mut channel = self.target.connect();
        loop {
            changed.borrow_and_update();
            let due = match self.outbox.next() {
                Next::Send(request) => {
                    // A kick from before this request is spent by it.
                    self.kicked.borrow_and_update();
                    let answer = self.target.send(channel.clone(), request).await;
                    if answer.as_ref().is_err_and(|status| status.code() == Code::DeadlineExceeded) {
                        // A connection whose other end vanished without a word looks alive for minutes: leave it.
                        channel = self.target.connect();
                    }
                    self.settle(answer).await;
                    continue;
                }
                Next::At(due) => Some(due),
                Next::Idle => None,
            };
            tokio::select! {
                changed = changed.changed() => if changed.is_err() { return },
                () = sleep_until(due) => {}
            }
        }
    }

    /// Books the answer; after a failure that may pass, returns when it is time to try again.
    async fn settle(&mut self, answer: Result<Answer, Status>) {
        match answer {
            Ok(Answer { rejected, message }) => {
                let outcome = if rejected > 0 { RequestOutcome::Partial } else { RequestOutcome::Success };
                self.stats.request(self.signal, outcome);
                self.backoff.reset();
                self.health.success(rejected, &message);
                self.outbox.taken(rejected);
            }
            Err(status) if may_pass(&status) => {
                self.stats.request(self.signal, RequestOutcome::Retry);
                self.health.failure(self.target.describe(&status));
                self.outbox.put_back();
                match asked(&status) {
                    // The collector knows best when it can be asked again: no hurry of ours counts.
                    Some(asked) => tokio::time::sleep(Backoff::spread(asked)).await,
                    None => {
                        let wait = tokio::time::sleep(self.backoff.wait());
                        tokio::select! {
                            () = wait => {}
                            Ok(()) = self.kicked.changed() => {}
                        }
                    }
                }
            }
            Err(status) => {
                self.stats.request(self.signal, RequestOutcome::Failure);
                self.health.failure(self.target.describe(&status));
                self.outbox.refused();
            }
        }
    }
}

impl<O: Outbox> Lane<O> {
    /// Waits until all that waits now has met its end.
    ///
    /// Gives up early when requests failed before and fail still: an end of the process is not to wait for a
    /// collector that has been away for long.
    pub(super) async fn drain(&self) -> Result<(), PushError> {
        let before = self.health.mark();
        let mut changed = self.outbox.subscribe();
        let mut health = self.health.subscribe();
        let mark = self.outbox.hurry();
        self.kick.send_replace(());
        loop {
            changed.borrow_and_update();
            health.borrow_and_update();
            if self.outbox.reached() >= mark {
                return self.health.failed_since(&before).map_or(Ok(()), Err);
            }
            if let Some(error) = self.health.still_failing(&before) {
                return Err(error);
            }
            tokio::select! {
                Ok(()) = changed.changed() => {}
                Ok(()) = health.changed() => {}
                else => return Err(PushError::Ended),
            }
        }
    }

    /// Ends the outbox and says aloud what it loses.
    pub(super) fn close(&self, signal: Signal) {
        let lost = self.outbox.close();
        if lost > 0 {
            let signal = signal.as_str();
            tracing::warn!(signal, lost, "OTLP push ends with items that the collector has not taken");
        }
    }

    pub(super) fn status(&self) -> SignalStatus {
        self.health.status(self.outbox.waiting())
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
