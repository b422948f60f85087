//! Ending as the server did: with its exit code, or by the signal that it died of.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, raise};

/// The status of a server that is gone and of which nobody can tell how it ended: that is no success.
pub(super) fn unknown() -> ExitStatus {
    // Exit code 1, as `wait` gives it.
    ExitStatus::from_raw(1 << 8)
}

/// Ends the process so that its parent sees what it would have seen of the server.
pub(super) fn like(status: ExitStatus) -> ! {
    let Some(number) = status.signal() else { std::process::exit(status.code().unwrap_or(1)) };
    if let Ok(signal) = Signal::try_from(number) {
        // The server's core is the one to look at.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        let mut this = SigSet::empty();
        this.add(signal);
        let _ = this.thread_unblock();
        // The Rust runtime looks at a SIGSEGV or SIGBUS once, and lets the second one do what it does.
        let _ = raise(signal).and_then(|()| raise(signal));
        if signal == Signal::SIGPIPE {
            // The Rust runtime ignores it, and only a new program has it as it was: one that sends it to itself.
            let _ = Command::new("/bin/sh").args(["-c", "kill -PIPE $$"]).exec();
        }
    }
    // As the first process of a container, which no signal of its own ends.
    std::process::exit(128 + number)
}
