//! `wrap --serve`: the bridge inside the wrapper's process, or the one that runs already.

use std::time::{Duration, Instant};

use mcp_otel_bridge::config::{Config, Flags};
use mcp_otel_bridge::serve::{ServeError, Server};
use mcp_otel_bridge::{BuildError, StoreError};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::super::serve::{self, Bound, Unbound};
use super::super::{Failure, input, print};

/// How long a bridge that is just starting may take until it answers.
const JOINING: Duration = Duration::from_secs(5);
/// How long one question to it may take.
const ASKING: Duration = Duration::from_secs(1);

/// Runs the bridge while `observe` does, or joins the one that runs. `elsewhere` is where to look for it, too.
///
/// Whatever is wrong is said on standard error; without a bridge nothing is observed.
pub(super) fn with_bridge(elsewhere: &str, observe: &dyn Fn(String)) {
    if let Err(problem) = try_with_bridge(elsewhere, observe) {
        let why = match problem {
            Failure::Fault(why) | Failure::Usage(why) | Failure::With(why, _) => why,
            Failure::Told => return,
        };
        super::super::tell(&format!("{why}\nmcp-otel-bridge: the session goes on unobserved"), 0);
    }
}

fn try_with_bridge(elsewhere: &str, observe: &dyn Fn(String)) -> Result<(), Failure> {
    let loaded = input::load(None, Flags::default())?;
    let config = loaded.config;
    serve::log_to_stderr(&config)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = serve::runtime()?;
    match runtime.block_on(serve::bind(&config)) {
        Ok(Bound { server, data_dir }) => {
            // Standard output is the client's alone; what is printed goes to standard error.
            print(&serve::banner(&config, &server, data_dir.as_deref()))?;
            serve_while(&runtime, server, &config, observe);
            Ok(())
        }
        Err(taken) if is_taken(&taken) => {
            let running = running(&[url(&config, config.listen), elsewhere.to_owned()])
                .ok_or_else(|| Failure::Fault(format!("{taken}, and no bridge answers that could be joined")))?;
            tracing::info!("joined the bridge that runs at {running}");
            observe(running);
            Ok(())
        }
        Err(other) => Err(other.into()),
    }
}

fn serve_while(runtime: &Runtime, server: Server, config: &Config, observe: &dyn Fn(String)) {
    let url = url(config, server.local_addr());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = runtime.spawn(server.run(async move {
        // A sender that was dropped, as by a panic of the observer, says the same.
        let _ = stopped.await;
    }));
    observe(url);
    drop(stop);
    let _ = runtime.block_on(running);
}

/// Whether another bridge, perhaps, is in the way.
fn is_taken(unbound: &Unbound) -> bool {
    match unbound {
        Unbound::Build(BuildError::Store(StoreError::Locked { .. })) => true,
        Unbound::Serve(ServeError::Listen { source, .. }) => source.kind() == std::io::ErrorKind::AddrInUse,
        _ => false,
    }
}

fn url(config: &Config, mut address: std::net::SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// The first of these URLs where a bridge answers.
fn running(urls: &[String]) -> Option<String> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ASKING))
        .proxy(None)
        .build()
        .new_agent();
    let started = Instant::now();
    loop {
        if let Some(url) = urls.iter().find(|url| is_bridge(&agent, url)) {
            return Some(url.clone());
        }
        if started.elapsed() >= JOINING {
            return None;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a bridge answers there, as opposed to a Prometheus, say: its readiness has a form of its own.
fn is_bridge(agent: &ureq::Agent, url: &str) -> bool {
    // It asks for no token, and whoever answers is not to see one.
    let answer = agent
        .get(format!("{}/readyz", url.trim_end_matches('/')))
        .call()
        .ok()
        .and_then(|mut answer| answer.body_mut().read_to_vec().ok());
    answer
        .and_then(|body| serde_json::from_slice::<serde_json::Value>(&body).ok())
        .is_some_and(|body| body["ready"].is_boolean() && body["push"].is_object())
}
