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
    /// The client or the route is refused, whatever the request holds: it may succeed once somebody has mended that.
    Refused {
        /// How long it asks to be left alone.
        asked: Option<Duration>,
    },
    /// A part of it may succeed.
    TooLarge {
        /// How long it asks to be left alone.
        asked: Option<Duration>,
    },
    /// It will never succeed.
    Final,
}

impl Fault {
    /// What the status tells.
    ///
    /// OTLP lists the codes that may pass, and lets all others lose the items. Here only a code that speaks of the items
    /// themselves does:
    ///
    /// - RESOURCE_EXHAUSTED counts as passing with or without a RetryInfo: a collector under load often leaves the
    ///   RetryInfo out, and giving up would lose data exactly then.
    /// - UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED, NOT_FOUND, INTERNAL and UNKNOWN tell of a token that is out
    ///   of date, a wrong route, a receiver that is not configured or a server that is broken. The next request would
    ///   be refused just so, and a whole outbox would be lost within seconds for a mistake that is mended in minutes.
    ///
    /// A status that tonic made itself, for a connection that could not be made or broke, carries its cause as a source
    /// and always may pass.
    pub(super) fn of(status: &Status) -> Self {
        let asked = asked(status);
        if is_too_large(status) {
            return Self::TooLarge { asked };
        }
        if std::error::Error::source(status).is_some() {
            return Self::MayPass { asked };
        }
        match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Self::MayPass { asked },
            Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists => Self::Final,
            // An OK that is an error has no meaning; it is not the items' fault.
            Code::Ok
            | Code::Unknown
            | Code::NotFound
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::Internal
            | Code::Unauthenticated => Self::Refused { asked },
        }
    }
}

/// Whether a server refused the request for its size.
///
/// No code says so alone: grpc-go, grpc-java and grpc's C core answer RESOURCE_EXHAUSTED, as an overloaded collector
/// does, tonic OUT_OF_RANGE, and a proxy HTTP 413, which tonic makes UNKNOWN. So their words are looked at, and only those
/// that speak of the message are taken for it: a queue can be "too large" and a rate "exceed a limit" as well. Whoever
/// means the size in other words is given less by and by all the same ([`Most`](super::size::Most)), and loses nothing.
fn is_too_large(status: &Status) -> bool {
    let text = status.message().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match status.code() {
        Code::ResourceExhausted | Code::OutOfRange => says(&[
            "message larger than max",
            "message length too large",
            "message too large",
            "message exceeds",
            "message size exceeds",
            "request too large",
            "request body too large",
        ]),
        Code::Unknown | Code::Internal | Code::InvalidArgument => {
            says(&["status code 413", "413 payload too large", "request entity too large", "content too large"])
        }
        _ => false,
    }
}

/// The wait that the collector asks for: in a RetryInfo, or in a Retry-After as seconds or as a date.
fn asked(status: &Status) -> Option<Duration> {
    let retry_info = || status.get_details_retry_info()?.retry_delay;
    let retry_after = || {
        let text = status.metadata().get("retry-after")?.to_str().ok()?.trim();
        match text.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            // The one form of a date that HTTP lets a server write is one of RFC 2822 too.
            Err(_) => {
                let then = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
                // What is over is not waited for.
                Duration::try_from(then.duration_since(jiff::Timestamp::now())).ok()
            }
        }
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
        jittered(wait)
    }

    /// The longest wait, where asking soon cannot help.
    pub(super) fn longest() -> Duration {
        jittered(LONGEST)
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

/// Between a half and the whole, so that bridges that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + 0.5 * random())
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
    fn only_what_speaks_of_the_items_is_final() {
        let may_pass = [Code::Unavailable, Code::ResourceExhausted, Code::DeadlineExceeded, Code::DataLoss];
        let refused = [
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::Unimplemented,
            Code::NotFound,
            Code::Internal,
            Code::Unknown,
        ];
        for code in may_pass {
            assert_eq!(Fault::of(&Status::new(code, "")), Fault::MayPass { asked: None }, "{code:?}");
        }
        for code in refused {
            assert_eq!(Fault::of(&Status::new(code, "")), Fault::Refused { asked: None }, "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::FailedPrecondition] {
            assert_eq!(Fault::of(&Status::new(code, "")), Fault::Final, "{code:?}");
        }
        assert!(Backoff::longest() >= LONGEST / 2);
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
            assert_eq!(Fault::of(&Status::new(code, message)), Fault::TooLarge { asked: None }, "{message}");
        }
        for message in [
            "",
            "data refused due to high memory usage",
            "sending queue is full",
            "the queue is too large",
            "request rate exceeds limit",
            "the number of streams exceeds the maximum",
        ] {
            let status = Status::resource_exhausted(message);
            assert_eq!(Fault::of(&status), Fault::MayPass { asked: None }, "{message}");
        }
    }

    #[test]
    fn what_is_too_large_stays_so_whenever_the_collector_asks_to_be_asked_again() {
        let wait = Duration::from_secs(3);
        let details = || tonic_types::ErrorDetails::with_retry_info(Some(wait));
        let larger = "grpc: received message larger than max (5000000 vs. 4194304)";
        let status = Status::with_error_details(Code::ResourceExhausted, larger, details());
        assert_eq!(Fault::of(&status), Fault::TooLarge { asked: Some(wait) });
        let status = Status::with_error_details(Code::ResourceExhausted, "the rate exceeds limit", details());
        assert_eq!(Fault::of(&status), Fault::MayPass { asked: Some(wait) });
    }

    #[test]
    fn a_date_is_waited_for_until_it_is_over() {
        let at = |seconds: i64| {
            let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            let mut status = Status::unavailable("later");
            let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
            status.metadata_mut().insert("retry-after", text.parse().unwrap());
            asked(&status)
        };
        let asked = at(60).unwrap();
        assert!(asked > Duration::from_secs(50) && asked <= Duration::from_secs(60), "{asked:?}");
        assert_eq!(at(-60), None);
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
