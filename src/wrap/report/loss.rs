//! What could not be reported, and the account of it.

use crate::event::{Count, Dropped};

/// Why something was not reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wrap) enum Loss {
    /// There was no room in the spool.
    SpoolFull,
    /// The bridge refused the event.
    Rejected,
    /// A message was not read, as the observer could not keep up.
    Unread,
    /// More requests are open than can be followed.
    OpenRequests,
}

/// How much was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Losses([u64; 4]);

impl Losses {
    pub(super) const NONE: Self = Self([0; 4]);

    pub(super) fn add(&mut self, loss: Loss, more: u64) {
        let count = &mut self.0[loss as usize];
        *count = count.saturating_add(more);
    }

    /// Takes all of it as it is reported, if there is any.
    pub(super) fn take(&mut self) -> Option<Dropped> {
        let losses = std::mem::take(self);
        let count = |loss: Loss| match losses.0[loss as usize] {
            0 => None,
            count => Count::new(count.min(Count::MAX)).ok(),
        };
        (losses != Self::NONE).then(|| Dropped {
            spool_full: count(Loss::SpoolFull),
            rejected: count(Loss::Rejected),
            unread: count(Loss::Unread),
            open_requests: count(Loss::OpenRequests),
        })
    }
}
