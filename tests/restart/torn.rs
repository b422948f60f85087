//! A log that ends in the middle, as after a loss of power: what was committed before is there, and nothing half.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Otlp, PushSpans};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::events::{send_all, start};
use crate::support::files::{in_memory, open, tell};
use crate::support::samples::Samples;

/// The size of the log's header, and of a frame: its own header, and a page.
const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;
/// As many of the last pages are cut.
const PAGES: usize = 6;
/// How many batches are committed.
const BATCHES: u32 = 8;

fn log_of(dir: &Path) -> PathBuf {
    dir.join("bridge.db-wal")
}

/// A bridge that pushes spans to nobody, so that they wait.
fn config() -> Config {
    Config { push_spans: Some(PushSpans::new(Otlp::new("http://127.0.0.1:1"))), ..Config::default() }
}

/// Batch `number`: it changes every kind of what is kept.
fn batch(number: u32) -> Vec<Value> {
    let call = json!({"event_type": "llm_call", "provider": "p", "model": "m",
        "duration_seconds": f64::from(number) / 4.0, "event_id": format!("{number:08x}-0000-4000-8000-000000000001")});
    vec![start("torn", "2026-02-06T12:34:56Z", &format!("{number:08x}")), call]
}

/// A log, the database beside it, and what has been committed where in it.
struct Torn {
    main: Vec<u8>,
    log: Vec<u8>,
    /// What lies behind the part that is written, where the log was begun anew.
    behind: Vec<u8>,
    /// Where each commit ends; those that the database has at 0.
    ends: Vec<usize>,
    /// The span of each.
    spans: Vec<Vec<u8>>,
}

/// Sends one batch; the span of its call.
fn commit(bridge: &Bridge, number: u32) -> Vec<u8> {
    let answers = send_all(bridge, &batch(number));
    assert!(answers.iter().all(|answer| !answer.duplicate), "{answers:?}");
    answers[1].traceparent.as_ref().unwrap().span_context().span_id().to_bytes().to_vec()
}

impl Torn {
    /// Cuts the log off there, or lets it have been written up to there; finds out what a bridge makes of it.
    fn check(&self, cut: usize) {
        let dir = in_memory();
        let torn = [&self.log[..cut], self.behind.get(cut..).unwrap_or_default()].concat();
        fs::write(dir.path().join("bridge.db"), &self.main).unwrap();
        fs::write(log_of(dir.path()), &torn).unwrap();
        let bridge = open(dir.path(), &config());
        // What was not written may have been there already, as the zeros at the end of a page.
        let committed = self.ends.iter().filter(|end| torn.get(..**end) == Some(&self.log[..**end])).count();
        let samples = Samples::of(&bridge);
        self.check_samples(&samples, committed, cut);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(bridge.sessions()).len(), committed, "cut at {cut}");
        assert_eq!(waiting(dir.path()), self.spans[..committed], "cut at {cut}");
        // The last that was not cut off is known, and the first that was is taken as new.
        let (last, next) = (committed as u32, committed as u32 + 1);
        for number in last..=next.min(BATCHES) {
            let answers = send_all(&bridge, &batch(number));
            let right = answers.iter().all(|answer| answer.duplicate == (number == last));
            assert!(right, "batch {number}, cut at {cut}: {answers:?}");
        }
        self.check_samples(&Samples::of(&bridge), next.min(BATCHES) as usize, cut);
        // The spans find nobody, and wait on.
        let _ = bridge.shutdown(Duration::from_millis(20));
        drop(bridge);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "only the database and its lock, cut at {cut}");
    }

    /// Everything is there of so many batches, and nothing of the others.
    fn check_samples(&self, samples: &Samples, committed: usize, cut: usize) {
        let lengths = || (1..=committed).map(|number| number as f64 / 4.0);
        let call = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"p\",gen_ai_request_model=\"m\"";
        let duration = format!("gen_ai_client_operation_duration_seconds_sum{{{call}}}");
        let bucket = format!("gen_ai_client_operation_duration_seconds_bucket{{{call},le=\"0.64\"}}");
        let count = committed as f64;
        let expected = [
            ("session_start_total{component_name=\"torn\",shell_type=\"TestShell\"}", count),
            ("active_sessions{component_name=\"torn\"}", count),
            ("mcp_hub_llm_api_calls_total{provider=\"p\",model=\"m\"}", count),
            (&*duration, lengths().sum()),
            (&*bucket, lengths().filter(|length| *length <= 0.64).count() as f64),
            ("bridge_push_items_total{signal=\"spans\",outcome=\"queued\"}", count),
            ("bridge_outbox_items{signal=\"spans\"}", count),
        ];
        for (key, value) in expected {
            assert_eq!(samples.find(key).unwrap_or(0.0), value, "{key}, cut at {cut}");
        }
    }

    /// Cuts it in its last pages: at every byte (`TORN_LONG=1`), or at every byte around the ends and headers of their
    /// frames, and at many between.
    fn check_all(&self) {
        let end = *self.ends.last().unwrap();
        let every = std::env::var_os("TORN_LONG").is_some();
        let from = end - PAGES * FRAME;
        assert!(from < self.ends[self.ends.len() - 2], "the cut reaches the commit before the last");
        let cuts = (from..=end).filter(|cut| {
            let within = (cut - HEADER) % FRAME;
            every || !(32..FRAME - 3).contains(&within) || within.is_multiple_of(797)
        });
        cuts.for_each(|cut| self.check(cut));
    }
}

/// The spans that wait in the store, in their order.
fn waiting(dir: &Path) -> Vec<Vec<u8>> {
    let db = Connection::open(dir.join("bridge.db")).unwrap();
    let mut statement = db.prepare("SELECT request FROM outbox_spans ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let spans = rows.flat_map(|row| {
        let request = ExportTraceServiceRequest::decode(row.unwrap().as_slice()).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(|span| span.span_id).collect::<Vec<_>>()
    });
    spans.collect()
}

#[test]
fn a_log_that_is_cut_anywhere_in_its_last_pages() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path(), &config());
    let log = log_of(dir.path());
    let (mut spans, mut ends) = (Vec::new(), Vec::new());
    for number in 1..=BATCHES {
        spans.push(commit(&bridge, number));
        ends.push(fs::metadata(&log).unwrap().len() as usize);
    }
    let (main, log) = (fs::read(dir.path().join("bridge.db")).unwrap(), fs::read(&log).unwrap());
    assert_eq!(log.len(), *ends.last().unwrap());
    Torn { main, log, behind: Vec::new(), ends, spans }.check_all();
}

/// Behind what was written lie the frames from before, whole and with good checksums.
#[test]
fn a_log_that_was_begun_anew_and_is_cut_anywhere_in_its_last_pages() {
    const BEFORE: u32 = 4;
    let dir = tempfile::tempdir().unwrap();
    let bridge = open(dir.path(), &config());
    let log = log_of(dir.path());
    let mut spans: Vec<_> = (1..=BEFORE).map(|number| commit(&bridge, number)).collect();
    let behind = fs::read(&log).unwrap();
    tell(dir.path(), "PRAGMA wal_checkpoint(RESTART)");
    let main = fs::read(dir.path().join("bridge.db")).unwrap();
    let mut ends = vec![0; BEFORE as usize];
    for number in BEFORE + 1..=BATCHES {
        spans.push(commit(&bridge, number));
        let written = fs::read(&log).unwrap();
        assert_eq!(written.len(), behind.len(), "it was begun anew, in the same file");
        let last = (0..written.len()).rev().find(|at| written[*at] != behind[*at]).unwrap();
        ends.push(HEADER + (last + 1 - HEADER).next_multiple_of(FRAME));
    }
    assert!(ends.is_sorted() && *ends.last().unwrap() + FRAME < behind.len(), "{ends:?} of {}", behind.len());
    let torn = Torn { main, log: fs::read(&log).unwrap(), behind, ends, spans };
    (0..HEADER + 24).step_by(4).for_each(|cut| torn.check(cut));
    torn.check_all();
}
