//! What can go wrong with a push, one clear line each.

use std::path::PathBuf;
use std::time::Duration;

use super::Signal;

/// Why a push could not start, or could not deliver in time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The endpoint is not one that OTLP over gRPC can be pushed to.
    #[error("OTLP endpoint of {signal} {endpoint:?}: {problem}; expected a URL such as http://localhost:4317")]
    Endpoint {
        /// The signal whose endpoint it is.
        signal: Signal,
        /// The endpoint as it was given, without credentials.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A header cannot be sent as gRPC metadata.
    #[error("OTLP header {name:?} of {signal}: {problem}")]
    Header {
        /// The signal whose header it is.
        signal: Signal,
        /// The header's name; its value is never shown.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file with a certificate or key cannot be used.
    #[error("{what} {} of the OTLP push of {signal}: {problem}", path.display())]
    Certificate {
        /// The signal whose file it is.
        signal: Signal,
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// TLS cannot be set up.
    #[error("TLS of the OTLP push of {signal}: {problem}")]
    Tls {
        /// The signal whose connection it is.
        signal: Signal,
        /// What is wrong.
        problem: String,
    },
    /// The exporter of opentelemetry-otlp could not be made.
    #[error("OTLP exporter of {signal}: {problem}")]
    Exporter {
        /// The signal whose exporter it is.
        signal: Signal,
        /// What is wrong.
        problem: String,
    },
    /// The thread of the push or its runtime could not be started.
    #[error("cannot start the thread of the OTLP push: {0}")]
    Thread(#[from] std::io::Error),
    /// The metrics could not be collected.
    #[error("cannot collect the metrics to push: {0}")]
    Collect(String),
    /// The collector did not take everything.
    #[error("cannot push {signal} to {endpoint}: {error}")]
    Undelivered {
        /// The signal that was not delivered.
        signal: Signal,
        /// Where to, without credentials.
        endpoint: String,
        /// Why the last request failed.
        error: String,
    },
    /// The time was over before the collector had taken everything.
    #[error("the OTLP push did not deliver everything within {0:?}")]
    Timeout(Duration),
    /// The push was shut down before.
    #[error("the OTLP push has ended")]
    Ended,
}
