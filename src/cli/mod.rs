//! The command line: what can be asked, and the exit code of each answer.
//!
//! Exit codes: 0 done, 1 a fault at run time (or, of `send`, an event that was rejected), 2 wrong usage or
//! configuration. `wrap` ends as the server does that it wraps.

mod forget;
mod health;
mod input;
mod inspect;
mod mcp;
mod send;
mod serve;
#[cfg(unix)]
mod wrap;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use mcp_otel_bridge::catalog::{ShowFormat, show};
use mcp_otel_bridge::config::Flags;

/// Turns what MCP servers and AI agents do into OpenTelemetry metrics and traces.
///
/// Without a command it serves: it takes events, shows /metrics to Prometheus, and pushes to a collector if told where.
#[derive(Debug, Parser)]
#[command(name = "mcp-otel-bridge", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take events, show /metrics, push to a collector (the default)
    Serve(ServeArgs),
    /// Start an MCP server, pass its stdio through, and report what goes by to a running bridge
    #[cfg(unix)]
    Wrap(wrap::WrapArgs),
    /// Serve the MCP tools of a running bridge on standard input and output
    Mcp(mcp::McpArgs),
    /// Send NDJSON events to a running bridge
    Send(send::SendArgs),
    /// Ask a running bridge whether it is ready: exit code 0 or 1
    Health(health::HealthArgs),
    /// Take series with a certain label out of the data of a bridge that does not run
    Forget(forget::ForgetArgs),
    /// Check the configuration; every error at once
    Check(ConfigArgs),
    /// Show the configuration in force, secrets masked
    Config {
        #[command(flatten)]
        args: ConfigArgs,
        /// Show every key and variable instead, as Markdown
        #[arg(long)]
        reference: bool,
        /// Show a file with every key at its default instead
        #[arg(long, conflicts_with = "reference")]
        example: bool,
    },
    /// Show every metric
    Catalog {
        /// The form to show it in
        #[arg(long, value_enum, default_value = "table")]
        format: CatalogFormat,
    },
    /// Show every type of event
    Events {
        /// The form to show it in
        #[arg(long, value_enum, default_value = "markdown")]
        format: EventsFormat,
    },
    /// Write a completion script for a shell to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    #[cfg(target_os = "linux")]
    #[command(name = mcp_otel_bridge::wrap::KEEP, hide = true)]
    WrapKeep(wrap::RoleArgs),
    #[cfg(unix)]
    #[command(name = mcp_otel_bridge::wrap::LAUNCH, hide = true)]
    WrapLaunch(wrap::RoleArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration file (YAML); MCP_OTEL_BRIDGE_CONFIG names one too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What `serve` runs on; flags win over environment and file.
#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Listen here, HTTP and gRPC alike [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Serve gRPC alone here, too
    #[arg(long, value_name = "ADDR")]
    grpc_listen: Option<String>,
    /// Push metrics and spans to the OpenTelemetry collector at this URL
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Keep what must outlive a restart here [default: the user's state directory]
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data_dir: Option<PathBuf>,
    /// Keep everything in memory: nothing outlives the process
    #[arg(long)]
    ephemeral: bool,
}

impl ServeArgs {
    fn flags(&self) -> Flags {
        Flags {
            listen: self.listen.clone(),
            grpc_listen: self.grpc_listen.clone(),
            otlp_endpoint: self.otlp_endpoint.clone(),
            data_dir: self.data_dir.clone(),
            ephemeral: self.ephemeral,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CatalogFormat {
    /// Aligned columns
    Table,
    /// Markdown, as in docs/metrics.md
    Markdown,
    /// JSON
    Json,
}

impl From<CatalogFormat> for ShowFormat {
    fn from(format: CatalogFormat) -> Self {
        match format {
            CatalogFormat::Table => Self::Table,
            CatalogFormat::Markdown => Self::Markdown,
            CatalogFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EventsFormat {
    /// Markdown, as in docs/events.md
    Markdown,
    /// JSON Schema, as at /v1/events/schema
    Json,
}

/// Why a command did not do what it was asked to; what it prints ends with the exit code.
#[derive(Debug)]
enum Failure {
    /// A fault at run time.
    Fault(String),
    /// Wrong usage or configuration.
    Usage(String),
    /// It was done, and the outcome is a bad one that was printed already.
    Told,
    /// What ends with an exit code of its own.
    #[cfg(unix)]
    With(String, u8),
}

/// Does what the command line asks.
pub(crate) fn run() -> ExitCode {
    let Cli { command, serve } = Cli::parse();
    let result = match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(args) => serve::serve(&args),
        #[cfg(unix)]
        Command::Wrap(args) => wrap::wrap(args),
        #[cfg(target_os = "linux")]
        Command::WrapKeep(args) => wrap::keep(&args),
        #[cfg(unix)]
        Command::WrapLaunch(args) => wrap::launch(&args),
        Command::Mcp(args) => mcp::mcp(&args),
        Command::Send(args) => send::send(&args),
        Command::Health(args) => health::health(args),
        Command::Forget(args) => forget::run(args),
        Command::Check(args) => inspect::check(&args),
        Command::Config { reference: true, .. } => print(&mcp_otel_bridge::config::reference_markdown()),
        Command::Config { example: true, .. } => print(&mcp_otel_bridge::config::example()),
        Command::Config { args, .. } => inspect::config(&args),
        Command::Catalog { format } => print(&show(format.into())),
        Command::Events { format: EventsFormat::Markdown } => print(&mcp_otel_bridge::event::reference_markdown()),
        Command::Events { format: EventsFormat::Json } => print(&format!("{:#}\n", mcp_otel_bridge::event::schema())),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mcp-otel-bridge", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::from(1),
        Err(Failure::Fault(message)) => tell(&message, 1),
        Err(Failure::Usage(message)) => tell(&message, 2),
        #[cfg(unix)]
        Err(Failure::With(message, code)) => tell(&message, code),
    }
}

fn tell(message: &str, code: u8) -> ExitCode {
    // Nobody reads standard error any more: the exit code still tells.
    let _ = writeln!(std::io::stderr(), "mcp-otel-bridge: {message}");
    ExitCode::from(code)
}

/// Writes to standard output; a reader that has gone away, as `head` does, is no fault.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Fault(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
