//! The last step before the server: this program once more, which puts the signals back as they were and becomes the
//! server. Where the system allows, the server dies with its parent.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};

/// What a shell ends with where there is no such command.
const NOT_FOUND: u8 = 127;
/// What a shell ends with where the command cannot be run.
const NOT_RUN: u8 = 126;

/// Becomes the server. Returns only where that failed, with the message and the exit code to end with.
///
/// `parent` is the process that started this one, `unblock` the signals to unblock.
pub fn launch(parent: u32, unblock: &[i32], command: &[OsString]) -> (String, u8) {
    if let Err(error) = die_with(parent) {
        return (format!("the server could not be tied to its wrapper: {error}"), NOT_RUN);
    }
    let unblock: SigSet = unblock.iter().filter_map(|signal| Signal::try_from(*signal).ok()).collect();
    if let Err(error) = unblock.thread_unblock() {
        return (format!("the signals of the server could not be set: {error}"), NOT_RUN);
    }
    let Some((program, arguments)) = command.split_first() else {
        return ("there is no command to run".to_owned(), NOT_FOUND);
    };
    let error = Command::new(program).args(arguments).exec();
    let program = program.display();
    match error.kind() {
        io::ErrorKind::NotFound => (format!("{program}: command not found"), NOT_FOUND),
        _ => (format!("{program}: cannot be run: {error}"), NOT_RUN),
    }
}

#[cfg(target_os = "linux")]
fn die_with(parent: u32) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    if nix::unistd::getppid().as_raw().cast_unsigned() != parent {
        // It died before it could be said.
        nix::sys::signal::raise(Signal::SIGKILL)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: u32) -> io::Result<()> {
    Ok(())
}
