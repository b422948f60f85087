//! How the server's end is to be judged: whether it crashed.

use std::process::ExitStatus;

use crate::event::SessionStatus;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;

/// An exit code other than 0 and a signal are crashes, but for what a server is asked to stop with: the signals that
/// ask for it at any time, and where the client left first (`shutting_down`) also the one that does not ask any more,
/// and the one that tells a writer that nobody reads. A shell's codes for them (128 and the signal) count as they do.
pub(super) fn status(exit: ExitStatus, shutting_down: bool) -> SessionStatus {
    let signal = signal(exit).or_else(|| exit.code().filter(|code| *code > 128).map(|code| code - 128));
    let asked = match signal {
        Some(SIGHUP | SIGINT | SIGTERM) => true,
        Some(SIGKILL | SIGPIPE) => shutting_down,
        _ => false,
    };
    if exit.success() || asked { SessionStatus::Success } else { SessionStatus::Error }
}

#[cfg(unix)]
fn signal(exit: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&exit)
}

#[cfg(not(unix))]
fn signal(_exit: ExitStatus) -> Option<i32> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn code(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn killed(signal: i32) -> ExitStatus {
        ExitStatus::from_raw(signal)
    }

    #[test]
    fn a_crash_is_an_exit_code_or_a_signal_that_nobody_asked_for() {
        for shutting_down in [false, true] {
            for fine in [code(0), killed(SIGTERM), code(143), killed(SIGINT), code(130), killed(SIGHUP)] {
                assert_eq!(status(fine, shutting_down), SessionStatus::Success, "{fine:?}");
            }
            for crash in [code(1), code(3), code(255), killed(6), killed(11), code(139)] {
                assert_eq!(status(crash, shutting_down), SessionStatus::Error, "{crash:?}");
            }
        }
        for forced in [killed(SIGKILL), code(137), killed(SIGPIPE), code(141)] {
            assert_eq!(status(forced, false), SessionStatus::Error);
            assert_eq!(status(forced, true), SessionStatus::Success);
        }
    }
}
