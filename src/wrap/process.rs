//! Starting the server, through this program's own hidden commands.
//!
//! On Linux: the wrapper starts a [keeper](super::keeper), the keeper [launches](super::launch) the server. Elsewhere
//! the wrapper launches it itself.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::client::CREDENTIALS;

/// The hidden command that becomes the server.
pub const LAUNCH: &str = "__wrap-launch";
/// The hidden command that keeps the server.
#[cfg(target_os = "linux")]
pub const KEEP: &str = "__wrap-keep";

/// Starts the server with pipes for its stdin and stdout; what is returned ends as the server does.
///
/// It gets the environment but for the token and the certificate, which are the wrapper's: the server is somebody else's
/// program.
pub(super) fn start(unblock: &[Signal], command: &[OsString]) -> io::Result<Child> {
    #[cfg(target_os = "linux")]
    let role = KEEP;
    #[cfg(not(target_os = "linux"))]
    let role = LAUNCH;
    let unblock: Vec<i32> = unblock.iter().map(|signal| *signal as i32).collect();
    let mut server = this_program(role, &unblock, command)?;
    for variable in CREDENTIALS {
        // An environment from which something is removed is sorted, which a server may show: only where it must be.
        if std::env::var_os(variable).is_some() {
            server.env_remove(variable);
        }
    }
    server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
}

/// This program in one of its hidden roles.
pub(super) fn this_program(role: &str, unblock: &[i32], command: &[OsString]) -> io::Result<Command> {
    let mut this = Command::new(path()?);
    this.arg0("mcp-otel-bridge").arg(role).arg("--parent").arg(std::process::id().to_string());
    for signal in unblock {
        this.arg(format!("--unblock={signal}"));
    }
    this.arg("--").args(command);
    Ok(this)
}

/// This very program, also where its file was replaced in the meantime.
#[cfg(target_os = "linux")]
fn path() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

#[cfg(not(target_os = "linux"))]
fn path() -> io::Result<PathBuf> {
    std::env::current_exe()
}
