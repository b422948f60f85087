//! Starting the server, through this program's own hidden commands.
//!
//! On Linux: the wrapper starts a [keeper](super::keeper), the keeper [launches](super::launch) the server. Elsewhere
//! the wrapper launches it itself.

use std::ffi::{OsStr, OsString};
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

/// How the variables begin that hold the tokens of a bridge's rights, or name their files.
const AUTH_VARIABLES: &str = "MCP_OTEL_BRIDGE_AUTH_";

/// Starts the server with pipes for its stdin and stdout; what is returned ends as the server does.
///
/// It gets the environment but for tokens and the certificate, which are the wrapper's: the server is somebody else's
/// program.
pub(super) fn start(unblock: &[Signal], command: &[OsString]) -> io::Result<Child> {
    #[cfg(target_os = "linux")]
    let role = KEEP;
    #[cfg(not(target_os = "linux"))]
    let role = LAUNCH;
    let unblock: Vec<i32> = unblock.iter().map(|signal| *signal as i32).collect();
    let mut server = this_program(role, &unblock, command)?;
    // An environment from which something is removed is sorted, which a server may show: only where it must be.
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| is_secret(variable)) {
        server.env_remove(variable);
    }
    server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
}

/// Whether a variable leads to what the wrapper shows to a bridge, or what the bridge in it (`--serve`) asks for.
fn is_secret(variable: &OsStr) -> bool {
    let Some(variable) = variable.to_str() else { return false };
    CREDENTIALS.contains(&variable) || variable.starts_with(AUTH_VARIABLES)
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
