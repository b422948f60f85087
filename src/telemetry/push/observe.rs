//! What the push tells of itself, and the hooks through which it tells and asks.

use std::fmt;
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Metrics; an item is one data point.
    Metrics,
    /// Spans; an item is one span.
    Spans,
}

impl Signal {
    /// The value of the label `signal`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Spans => "spans",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of one request to the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// All of it was taken.
    Success,
    /// It was taken but for some items, which the collector rejected for good.
    Partial,
    /// It failed in a way that may pass; its items wait on.
    Retry,
    /// It was refused for good, with its items.
    Failure,
}

impl RequestOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Success, Self::Partial, Self::Retry, Self::Failure];

    /// The value of the label `outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Retry => "retry",
            Self::Failure => "failure",
        }
    }
}

/// What became of items on their way to the collector.
///
/// At any time `queued = taken + rejected + superseded + dropped + waiting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemOutcome {
    /// They came in.
    Queued,
    /// The collector has them.
    Taken,
    /// The collector does not want them.
    Rejected,
    /// A later snapshot of the same series took their place before they were sent.
    Superseded,
    /// There was no room, or no time, for them.
    Dropped,
}

impl ItemOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Taken, Self::Rejected, Self::Superseded, Self::Dropped];

    /// The value of the label `outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Taken => "taken",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::Dropped => "dropped",
        }
    }
}

/// Takes what the push counts about itself.
///
/// The calls come in the order in which things happened, some of them under a lock of the push: an implementation
/// records and returns, and never calls the push.
pub trait Stats: Send + Sync {
    /// One request to the collector ended.
    fn request(&self, signal: Signal, outcome: RequestOutcome);
    /// `n` items came in or met their end.
    fn items(&self, signal: Signal, outcome: ItemOutcome, n: u64);
    /// So many items of so many encoded bytes wait now, those in flight included.
    fn outbox(&self, signal: Signal, items: u64, bytes: u64);
}

/// Counts nothing.
impl Stats for () {
    fn request(&self, _: Signal, _: RequestOutcome) {}
    fn items(&self, _: Signal, _: ItemOutcome, _: u64) {}
    fn outbox(&self, _: Signal, _: u64, _: u64) {}
}

/// Adds to collected metrics what the SDK does not know: exemplars, start times, bases from before a restart.
///
/// It runs on the thread of the push and must not call the push.
pub trait Decorate: Send + Sync {
    /// Changes a cumulative snapshot before it is filed. Points that are taken out are never counted as queued.
    fn decorate(&self, request: &mut ExportMetricsServiceRequest);
}

/// Changes nothing.
impl Decorate for () {
    fn decorate(&self, _: &mut ExportMetricsServiceRequest) {}
}

/// How the push stands; `None` for a signal that is not pushed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushStatus {
    /// The push of metrics.
    pub metrics: Option<SignalStatus>,
    /// The push of spans.
    pub spans: Option<SignalStatus>,
}

/// How the push of one signal stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalStatus {
    /// Where to, without credentials.
    pub endpoint: String,
    /// When the collector last took something.
    pub last_success: Option<SystemTime>,
    /// When the requests began to fail; `None` while they succeed.
    pub failing_since: Option<SystemTime>,
    /// Why the last request failed; `None` while they succeed.
    pub last_error: Option<String>,
    /// Items that wait for the collector, those in flight included.
    pub waiting: u64,
}
