//! Why the bridge cannot be served: one clear line each.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the bridge cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {}", reason(.source))]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate or the key cannot be used.
    #[error("TLS: {path}: {error}", path = .path.display())]
    Tls {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The metrics cannot be served at this path.
    #[error("the metrics cannot be served at {path:?}: {error}")]
    MetricsPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        error: &'static str,
    },
    /// The bridge's metrics are served at another address already.
    #[error("the metrics cannot be served at {asked} too: they are served at {running} already")]
    AlreadyServed {
        /// The address that was asked for.
        asked: SocketAddr,
        /// Where they are served.
        running: SocketAddr,
    },
    /// The thread of the metrics cannot be started.
    #[error("the thread that serves the metrics could not be started: {0}")]
    Thread(io::Error),
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "something else listens there already (a Prometheus on the same machine, \
            perhaps, whose default port is 9090 too); choose another address with --listen"
            .to_owned(),
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; choose another one with --listen".to_owned()
        }
        _ => error.to_string(),
    }
}
