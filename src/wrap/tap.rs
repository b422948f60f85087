//! The copy of both streams that the observer reads: a bounded queue, which the streams never wait for.
//!
//! A [`Tap`] copies what goes by. Where the queue is full the bytes are counted and not copied: the observer is told of
//! the [gap](Piece::Gap) as soon as there is room again. A request is in the queue before the server can have seen it,
//! and so never comes after its answer.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// The most bytes that wait for the observer.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How long the observer waits for more once it was woken: the streams pay for waking it once in that time at most, and
/// it does not take the processor from a server that has just been asked.
const PATIENCE: Duration = Duration::from_millis(1);
/// The most pieces that wait for the observer.
const MOST_PIECES: usize = 8192;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A piece of one of the two streams, as it went by.
#[derive(Debug)]
pub enum Piece {
    /// Bytes as they were read: a piece may hold several messages, or end inside one.
    Bytes {
        /// The way they go.
        way: Way,
        /// When they were read, which is before they were passed on.
        at: Instant,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The observer could not keep up: so many bytes of this way were not copied. Parsing starts again after the next
    /// newline.
    Gap {
        /// The way they went.
        way: Way,
        /// How many there were.
        bytes: u64,
    },
    /// That way has ended. The way to the server may never end, where the client keeps it open after the server's end.
    End {
        /// The way.
        way: Way,
    },
    /// The server ended (code or signal), and everything it wrote was passed on.
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// Whether the client had closed its end before, and so had asked for it.
        asked: bool,
    },
}

/// Whose end of a way was closed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// That of the one who writes.
    Writer,
    /// That of the one who reads.
    Reader,
}

/// The two who talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// Makes the queue: a tap for each way, what tells of the server's end, and the observer's end of it.
pub(super) fn channel() -> (Tap, Tap, Last, Receiver) {
    let (sender, receiver) = mpsc::sync_channel(MOST_PIECES);
    let shared = Arc::new(Shared::default());
    let line = || Line { sender: Some(sender.clone()), shared: Arc::clone(&shared) };
    let tap = |way| Tap { way, line: line(), missed: 0 };
    (tap(Way::ToServer), tap(Way::ToClient), Last(line()), Receiver { pieces: receiver, shared })
}

/// What both ends know of the queue.
#[derive(Debug, Default)]
struct Shared {
    /// The bytes that wait.
    queued: AtomicUsize,
    /// Whether the observer sleeps and must be woken.
    sleeping: AtomicBool,
    observer: OnceLock<Thread>,
    /// Who left first. Pieces of the two ways overtake each other, so their order does not tell.
    left: OnceLock<Side>,
    /// Since when the session is over.
    over: OnceLock<Instant>,
}

/// One of those who put pieces in.
#[derive(Debug)]
struct Line {
    /// `None` once there is nobody to read.
    sender: Option<SyncSender<Piece>>,
    shared: Arc<Shared>,
}

impl Line {
    /// Puts a piece of that size in if there is room, without waking the observer. Without room it is not even made.
    fn try_send(&mut self, size: usize, piece: impl FnOnce() -> Piece) -> bool {
        let Some(sender) = &self.sender else { return true };
        let size = size.max(1);
        if self.shared.queued.fetch_add(size, Ordering::Relaxed) + size > MOST_BYTES {
            self.shared.queued.fetch_sub(size, Ordering::Relaxed);
            return false;
        }
        match sender.try_send(piece()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.shared.queued.fetch_sub(size, Ordering::Relaxed);
                false
            }
            Err(TrySendError::Disconnected(_)) => {
                self.sender = None;
                true
            }
        }
    }

    /// Puts a piece in, and waits for room as long as the observer lives.
    fn send(&mut self, piece: Piece) {
        self.shared.wake();
        if let Some(sender) = &self.sender {
            self.shared.queued.fetch_add(piece.size(), Ordering::Relaxed);
            let _ = sender.send(piece);
        }
        self.shared.wake();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.sender = None;
        self.shared.wake();
    }
}

impl Shared {
    fn wake(&self) {
        // What was put in must be seen by an observer that goes to sleep at this moment, or its sleep be seen here.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::Relaxed)
            && let Some(observer) = self.observer.get()
        {
            observer.unpark();
        }
    }
}

/// Copies the bytes of one way into the queue. None of its calls but [`Tap::end`] ever waits.
#[derive(Debug)]
pub(super) struct Tap {
    way: Way,
    line: Line,
    /// How many bytes were not copied since the last piece.
    missed: u64,
}

impl Tap {
    /// Copies bytes that are about to be passed on; [`Tap::wake`] is for when they were.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.line.sender.is_none() {
            return;
        }
        let way = self.way;
        // One long gap rather than many: each takes the messages at both of its sides along.
        let room = self.missed == 0
            || self.line.shared.queued.load(Ordering::Relaxed) <= MOST_BYTES / 2 && {
                let missed = self.missed;
                let told = self.line.try_send(0, || Piece::Gap { way, bytes: missed });
                self.missed = if told { 0 } else { missed };
                told
            };
        let copy = || Piece::Bytes { way, at: Instant::now(), bytes: bytes.to_vec() };
        if !room || !self.line.try_send(bytes.len(), copy) {
            self.missed += bytes.len() as u64;
        }
    }

    /// Lets the observer look at what was copied.
    pub(super) fn wake(&self) {
        self.line.shared.wake();
    }

    /// Takes note of who closed the way. To be called before the other side can see it.
    pub(super) fn closed(&self, by: Closed) {
        let side = match (self.way, by) {
            (Way::ToServer, Closed::Writer) | (Way::ToClient, Closed::Reader) => Side::Client,
            (Way::ToClient, Closed::Writer) => Side::Server,
            // A server that reads no more may go on.
            (Way::ToServer, Closed::Reader) => return,
        };
        self.line.shared.left.get_or_init(|| side);
    }

    /// Tells of the end of the way; waits for room, so the way must be closed before.
    pub(super) fn end(mut self) {
        let way = self.way;
        if self.missed > 0 {
            self.line.send(Piece::Gap { way, bytes: self.missed });
        }
        self.line.send(Piece::End { way });
    }
}

/// Tells of the server's end.
#[derive(Debug)]
pub(super) struct Last(Line);

impl Last {
    /// Takes note that the server has ended.
    pub(super) fn ended(&self) {
        self.0.shared.left.get_or_init(|| Side::Server);
    }

    /// Tells how the server ended, once everything it wrote was passed on; waits for room.
    pub(super) fn exited(mut self, status: ExitStatus) {
        self.0.shared.over.get_or_init(Instant::now);
        let asked = self.0.shared.left.get() == Some(&Side::Client);
        self.0.send(Piece::Exited { status, asked });
    }
}

/// The observer's end of the queue, for one thread. Pieces of one way come in their order; a message of the other way
/// that it answers came before it.
#[derive(Debug)]
pub struct Receiver {
    pieces: mpsc::Receiver<Piece>,
    shared: Arc<Shared>,
}

impl Receiver {
    /// For how long the session has been over; `None` while it goes on. What waits in the queue then is all there is.
    pub fn over_for(&self) -> Option<Duration> {
        self.shared.over.get().map(Instant::elapsed)
    }

    /// The next piece, waited for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout`, or `Disconnected` where nothing can come any more.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Piece, RecvTimeoutError> {
        self.shared.observer.get_or_init(std::thread::current);
        let deadline = Instant::now().checked_add(timeout);
        let mut asleep = false;
        loop {
            let next = self.try_recv();
            if !matches!(next, Err(TryRecvError::Empty)) {
                self.shared.sleeping.store(false, Ordering::Relaxed);
                return next.map_err(|_| RecvTimeoutError::Disconnected);
            }
            let left = deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                self.shared.sleeping.store(false, Ordering::Relaxed);
                return Err(RecvTimeoutError::Timeout);
            }
            if asleep {
                std::thread::park_timeout(left);
                self.shared.sleeping.store(false, Ordering::Relaxed);
                std::thread::sleep(PATIENCE.min(left));
            }
            // Says that it sleeps, and looks once more before it does.
            asleep = true;
            self.shared.sleeping.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }

    /// The next piece that is there already.
    ///
    /// # Errors
    ///
    /// `Empty` where there is none, `Disconnected` where nothing can come any more.
    pub fn try_recv(&self) -> Result<Piece, TryRecvError> {
        let piece = self.pieces.try_recv()?;
        self.shared.queued.fetch_sub(piece.size(), Ordering::Relaxed);
        Ok(piece)
    }
}

impl Piece {
    /// What it counts for in the queue, at least one.
    fn size(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.len().max(1),
            Self::Gap { .. } | Self::End { .. } | Self::Exited { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(piece: Piece) -> Vec<u8> {
        match piece {
            Piece::Bytes { bytes, .. } => bytes,
            other => panic!("{other:?} are no bytes"),
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_once_there_is_room() {
        let (_, mut tap, _, receiver) = channel();
        let chunk = vec![b'x'; MOST_BYTES / 4];
        for _ in 0..7 {
            tap.push(&chunk);
        }
        assert_eq!(bytes_of(receiver.try_recv().unwrap()), chunk);
        // There is little room yet.
        tap.push(b"missed");
        for _ in 0..3 {
            assert_eq!(bytes_of(receiver.try_recv().unwrap()), chunk);
        }
        assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
        tap.push(b"after");
        let Piece::Gap { way: Way::ToClient, bytes } = receiver.try_recv().unwrap() else { panic!("no gap") };
        assert_eq!(bytes, 3 * chunk.len() as u64 + 6);
        assert_eq!(bytes_of(receiver.try_recv().unwrap()), b"after");
    }

    #[test]
    fn many_small_pieces_are_bounded_too_and_the_end_comes_after_the_gap() {
        let (mut tap, _, last, receiver) = channel();
        for _ in 0..MOST_PIECES + 5 {
            tap.push(b"12");
        }
        let ending = std::thread::spawn(move || {
            tap.end();
            last.exited(ExitStatus::default());
        });
        for _ in 0..MOST_PIECES {
            assert_eq!(bytes_of(receiver.recv_timeout(Duration::from_secs(5)).unwrap()), b"12");
        }
        let next = || receiver.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(matches!(next(), Piece::Gap { way: Way::ToServer, bytes: 10 }));
        assert!(matches!(next(), Piece::End { way: Way::ToServer }));
        assert!(receiver.over_for().is_some());
        assert!(matches!(next(), Piece::Exited { asked: false, .. }));
        ending.join().unwrap();
    }

    /// Whether the end was asked for, where these closed and ended in this order.
    fn asked(order: &[fn(&Tap, &Tap, &Last)]) -> bool {
        let (to_server, to_client, last, receiver) = channel();
        for step in order {
            step(&to_server, &to_client, &last);
        }
        last.exited(ExitStatus::default());
        let Ok(Piece::Exited { asked, .. }) = receiver.try_recv() else { panic!("no end") };
        asked
    }

    #[test]
    fn an_end_was_asked_for_if_the_client_left_before_the_server() {
        let client_closes = |to_server: &Tap, _: &Tap, _: &Last| to_server.closed(Closed::Writer);
        let client_reads_no_more = |_: &Tap, to_client: &Tap, _: &Last| to_client.closed(Closed::Reader);
        let server_closes = |_: &Tap, to_client: &Tap, _: &Last| to_client.closed(Closed::Writer);
        let server_reads_no_more = |to_server: &Tap, _: &Tap, _: &Last| to_server.closed(Closed::Reader);
        let server_ends = |_: &Tap, _: &Tap, last: &Last| last.ended();
        assert!(asked(&[client_closes, server_closes, server_ends]));
        assert!(asked(&[client_reads_no_more, server_reads_no_more, server_ends]));
        // As a client does that sees the end of the output.
        assert!(!asked(&[server_closes, client_closes, server_ends]));
        assert!(!asked(&[server_ends, client_closes, client_reads_no_more]));
        // What a server that dies closes first.
        assert!(!asked(&[server_reads_no_more, server_closes, client_closes, server_ends]));
        assert!(!asked(&[]));
    }

    #[test]
    fn an_observer_that_sleeps_is_woken_and_one_that_is_gone_costs_nothing() {
        let (mut tap, other, last, receiver) = channel();
        let (answer, answered) = mpsc::channel();
        let observer = std::thread::spawn(move || {
            answer.send(receiver.recv_timeout(Duration::from_secs(60)).map(bytes_of)).unwrap();
            receiver
        });
        tap.push(b"hello");
        tap.wake();
        assert_eq!(answered.recv_timeout(Duration::from_secs(5)).unwrap().unwrap(), b"hello");
        drop(observer.join().unwrap());
        for _ in 0..2 * MOST_PIECES {
            tap.push(&[0; 4096]);
        }
        assert_eq!(tap.missed, 0);
        tap.end();
        other.end();
        last.exited(ExitStatus::default());
    }

    #[test]
    fn the_observer_learns_that_nothing_can_come_any_more() {
        let (tap, other, last, receiver) = channel();
        let observer = std::thread::spawn(move || receiver.recv_timeout(Duration::from_secs(60)).map(bytes_of));
        drop((tap, other, last));
        assert_eq!(observer.join().unwrap().unwrap_err(), RecvTimeoutError::Disconnected);
    }
}
