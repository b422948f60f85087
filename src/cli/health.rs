//! `health`: whether the bridge is ready or alive, for a container's health check where there is no shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use mcp_otel_bridge::client::{Access, Client, Patience, Trust, URL_VARIABLE};
use mcp_otel_bridge::config::{Config, Flags};

use super::{ConfigArgs, Failure, input, print};

/// Less than the time that a container's health check has.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(2), whole: Duration::from_secs(2) };

/// What `health` is told.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The running bridge [default: the one of this configuration, over loopback]
    #[arg(long = "bridge", value_name = "URL", env = URL_VARIABLE)]
    url: Option<String>,
    /// Ask whether it runs, not whether it can take events
    #[arg(long)]
    live: bool,
}

/// Asks the bridge and prints its answer. Whatever is wrong is exit code 1: those who run health checks know no other.
pub(super) fn health(args: HealthArgs) -> Result<(), Failure> {
    let client = match args.url.filter(|url| !url.is_empty()) {
        Some(url) => Client::from_environment(&url),
        None => {
            let loaded = input::load(args.config.config, Flags::default()).map_err(as_fault)?;
            // Neither token nor certificate: a bridge's own paths of health are open to everyone.
            Client::with_access(&own(&loaded.config)?, Access { trust: Trust::Itself, ..Access::default() })
        }
    };
    let client = client.map_err(Failure::Fault)?.with_patience(PATIENCE);
    let path = if args.live { "/livez" } else { "/readyz" };
    let reply = client.get(path).map_err(|error| {
        let away = || format!("no bridge answers at {}: {}", client.url(""), client.away(&error));
        Failure::Fault(client.distrust(&error).unwrap_or_else(away))
    })?;
    if let Some(why) = client.refusal(&reply) {
        return Err(Failure::Fault(why));
    }
    print(&format!("{}\n", reply.body.trim_end()))?;
    if reply.status.is_success() { Ok(()) } else { Err(Failure::Told) }
}

/// Where this machine reaches the bridge of that configuration.
fn own(config: &Config) -> Result<String, Failure> {
    let listen = config.listen;
    if listen.port() == 0 {
        let message =
            format!("listen is {listen}, so the port is known only once the bridge runs: name it with --bridge");
        return Err(Failure::Fault(message));
    }
    let address = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", SocketAddr::new(address, listen.port())))
}

fn as_fault(failure: Failure) -> Failure {
    match failure {
        Failure::Usage(message) => Failure::Fault(message),
        other => other,
    }
}
