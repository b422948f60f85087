//! The process between the wrapper and the server: it leaves nobody behind.
//!
//! It is the server's parent, and that of every process that loses its own below the server (a subreaper). When the
//! wrapper dies, by SIGKILL too, it kills them all. When the server has ended, it ends what the server left running in
//! its session, and then ends as the server did. It stays in the wrapper's process group, and so does the server: what
//! a client or a terminal sends to the group reaches both without help.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::unistd::{Pid, getpgid, getpgrp, getppid, getsid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::process::{LAUNCH, this_program};
use super::{ending, signals, stdio};

/// How long what the server left behind has to end by itself after a SIGTERM.
const GRACE: Duration = Duration::from_millis(500);
/// How long killing them all is tried.
const KILLING: Duration = Duration::from_secs(5);
/// What tells of the wrapper's death: nothing that it hands on. It comes with the first of the wrapper's threads that dies,
/// when the wrapper is still there by its number; on a busy machine the last one may take its time.
const DEATH: Signal = Signal::SIGALRM;
/// What the keeper alone takes.
const OWN: [Signal; 2] = [Signal::SIGCHLD, DEATH];
/// A signal that the whole group got and one that the wrapper hands on are the same one within this time.
const SAME: Duration = Duration::from_millis(200);

/// Starts the server, stays until it ends, and ends as it did. Returns only where it could not be started, with the
/// message and the exit code to end with.
///
/// `wrapper` is the process that started this one, `unblock` the signals to unblock for the server.
pub fn keep(wrapper: u32, unblock: &[i32], command: &[OsString]) -> (String, u8) {
    match Keeper::start(wrapper, unblock, command) {
        Ok(keeper) => keeper.run(),
        Err(error) => (format!("the server could not be started: {error}"), 126),
    }
}

struct Keeper {
    wrapper: Pid,
    server: Pid,
    signals: SignalFd,
    /// The signals that the whole group got, and when: the server has them already.
    group: Vec<(Signal, Instant)>,
    /// Whether the wrapper has begun to die.
    dying: bool,
}

impl Keeper {
    fn start(wrapper: u32, unblock: &[i32], command: &[OsString]) -> io::Result<Self> {
        let wrapper = Pid::from_raw(wrapper.cast_signed());
        let taken: SigSet = signals::FOR_THE_SERVER.into_iter().chain(OWN).collect();
        let before = taken.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let mut unblock = unblock.to_vec();
        unblock.extend(OWN.into_iter().filter(|own| !before.contains(*own)).map(|own| own as i32));
        signals::keep_children()?;
        set_child_subreaper(true)?;
        set_pdeathsig(DEATH)?;
        let signals = SignalFd::new(&taken)?;
        // What came before there was a server is for it, whoever sent it: it had no part in the group then.
        let mut early = Vec::new();
        let mut dying = false;
        while let Some(Sent { signal, from }) = next(&signals, Duration::ZERO)? {
            dying |= signal == Some(DEATH) && from == wrapper;
            early.extend(signal.filter(|signal| !OWN.contains(signal)));
        }
        let server = this_program(LAUNCH, &unblock, command)?
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit())
            .spawn()?;
        // The pipes are the server's alone: whoever closes one is seen at its other end.
        stdio::release()?;
        let server = Pid::from_raw(server.id().cast_signed());
        for signal in early {
            let _ = kill(server, signal);
        }
        Ok(Self { wrapper, server, signals, group: Vec::new(), dying })
    }

    fn run(mut self) -> (String, u8) {
        loop {
            if self.abandoned() {
                self.kill_all();
                std::process::exit(1);
            }
            match self.reap() {
                Server::Runs => {}
                Server::Ended(status) => {
                    self.end_the_rest();
                    ending::like(status);
                }
                Server::Lost => return ("the server is gone, and nobody can tell how it ended".to_owned(), 1),
            }
            match self.next(Duration::MAX) {
                Ok(Some(Sent { signal: Some(signal), from })) if !OWN.contains(&signal) => self.take(signal, from),
                Ok(_) => {}
                // Without signals it cannot know when to end: the wrapper sees its death, and the server dies with it.
                Err(_) => std::process::exit(126),
            }
        }
    }

    /// Whether the wrapper dies, or has died: then somebody else is the parent.
    fn abandoned(&self) -> bool {
        self.dying || getppid() != self.wrapper
    }

    /// The next signal, waited for as long as `timeout`.
    fn next(&mut self, timeout: Duration) -> io::Result<Option<Sent>> {
        let sent = next(&self.signals, timeout)?;
        self.dying |= sent.as_ref().is_some_and(|sent| sent.signal == Some(DEATH) && sent.from == self.wrapper);
        Ok(sent)
    }

    /// Hands on what the wrapper got, unless the server got it too.
    fn take(&mut self, signal: Signal, from: Pid) {
        self.group.retain(|(_, at)| at.elapsed() < SAME);
        if from != self.wrapper {
            self.group.push((signal, Instant::now()));
            return;
        }
        let known = self.group.iter().position(|(seen, _)| *seen == signal);
        match known {
            Some(known) if getpgid(Some(self.server)) == Ok(getpgrp()) => {
                self.group.remove(known);
            }
            // It is not waited for until it is reaped here, so the number is still its own.
            _ => drop(kill(self.server, signal)),
        }
    }

    /// Takes leave of every child that has ended; what became of the server.
    fn reap(&self) -> Server {
        let mut server = Server::Runs;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, ended))) if pid.as_raw_nonzero().get() == self.server.as_raw() => {
                    server = Server::Ended(ExitStatus::from_raw(ended.as_raw()));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return server,
                // There is no child any more: whoever was not seen to end will not be.
                Err(_) if matches!(server, Server::Runs) => return Server::Lost,
                Err(_) => return server,
            }
        }
    }

    /// Ends what the server left running. What has a session of its own was meant to stay, as a daemon is.
    fn end_the_rest(&mut self) {
        let started = Instant::now();
        let session = getsid(None);
        let mut told = HashSet::new();
        while started.elapsed() < 2 * GRACE {
            let left: Vec<Pid> = children().into_iter().filter(|child| getsid(Some(*child)) == session).collect();
            if left.is_empty() {
                return;
            }
            let late = started.elapsed() >= GRACE;
            for child in left {
                if late {
                    let _ = kill(child, Signal::SIGKILL);
                } else if told.insert(child) {
                    let _ = kill(child, Signal::SIGTERM);
                }
            }
            // Only so long, as the children of one that ends come here without a signal.
            let _ = self.next(Duration::from_millis(20));
            self.reap();
            if self.abandoned() {
                return self.kill_all();
            }
        }
    }

    /// Kills everything below. Children of those killed come here, and are next.
    fn kill_all(&self) {
        let started = Instant::now();
        while started.elapsed() < KILLING {
            let left = children();
            if left.is_empty() {
                return;
            }
            for child in left {
                let _ = kill(child, Signal::SIGKILL);
            }
            let _ = next(&self.signals, Duration::from_millis(20));
            self.reap();
        }
    }
}

/// What became of the server.
enum Server {
    Runs,
    Ended(ExitStatus),
    /// It is no child any more, though nobody waited for it.
    Lost,
}

/// A signal that came.
struct Sent {
    /// `None` for one without a name.
    signal: Option<Signal>,
    from: Pid,
}

/// The next signal, waited for as long as `timeout`.
fn next(signals: &SignalFd, timeout: Duration) -> io::Result<Option<Sent>> {
    let mut ends = [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
    // One that is too long is for ever.
    let timeout = Timespec::try_from(timeout).ok();
    match poll(&mut ends, timeout.as_ref()) {
        Ok(0) | Err(Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let Some(info) = signals.read_signal()? else { return Ok(None) };
    let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
    Ok(Some(Sent { signal, from: Pid::from_raw(info.ssi_pid.cast_signed()) }))
}

/// The processes whose parent this one is. None of them can go away before it is reaped here, so their numbers hold.
fn children() -> Vec<Pid> {
    // Most often there is none at all.
    if matches!(
        nix::sys::wait::waitid(
            nix::sys::wait::Id::All,
            nix::sys::wait::WaitPidFlag::WEXITED
                | nix::sys::wait::WaitPidFlag::WNOHANG
                | nix::sys::wait::WaitPidFlag::WNOWAIT,
        ),
        Err(nix::errno::Errno::ECHILD)
    ) {
        return Vec::new();
    }
    let own = std::process::id().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            // `pid (name) state parent ...`, where the name may hold anything.
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
                stat.rsplit_once(')').is_some_and(|(_, rest)| rest.split_whitespace().nth(1) == Some(own.as_str()))
            })
        })
        .map(Pid::from_raw)
        .collect()
}
