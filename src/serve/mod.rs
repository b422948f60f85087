//! The listeners: HTTP/1.1, HTTP/2 and gRPC on one port, what each client may ask for, and an orderly end.
//!
//! What must always hold:
//!
//! - A client costs a bounded amount of memory and time, whatever it sends or does not send: there is a deadline for
//!   its first bytes, its TLS handshake, its headers, its answer and its silence, and a most of connections, of
//!   requests and of bytes.
//! - What was answered was recorded. What is in flight when the bridge stops is finished; the rest is cut.
//! - No fault of a client and none of accepting connections ends the server.

mod accept;
mod activity;
mod auth;
mod body;
mod connection;
mod credentials;
mod error;
mod metrics;
pub(crate) mod origin;
mod reload;
mod request;
mod router;
mod stop;
mod tls;
mod transport;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::Bridge;
use crate::config::Config;
use crate::expose::Live;
use crate::ingest::grpc;
use accept::{Listener, Shared};
use reload::Reload;
use stop::Phase;
use tls::Tls;

pub(crate) use auth::Auth;
pub(crate) use credentials::Granted;
pub use error::ServeError;
pub(crate) use metrics::MetricsServer;
pub(crate) use stop::Stop;

/// The share of the time to stop in which what is in flight may finish; the rest is for the last push.
const DRAIN_SHARE: f64 = 0.6;
/// For what was cut to go away.
const CUT: Duration = Duration::from_millis(500);

/// A bridge's listeners, bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    bridge: Bridge,
    shutdown: Duration,
    listen: Listener,
    grpc_listen: Option<Listener>,
    live: Option<Live>,
    live_listen: Option<Listener>,
    health: grpc::HealthReport,
    shared: Arc<Shared>,
    reload: Reload,
    phase: watch::Sender<Phase>,
}

/// Serves the bridge until `shutdown` resolves, and shuts the bridge down.
///
/// # Errors
///
/// When an address cannot be listened on, or the certificate or key cannot be used.
pub async fn run(bridge: Bridge, config: &Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    Server::bind(bridge, config).await?.run(shutdown).await;
    Ok(())
}

impl Server {
    /// Binds the listeners of this configuration: from now on clients can connect, and are answered once
    /// [`Server::run`] is polled.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on, the certificate or key cannot be used, or the path of the metrics is
    /// taken.
    pub async fn bind(bridge: Bridge, config: &Config) -> Result<Self, ServeError> {
        let (phase, stop) = stop::channel();
        let reload = Reload::new(config);
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        let shared = Arc::new(Shared::new(config, tls, stop.clone()));
        let live = config.live.enabled.then(|| Live::new(config, shared.auth.clone(), stop.clone()));
        let grpc::Service { routes, health } = grpc::service(&bridge, &config.limits, stop);
        let all = router::all(&bridge, config, routes.clone(), live.as_ref())?;
        let listen = Listener::bind(config.listen, all, Arc::clone(&shared)).await?;
        let grpc_listen = match config.grpc_listen {
            Some(addr) => {
                let alone = router::grpc_alone(&bridge, config, routes);
                Some(Listener::bind(addr, alone, Arc::clone(&shared)).await?)
            }
            None => None,
        };
        let live_listen = match (&live, config.live.listen) {
            (Some(live), Some(addr)) => {
                let alone = router::live_alone(&bridge, config, live);
                Some(Listener::bind(addr, alone, Arc::new(shared.for_live())).await?)
            }
            _ => None,
        };
        let shutdown = config.limits.shutdown;
        Ok(Self { bridge, shutdown, listen, grpc_listen, live, live_listen, health, shared, reload, phase })
    }

    /// Where HTTP and gRPC are served; the port is the real one where the configuration says 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.listen.addr()
    }

    /// Where gRPC alone is served.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc_listen.as_ref().map(Listener::addr)
    }

    /// Where the live feed alone is served.
    pub fn live_addr(&self) -> Option<SocketAddr> {
        self.live_listen.as_ref().map(Listener::addr)
    }

    /// Serves until `shutdown` resolves. Then no more is accepted, what is in flight finishes, the bridge is shut down
    /// with one last push, and all that within the configured time.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { bridge, shutdown: within, listen, grpc_listen, live, live_listen, health, shared, reload, phase } =
            self;
        // Each task holds a sender: the receiver ends when all of them have.
        let (alive, mut ended) = mpsc::channel::<Infallible>(1);
        for listener in [Some(listen), grpc_listen, live_listen].into_iter().flatten() {
            tokio::spawn(listener.accept(alive.clone()));
        }
        if let Some(live) = live {
            tokio::spawn(live.follow(bridge.clone(), alive.clone()));
        }
        tokio::spawn(health.follow(bridge.clone(), Stop::of(&phase), alive));
        tokio::spawn(async move { shared.follow(reload).await });
        shutdown.await;
        let deadline = Instant::now() + within;
        tracing::info!("stopping: what is in flight finishes first");
        phase.send_replace(Phase::Draining);
        if timeout(within.mul_f64(DRAIN_SHARE), ended.recv()).await.is_err() {
            tracing::warn!("some connections did not end in time and were cut");
            phase.send_replace(Phase::Cut);
            let _ = timeout(CUT, ended.recv()).await;
        }
        // A moment is kept back, so that the end comes in time.
        let left = deadline.saturating_duration_since(Instant::now()).mul_f64(0.9);
        let last = tokio::task::spawn_blocking(move || bridge.shutdown(left));
        match timeout_at(deadline, last).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last push failed"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the bridge did not shut down in time"),
        }
    }
}
