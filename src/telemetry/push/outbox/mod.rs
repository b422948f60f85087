//! What waits for the collector, a signal each.
//!
//! [`Outbox`] is the seam between what is filed and the [`Sender`](super::sender::Sender) that drains it: whether the
//! items wait in memory or on disk is known only behind it. One batch at most is in flight. Until it is settled it
//! stays in the outbox, so that nothing is lost between the two.

mod ledger;
mod metrics;
mod spans;

use tokio::sync::watch;
use tokio::time::Instant;

pub(super) use metrics::MetricsOutbox;
pub(super) use spans::SpansOutbox;

/// What a sender should do next.
pub(super) enum Next<R> {
    /// Send this; it is in flight now.
    Send(R),
    /// Ask again at this time, or when something changes.
    At(Instant),
    /// Ask again when something changes.
    Idle,
}

/// The waiting items of one signal.
pub(super) trait Outbox: Send + Sync + 'static {
    /// What is sent to the collector.
    type Request;

    /// The next request, if one is due. Nothing may be in flight.
    fn next(&self) -> Next<Self::Request>;

    /// The collector took what is in flight, but for `rejected` items.
    fn taken(&self, rejected: u64);

    /// The collector refused what is in flight for good.
    fn refused(&self);

    /// What is in flight could not be delivered, and waits again.
    fn put_back(&self);

    /// Makes all that waits due now; gives the mark that [`reached`](Self::reached) comes to once the collector has
    /// answered for all of it.
    fn hurry(&self) -> u64;

    /// The mark up to which the collector has answered.
    fn reached(&self) -> u64;

    /// Items that wait, those in flight included.
    fn waiting(&self) -> u64;

    /// Ends the outbox: gives up what cannot outlive it, says how many items that were, and takes no more.
    fn close(&self) -> u64;

    /// Wakes whenever [`next`](Self::next) or [`reached`](Self::reached) may answer otherwise than before.
    fn subscribe(&self) -> watch::Receiver<()>;
}
