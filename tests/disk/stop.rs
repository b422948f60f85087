//! SIGTERM under full load: it ends in time, and what was acknowledged is on the disk.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use mcp_otel_bridge::telemetry::push::Signal;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use serde_json::Value;

use crate::calls::{arrived, calls, spans};
use crate::client::{Answer, ask, check_books, event};
use crate::process::{Serving, program};
use crate::support::collector::{Answer as Answered, Collector};
use crate::support::events::until;

/// What a busy machine may add to the time that the end is allowed.
const SLACK: Duration = Duration::from_secs(3);
/// Senders at once.
const SENDERS: u32 = 16;

#[test]
fn what_was_acknowledged_before_sigterm_is_kept() {
    for batch in [1, 50] {
        stop_under_load(batch);
    }
}

fn stop_under_load(batch: u32) {
    let dir = tempfile::tempdir().unwrap();
    let events = |first: u32| Value::from_iter((first..first + batch).map(event)).to_string();
    let (answers, took) = stopped_under_load(Serving::start(dir.path(), &[]), batch, events);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!crate::files::beside(&crate::files::database(dir.path()), "-wal").exists(), "the log is folded in");

    let again = Serving::start(dir.path(), &[]);
    for some in answers.chunks(500 / batch as usize) {
        let events: Vec<Value> = some.iter().flat_map(|(first, _)| (*first..first + batch).map(event)).collect();
        let count = events.len();
        let answer = ask(&again, "POST", "/v1/events", &Value::from(events).to_string()).unwrap();
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&answer["duplicates"], &answer["accepted"]), (&count.into(), &0.into()));
    }
    check_books(&again);
}

/// Many send batches of so many events at once, until the bridge was told to stop and takes no more; what was
/// acknowledged, by the number of its first event, and how long the end took.
fn stopped_under_load(
    bridge: Serving,
    batch: u32,
    events: impl Fn(u32) -> String + Sync,
) -> (Vec<(u32, Answer)>, Duration) {
    let (next, acknowledged) = (AtomicU32::new(1), AtomicUsize::new(0));
    let stopping = AtomicBool::new(false);
    let send = || {
        let mut mine = Vec::new();
        // Until the bridge stops taking events, in whatever way.
        loop {
            let first = next.fetch_add(batch, Ordering::Relaxed);
            match ask(&bridge, "POST", "/v1/events", &events(first)) {
                Ok(answer) if answer.status == 200 => {
                    mine.push((first, answer));
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                _ if stopping.load(Ordering::Relaxed) => break mine,
                Ok(answer) => panic!("{} {}", answer.status, answer.body),
                Err(error) => panic!("{error}"),
            }
        }
    };
    let answers = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        until("there is load", || acknowledged.load(Ordering::Relaxed) > 300);
        stopping.store(true, Ordering::Relaxed);
        let id = bridge.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    let (code, took, log) = bridge.wait();
    assert_eq!(code, Some(0), "{log}");
    (answers, took)
}

/// What was acknowledged is on the disk or delivered, within the time that is allowed; where the collector takes it, it
/// is delivered.
#[test]
fn what_was_acknowledged_before_sigterm_is_delivered_or_kept() {
    for silent_after in [None, Some(3)] {
        stop_with_a_collector(silent_after);
    }
}

fn stop_with_a_collector(silent_after: Option<usize>) {
    const BATCH: u32 = 20;
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    if let Some(requests) = silent_after {
        let answers = (0..requests).map(|_| Answered::Partial(0)).chain((0..100).map(|_| Answered::Hang));
        collector.then_to(Signal::Spans, answers);
    }
    let serve = || {
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--otlp-endpoint", &collector.endpoint(), "--data-dir"]);
        command.arg(dir.path()).env("OTEL_BSP_SCHEDULE_DELAY", "20").env("MCP_OTEL_BRIDGE_LIMITS_SHUTDOWN", "2s");
        Serving::spawn(&mut command)
    };
    let (answers, took) = stopped_under_load(serve(), BATCH, |first| calls(first, BATCH));
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
    let acknowledged: BTreeSet<String> = answers.iter().flat_map(|(_, answer)| spans(answer)).collect();
    let delivered = arrived(&collector);
    let told = collector.seen(|seen| seen.metric("mcp_hub.llm_api_calls").pop());

    collector.seen(|seen| seen.answers_to(Signal::Spans).clear());
    let again = serve();
    let counted = check_books(&again).total("mcp_hub_llm_api_calls_total");
    let waited = check_books(&again).total("bridge_push_items_total{signal=\"spans\",outcome=\"queued\"");
    assert_eq!(delivered.len() as f64 + waited, counted, "each is delivered or waits");
    assert_eq!(waited == 0.0, silent_after.is_none(), "{waited} wait");
    if silent_after.is_none() {
        assert_eq!(number(&told.unwrap()), counted, "the last push told all");
    }
    until("the rest is delivered", || check_books(&again).total("bridge_outbox_items{signal=\"spans\"") == 0.0);
    let all = arrived(&collector);
    let once: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!((all.len(), once.len()), (counted as usize, counted as usize), "each once");
    assert!(once.is_superset(&acknowledged), "{} were acknowledged, and {} came", acknowledged.len(), once.len());
    // Beside them only batches whose answer was lost at the end.
    assert!(once.len() - acknowledged.len() <= (SENDERS * BATCH) as usize, "{} came", once.len());
}

/// The one value of a counter that was pushed.
fn number(metric: &Metric) -> f64 {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    match sum.data_points[..] {
        [NumberDataPoint { value: Some(Number::AsInt(value)), .. }] => value as f64,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_that_hangs_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("bridge.yaml");
    std::fs::write(&config, "limits: {shutdown: 1s}\n").unwrap();
    let bridge = Serving::start(dir.path(), &["--config", config.to_str().unwrap()]);
    let other = rusqlite::Connection::open(crate::files::database(dir.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = ask(&bridge, "POST", "/v1/events", &event(1).to_string()).unwrap();
    assert!(refused.status == 503 && refused.body.contains("let it finish"), "{}", refused.body);
    let (code, took, log) = bridge.stop("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(took < Duration::from_millis(1500), "{took:?}: {log}");
}
