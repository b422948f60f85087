//! `wrap`: an MCP server's stdio passed through, with a copy that is observed.
//!
//! ```text
//!   client ──► pump ──► server         pump: one blocking thread a way
//!          ◄── pump ◄──                tap: a copy of what goes by, never waited for
//!               │ tap
//!               ▼
//!            observer ──► bridge
//! ```
//!
//! What must always hold: the stream goes on as if there were no wrapper, whatever becomes of the observing; and when
//! the wrapper ends, by whatever cause, the server does. It is for the program `mcp-otel-bridge`, which starts itself
//! again in the roles of [`keep`] and [`launch`].

mod ending;
mod inject;
#[cfg(target_os = "linux")]
mod keeper;
mod launch;
mod observe;
mod process;
mod pump;
mod report;
mod signals;
mod stdio;
mod tap;
mod trace;

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use inject::Injector;
#[cfg(target_os = "linux")]
pub use keeper::keep;
pub use launch::launch;
#[cfg(target_os = "linux")]
pub use process::KEEP;
pub use process::LAUNCH;
use pump::Pump;
use tap::Last;
pub use tap::{Piece, Receiver, Way};
pub use trace::TraceContext;

use crate::client::Client;

/// How long the last reports may take once the server has ended: less than the two seconds that clients wait before
/// they send a SIGTERM.
const LAST_REPORTS: Duration = Duration::from_millis(1500);

/// What is wrapped, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The component's name, where it was given.
    pub component: Option<String>,
    /// The server's command and its arguments.
    pub command: Vec<OsString>,
    /// Whether requests without a trace context are given one.
    pub inject_trace_context: bool,
}

/// What the observer is told.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The component's name, where it was given.
    pub component: Option<String>,
    /// The server's command and its arguments.
    pub command: Vec<OsString>,
    /// The bridge to report to.
    pub bridge: Client,
    /// The trace context: the observer takes the session's parent from it, and gives it the session's span.
    pub trace: TraceContext,
}

/// What the wrapper waits for.
enum Event {
    Signal(Signal),
    /// The server has ended and can be waited for.
    Exited,
    /// Everything the server wrote was passed on, and the client sees the end of it.
    PassedOn,
    /// The last report was delivered, or given up.
    Observed,
}

impl From<Signal> for Event {
    fn from(signal: Signal) -> Self {
        Self::Signal(signal)
    }
}

/// Wraps the server until it ends, and ends the process as it did. To be called once, from the main thread, before any
/// other is started.
///
/// `with_bridge` finds the bridge, calls what it is given with a client of it, and cleans up afterwards. It runs
/// beside the stream, in a thread of its own; where it has no bridge to give, nothing is observed.
///
/// # Errors
///
/// Where the server could not be started.
pub fn run(
    settings: Settings,
    with_bridge: impl FnOnce(&dyn Fn(Client)) + Send + 'static,
) -> Result<Infallible, io::Error> {
    let unblock = signals::block()?;
    signals::keep_children()?;
    let client = stdio::take()?;
    let mut server = process::start(&unblock, &settings.command)?;
    let (Some(server_in), Some(server_out)) = (server.stdin.take(), server.stdout.take()) else {
        return Err(io::Error::other("its pipes are missing"));
    };
    let (events, happens) = mpsc::channel();
    let (to_server, to_client, last, copy) = tap::channel();
    let trace = TraceContext::from_environment();
    let injector = settings.inject_trace_context.then(|| Injector::new(trace.clone()));
    let (gone, still_there) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;

    let pump = Pump { from: client.input, to: server_in.into(), tap: to_server, injector, gone: None };
    spawn("wrap-to-server", move || pump.run().end())?;
    let pump = Pump { from: server_out.into(), to: client.output, tap: to_client, injector: None, gone: Some(gone) };
    let tell = events.clone();
    spawn("wrap-to-client", move || {
        let tap = pump.run();
        let _ = tell.send(Event::PassedOn);
        tap.end();
    })?;
    watch(&server, events.clone())?;
    signals::hand_on(events.clone())?;
    spawn("wrap-observer", move || {
        let _told = AtTheEnd(events);
        let Settings { component, command, .. } = settings;
        with_bridge(&|bridge| {
            let (component, command, trace) = (component.clone(), command.clone(), trace.clone());
            observe::run(&copy, &Observation { component, command, bridge, trace });
        });
    })?;
    ending::like(wait(&mut server, &happens, still_there, last))
}

/// Waits for the end, however it comes: the server's status.
fn wait(server: &mut Child, happens: &mpsc::Receiver<Event>, still_there: OwnedFd, last: Last) -> ExitStatus {
    let mut still_there = Some(still_there);
    let (mut exited, mut passed_on, mut observed) = (None, false, false);
    while exited.is_none() || !passed_on {
        match (happens.recv(), exited) {
            (Ok(Event::Signal(signal)), None) => {
                // It is not reaped yet, so the number is still its own.
                let _ = kill(Pid::from_raw(server.id().cast_signed()), signal);
            }
            // There is no server any more that it could be for, only a client that does not read.
            (Ok(Event::Signal(_)), Some(status)) => return status,
            (Ok(Event::Exited), _) => {
                last.ended();
                exited = Some(server.wait().unwrap_or_else(|_| ending::unknown()));
                still_there = None;
            }
            (Ok(Event::PassedOn), _) => passed_on = true,
            (Ok(Event::Observed), _) => observed = true,
            (Err(_), status) => return status.unwrap_or_else(ending::unknown),
        }
    }
    drop(still_there);
    let status = exited.unwrap_or_else(ending::unknown);
    // The observer may be stuck, and its queue full.
    let _ = spawn("wrap-last", move || last.exited(status));
    let deadline = Instant::now() + LAST_REPORTS;
    while !observed {
        match happens.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Signal(_)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            Ok(Event::Observed) => observed = true,
            Ok(Event::Exited | Event::PassedOn) => {}
        }
    }
    status
}

/// Tells of the server's end from a thread of its own, and leaves it to be waited for.
fn watch(server: &Child, events: Sender<Event>) -> io::Result<()> {
    let pid = rustix::process::Pid::from_child(server);
    spawn("wrap-watch", move || {
        while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            .is_err_and(|error| error == rustix::io::Errno::INTR)
        {}
        let _ = events.send(Event::Exited);
    })
}

/// Tells of the observer's end, also where it panics.
struct AtTheEnd(Sender<Event>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the observer failed: the session goes on, unobserved from here");
        }
        let _ = self.0.send(Event::Observed);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(|_| ())
}
