//! The live feed: what happens with skills now, over a WebSocket (docs/live-feed.md).
//!
//! What must always hold:
//!
//! - One task works an update out once an interval for all clients, and only while there are any.
//! - A client costs a bounded amount: a place among `live.max_clients`, a short queue, small messages. One that does
//!   not read loses updates, then its connection; nobody waits for it.
//! - Without the token, where one is set, a client learns nothing of what the bridge knows.

mod client;
mod feed;
mod protocol;
mod registry;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode, Uri};
use tokio::sync::{Semaphore, mpsc};

use super::paths::LIVE;
use crate::Bridge;
use crate::catalog::metrics::BRIDGE_LIVE_DROPPED;
use crate::config::{self, Config, Right};
use crate::serve::{Auth, Granted, Stop, origin};
use registry::Registry;

/// The feed and those who watch it.
#[derive(Debug, Clone)]
pub(crate) struct Live(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: config::Live,
    /// How long a client may be silent.
    silence: Duration,
    auth: Auth,
    stop: Stop,
    places: Arc<Semaphore>,
    most: u32,
    registry: Arc<Registry>,
}

impl Live {
    pub(crate) fn new(config: &Config, auth: Auth, stop: Stop) -> Self {
        let settings = config.live.clone();
        let most = u32::try_from(settings.max_clients.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self(Arc::new(Inner {
            settings,
            silence: config.limits.idle_stream,
            auth,
            stop,
            places: Arc::new(Semaphore::new(most as usize)),
            most,
            registry: Arc::default(),
        }))
    }

    /// The feed at `/live`.
    pub(crate) fn router(&self) -> Router {
        Router::new().route(LIVE, get(watch)).with_state(self.clone())
    }

    /// The feed where it has a listener of its own: at `/` too.
    pub(crate) fn router_alone(&self) -> Router {
        self.router().route("/", get(watch).with_state(self.clone()))
    }

    /// Feeds the clients until the bridge is to stop and all of them were told; `alive` is held as long.
    pub(crate) async fn follow(self, bridge: Bridge, alive: mpsc::Sender<Infallible>) {
        let dropped = bridge.telemetry().instrument(&BRIDGE_LIVE_DROPPED);
        // There before the first loss, so that a rate sees it.
        dropped.add(&[], 0, None);
        let mut stop = self.0.stop.clone();
        tokio::select! {
            () = stop.draining() => {}
            () = feed::run(&bridge, &self.0.registry, self.0.settings.interval, &dropped) => {}
        }
        tokio::select! {
            _ = self.0.places.acquire_many(self.0.most) => {}
            () = stop.cut() => {}
        }
        drop(alive);
    }
}

async fn watch(
    State(live): State<Live>,
    Extension(granted): Extension<Granted>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    if !origin::is_allowed(&uri, &headers, &live.0.settings.allowed_origins) {
        let why = "pages of this origin may not watch; live.allowed_origins says which may\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let Ok(place) = Arc::clone(&live.0.places).try_acquire_owned() else {
        let why = "as many clients watch as may; try again\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], why).into_response();
    };
    // Who showed nothing yet may do so in the first message.
    let admitted = granted.has(Right::Scrape);
    client::bounded(upgrade).on_upgrade(move |socket| async move {
        client::serve(socket, &live, admitted).await;
        drop(place);
    })
}
