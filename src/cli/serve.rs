//! `serve`: the bridge on its listeners, until it is told to stop.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use mcp_otel_bridge::config::{self, Config, LogFormat, NoDataDir};
use mcp_otel_bridge::serve::{ServeError, Server};
use mcp_otel_bridge::{Bridge, BuildError};
use tracing_subscriber::EnvFilter;

use super::{Failure, ServeArgs, input, print};

/// The SDK of the MCP server tells of every request: only a filter that names it turns that on.
const QUIET: &str = "rmcp=error";

pub(super) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let loaded = input::load(args.config.config.clone(), args.flags())?;
    let config = loaded.config;
    log_to_stderr(&config)?;
    keep_memory_small();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = runtime()?;
    let done = runtime.block_on(run(config));
    // What hangs on a disk or a lock must not hold up the end.
    runtime.shutdown_background();
    done
}

/// Refuses huge pages, unless the allocator's own variable says what to do about them.
///
/// The allocator asks for them where the system leaves that to programs. They make a scrape of 100,000 series faster by
/// a few hundredths, and the process at rest, and under load, two to three times as large: docs/performance.md has the
/// figures. Not for `wrap --serve`: the wrapped server would inherit it.
fn keep_memory_small() {
    #[cfg(target_os = "linux")]
    if std::env::var_os("MIMALLOC_ALLOW_THP").is_none()
        && let Err(error) = nix::sys::prctl::set_thp_disable(true)
    {
        // A sandbox may forbid it; all else works as well.
        tracing::debug!(%error, "huge pages could not be refused");
    }
}

/// The threads of the server.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("mcp-otel-serve")
        .build()
        .map_err(|error| Failure::Fault(format!("the threads of the server could not be started: {error}")))
}

async fn run(config: Config) -> Result<(), Failure> {
    // The signals are taken before anything is started, so that none is missed.
    let stop = stop_signal()?;
    let Bound { server, data_dir } = bind(&config).await?;
    print(&banner(&config, &server, data_dir.as_deref()))?;
    server.run(stop).await;
    Ok(())
}

/// A bridge on its listeners, not yet serving.
pub(super) struct Bound {
    pub(super) server: Server,
    pub(super) data_dir: Option<PathBuf>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unbound {
    #[error(transparent)]
    DataDir(#[from] NoDataDir),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl From<Unbound> for Failure {
    fn from(unbound: Unbound) -> Self {
        match unbound {
            Unbound::Build(BuildError::Push(_))
            | Unbound::Serve(ServeError::Tls { .. } | ServeError::MetricsPath { .. }) => {
                Self::Usage(unbound.to_string())
            }
            _ => Self::Fault(unbound.to_string()),
        }
    }
}

/// Builds the bridge of this configuration and binds its listeners.
pub(super) async fn bind(config: &Config) -> Result<Bound, Unbound> {
    let mut builder = Bridge::builder().config(config.clone()).system_gauges();
    let data_dir = if config.ephemeral { None } else { Some(config::data_dir(config)?) };
    if let Some(dir) = &data_dir {
        builder = builder.data_dir(dir);
    }
    let server = Server::bind(builder.build()?, config).await?;
    Ok(Bound { server, data_dir })
}

/// Where to scrape, where to send, where it pushes to, and what outlives a restart.
pub(super) fn banner(config: &Config, server: &Server, data_dir: Option<&std::path::Path>) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let address = server.local_addr();
    let mut text = format!("mcp-otel-bridge {}\n", env!("CARGO_PKG_VERSION"));
    // Writing into a String does not fail.
    if config.metrics.enabled {
        let _ = writeln!(text, "  scrape  {scheme}://{address}{}", config.metrics.path);
    } else {
        let _ = writeln!(text, "  scrape  off (enable_prometheus_metrics is false)");
    }
    let _ = writeln!(text, "  send    {scheme}://{address}/v1/events");
    let _ = writeln!(text, "  gRPC    {scheme}://{}", server.grpc_addr().unwrap_or(address));
    if let Some(live) = server.live_addr() {
        let scheme = if config.tls.is_some() { "wss" } else { "ws" };
        let _ = writeln!(text, "  live    {scheme}://{live}/live");
    }
    match (&config.push_metrics, &config.push_spans) {
        (None, None) => {
            let _ = writeln!(text, "  push    off (give --otlp-endpoint URL to turn it on)");
        }
        (metrics, spans) => {
            if let Some(metrics) = metrics {
                let _ = writeln!(text, "  push    metrics every {:?} to {}", metrics.interval, metrics.otlp.endpoint);
            }
            if let Some(spans) = spans {
                let _ = writeln!(text, "  push    spans to {}", spans.otlp.endpoint);
            }
        }
    }
    let _ = match data_dir {
        Some(dir) => writeln!(text, "  data    {}", dir.display()),
        None => writeln!(text, "  data    in memory only: nothing outlives this process"),
    };
    text
}

/// Logs as the configuration says, to standard error.
pub(super) fn log_to_stderr(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log.filter))
        .map_err(|error| Failure::Usage(format!("log.filter: {error}; right would be, say, info")))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    match config.log.format {
        LogFormat::Human => subscriber.with_target(false).with_ansi(terminal).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}

/// Resolves at SIGTERM or Ctrl-C.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let cannot = |error| Failure::Fault(format!("the signals to stop cannot be waited for: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let _ = cannot;
        Ok(async {
            let _ = tokio::signal::ctrl_c().await;
        })
    }
}
