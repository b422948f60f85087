//! Reports to the bridge: they wait in a bounded spool, and a thread of its own delivers them.
//!
//! Nobody who reports ever waits for the bridge. Each report goes with its event id and its time, and is sent again with
//! both until the bridge has answered.

mod delivery;
mod loss;
mod retry;
mod spool;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::delivery::Delivery;
pub(super) use self::loss::Loss;
use self::spool::{Limits, Spool};
use super::TraceContext;
use crate::client::Client;
use crate::event::Event;

/// What the reporter works with.
#[derive(Debug)]
pub(super) struct Settings {
    client: Client,
    /// Told of the session's span, as the bridge names it.
    trace: TraceContext,
    limits: Limits,
}

impl Settings {
    /// Reports go to that bridge.
    pub(super) fn new(bridge: Client, trace: TraceContext) -> Self {
        Self { client: bridge.with_source("wrap"), trace, limits: Limits::default() }
    }
}

/// What whoever reports and the delivery share.
#[derive(Debug)]
struct Shared {
    spool: Mutex<Spool>,
    /// Something was put in, or taken out, or is to end.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most so long.
    fn wait<'a>(&self, spool: MutexGuard<'a, Spool>, most: Duration) -> MutexGuard<'a, Spool> {
        self.changed.wait_timeout(spool, most).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Takes reports, never waiting.
#[derive(Debug)]
pub(super) struct Reporter {
    shared: Arc<Shared>,
}

impl Reporter {
    /// Starts the thread that delivers. Where there can be none, nothing is reported, and a line says so.
    pub(super) fn start(settings: Settings) -> Self {
        let Settings { client, trace, limits } = settings;
        let shared = Arc::new(Shared { spool: Mutex::new(Spool::new(limits)), changed: Condvar::new() });
        let delivery = Delivery::new(client, trace, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("wrap-reports".to_owned());
        if let Err(error) = thread.spawn(move || delivery.run()) {
            tracing::warn!("nothing will be reported, as no thread can be started: {error}");
            shared.lock().close(Instant::now());
        }
        Self { shared }
    }

    /// Takes a report; the oldest that may be dropped is, where there is no room.
    pub(super) fn report(&self, event: &Event) {
        let mut spool = self.shared.lock();
        let (some, full) = (spool.has_reports(), spool.fills_batch());
        spool.push(event);
        // Only what the delivery waits for: waking it for each report of a flood would cost more than the reports.
        if !some || (!full && spool.fills_batch()) {
            self.shared.changed.notify_all();
        }
    }

    /// Takes note that so much could not be reported.
    pub(super) fn lose(&self, loss: Loss, count: u64) {
        self.shared.lock().lose(loss, count);
    }

    /// Waits until all was delivered, at most so long; whether it was. What is left is lost, and a line says so.
    pub(super) fn finish(self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut spool = self.shared.lock();
        spool.close(deadline);
        self.shared.changed.notify_all();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if spool.is_done() || spool.is_given_up() || left.is_zero() {
                let (done, count) = (spool.is_done(), spool.count());
                let why = spool.trouble().unwrap_or("there was no more time for them").to_owned();
                // Standard error may be full, and nobody is to wait for it with the spool.
                drop(spool);
                if count > 0 {
                    tracing::warn!("{count} reports were not delivered: {why}");
                }
                return done;
            }
            spool = self.shared.wait(spool, left);
        }
    }
}
