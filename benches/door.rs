//! Events a second through the door of a real process, over HTTP and gRPC; and what the process itself costs.
//!
//!     cargo bench --bench door
//!
//! Client and bridge share the machine. Every acknowledged event is on disk (SQLite in WAL mode, synced at each commit).

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcp_otel_bridge::event::EventId;
use mcp_otel_bridge::proto::v1::event_service_client::EventServiceClient;
use mcp_otel_bridge::proto::v1::{Event, McpEvent, RecordRequest, event};

/// How long each way is measured, each time.
const MEASURE: Duration = Duration::from_secs(3);
/// How often each way is measured; the median is shown.
const REPETITIONS: usize = 3;

struct Bridge {
    process: Child,
    address: String,
    ready_after: Duration,
    _data: tempfile::TempDir,
}

impl Bridge {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let started = Instant::now();
        let mut process = Command::new(env!("CARGO_BIN_EXE_mcp-otel-bridge"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the banner").unwrap();
            if let Some(url) = line.trim().strip_prefix("send") {
                break url.trim().trim_start_matches("http://").trim_end_matches("/v1/events").to_owned();
            }
        };
        let agent = ureq::agent();
        while agent.get(format!("http://{address}/readyz")).call().is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "not ready");
            std::thread::sleep(Duration::from_millis(1));
        }
        Self { process, address, ready_after: started.elapsed(), _data: data }
    }

    /// Resident memory in MiB.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn json_event() -> String {
    format!(
        r#"{{"event_type":"mcp_event","event_id":"{}","component_name":"my-server","emitted_type":"tool_list","duration_seconds":0.0125}}"#,
        EventId::random()
    )
}

fn proto_event() -> Event {
    Event {
        event_id: EventId::random().to_string(),
        event: Some(event::Event::McpEvent(McpEvent {
            component_name: "my-server".to_owned(),
            emitted_type: "tool_list".to_owned(),
            duration_seconds: Some(0.0125),
            error_type: None,
        })),
        ..Event::default()
    }
}

/// What one way gave: events a second, and quantiles of the time to the acknowledgement of a batch.
struct Measured {
    events: u64,
    rate: f64,
    p50: Duration,
    p99: Duration,
}

fn summary(events: u64, took: Duration, mut times: Vec<Duration>) -> Measured {
    times.sort_unstable();
    let quantile = |q: f64| times[((times.len() - 1) as f64 * q) as usize];
    Measured { events, rate: events as f64 / took.as_secs_f64(), p50: quantile(0.5), p99: quantile(0.99) }
}

fn over_http(address: &str, batch: usize, connections: usize) -> Measured {
    let url = format!("http://{address}/v1/events");
    let events = AtomicU64::new(0);
    let started = Instant::now();
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let agent = ureq::agent();
                    let mut times = Vec::new();
                    while started.elapsed() < MEASURE {
                        let (body, kind) = match batch {
                            1 => (json_event(), "application/json"),
                            _ => {
                                let lines: Vec<String> = (0..batch).map(|_| json_event()).collect();
                                (lines.join("\n"), "application/x-ndjson")
                            }
                        };
                        let sent = Instant::now();
                        let mut answer = agent.post(&url).header("content-type", kind).send(&body).unwrap();
                        answer.body_mut().read_to_vec().unwrap();
                        times.push(sent.elapsed());
                        events.fetch_add(batch as u64, Ordering::Relaxed);
                    }
                    times
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    summary(events.into_inner(), started.elapsed(), times)
}

async fn over_grpc(address: &str, batch: usize, connections: usize) -> Measured {
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let address = format!("http://{address}");
        workers.spawn(async move {
            let mut client = EventServiceClient::connect(address).await.unwrap();
            let (requests, stream) = tokio::sync::mpsc::channel(1);
            let requested = tokio_stream::wrappers::ReceiverStream::new(stream);
            let mut answers = client.record_stream(requested).await.unwrap().into_inner();
            let mut times = Vec::new();
            while started.elapsed() < MEASURE {
                let events = (0..batch).map(|_| proto_event()).collect();
                let sent = Instant::now();
                requests.send(RecordRequest { batch_id: None, events }).await.unwrap();
                let answer = answers.message().await.unwrap().unwrap();
                assert_eq!(answer.accepted, batch as u64, "{answer:?}");
                times.push(sent.elapsed());
            }
            times
        });
    }
    let times: Vec<Duration> = workers.join_all().await.into_iter().flatten().collect();
    summary((times.len() * batch) as u64, started.elapsed(), times)
}

fn median(mut measured: Vec<Measured>) -> Measured {
    measured.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    measured.remove(measured.len() / 2)
}

fn main() {
    // `cargo test --benches` runs this too: then there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let ready: Vec<Duration> = (0..5).map(|_| Bridge::start().ready_after).collect();
    let bridge = Bridge::start();
    let idle = bridge.memory();
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_mcp-otel-bridge")).unwrap().len() as f64 / 1024.0 / 1024.0;
    println!("| the process | |\n|---|---|");
    println!(
        "| from start to ready, best and worst of 5 | {:.0?} to {:.0?} |",
        ready.iter().min().unwrap(),
        ready.iter().max().unwrap()
    );
    println!("| memory when idle | {idle:.1} MiB |");
    println!("| size of the binary | {size:.1} MiB |\n");

    let (mut http, mut grpc) = (0, 0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "| way in | events a batch | connections | events a second | p50 of a batch | p99 |\n|---|---|---|---|---|---|"
    );
    for (batch, connections) in [(1, 1), (1, 8), (100, 4), (1000, 4)] {
        let measured: Vec<_> = (0..REPETITIONS).map(|_| over_http(&bridge.address, batch, connections)).collect();
        http += measured.iter().map(|measured| measured.events).sum::<u64>();
        let Measured { rate, p50, p99, .. } = median(measured);
        println!("| HTTP | {batch} | {connections} | {rate:.0} | {p50:.2?} | {p99:.2?} |");
    }
    for (batch, connections) in [(1, 1), (100, 2), (1000, 2)] {
        let measure = || runtime.block_on(over_grpc(&bridge.address, batch, connections));
        let measured: Vec<_> = (0..REPETITIONS).map(|_| measure()).collect();
        grpc += measured.iter().map(|measured| measured.events).sum::<u64>();
        let Measured { rate, p50, p99, .. } = median(measured);
        println!("| gRPC stream | {batch} | {connections} | {rate:.0} | {p50:.2?} | {p99:.2?} |");
    }
    println!("\nMemory after that: {:.1} MiB.", bridge.memory());
    // What was acknowledged is what is counted, or the figures mean nothing.
    let metrics = ureq::get(format!("http://{}/metrics", bridge.address)).call().unwrap().into_body().read_to_string();
    let metrics = metrics.unwrap();
    for (source, sent) in [("http", http), ("grpc", grpc)] {
        let line = format!("bridge_events_accepted_total{{source=\"{source}\"}} {sent}\n");
        assert!(metrics.contains(&line), "{source}: {sent} events were acknowledged, and not all were counted");
    }
}
