//! What a connection did last, and by when it must do more.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::config::Limits;

/// Beyond the silence that a stream is ended for: what takes no bytes at all is closed after it.
const STALL_MARGIN: Duration = Duration::from_secs(10);

/// The account of one connection, kept by its transport and its requests.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Whether the first bytes tell the protocol.
    protocol_known: AtomicBool,
    /// Requests whose answers are not written yet.
    requests: AtomicUsize,
    /// When the last request ended, in milliseconds since the opening.
    idle_since: AtomicU64,
    /// When bytes last came, in milliseconds since the opening.
    read: AtomicU64,
    /// When bytes last went, in milliseconds since the opening.
    written: AtomicU64,
    /// Whether a request was answered before all of it was read.
    unread: AtomicBool,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            protocol_known: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            unread: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, mark: &AtomicU64) -> Instant {
        self.opened + Duration::from_millis(mark.load(Ordering::Acquire))
    }

    pub(super) fn protocol_known(&self) {
        self.protocol_known.store(true, Ordering::Release);
    }

    pub(super) fn read(&self) {
        self.read.store(self.now(), Ordering::Release);
    }

    pub(super) fn written(&self) {
        self.written.store(self.now(), Ordering::Release);
    }

    pub(super) fn request_began(&self) {
        self.requests.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn request_ended(&self) {
        self.idle_since.store(self.now(), Ordering::Release);
        self.requests.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn left_unread(&self) {
        self.unread.store(true, Ordering::Release);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// When the connection is to be closed unless it does more.
    pub(super) fn deadline(&self, limits: &Limits) -> Instant {
        if !self.protocol_known.load(Ordering::Acquire) {
            return self.opened + limits.first_bytes;
        }
        let written = self.at(&self.written);
        if self.requests.load(Ordering::Acquire) == 0 {
            // An answer that is still on its way to a slow reader counts as activity; bytes that come do not, or
            // headers could come a byte at a time for ever.
            return self.at(&self.idle_since).max(written) + limits.headers;
        }
        self.at(&self.read).max(written) + limits.idle_stream.max(limits.request) + STALL_MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            first_bytes: Duration::from_secs(1),
            headers: Duration::from_secs(100),
            idle_stream: Duration::from_secs(1000),
            ..Limits::default()
        }
    }

    #[test]
    fn bytes_that_come_do_not_put_the_deadline_for_headers_off() {
        let activity = Activity::new();
        assert_eq!(activity.deadline(&limits()), activity.opened + Duration::from_secs(1));
        activity.protocol_known();
        let deadline = activity.deadline(&limits());
        assert_eq!(deadline, activity.opened + Duration::from_secs(100));
        std::thread::sleep(Duration::from_millis(3));
        activity.read();
        assert_eq!(activity.deadline(&limits()), deadline);
        activity.written();
        assert!(activity.deadline(&limits()) > deadline);
    }

    #[test]
    fn a_request_in_flight_lifts_the_deadline_for_headers() {
        let activity = Activity::new();
        activity.protocol_known();
        activity.request_began();
        assert!(activity.deadline(&limits()) > activity.opened + Duration::from_secs(1000));
        std::thread::sleep(Duration::from_millis(3));
        activity.request_ended();
        let deadline = activity.deadline(&limits());
        assert!(deadline > activity.opened + Duration::from_secs(100));
        assert!(deadline < activity.opened + Duration::from_secs(1000));
    }
}
