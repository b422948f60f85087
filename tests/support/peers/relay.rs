//! Stands between Prometheus and a bridge, and says what the machine's memory is: no test can fill a machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::IntoResponse;
use tokio::runtime::Runtime;

use super::http;

/// A relay of a bridge's pages. Its socket closes when it goes.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    percent: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Relay {
    /// Relays what is asked to `address`.
    pub fn to(address: &str, memory_percent: f64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let percent = Arc::new(AtomicU64::new(memory_percent.to_bits()));
        let router = Router::new().fallback(page).with_state((address.to_owned(), Arc::clone(&percent)));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, percent, _runtime: runtime }
    }

    /// From now on so much of the memory is in use.
    pub fn set_memory_percent(&self, percent: f64) {
        self.percent.store(percent.to_bits(), Ordering::SeqCst);
    }
}

async fn page(
    State((address, percent)): State<(String, Arc<AtomicU64>)>,
    uri: Uri,
    headers: HeaderMap,
) -> impl IntoResponse {
    let accept = headers["accept"].to_str().unwrap().to_owned();
    let url = format!("http://{address}{uri}");
    let answer = tokio::task::spawn_blocking(move || http::get(&url, &accept).unwrap()).await.unwrap();
    let percent = f64::from_bits(percent.load(Ordering::SeqCst));
    let lines = answer.body.lines().map(|line| match line.strip_prefix("mcp_hub_memory_usage_percent ") {
        Some(_) => format!("mcp_hub_memory_usage_percent {percent}\n"),
        None => format!("{line}\n"),
    });
    ([("content-type", answer.content_type)], lines.collect::<String>())
}
