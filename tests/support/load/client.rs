//! Clients that send a workload at a steady rate, until each of its events is acknowledged, whatever becomes of the
//! bridge meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcp_otel_bridge::proto::v1;
use mcp_otel_bridge::proto::v1::event_service_client::EventServiceClient;
use serde_json::Value;
use tokio_stream::wrappers::ReceiverStream;

use super::dice::Dice;
use super::ledger::Ledger;
use super::proto::message;
use super::workload::{Event, Workload};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one attempt to the next, while the bridge is away.
const PAUSE: Duration = Duration::from_millis(10);
/// As many acknowledged events may be sent again.
const HISTORY: usize = 2000;
/// As many batches of a stream wait for their answers.
const WINDOW: usize = 4;

/// What all clients and their watchers share.
#[derive(Debug)]
pub struct Common {
    pub address: SocketAddr,
    /// All events of the batches under way are to be acknowledged, and then nothing more is sent.
    pub stop: AtomicBool,
    /// The test has failed: whatever is not acknowledged stays so.
    pub abort: AtomicBool,
    /// The events that were acknowledged, the repeated and the rejected among them.
    pub answered: AtomicU64,
    /// How often something was sent again because there was no answer.
    pub retries: AtomicU64,
    /// Of one counter, what may have been counted, and what must have been.
    pub searches_sent: AtomicU64,
    pub searches_acknowledged: AtomicU64,
}

impl Common {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stop: AtomicBool::default(),
            abort: AtomicBool::default(),
            answered: AtomicU64::default(),
            retries: AtomicU64::default(),
            searches_sent: AtomicU64::default(),
            searches_acknowledged: AtomicU64::default(),
        }
    }

    fn is_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && !self.abort.load(Ordering::Relaxed)
    }
}

/// What was sent, all of it acknowledged.
#[derive(Debug, Default)]
pub struct Sent {
    pub ledger: Ledger,
    /// The spans that the answers told, by trace.
    pub told: BTreeMap<u128, u64>,
    /// Events a second, from the first to the last answer.
    pub rate: u64,
}

/// Sends so many events a second in every way there is, while something happens; then all is acknowledged.
pub fn under_load(common: &Common, seed: u64, rate: u64, happens: impl FnOnce()) -> Sent {
    let started = Instant::now();
    let mut sent = Sent::default();
    std::thread::scope(|scope| {
        let _abort = AbortOnPanic(common);
        let mut dice = Dice::new(seed);
        let mut client = |name, batch, tenths| Client::new(common, name, dice.next(), batch, rate * tenths / 10);
        let (one, many, flow) = (client("one", 1, 1), client("many", 100, 4), client("flow", 50, 5));
        let clients =
            [scope.spawn(|| one.over_http()), scope.spawn(|| many.over_http()), scope.spawn(|| flow.over_grpc())];
        happens();
        common.stop.store(true, Ordering::SeqCst);
        for client in clients {
            let client = client.join().unwrap();
            sent.ledger.add(client.workload.ledger);
            sent.told.extend(client.told);
        }
    });
    sent.rate = common.answered.load(Ordering::SeqCst) * 1000 / started.elapsed().as_millis() as u64;
    sent
}

/// Lets the clients end when the test has failed.
struct AbortOnPanic<'a>(&'a Common);

impl Drop for AbortOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abort.store(true, Ordering::SeqCst);
        }
    }
}

/// A client: its workload, and what it was answered.
#[derive(Debug)]
struct Client<'a> {
    common: &'a Common,
    workload: Workload,
    told: BTreeMap<u128, u64>,
    dice: Dice,
    batch: usize,
    /// Events a second.
    rate: u64,
    sent: u64,
    started: Instant,
    history: VecDeque<Event>,
}

/// An event on its way; a repeated one has been acknowledged before.
#[derive(Debug, Clone)]
struct Sending {
    event: Event,
    repeated: bool,
}

impl<'a> Client<'a> {
    /// One that sends so many events at once, and so many a second.
    fn new(common: &'a Common, name: &str, seed: u64, batch: usize, rate: u64) -> Self {
        Self {
            common,
            workload: Workload::new(name, seed),
            told: BTreeMap::new(),
            dice: Dice::new(!seed),
            batch,
            rate,
            sent: 0,
            started: Instant::now(),
            history: VecDeque::new(),
        }
    }

    /// How long it must wait for the next batch. What it missed while the bridge was away it makes up for.
    fn early(&self) -> Duration {
        let due = Duration::from_secs_f64(self.sent as f64 / self.rate as f64);
        due.saturating_sub(self.started.elapsed())
    }

    fn next_batch(&mut self) -> Vec<Sending> {
        let mut batch = Vec::with_capacity(self.batch + 2);
        for _ in 0..self.batch {
            if self.dice.once_in(20) && !self.history.is_empty() {
                let again = self.dice.below(self.history.len() as u64) as usize;
                batch.push(Sending { event: self.history[again].clone(), repeated: true });
                continue;
            }
            let event = self.workload.event();
            if event.is_search() {
                self.common.searches_sent.fetch_add(1, Ordering::SeqCst);
            }
            // Twice in one batch, too.
            if !event.invalid && self.dice.once_in(100) {
                batch.push(Sending { event: event.clone(), repeated: false });
                batch.push(Sending { event, repeated: true });
            } else {
                batch.push(Sending { event, repeated: false });
            }
        }
        self.sent += self.batch as u64;
        batch
    }

    /// Everything of a batch was answered; so many of its events are rejected, and these spans are told.
    fn acknowledged(&mut self, batch: Vec<Sending>, rejected: &[usize], spans: &[Option<&str>]) {
        let invalid: Vec<usize> = (0..batch.len()).filter(|&at| batch[at].event.invalid).collect();
        assert_eq!(rejected, invalid, "of {batch:#?}");
        assert_eq!(spans.len(), batch.len());
        self.common.answered.fetch_add(batch.len() as u64, Ordering::SeqCst);
        for (Sending { event, repeated }, span) in batch.into_iter().zip(spans) {
            if let (Some(trace), Some(span)) = (event.trace, span) {
                let parts: Vec<&str> = span.split('-').collect();
                assert_eq!(parts[1], format!("{trace:032x}"), "{event:?}");
                let span = u64::from_str_radix(parts[2], 16).unwrap();
                let before = *self.told.entry(trace).or_insert(span);
                assert_eq!(before, span, "an answer before told another span of {event:?}");
            }
            if event.invalid || repeated {
                continue;
            }
            if event.is_search() {
                self.common.searches_acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            self.history.push_back(event);
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
    }

    /// Sends over HTTP: NDJSON, or single events where a batch is one.
    fn over_http(mut self) -> Self {
        let url = format!("http://{}/v1/events", self.common.address);
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into();
        while self.common.is_on() {
            let early = self.early();
            if !early.is_zero() {
                std::thread::sleep(early.min(PAUSE));
                continue;
            }
            let batch = self.next_batch();
            let single = batch.len() == 1;
            let kind = if single { "application/json" } else { "application/x-ndjson" };
            let body: String = batch.iter().map(|sending| format!("{}\n", sending.event.json)).collect();
            let answer = loop {
                let answer = agent.post(&url).header("content-type", kind).send(&body);
                let text = answer.and_then(|mut answer| Ok((answer.status(), answer.body_mut().read_to_string()?)));
                match text {
                    Ok((status, text)) if [200, 400].contains(&status.as_u16()) => break text,
                    Ok((status, text)) if status != 503 => panic!("{status}: {text}"),
                    _ => {}
                }
                if self.common.abort.load(Ordering::Relaxed) {
                    return self;
                }
                self.common.retries.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            };
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let results = if single { std::slice::from_ref(&answer) } else { answer["results"].as_array().unwrap() };
            let spans: Vec<Option<&str>> = results.iter().map(|result| result["traceparent"].as_str()).collect();
            let rejected: Vec<usize> = (0..results.len()).filter(|&at| results[at]["status"] == "error").collect();
            self.acknowledged(batch, &rejected, &spans);
        }
        self
    }

    /// Sends over the gRPC stream, several batches ahead of their answers.
    fn over_grpc(self) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.stream())
    }

    async fn stream(mut self) -> Self {
        let mut waiting: VecDeque<(u64, Vec<Sending>)> = VecDeque::new();
        let mut next_id = 0;
        while self.common.is_on() || !waiting.is_empty() {
            if self.common.abort.load(Ordering::Relaxed) {
                return self;
            }
            let address = format!("http://{}", self.common.address);
            let connected = EventServiceClient::connect(address).await;
            let (requests, stream) = tokio::sync::mpsc::channel(WINDOW);
            let stream = match connected {
                Ok(mut client) => client.record_stream(ReceiverStream::new(stream)).await.ok(),
                Err(_) => None,
            };
            let Some(stream) = stream else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let mut answers = stream.into_inner();
            let request = |id: u64, batch: &[Sending]| {
                let events = batch.iter().map(|sending| message(&sending.event.json)).collect();
                v1::RecordRequest { batch_id: Some(id), events }
            };
            // What was not answered comes first, in the order that it had.
            self.common.retries.fetch_add(waiting.len() as u64, Ordering::Relaxed);
            for (id, batch) in &waiting {
                // The channel holds a whole window, so there is room.
                let _ = requests.try_send(request(*id, batch));
            }
            while self.common.is_on() || !waiting.is_empty() {
                while self.common.is_on() && waiting.len() < WINDOW && self.early().is_zero() {
                    let batch = self.next_batch();
                    let sent = request(next_id, &batch);
                    waiting.push_back((next_id, batch));
                    next_id += 1;
                    let _ = requests.send(sent).await;
                }
                let Some((id, _)) = waiting.front() else {
                    tokio::time::sleep(self.early().min(PAUSE)).await;
                    continue;
                };
                let answer = tokio::time::timeout(PATIENCE, answers.message()).await;
                let Ok(Ok(Some(answer))) = answer else { break };
                assert_eq!(answer.batch_id, Some(*id));
                if let Some(failure) = &answer.failure {
                    assert!(failure.retryable, "{failure:?}");
                    break;
                }
                let (_, batch) = waiting.pop_front().unwrap();
                let rejected: Vec<usize> = answer.rejected.iter().map(|rejected| rejected.index as usize).collect();
                let told = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
                let spans: Vec<Option<String>> =
                    answer.results.iter().map(|result| told(&result.traceparent)).collect();
                let spans: Vec<Option<&str>> = spans.iter().map(Option::as_deref).collect();
                self.acknowledged(batch, &rejected, &spans);
            }
        }
        self
    }
}
