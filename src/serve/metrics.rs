//! The metrics of a program that has no server, nor a Tokio runtime: a small thread that serves them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::accept::{Listener, Shared};
use super::error::ServeError;
use super::reload::Reload;
use super::router;
use super::stop::{self, Phase, Stop};
use super::tls::Tls;
use crate::Bridge;
use crate::config::Config;

/// For answers in flight when the bridge goes.
const DRAIN: Duration = Duration::from_secs(1);

/// The running thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct MetricsServer {
    /// What was asked for; its port may be 0.
    asked: SocketAddr,
    bound: SocketAddr,
    phase: watch::Sender<Phase>,
    thread: JoinHandle<()>,
}

impl Bridge {
    /// Serves the metrics at this address, on a thread of their own, until the bridge is shut down or its last handle
    /// is gone: for programs that have no server, also without a Tokio runtime. `/livez` and `/readyz` answer too.
    ///
    /// The address is the bound one: with port 0 the system chooses. The tokens, certificates and limits are those of the
    /// bridge's configuration. Called again with the same address, it changes nothing and returns the same.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, or the metrics are served at another one already.
    pub fn serve_metrics(&self, addr: impl Into<SocketAddr>) -> Result<SocketAddr, ServeError> {
        let asked = addr.into();
        let mut server = self.exposed().server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*server {
            if running.asked == asked || running.bound == asked {
                return Ok(running.bound);
            }
            return Err(ServeError::AlreadyServed { asked, running: running.bound });
        }
        let started = MetricsServer::start(asked, router::metrics_alone(self)?, self.config())?;
        Ok(server.insert(started).bound)
    }
}

impl MetricsServer {
    fn start(asked: SocketAddr, router: Router, config: &Config) -> Result<Self, ServeError> {
        let listen = |source: io::Error| ServeError::Listen { addr: asked, source };
        let reload = Reload::new(config);
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        let tcp = std::net::TcpListener::bind(asked).map_err(listen)?;
        tcp.set_nonblocking(true).map_err(listen)?;
        let bound = tcp.local_addr().map_err(listen)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .map_err(ServeError::Thread)?;
        let (phase, stop) = stop::channel();
        let shared = Arc::new(Shared::new(config, tls, stop.clone()));
        let listener = {
            let _runtime = runtime.enter();
            let tcp = TcpListener::from_std(tcp).map_err(listen)?;
            Listener::new(tcp, router, Arc::clone(&shared)).map_err(listen)?
        };
        let thread = std::thread::Builder::new()
            .name("mcp-otel-metrics".to_owned())
            .spawn(move || run(runtime, listener, shared, reload, stop))
            .map_err(ServeError::Thread)?;
        Ok(Self { asked, bound, phase, thread })
    }

    /// Ends it, and waits until the port is free.
    pub(crate) fn stop(self) {
        self.phase.send_replace(Phase::Draining);
        // The last handle of a bridge may go on the thread itself.
        if self.thread.thread().id() != std::thread::current().id() {
            let _ = self.thread.join();
        }
    }
}

fn run(runtime: Runtime, listener: Listener, shared: Arc<Shared>, reload: Reload, mut stop: Stop) {
    runtime.block_on(async {
        let (alive, mut ended) = mpsc::channel::<Infallible>(1);
        tokio::spawn(listener.accept(alive));
        tokio::spawn(async move { shared.follow(reload).await });
        stop.draining().await;
        let _ = timeout(DRAIN, ended.recv()).await;
    });
    // A collection that runs may finish by itself.
    runtime.shutdown_background();
}
