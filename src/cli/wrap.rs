//! `wrap`: an MCP server's command behind which the server runs unchanged, and is observed.

mod home;

use std::ffi::OsString;

use clap::Args;
use mcp_otel_bridge::client::Client;
use mcp_otel_bridge::wrap::{self, Settings};
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::input::BridgeArgs;

/// What `wrap` is told.
#[derive(Debug, Args)]
pub(super) struct WrapArgs {
    /// Report under this component name [default: the name that the server gives itself]
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    #[command(flatten)]
    bridge: BridgeArgs,
    /// Run the bridge inside this process, or join the one that runs already
    #[arg(long)]
    serve: bool,
    /// Add a trace context to requests of the client that have none; nothing else changes a byte
    #[arg(long)]
    inject_trace_context: bool,
    /// The server's command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What the program's own roles in `wrap` are told; nobody else calls them.
#[derive(Debug, Args)]
pub(super) struct RoleArgs {
    #[arg(long)]
    parent: u32,
    #[arg(long)]
    unblock: Vec<i32>,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Wraps the server; the process ends as the server does.
pub(super) fn wrap(args: WrapArgs) -> Result<(), Failure> {
    let WrapArgs { component, bridge, serve, inject_trace_context, command } = args;
    if let Some(name) = &component {
        component_name(name)?;
    }
    // What is wrong with the observing is said once it is needed, and costs nothing else.
    let client = Client::by_environment(&bridge.url);
    let settings = Settings { component, command, inject_trace_context };
    let ended = wrap::run(settings, move |observe| {
        if serve {
            home::with_bridge(&client, observe);
        } else {
            log_to_stderr();
            observe(client);
        }
    });
    match ended {
        Err(error) => Err(Failure::Fault(format!("the server could not be wrapped: {error}"))),
    }
}

/// Starts the server and stays with it; see [`wrap::keep`].
#[cfg(target_os = "linux")]
pub(super) fn keep(args: &RoleArgs) -> Result<(), Failure> {
    let (message, code) = wrap::keep(args.parent, &args.unblock, &args.command);
    Err(Failure::With(message, code))
}

/// Becomes the server; see [`wrap::launch`].
pub(super) fn launch(args: &RoleArgs) -> Result<(), Failure> {
    let (message, code) = wrap::launch(args.parent, &args.unblock, &args.command);
    Err(Failure::With(message, code))
}

/// A name that the bridge would not take is a mistake in the command line, and is best said at once.
fn component_name(name: &str) -> Result<(), Failure> {
    name.parse::<mcp_otel_bridge::event::ComponentName>()
        .map(|_| ())
        .map_err(|error| Failure::Usage(format!("--component: {error}")))
}

/// Warnings alone: standard error is the server's.
fn log_to_stderr() {
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("warn")).with_writer(std::io::stderr);
    // Where one is set already it stays. A standard error that nobody reads is nothing to fail over.
    let _ = subscriber.with_target(false).with_ansi(false).log_internal_errors(false).try_init();
}
