//! The signal to stop, as every listener, connection and stream sees it.

use tokio::sync::watch;

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It has not.
    Running,
    /// Nothing new is accepted, and what is in flight finishes.
    Draining,
    /// Everything is dropped.
    Cut,
}

/// Sees the end come. It has come at once where the sender is gone.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<Phase>);

/// A signal that has not been given.
pub(super) fn channel() -> (watch::Sender<Phase>, Stop) {
    let (phase, stop) = watch::channel(Phase::Running);
    (phase, Stop(stop))
}

impl Stop {
    pub(super) fn of(phase: &watch::Sender<Phase>) -> Self {
        Self(phase.subscribe())
    }

    /// Resolves once nothing new is to be begun.
    pub(crate) async fn draining(&mut self) {
        let _ = self.0.wait_for(|phase| *phase >= Phase::Draining).await;
    }

    /// Resolves once everything is to be dropped.
    pub(crate) async fn cut(&mut self) {
        let _ = self.0.wait_for(|phase| *phase >= Phase::Cut).await;
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining || self.0.has_changed().is_err()
    }
}
