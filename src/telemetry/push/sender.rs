//! The sender of one signal: drains its outbox to the collector, one request at a time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonic::{Code, Status};

use super::health::{Failure, Health};
use super::http_error::Connection;
use super::outbox::{Delivery, Due, Items, NotKept, Outbox};
use super::retry::{Backoff, Fault};
use super::size::Most;
use super::target::{Answer, Export, Target};
use super::{PushError, RequestOutcome, Signal, SignalStatus, Stats};

/// How long to wait before a store that failed is asked again.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// One signal on its way out: its outbox, how its requests fare, and a way to hurry them and to end them.
pub(super) struct Lane<R> {
    outbox: Arc<Outbox<R>>,
    health: Arc<Health>,
    kick: watch::Sender<()>,
    stop: watch::Sender<bool>,
}

/// Sends what an outbox holds, for as long as the runtime runs.
pub(super) struct Sender<R> {
    signal: Signal,
    outbox: Arc<Outbox<R>>,
    target: Target,
    health: Arc<Health>,
    stats: Arc<dyn Stats>,
    backoff: Backoff,
    most: Most,
    /// Requests in a row whose items were refused for good.
    refused: u32,
    kicked: watch::Receiver<()>,
    stopped: watch::Receiver<bool>,
}

/// Nobody keeps the outbox any more, or no request is to leave any more.
struct Ended;

impl<R: Items + Export> Sender<R> {
    /// A sender and the lane it serves; `period` is how often it will have something to send.
    pub(super) fn new(
        signal: Signal,
        outbox: Arc<Outbox<R>>,
        target: Target,
        period: Duration,
        stats: Arc<dyn Stats>,
    ) -> (Self, Lane<R>) {
        let health = Health::new(signal, target.shown());
        let (kick, kicked) = watch::channel(());
        let (stop, stopped) = watch::channel(false);
        let lane = Lane { outbox: Arc::clone(&outbox), health: Arc::clone(&health), kick, stop };
        let (backoff, most) = (Backoff::new(period), Most::new(outbox.pace().batch));
        (Self { signal, outbox, target, health, stats, backoff, most, refused: 0, kicked, stopped }, lane)
    }

    /// Sends until the runtime ends, or the outbox, or the lane says so.
    pub(super) async fn run(mut self) {
        let Err(Ended) = self.work().await;
    }

    async fn work(&mut self) -> Result<Infallible, Ended> {
        let mut level = self.outbox.subscribe();
        let mut connection = self.target.connect();
        loop {
            level.borrow_and_update();
            // A kick from before this look is spent by it.
            self.kicked.borrow_and_update();
            if *self.stopped.borrow_and_update() {
                return Err(Ended);
            }
            let due = match self.outbox.due() {
                Due::Now => match self.next().await? {
                    Some(delivery) => {
                        self.send(delivery, &mut connection).await?;
                        continue;
                    }
                    None => None,
                },
                Due::At(due) => Some(due),
                Due::Idle => None,
            };
            tokio::select! {
                changed = level.changed() => if changed.is_err() { return Err(Ended) },
                Ok(()) = self.kicked.changed() => {}
                Ok(()) = self.stopped.changed() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    async fn next(&self) -> Result<Option<Delivery<R>>, Ended> {
        loop {
            match self.outbox.next().await {
                Ok(delivery) => return Ok(delivery),
                Err(NotKept::Ended) => return Err(Ended),
                Err(NotKept::Fault(_)) => tokio::time::sleep(STORE_WAIT).await,
            }
        }
    }

    /// Sends as much of it as the collector takes at once, and books the answer.
    async fn send(&mut self, delivery: Delivery<R>, connection: &mut Connection) -> Result<(), Ended> {
        let Delivery { mut request, items } = delivery;
        let items = items.min(self.most.get());
        request.cut(0, items);
        let answer = self.target.send(connection.clone(), request).await;
        if answer.as_ref().is_err_and(|status| status.code() == Code::DeadlineExceeded) {
            // A connection whose other end vanished without a word looks alive for minutes: leave it.
            *connection = self.target.connect();
        }
        match answer {
            Ok(answer) => self.taken(items, answer).await,
            Err(status) => match Fault::of(&status) {
                Fault::TooLarge { asked } => self.too_large(items, asked, &status).await,
                Fault::MayPass { asked } => {
                    if asked.is_none() && status.code() == Code::ResourceExhausted {
                        self.most.exhausted(items);
                    }
                    let own = self.backoff.wait();
                    self.again(asked, own, Failure::MayPass, &status).await
                }
                Fault::Refused { asked } => self.again(asked, Backoff::longest(), Failure::Lasts, &status).await,
                Fault::Final => self.refused(items, None, &status).await,
            },
        }
    }

    async fn taken(&mut self, items: u64, answer: Answer) -> Result<(), Ended> {
        let Answer { rejected, message } = answer;
        let outcome = if rejected > 0 { RequestOutcome::Partial } else { RequestOutcome::Success };
        self.stats.request(self.signal, outcome);
        self.backoff.reset();
        self.refused = 0;
        self.most.taken();
        self.health.success(rejected, &message);
        let rejected = rejected.min(items);
        self.settle(items - rejected, rejected).await
    }

    async fn too_large(&mut self, items: u64, asked: Option<Duration>, status: &Status) -> Result<(), Ended> {
        let (signal, error) = (self.signal.as_str(), self.target.describe(status));
        if items > 1 {
            self.stats.request(self.signal, RequestOutcome::Retry);
            if self.most.halve(items) {
                tracing::warn!(
                    signal,
                    items,
                    error,
                    "OTLP push: a request is too large for the collector; it is sent in parts"
                );
            }
            self.put_back().await?;
            self.pause(asked, Duration::ZERO).await;
            return Ok(());
        }
        tracing::warn!(
            signal,
            error,
            "OTLP push: one item alone is too large for the collector; it is counted as rejected"
        );
        self.refused(items, asked, status).await
    }

    /// Puts the items back; returns when it is time to try again.
    async fn again(
        &mut self,
        asked: Option<Duration>,
        own: Duration,
        failure: Failure,
        status: &Status,
    ) -> Result<(), Ended> {
        self.stats.request(self.signal, RequestOutcome::Retry);
        self.health.failure(failure, self.target.describe(status));
        self.put_back().await?;
        self.pause(asked, own).await;
        Ok(())
    }

    /// The items will never be taken. One such request may be the fault of its items; where several in a row are
    /// refused, the fault may be another, and what waits is not to be gone before somebody looks.
    async fn refused(&mut self, items: u64, asked: Option<Duration>, status: &Status) -> Result<(), Ended> {
        self.stats.request(self.signal, RequestOutcome::Failure);
        self.health.failure(Failure::MayPass, self.target.describe(status));
        self.settle(0, items).await?;
        self.refused = self.refused.saturating_add(1);
        let own = if self.refused > 1 { self.backoff.wait() } else { Duration::ZERO };
        self.pause(asked, own).await;
        Ok(())
    }

    /// Waits as long as the collector asks for, or else as long as is our own choice.
    async fn pause(&mut self, asked: Option<Duration>, own: Duration) {
        match asked {
            // The collector knows best when it can be asked again: no hurry of ours counts.
            Some(asked) => tokio::select! {
                () = tokio::time::sleep(Backoff::spread(asked)) => {}
                Ok(()) = self.stopped.changed() => {}
            },
            None => tokio::select! {
                () = tokio::time::sleep(own) => {}
                Ok(()) = self.kicked.changed() => {}
                Ok(()) = self.stopped.changed() => {}
            },
        }
    }

    /// Books the answer for the first items in flight. What was settled must not be sent again, so this goes on until it
    /// is kept.
    async fn settle(&self, taken: u64, rejected: u64) -> Result<(), Ended> {
        loop {
            match self.outbox.settle(taken, rejected).await {
                Ok(()) => return Ok(()),
                Err(NotKept::Ended) => return Err(Ended),
                Err(NotKept::Fault(_)) => tokio::time::sleep(STORE_WAIT).await,
            }
        }
    }

    async fn put_back(&self) -> Result<(), Ended> {
        match self.outbox.put_back().await {
            // Where the store failed, the next batch is in flight in the place of this one.
            Ok(()) | Err(NotKept::Fault(_)) => Ok(()),
            Err(NotKept::Ended) => Err(Ended),
        }
    }
}

impl<R: Items> Lane<R> {
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
            if self.outbox.has_reached(mark) {
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

    /// Lets no further request leave; returns when the one in flight has its answer, and that is kept.
    pub(super) async fn end(&self) {
        self.stop.send_replace(true);
        // The sender holds the other end of it as long as it works.
        self.kick.closed().await;
    }

    pub(super) fn close(&self) {
        self.outbox.close();
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
