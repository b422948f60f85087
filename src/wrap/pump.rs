//! One way of the stream: a blocking thread that passes bytes on as they come.
//!
//! What must always hold:
//!
//! - What is read is written, unchanged and in order, before anything else is read: a reader that stops holds the writer
//!   back through the pump, and memory stays flat.
//! - An end goes through at once, both ways: where the writer closes, the reader sees the end of the stream; where the
//!   reader closes, the writer gets a broken pipe at its next write, not one write later.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};

use super::inject::Injector;
use super::tap::{Closed, Tap};

/// As much as a pipe holds.
const BUFFER: usize = 64 * 1024;
/// For a poll that only looks.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// What a poll says of an end that nobody reads any more: a broken pipe, or a socket that was closed.
const NO_READER: PollFlags = PollFlags::ERR.union(PollFlags::HUP);

/// One way, ready to run.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) from: OwnedFd,
    pub(super) to: OwnedFd,
    pub(super) tap: Tap,
    /// What changes the bytes, where that was asked for.
    pub(super) injector: Option<Injector>,
    /// Hangs up when the writer is gone, whoever else still holds its end: what is there is passed on, then it ends.
    pub(super) gone: Option<OwnedFd>,
}

/// What a look at the two ends told.
enum Look {
    Readable,
    NoReader,
    /// The writer is gone and left no more.
    Empty,
}

impl Pump {
    /// Passes everything on, closes both ends, and gives back the tap to tell of the end.
    pub(super) fn run(mut self) -> Tap {
        // Whatever went wrong, the answer is the same as that to an end: both sides see it.
        let closed = self.pass_on();
        let Self { from, to, tap, .. } = self;
        tap.closed(closed);
        drop(to);
        drop(from);
        tap
    }

    fn pass_on(&mut self) -> Closed {
        let mut buffer = vec![0; BUFFER];
        loop {
            match look(self.from.as_fd(), self.to.as_fd(), &mut self.gone) {
                Ok(Look::Readable) => {}
                Ok(Look::NoReader) => return Closed::Reader,
                Ok(Look::Empty) | Err(_) => return Closed::Writer,
            }
            let bytes = match read(&self.from, &mut buffer[..]) {
                Ok(0) => break,
                Ok(length) => &buffer[..length],
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(_) => return Closed::Writer,
            };
            let bytes = match &mut self.injector {
                None => bytes,
                Some(injector) => injector.pass(bytes),
            };
            self.tap.push(bytes);
            if write_all(self.to.as_fd(), bytes).is_err() {
                return Closed::Reader;
            }
            self.tap.wake();
        }
        if let Some(injector) = &mut self.injector {
            let rest = injector.rest();
            self.tap.push(rest);
            let _ = write_all(self.to.as_fd(), rest);
        }
        Closed::Writer
    }
}

/// Waits until there is something to read, or nobody to write to.
fn look(from: BorrowedFd<'_>, to: BorrowedFd<'_>, gone: &mut Option<OwnedFd>) -> io::Result<Look> {
    loop {
        let from_to = [PollFd::from_borrowed_fd(from, PollFlags::IN), PollFd::from_borrowed_fd(to, PollFlags::HUP)];
        let [from_end, to_end, gone_end] = match &*gone {
            Some(gone) => {
                let [from, to] = from_to;
                let mut ends = [from, to, PollFd::new(gone, PollFlags::HUP)];
                wait(&mut ends, None)?;
                ends.map(|end| end.revents())
            }
            None => {
                let mut ends = from_to;
                wait(&mut ends, None)?;
                let [from, to] = ends.map(|end| end.revents());
                [from, to, PollFlags::empty()]
            }
        };
        if to_end.intersects(NO_READER) {
            return Ok(Look::NoReader);
        }
        // Some systems cannot poll every kind of file: then a read that blocks is all there is.
        if !from_end.is_empty() || to_end.contains(PollFlags::NVAL) {
            return Ok(Look::Readable);
        }
        if !gone_end.is_empty() {
            // It may have written between the look and its end: what it wrote is there now.
            let mut ends = [PollFd::from_borrowed_fd(from, PollFlags::IN)];
            wait(&mut ends, Some(&NOW))?;
            let [end] = ends.map(|end| end.revents());
            return Ok(if end.is_empty() { Look::Empty } else { Look::Readable });
        }
    }
}

fn wait(ends: &mut [PollFd<'_>], timeout: Option<&Timespec>) -> io::Result<()> {
    loop {
        match poll(ends, timeout) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| ()).map_err(io::Error::from),
        }
    }
}

/// Writes everything, also where the other side made the stream one that does not block.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
