//! The client's ends of the streams, taken from the process so that nothing else can write into them.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::stdio::{dup2_stdin, dup2_stdout};

/// What the client writes to and reads from.
#[derive(Debug)]
pub(super) struct Client {
    /// What was standard input.
    pub(super) input: OwnedFd,
    /// What was standard output.
    pub(super) output: OwnedFd,
}

/// Takes standard input and output: from now on the process reads nothing, and what it prints goes to standard error.
pub(super) fn take() -> io::Result<Client> {
    let client =
        Client { input: io::stdin().as_fd().try_clone_to_owned()?, output: io::stdout().as_fd().try_clone_to_owned()? };
    dup2_stdin(null()?)?;
    match dup2_stdout(io::stderr()) {
        Ok(()) => {}
        // Started without a standard error: what is printed goes nowhere.
        Err(_) => dup2_stdout(null()?)?,
    }
    Ok(client)
}

/// Lets go of standard input and output, so that whoever holds their other ends sees them closed.
#[cfg(target_os = "linux")]
pub(super) fn release() -> io::Result<()> {
    dup2_stdin(null()?)?;
    Ok(dup2_stdout(null()?)?)
}

fn null() -> io::Result<OwnedFd> {
    Ok(OpenOptions::new().read(true).write(true).open("/dev/null")?.into())
}
