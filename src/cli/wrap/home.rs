//! `wrap --serve`: the bridge inside the wrapper's process, or the one that runs already.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use mcp_otel_bridge::client::{Access, CertificateFiles, Client, Patience, Token, Trust};
use mcp_otel_bridge::config::{Config, Flags};
use mcp_otel_bridge::serve::{ServeError, Server};
use mcp_otel_bridge::{BuildError, StoreError};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::super::serve::{self, Bound, Unbound};
use super::super::{Failure, input, print};

/// How long a bridge that is just starting may take until it answers.
const JOINING: Duration = Duration::from_secs(5);
/// How long the bridge may take to stop once the last report is in: the wrapper does not wait much longer.
const ENDING: Duration = Duration::from_secs(1);
/// How long one question to it may take.
const ASKING: Duration = Duration::from_secs(1);

/// Runs the bridge while `observe` does, or joins the one that runs. `elsewhere` is where to look for it, too.
/// Each is reported to with its own token: the one here, and the one at this configuration's address, with that of the
/// configuration.
///
/// Whatever is wrong is said on standard error; without a bridge nothing is observed.
pub(super) fn with_bridge(elsewhere: &Client, observe: &dyn Fn(Client)) {
    if let Err(problem) = try_with_bridge(elsewhere, observe) {
        let why = match problem {
            Failure::Fault(why) | Failure::Usage(why) | Failure::With(why, _) => why,
            Failure::Told => return,
        };
        super::super::tell(&format!("{why}\nmcp-otel-bridge: the session goes on unobserved"), 0);
    }
}

fn try_with_bridge(elsewhere: &Client, observe: &dyn Fn(Client)) -> Result<(), Failure> {
    let loaded = input::load(None, Flags::default())?;
    let mut config = loaded.config;
    config.limits.shutdown = config.limits.shutdown.min(ENDING);
    serve::log_to_stderr(&config)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = serve::runtime()?;
    let done = here_or_there(&runtime, &config, elsewhere, observe);
    // What hangs on a disk or a lock must not hold up the end.
    runtime.shutdown_background();
    done
}

fn here_or_there(
    runtime: &Runtime,
    config: &Config,
    elsewhere: &Client,
    observe: &dyn Fn(Client),
) -> Result<(), Failure> {
    match runtime.block_on(serve::bind(config)) {
        Ok(Bound { server, data_dir }) => {
            // Standard output is the client's alone; what is printed goes to standard error.
            print(&serve::banner(config, &server, data_dir.as_deref()))?;
            serve_while(runtime, server, config, observe)
        }
        Err(taken) if is_taken(&taken) => {
            let here = client(config, config.listen, trust(config)).map_err(Failure::Fault)?;
            let running = running(&[here, elsewhere.clone()]).map_err(|why| {
                let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                Failure::Fault(format!("{taken}, and no bridge answers that could be joined{why}"))
            })?;
            tracing::info!("joined the bridge that runs at {}", running.url(""));
            observe(running);
            Ok(())
        }
        Err(other) => Err(other.into()),
    }
}

fn serve_while(runtime: &Runtime, server: Server, config: &Config, observe: &dyn Fn(Client)) -> Result<(), Failure> {
    let client = client(config, server.local_addr(), Trust::Itself).map_err(Failure::Fault)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = runtime.spawn(server.run(async move {
        // A sender that was dropped, as by a panic of the observer, says the same.
        let _ = stopped.await;
    }));
    observe(client);
    drop(stop);
    let _ = runtime.block_on(running);
    Ok(())
}

/// Whether another bridge, perhaps, is in the way.
fn is_taken(unbound: &Unbound) -> bool {
    match unbound {
        Unbound::Build(BuildError::Store(StoreError::Locked { .. })) => true,
        Unbound::Serve(ServeError::Listen { source, .. }) => source.kind() == std::io::ErrorKind::AddrInUse,
        _ => false,
    }
}

/// A client of the bridge that has this configuration, and so a token with which it takes reports; where it asks for the
/// certificates of its clients, with that of the environment.
fn client(config: &Config, address: SocketAddr, trust: Trust) -> Result<Client, String> {
    let auth = &config.auth;
    let mut tokens = [&auth.ingest, &auth.admin, &auth.all].into_iter().flatten().flat_map(|tokens| &tokens.tokens);
    let token = tokens.next().map_or(Token::None, |token| Token::Given(token.expose().to_owned()));
    let asks = config.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
    let certificate = if asks { CertificateFiles::from_environment()? } else { None };
    Client::with_access(&url(config, address), Access { token, trust, certificate })
}

/// Whose certificate the bridge that has this configuration may have: the one that it serves, where nothing else is said.
fn trust(config: &Config) -> Trust {
    match (Trust::from_environment(), &config.tls) {
        (Trust::Public, Some(tls)) => Trust::File { named_by: "tls.cert_file", path: tls.identity.cert_file.clone() },
        (trust, _) => trust,
    }
}

fn url(config: &Config, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// The first of these where a bridge answers; else why one may be there and cannot be joined, where that is known.
fn running(places: &[Client]) -> Result<Client, Option<String>> {
    let started = Instant::now();
    loop {
        let mut why = None;
        for place in places {
            match is_bridge(place) {
                Ok(true) => return Ok(place.clone()),
                Ok(false) => {}
                Err(distrust) => why = why.or(distrust),
            }
        }
        if started.elapsed() >= JOINING {
            return Err(why);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a bridge answers there, as opposed to a Prometheus, say: its readiness has a form of its own.
fn is_bridge(place: &Client) -> Result<bool, Option<String>> {
    // It asks for nothing, and whoever answers is not to see it.
    let asking = place.clone().anonymous().with_patience(Patience { connect: ASKING, whole: ASKING });
    let answer = asking.get("/readyz").map_err(|error| place.distrust(&error))?;
    let body = serde_json::from_str::<serde_json::Value>(&answer.body).unwrap_or_default();
    Ok(body["ready"].is_boolean() && body["push"].is_object())
}
