//! Spans a second out of the outbox, after an outage: how fast it fills, how fast it drains, and what it costs.
//!
//!     cargo bench --bench outbox
//!
//! Client, bridge and collector share the machine. The collector counts what it gets and does nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/support/peers/mod.rs"]
mod peers;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use peers::bridge::Bridge;
use peers::http;
use tonic::{Request, Response, Status};

/// The spans of one run.
const SPANS: usize = 300_000;
/// The events of one request, each of which makes a span.
const BATCH: usize = 1000;

#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

#[tonic::async_trait]
impl TraceService for Counting {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.get_ref().resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        self.0.fetch_add(scopes.map(|scope| scope.spans.len() as u64).sum(), Ordering::Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Resident memory in MiB.
fn memory(bridge: &Bridge) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn file(dir: &Path) -> f64 {
    std::fs::metadata(dir.join("bridge.db")).unwrap().len() as f64 / 1024.0 / 1024.0
}

fn body() -> String {
    let call = || {
        format!(
            r#"{{"event_type":"llm_call","event_id":"{}","provider":"p","model":"m","duration_seconds":0.25,"input_tokens":3}}"#,
            uuid::Uuid::new_v4()
        )
    };
    (0..BATCH).map(|_| call() + "\n").collect()
}

fn waiting(bridge: &Bridge) -> f64 {
    bridge.samples()["bridge_outbox_items{signal=\"spans\"}"]
}

fn main() {
    // `cargo test --benches` runs this too: then there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("| what | figure |\n|---|---:|");
    let dir = tempfile::tempdir().unwrap();
    let port = peers::free_port();
    let start = || {
        let bridge = Bridge::options().push_to_url(&format!("http://127.0.0.1:{port}")).data_dir(dir.path());
        bridge.variable("OTEL_METRIC_EXPORT_INTERVAL", "3600000").start()
    };

    let bridge = start();
    let bodies: Vec<String> = (0..SPANS / BATCH).map(|_| body()).collect();
    let began = Instant::now();
    for body in &bodies {
        let answer = http::post(&bridge.url("/v1/events"), "application/x-ndjson", body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let rate = SPANS as f64 / began.elapsed().as_secs_f64();
    println!(
        "| events with a span each, in batches of {BATCH} over one HTTP connection at a time, a second | {rate:.0} |"
    );
    assert_eq!(waiting(&bridge), SPANS as f64);
    println!("| memory with {SPANS} spans waiting | {:.0} MiB |", memory(&bridge));

    drop(bridge);
    let began = Instant::now();
    let bridge = start();
    println!("| start with {SPANS} spans waiting | {:.0} ms |", began.elapsed().as_secs_f64() * 1e3);
    println!("| size of the file | {:.0} MiB |", file(dir.path()));

    let counting = Counting::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    runtime.spawn(
        tonic::transport::Server::builder().add_service(TraceServiceServer::new(counting.clone())).serve(address),
    );
    let taken = || counting.0.load(Ordering::Relaxed);
    let pause = || std::thread::sleep(Duration::from_millis(1));
    while taken() == 0 {
        pause();
    }
    let (began, before) = (Instant::now(), taken());
    while taken() < SPANS as u64 {
        pause();
    }
    let rate = (SPANS as u64 - before) as f64 / began.elapsed().as_secs_f64();
    println!("| spans drained a second | {rate:.0} |");
    println!("| memory after that | {:.0} MiB |", memory(&bridge));
    peers::until("the outbox to be empty", || (waiting(&bridge) == 0.0).then_some(()));
    assert_eq!(taken(), SPANS as u64);
}
