//! Whether the requests of one signal succeed: logged once an outage, and shown in the status.

use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;
use tracing::{info, warn};

use super::{PushError, Signal, SignalStatus, lock};

/// How the requests of one signal fare.
pub(super) struct Health {
    signal: Signal,
    endpoint: String,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    last_success: Option<SystemTime>,
    outage: Option<Outage>,
    /// Failed requests since the start, over all outages.
    failed: u64,
    /// The collector rejects items, and that was logged.
    rejecting: bool,
}

/// Whether a failed request may succeed soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may, or its items are given up.
    MayPass,
    /// Not before somebody has mended what is wrong.
    Lasts,
}

struct Outage {
    since: SystemTime,
    began: Instant,
    failed: u64,
    error: String,
    last: Failure,
}

/// How requests fared at one moment, to be compared with a later one.
pub(super) struct Mark {
    failing: bool,
    failed: u64,
}

impl Health {
    pub(super) fn new(signal: Signal, endpoint: &str) -> Arc<Self> {
        let (changed, _) = watch::channel(());
        Arc::new(Self { signal, endpoint: endpoint.to_owned(), state: Mutex::default(), changed })
    }

    /// A request was taken; `rejected` of its items were not, and the collector said `message` about it.
    pub(super) fn success(&self, rejected: u64, message: &str) {
        let (ended, say) = {
            let mut state = lock(&self.state);
            state.last_success = Some(SystemTime::now());
            let troubled = rejected > 0 || !message.is_empty();
            let say = troubled && !std::mem::replace(&mut state.rejecting, troubled);
            (state.outage.take(), say)
        };
        let (signal, endpoint) = (self.signal.as_str(), self.endpoint.as_str());
        if let Some(outage) = ended {
            let (seconds, failed) = (outage.began.elapsed().as_secs(), outage.failed);
            info!(signal, endpoint, "OTLP push works again after {seconds} s and {failed} failed requests");
        }
        if say {
            warn!(signal, endpoint, rejected, message, "OTLP push: the collector rejects items or warns");
        }
        self.changed.send_replace(());
    }

    /// A request failed.
    pub(super) fn failure(&self, failure: Failure, error: String) {
        let began = {
            let mut state = lock(&self.state);
            state.failed += 1;
            match &mut state.outage {
                Some(outage) => {
                    outage.failed += 1;
                    outage.error.clone_from(&error);
                    outage.last = failure;
                    false
                }
                None => {
                    let (since, began) = (SystemTime::now(), Instant::now());
                    state.outage = Some(Outage { since, began, failed: 1, error: error.clone(), last: failure });
                    true
                }
            }
        };
        if began {
            let (signal, endpoint) = (self.signal.as_str(), self.endpoint.as_str());
            warn!(
                signal,
                endpoint, error, "OTLP push fails; it is tried on, and this is not logged again until it works"
            );
        }
        self.changed.send_replace(());
    }

    /// How requests fare now.
    pub(super) fn mark(&self) -> Mark {
        let state = lock(&self.state);
        Mark { failing: state.outage.is_some(), failed: state.failed }
    }

    /// The failure since `mark` after which waiting is in vain: of an outage that was there at `mark`, or one that lasts.
    pub(super) fn still_failing(&self, mark: &Mark) -> Option<PushError> {
        let lasts = lock(&self.state).outage.as_ref().is_some_and(|outage| outage.last == Failure::Lasts);
        if mark.failing || lasts { self.failed_since(mark) } else { None }
    }

    /// The last failure since `mark`, unless requests succeed again.
    pub(super) fn failed_since(&self, mark: &Mark) -> Option<PushError> {
        let state = lock(&self.state);
        let outage = state.outage.as_ref().filter(|_| state.failed > mark.failed)?;
        Some(PushError::Undelivered {
            signal: self.signal,
            endpoint: self.endpoint.clone(),
            error: outage.error.clone(),
        })
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn status(&self, waiting: u64) -> SignalStatus {
        let state = lock(&self.state);
        SignalStatus {
            endpoint: self.endpoint.clone(),
            last_success: state.last_success,
            failing_since: state.outage.as_ref().map(|outage| outage.since),
            last_error: state.outage.as_ref().map(|outage| outage.error.clone()),
            waiting,
        }
    }
}
