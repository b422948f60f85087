//! What durability costs: the time to an acknowledgement, recovery after a kill, and how fast the outbox empties.
//!
//!     cargo bench --bench durability
//!     cargo bench --bench durability -- recovery
//!
//! Events of every type go to a real process, which syncs each commit to disk and pushes metrics and spans to a
//! collector; client, bridge and collector share the machine. The parts are `load`, `paced`, `recovery` and `drain`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

#[path = "../tests/support/collector.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod collector;
#[path = "../tests/support/load/mod.rs"]
mod load;

use std::time::{Duration, Instant};

use collector::Collector;
use load::bridge::Bridge;
use load::proto::message;
use load::workload::Workload;
use mcp_otel_bridge::proto::v1::RecordRequest;
use mcp_otel_bridge::proto::v1::event_service_client::EventServiceClient;
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;

/// Single events a second, and for how long.
const PACE: u64 = 1000;
const PACED: Duration = Duration::from_secs(20);
/// The connections that they come over.
const CONNECTIONS: u64 = 4;
/// The events that a recovery is of, and how many of them are made at once.
const RECOVERED: usize = 1_000_000;
const PORTION: usize = 50_000;
/// The spans that wait for the collector.
const WAITING: usize = 200_000;

fn main() {
    // `cargo test --benches` runs this too: then there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let parts: [(&str, fn()); 4] = [("load", load), ("paced", paced), ("recovery", recovery), ("drain", drain)];
    let chosen = parts.iter().any(|(name, _)| arguments.iter().any(|argument| argument == name));
    for (name, part) in parts {
        if !chosen || arguments.iter().any(|argument| argument == name) {
            part();
        }
    }
}

/// Times in order, to take quantiles of.
struct Times(Vec<Duration>);

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn quantile(&self, quantile: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * quantile) as usize]
    }
}

fn events(workload: &mut Workload, count: usize) -> Vec<serde_json::Value> {
    std::iter::repeat_with(|| workload.event()).filter(|event| !event.invalid).take(count).map(|one| one.json).collect()
}

/// Everything is acknowledged as fast as it can be, in batches of several sizes.
fn load() {
    println!("| way in | events a batch | connections | events a second | p50 of a batch | p99 | memory at most |");
    println!("|---|---|---|---|---|---|---|");
    for (grpc, batch, connections, count) in [
        (false, 1, 1, 10_000),
        (false, 1, 8, 40_000),
        (false, 100, 4, 200_000),
        (false, 1000, 4, 400_000),
        (true, 1, 1, 10_000),
        (true, 100, 2, 200_000),
        (true, 1000, 2, 400_000),
    ] {
        let collector = Collector::start();
        let mut bridge = Bridge::pushing_to(&collector.endpoint(), u64::from(std::process::id()));
        bridge.start();
        let share = count / connections;
        let events: Vec<_> =
            (0..connections).map(|at| events(&mut Workload::new(&format!("w{at}"), at as u64), share)).collect();
        let (took, times) = if grpc {
            let requests = events.iter().map(|events| requests(events, batch)).collect();
            over_grpc(&bridge, requests)
        } else {
            over_http(&bridge, events, batch)
        };
        let way = if grpc { "gRPC stream" } else { "HTTP" };
        let rate = (share * connections) as f64 / took.as_secs_f64();
        let (p50, p99) = (times.quantile(0.5), times.quantile(0.99));
        let memory = bridge.memory("VmHWM");
        println!("| {way} | {batch} | {connections} | {rate:.0} | {p50:.2?} | {p99:.2?} | {memory:.0} MiB |");
    }
    println!();
}

fn over_http(bridge: &Bridge, events: Vec<Vec<serde_json::Value>>, batch: usize) -> (Duration, Times) {
    let url = bridge.url("/v1/events");
    let kind = if batch == 1 { "application/json" } else { "application/x-ndjson" };
    let bodies: Vec<Vec<String>> = events
        .iter()
        .map(|events| {
            events.chunks(batch).map(|chunk| chunk.iter().map(|event| format!("{event}\n")).collect()).collect()
        })
        .collect();
    let started = Instant::now();
    let times = std::thread::scope(|scope| {
        let workers: Vec<_> = bodies
            .iter()
            .map(|bodies| {
                let url = &url;
                scope.spawn(move || {
                    let agent = ureq::agent();
                    let post = |body| {
                        let sent = Instant::now();
                        let mut answer = agent.post(url).header("content-type", kind).send(body).unwrap();
                        answer.body_mut().read_to_vec().unwrap();
                        sent.elapsed()
                    };
                    bodies.iter().map(post).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    (started.elapsed(), Times::new(times))
}

fn requests(events: &[serde_json::Value], batch: usize) -> Vec<RecordRequest> {
    let request =
        |chunk: &[serde_json::Value]| RecordRequest { batch_id: None, events: chunk.iter().map(message).collect() };
    events.chunks(batch).map(request).collect()
}

fn over_grpc(bridge: &Bridge, requests: Vec<Vec<RecordRequest>>) -> (Duration, Times) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for requests in requests {
        let address = bridge.url("");
        let worker = async move {
            let mut client = EventServiceClient::connect(address).await.unwrap();
            let (sender, stream) = tokio::sync::mpsc::channel(1);
            let mut answers = client.record_stream(ReceiverStream::new(stream)).await.unwrap().into_inner();
            let mut times = Vec::with_capacity(requests.len());
            for request in requests {
                let (count, sent) = (request.events.len(), Instant::now());
                sender.send(request).await.unwrap();
                let answer = answers.message().await.unwrap().unwrap();
                assert_eq!((answer.results.len(), &answer.failure), (count, &None));
                times.push(sent.elapsed());
            }
            times
        };
        workers.spawn_on(worker, runtime.handle());
    }
    let times = runtime.block_on(workers.join_all()).into_iter().flatten().collect();
    (started.elapsed(), Times::new(times))
}

/// Single events come at a steady pace: how long each waits for its answer, from the moment that it is due.
fn paced() {
    let collector = Collector::start();
    let mut bridge = Bridge::pushing_to(&collector.endpoint(), u64::from(std::process::id()));
    bridge.start();
    let each = PACE * PACED.as_secs() / CONNECTIONS;
    let between = PACED / u32::try_from(each).unwrap();
    let url = bridge.url("/v1/events");
    let made = std::sync::Barrier::new(CONNECTIONS as usize);
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|at| {
                let (url, made) = (&url, &made);
                scope.spawn(move || {
                    let events = events(&mut Workload::new(&format!("w{at}"), at), each as usize);
                    let bodies: Vec<String> = events.iter().map(ToString::to_string).collect();
                    // What makes events must not disturb what is measured.
                    made.wait();
                    let agent = ureq::agent();
                    let mut due = Instant::now() + between / CONNECTIONS as u32 * at as u32;
                    let post = |body: &String| {
                        due += between;
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        let request = agent.post(url).header("content-type", "application/json");
                        request.send(body).unwrap().body_mut().read_to_vec().unwrap();
                        due.elapsed()
                    };
                    bodies.iter().map(post).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let times = Times::new(times);
    let quantile = |quantile| times.quantile(quantile);
    println!("| {PACE} single events a second over HTTP | p50 | p99 | p99.9 | longest | memory at most |");
    println!("|---|---|---|---|---|---|");
    println!(
        "| {} events | {:.2?} | {:.2?} | {:.2?} | {:.2?} | {:.0} MiB |\n",
        times.0.len(),
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0),
        bridge.memory("VmHWM")
    );
}

/// A kill after a million events, and starts until ready; the second and third recover what the first has left.
fn recovery() {
    // Nobody takes the pushes, so that they wait, too.
    let mut collector = Collector::start();
    collector.kill();
    let mut bridge = Bridge::pushing_to(&collector.endpoint(), u64::from(std::process::id()));
    bridge.start();
    let mut workload = Workload::new("w", 1);
    let mut took = Duration::ZERO;
    for _ in 0..RECOVERED / PORTION {
        let requests = requests(&events(&mut workload, PORTION), 1000);
        took += over_grpc(&bridge, vec![requests]).0;
    }
    println!("| {RECOVERED} events, the collector away | |\n|---|---|");
    println!("| events a second, one gRPC stream in batches of 1000 | {:.0} |", RECOVERED as f64 / took.as_secs_f64());
    println!("| memory at most | {:.0} MiB |", bridge.memory("VmHWM"));
    bridge.kill();
    let size: u64 = std::fs::read_dir(bridge.data()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!("| on disk | {:.0} MiB |", size as f64 / 1024.0 / 1024.0);
    for start in ["first", "second", "third"] {
        let started = Instant::now();
        bridge.start();
        println!("| from the {start} start after the kill to ready | {:.2?} |", started.elapsed());
        println!("| memory at most, until then | {:.0} MiB |", bridge.memory("VmHWM"));
        bridge.kill();
    }
    println!();
}

/// Spans that waited for the collector until it came back.
fn drain() {
    let mut collector = Collector::start();
    let mut bridge = Bridge::pushing_to(&collector.endpoint(), u64::from(std::process::id()));
    collector.kill();
    bridge.start();
    let call = json!({"event_type": "llm_call", "provider": "openai", "model": "gpt-4o", "duration_seconds": 1.25,
        "input_tokens": 900, "output_tokens": 120});
    let requests = requests(&vec![call; WAITING], 1000);
    let (took, _) = over_grpc(&bridge, vec![requests]);
    println!("| {WAITING} spans that waited | |\n|---|---|");
    println!("| LLM calls a second while the collector was away | {:.0} |", WAITING as f64 / took.as_secs_f64());
    collector.come_back();
    let arrived = |collector: &Collector| {
        let count = |got: &collector::Got<_>| -> usize {
            let request: &opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest = &got.request;
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum()
        };
        collector.seen(|seen| seen.spans.iter().filter(|got| got.taken).map(count).sum::<usize>())
    };
    let until = |count: usize| {
        let asked = Instant::now();
        while arrived(&collector) < count {
            assert!(asked.elapsed() < Duration::from_secs(300), "only {} spans arrived", arrived(&collector));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    // The bridge may be waiting before it tries again: the time counts from the first that arrives.
    until(1);
    let (first, started) = (arrived(&collector), Instant::now());
    until(WAITING);
    let rate = (WAITING - first) as f64 / started.elapsed().as_secs_f64();
    println!("| spans a second once it was back | {rate:.0} |");
    println!("| memory at most | {:.0} MiB |\n", bridge.memory("VmHWM"));
}
