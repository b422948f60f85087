//! When a failed request is tried again: which failures may pass, and how long to wait.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The longest wait of our own making.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait that a collector may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// What a failed request means for its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The same request may succeed later; the collector may have said when.
    MayPass {
        /// How long it asks to be left alone.
        asked: Option<Duration>,
    },
    /// A part of it may succeed.
    TooLarge,
    /// It will never succeed.
    Final,
}

impl Fault {
    /// What the status tells.
    ///
    /// OTLP lists the codes that may pass. Beyond it, RESOURCE_EXHAUSTED counts as passing with or without a RetryInfo:
    /// a collector under load often leaves the RetryInfo out, and giving up would lose data exactly then. A status that
    /// tonic made itself, for a connection that could not be made or broke, carries its cause as a source and always
    /// may pass.
    pub(super) fn of(status: &Status) -> Self {
        let asked = asked(status);
        if asked.is_none() && is_too_large(status) {
            return Self::TooLarge;
        }
        let may_pass = std::error::Error::source(status).is_some()
            || matches!(
                status.code(),
                Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
                    | Code::Aborted
                    | Code::OutOfRange
                    | Code::Unavailable
                    | Code::DataLoss
            );
        if may_pass { Self::MayPass { asked } } else { Self::Final }
    }
}

/// Whether a server refused the request for its size.
///
/// No code says so alone: grpc-go, grpc-java and grpc's C core answer RESOURCE_EXHAUSTED, as an overloaded collector
/// does, tonic OUT_OF_RANGE, and a proxy HTTP 413, which tonic makes UNKNOWN. So their words are looked at.
fn is_too_large(status: &Status) -> bool {
    let text = status.message().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match status.code() {
        Code::ResourceExhausted | Code::OutOfRange => {
            says(&["larger than max", "too large", "exceeds maximum", "exceeds the maximum", "exceeds limit"])
        }
        Code::Unknown | Code::Internal | Code::InvalidArgument => {
            says(&["status code 413", "413 payload too large", "request entity too large", "content too large"])
        }
        _ => false,
    }
}

/// The wait that the collector asks for: in a RetryInfo, or in a Retry-After of so many seconds.
fn asked(status: &Status) -> Option<Duration> {
    let retry_info = || status.get_details_retry_info()?.retry_delay;
    let retry_after = || {
        let seconds = status.metadata().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    };
    let asked = retry_info().or_else(retry_after)?;
    (!asked.is_zero()).then_some(asked.min(LONGEST_ASKED))
}

/// Waits that double from failure to failure, with jitter.
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts with about a second, or with `period` where that is less: who pushes more often asks again sooner.
    pub(super) fn new(period: Duration) -> Self {
        let first = period.clamp(Duration::from_millis(50), Duration::from_secs(1));
        Self { first, next: first }
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        // Between a half and the whole, so that bridges that failed together do not come back together.
        wait.mul_f64(0.5 + 0.5 * random())
    }

    /// What the collector asked for and up to a tenth more.
    pub(super) fn spread(asked: Duration) -> Duration {
        asked.mul_f64(1.0 + 0.1 * random())
    }

    /// The last request succeeded.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A number from 0 to 1. The standard library's hash keys are random enough to spread waits.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(0u8) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_secs(60));
        let mut expected = Duration::from_secs(1);
        for _ in 0..10 {
            let wait = backoff.wait();
            assert!(wait >= expected / 2 && wait <= expected, "{wait:?} for {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_secs(1));
    }

    #[test]
    fn only_failures_that_may_pass_are_tried_again() {
        for code in [Code::Unavailable, Code::ResourceExhausted, Code::DeadlineExceeded, Code::DataLoss] {
            assert_eq!(Fault::of(&Status::new(code, "")), Fault::MayPass { asked: None }, "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented] {
            assert_eq!(Fault::of(&Status::new(code, "")), Fault::Final, "{code:?}");
        }
    }

    #[test]
    fn what_servers_say_of_a_large_message_is_told_from_overload() {
        for (code, message) in [
            (Code::ResourceExhausted, "grpc: received message larger than max (5000000 vs. 4194304)"),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4194304: 5000000"),
            (Code::ResourceExhausted, "Received message exceeds the maximum configured message size."),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes",
            ),
            (Code::Unknown, "grpc-status header missing, mapped from HTTP status code 413"),
        ] {
            assert_eq!(Fault::of(&Status::new(code, message)), Fault::TooLarge, "{message}");
        }
        for message in ["", "data refused due to high memory usage", "sending queue is full"] {
            let status = Status::resource_exhausted(message);
            assert_eq!(Fault::of(&status), Fault::MayPass { asked: None }, "{message}");
        }
    }

    #[test]
    fn a_retry_after_is_what_the_collector_asks_for() {
        let mut status = Status::unavailable("later");
        status.metadata_mut().insert("retry-after", "7".parse().unwrap());
        assert_eq!(Fault::of(&status), Fault::MayPass { asked: Some(Duration::from_secs(7)) });
        status.metadata_mut().insert("retry-after", "999999".parse().unwrap());
        assert_eq!(Fault::of(&status), Fault::MayPass { asked: Some(LONGEST_ASKED) });
    }
}
