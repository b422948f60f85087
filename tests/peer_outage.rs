//! The collector dies and comes back: pushes resume, nothing is lost, `/metrics` never stops, the log says it once.

#![cfg(feature = "peers")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/peers/mod.rs"]
mod peers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use peers::books::unbalanced_text;
use peers::bridge::{Bridge, OPENMETRICS};
use peers::collector::Collector;
use peers::fleet::{self, Sent, sessions};
use peers::{http, until};

/// A scrape that takes longer has stopped, to a Prometheus.
const SLOW: Duration = Duration::from_secs(5);

#[test]
fn pushes_resume_after_an_outage_and_scrapes_never_stop() {
    let mut collector = Collector::start_on_a_port_of_its_own();
    let bridge = Bridge::options().push_to(&collector).start();
    let scrapes = Scrapes::start(bridge.url("/metrics"));
    let started =
        |collector: &Collector| collector.last("session.start").iter().map(|point| point.number()).sum::<f64>();

    let plans = sessions("mahavishnu", "MahavishnuShell", "success", &[30.0, 90.0, 600.0]);
    fleet::send(&bridge, &plans);
    until("the first push", || (started(&collector) == 3.0 && collector.spans().len() == 3).then_some(()));
    assert_eq!(bridge.log_lines("OTLP push"), [""; 0]);

    collector.kill();
    let during = fleet::send(&bridge, &plans);
    until("failures of both signals", || {
        let samples = bridge.samples();
        let failed = |signal: &str| {
            let of_signal = samples.iter().filter(|(series, _)| {
                series.starts_with("bridge_push_requests_total") && series.contains(&format!("signal=\"{signal}\""))
            });
            of_signal.filter(|(series, _)| !series.contains("\"success\"")).map(|(_, count)| count).sum::<f64>()
        };
        (failed("metrics") >= 3.0 && failed("spans") >= 2.0).then_some(())
    });
    let told = bridge.log_lines("OTLP push");
    assert_eq!(told.len(), 2, "{told:#?}");
    let before = scrapes.count();

    let collector = collector.come_back();
    until("the pushes to resume", || (started(&collector) == 6.0).then_some(()));
    until("the spans of the outage", || (collector.spans().len() >= during.len()).then_some(()));
    let after = fleet::send(&bridge, &plans);
    until("the spans that came after", || (collector.spans().len() >= 2 * during.len()).then_some(()));
    until("the last totals", || (started(&collector) == 9.0).then_some(()));

    let spans: Vec<String> = collector.spans().into_iter().map(|span| span.span_id).collect();
    let sent: BTreeSet<String> = during.iter().chain(&after).map(|Sent { span_id, .. }| span_id.clone()).collect();
    assert_eq!((spans.len(), spans.into_iter().collect::<BTreeSet<_>>()), (sent.len(), sent));

    for signal in ["metrics", "spans"] {
        let of_signal = |line: &String| line.contains(&format!("signal=\"{signal}\""));
        let told: Vec<String> = bridge.log_lines("OTLP push").into_iter().filter(of_signal).collect();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].contains("OTLP push fails") && told[1].contains("OTLP push works again"), "{told:#?}");
    }
    assert!(scrapes.count() > before, "no scrape since the collector came back");
    scrapes.stop();
}

#[test]
fn an_outage_under_load_with_kills_in_it_loses_and_repeats_no_span() {
    let mut collector = Collector::start_on_a_port_of_its_own();
    let endpoint = collector.endpoint();
    let dir = tempfile::tempdir().unwrap();
    collector.kill();
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        let mut bridge = Bridge::options().push_to_url(&endpoint).data_dir(dir.path()).start();
        let url = bridge.url("/v1/events");
        let load = std::thread::spawn(move || calls_until_nobody_answers(&url));
        // Long enough for several failed requests of the push.
        std::thread::sleep(Duration::from_secs(2));
        bridge.process.kill();
        acknowledged.extend(load.join().unwrap());
    }
    let bridge = Bridge::options().push_to_url(&endpoint).data_dir(dir.path()).start();
    let collector = collector.come_back();
    until("the outbox to be empty", || {
        (bridge.samples()["bridge_outbox_items{signal=\"spans\"}"] == 0.0).then_some(())
    });
    let queued = bridge.samples()["bridge_push_items_total{signal=\"spans\",outcome=\"queued\"}"];
    until("the collector to have written them", || (collector.spans().len() as f64 >= queued).then_some(()));
    let taken: Vec<String> = collector.spans().into_iter().map(|span| span.span_id).collect();
    let once: BTreeSet<&String> = taken.iter().collect();
    assert_eq!(once.len(), taken.len(), "a span came twice");
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    assert!(acknowledged.iter().all(|id| once.contains(id)), "a span of an acknowledged event is lost");
    // Beside them only those of a batch that was kept when its answer was lost.
    assert!(taken.len() <= acknowledged.len() + 3 * CALLS, "{} of {}", taken.len(), acknowledged.len());
    let samples = bridge.samples();
    assert_eq!(samples["bridge_push_items_total{signal=\"spans\",outcome=\"taken\"}"], queued, "and the books say so");
}

/// The calls of one batch.
const CALLS: usize = 20;

/// Sends calls until the bridge is gone; gives the ids of the spans of those that were acknowledged.
fn calls_until_nobody_answers(url: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let call = || {
            serde_json::json!({
                "event_type": "llm_call", "provider": "p", "model": "m", "duration_seconds": 0.25,
                "event_id": uuid::Uuid::new_v4().to_string(),
            })
        };
        let body = serde_json::Value::from_iter((0..CALLS).map(|_| call())).to_string();
        let Ok(answer) = http::post(url, "application/json", &body) else { return acknowledged };
        let answer = answer.json();
        let parents = answer["results"].as_array().unwrap().iter().map(|one| one["traceparent"].as_str().unwrap());
        acknowledged.extend(parents.map(|parent| parent.split('-').nth(2).unwrap().to_owned()));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Scrapes one after the other, until told to stop.
struct Scrapes {
    stop: Arc<AtomicBool>,
    count: Arc<std::sync::atomic::AtomicU64>,
    thread: JoinHandle<()>,
}

impl Scrapes {
    fn start(url: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::default();
        let (told, counted) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let answer = http::get(&url, OPENMETRICS).unwrap();
                assert_eq!(answer.status, 200);
                assert!(answer.body.ends_with("# EOF\n"));
                assert_eq!(unbalanced_text(&answer.body), Vec::<String>::new());
                assert!(asked.elapsed() < SLOW, "a scrape took {:?}", asked.elapsed());
                let counted: &std::sync::atomic::AtomicU64 = &counted;
                counted.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { stop, count, thread }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends, and fails if a scrape did.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a scrape failed");
    }
}
