//! A listener: accepts connections, as many as there may be, and turns the others away.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::auth::Auth;
use super::connection;
use super::error::ServeError;
use super::stop::Stop;
use super::tls::Tls;
use crate::config::{Config, Limits};

/// How long accepting rests after an error that does not pass by itself, such as too many open files.
const REST: Duration = Duration::from_millis(100);
/// So many requests may be in flight over HTTP/2, where fewer connections may be.
const REQUESTS: usize = 256;
/// How many are turned away with an answer at once; more are just closed.
const TURNED_AWAY: usize = 32;
/// How long turning one away may take.
const TURN_AWAY_TIME: Duration = Duration::from_secs(1);

/// What all listeners of a server have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) auth: Auth,
    pub(super) tls: Option<Tls>,
    pub(super) stop: Stop,
    pub(super) connections: Arc<Semaphore>,
    /// Requests in flight, the long-lived streams included.
    pub(super) requests: Arc<Semaphore>,
    turned_away: Semaphore,
}

impl Shared {
    pub(super) fn new(config: &Config, tls: Option<Tls>, stop: Stop) -> Self {
        let most = config.limits.connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            limits: config.limits.clone(),
            auth: Auth::new(&config.auth, &config.metrics.path),
            tls,
            stop,
            connections: Arc::new(Semaphore::new(most)),
            requests: Arc::new(Semaphore::new(most.max(REQUESTS))),
            turned_away: Semaphore::new(TURNED_AWAY),
        }
    }

    /// The same for a listener of the live feed alone, which is at `/` there.
    pub(super) fn for_live(&self) -> Self {
        Self {
            limits: self.limits.clone(),
            auth: self.auth.clone().feed_at_root(),
            tls: self.tls.clone(),
            stop: self.stop.clone(),
            connections: Arc::clone(&self.connections),
            requests: Arc::clone(&self.requests),
            turned_away: Semaphore::new(TURNED_AWAY),
        }
    }
}

/// A bound address and what is served there.
#[derive(Debug)]
pub(super) struct Listener {
    tcp: TcpListener,
    addr: SocketAddr,
    router: Router,
    shared: Arc<Shared>,
}

impl Listener {
    pub(super) async fn bind(addr: SocketAddr, router: Router, shared: Arc<Shared>) -> Result<Self, ServeError> {
        let tcp = TcpListener::bind(addr).await.map_err(|source| ServeError::Listen { addr, source })?;
        Self::new(tcp, router, shared).map_err(|source| ServeError::Listen { addr, source })
    }

    pub(super) fn new(tcp: TcpListener, router: Router, shared: Arc<Shared>) -> io::Result<Self> {
        let addr = tcp.local_addr()?;
        Ok(Self { tcp, addr, router, shared })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Accepts until told to stop. What it started goes on, each with a clone of `alive`.
    pub(super) async fn accept(self, alive: mpsc::Sender<Infallible>) {
        let Self { tcp, addr, router, shared } = self;
        let mut stop = shared.stop.clone();
        let mut troubled = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.draining() => return,
                accepted = tcp.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) if of_the_connection(&error) => continue,
                Err(error) => {
                    if !std::mem::replace(&mut troubled, true) {
                        tracing::error!(%addr, %error, "connections cannot be accepted; it is tried on");
                    }
                    sleep(REST).await;
                    continue;
                }
            };
            if std::mem::take(&mut troubled) {
                tracing::info!(%addr, "connections can be accepted again");
            }
            // Answers are small and wanted at once. Where this fails the connection is gone, which shows soon.
            let _ = stream.set_nodelay(true);
            let (router, shared, alive) = (router.clone(), Arc::clone(&shared), alive.clone());
            match Arc::clone(&shared.connections).try_acquire_owned() {
                Ok(permit) => {
                    tokio::spawn(connection::serve(stream, permit, router, shared, alive));
                }
                Err(_) if shared.tls.is_none() => {
                    tokio::spawn(async move {
                        if let Ok(_permit) = shared.turned_away.try_acquire() {
                            let _ = timeout(TURN_AWAY_TIME, turn_away(stream)).await;
                        }
                        drop(alive);
                    });
                }
                // A handshake for a refusal would cost more than the refusal saves.
                Err(_) => {}
            }
        }
    }
}

/// Whether accepting goes on as if nothing had happened.
fn of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Says that the house is full, and lets the client read it: closing on unread bytes would take the answer back.
async fn turn_away(mut stream: TcpStream) -> io::Result<()> {
    const LINE: &str = "the bridge has as many connections as it may; try again\n";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Retry-After: 1\r\nConnection: close\r\n\r\n{LINE}",
        LINE.len(),
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}
