//! The ways out that are asked: metrics in the formats of Prometheus, what the bridge knows as JSON, its health, the
//! live feed.

pub mod exposition;

mod breakers;
mod collections;
mod live;
mod paths;
mod scrape;
mod status;
mod summary;

use std::sync::{Arc, Mutex, PoisonError};

use crate::Bridge;
use crate::serve::MetricsServer;
use crate::telemetry::Telemetry;

pub(crate) use collections::Collections;
pub(crate) use live::Live;
pub(crate) use paths::{LIVE as LIVE_PATH, MCP as MCP_PATH, Needs, PATHS, needs};
pub(crate) use scrape::{OFF as SCRAPE_OFF, SEED_PATH, Scraper};
pub(crate) use status::{catalog_json, health_router, router};
pub(crate) use summary::of as summary_of;

/// What a bridge keeps for its ways out, however many listeners serve them.
#[derive(Debug)]
pub(crate) struct Exposed {
    pub(crate) scraper: Arc<Scraper>,
    pub(crate) collections: Arc<Collections>,
    /// The listener of a program that has no server of its own.
    pub(crate) server: Mutex<Option<MetricsServer>>,
}

impl Exposed {
    pub(crate) fn new(telemetry: &Arc<Telemetry>, enabled: bool) -> Self {
        let collections = Arc::new(Collections::new(Arc::clone(telemetry)));
        let scraper = Arc::new(Scraper::new(Arc::clone(&collections), telemetry, enabled));
        Self { scraper, collections, server: Mutex::default() }
    }

    /// Ends the bridge's own listener.
    pub(crate) fn stop(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            server.stop();
        }
    }
}

impl Bridge {
    /// The metrics as a service to mount in an axum application: at the bridge's metrics path (`/metrics` unless
    /// configured otherwise) and at `/api/get_prometheus_metrics_service`.
    ///
    /// It asks for no token: what guards the application guards it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = mcp_otel_bridge::Bridge::builder().build()?;
    /// let app: axum::Router = axum::Router::new().merge(bridge.metrics_service());
    /// # drop(app);
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics_service(&self) -> axum::Router {
        scrape::router(&self.exposed().scraper, &self.config().metrics.path)
    }

    /// What is known of circuit breakers as JSON, as a service to mount in an axum application: at `/health/metrics`
    /// (status 503 where more than half of a component's calls failed) and at `/prometheus/query?q=`.
    ///
    /// It asks for no token: what guards the application guards it.
    pub fn breakers_service(&self) -> axum::Router {
        breakers::router(self)
    }
}
