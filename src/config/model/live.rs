//! How the live feed is served.

use std::net::SocketAddr;
use std::time::Duration;

/// How the live feed is served.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Whether it is.
    pub enabled: bool,
    /// A listener of the feed alone, when set; `/live` is on the bridge's own as well.
    pub listen: Option<SocketAddr>,
    /// From one update to the next.
    pub interval: Duration,
    /// The most clients at once.
    pub max_clients: usize,
    /// The origins whose pages may watch, beside those of the bridge's own host: `https://grafana.example:3000`.
    pub allowed_origins: Vec<String>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: None,
            interval: Duration::from_secs(1),
            max_clients: 100,
            allowed_origins: Vec::new(),
        }
    }
}
