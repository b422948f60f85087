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
