//! Starts that are killed while they recover what the last process left: they take nothing away from it.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mcp_otel_bridge::config::{Config, Durability, Otlp, PushSpans};
use mcp_otel_bridge::event::{BodyForm, parse_body};
use mcp_otel_bridge::{Bridge, Source};

use crate::client::get;
use crate::files::{aside, beside, database};
use crate::load::ledger::Ledger;
use crate::load::watch::{Shown, differences};
use crate::load::workload::Workload;
use crate::process::{PATIENCE, Serving, program};
use crate::support::events::until;
use crate::support::files::as_killed;
use crate::support::samples::Samples;

/// A log of this size takes a while to be read again.
const LOG_BYTES: u64 = 48 << 20;
/// As many rounds must have been killed in the midst of their recovery twice, and so many may be tried.
const ROUNDS: usize = 3;
const TRIES: usize = 12;
/// A collector that nobody finds.
const NOBODY: &str = "http://127.0.0.1:1";

/// Leaves a long log in `dir`, of which nothing is in the database yet; what was acknowledged.
fn leave_a_long_log(dir: &Path) -> Ledger {
    let living = tempfile::tempdir().unwrap();
    let config = Config {
        durability: Durability::Off,
        push_spans: Some(PushSpans::new(Otlp::new(NOBODY))),
        ..Config::default()
    };
    let bridge = Bridge::builder().config(config).data_dir(living.path()).build().unwrap();
    // Somebody who reads keeps the log from being begun anew.
    let reader = rusqlite::Connection::open(database(living.path())).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM meta").unwrap();
    let log = beside(&database(living.path()), "-wal");
    let mut workload = Workload::new("long", 7);
    while fs::metadata(&log).unwrap().len() < LOG_BYTES {
        let events: String = (0..10).map(|_| format!("{}\n", workload.event().json)).collect();
        let body = parse_body(events.as_bytes(), BodyForm::Ndjson).unwrap();
        bridge.submit_blocking(Source::Http, body.events).unwrap();
    }
    as_killed(living.path(), dir);
    workload.ledger
}

fn serve(dir: &Path) -> Command {
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--otlp-endpoint", NOBODY, "--data-dir"]).arg(dir);
    command.env("MCP_OTEL_BRIDGE_SKILLS_REFRESH_INTERVAL", "1s");
    command.env("MCP_OTEL_BRIDGE_SKILLS_ANOMALIES_ENABLED", "false");
    command
}

/// Waits until the process has opened the log.
fn has_opened(process: &mut Child, log: &Path) {
    let descriptors = format!("/proc/{}/fd", process.id());
    let deadline = Instant::now() + PATIENCE;
    let opened = || {
        let links = fs::read_dir(&descriptors).ok()?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.into_iter().find(|link| link == log)
    };
    while opened().is_none() {
        assert!(Instant::now() < deadline && process.try_wait().unwrap().is_none(), "it has not opened the log");
    }
}

/// Kills a start so long after it opened the log; whether that was before it was ready.
fn kill_a_recovery(dir: &Path, after: Duration) -> bool {
    let mut start = serve(dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    has_opened(&mut start, &beside(&database(dir), "-wal"));
    std::thread::sleep(after);
    start.kill().unwrap();
    start.wait().unwrap();
    let mut banner = String::new();
    start.stdout.take().unwrap().read_to_string(&mut banner).unwrap();
    banner.is_empty()
}

/// How long a start takes from the opening of the log until it is ready.
fn recovery(dir: &Path) -> Duration {
    let mut start = serve(dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    has_opened(&mut start, &beside(&database(dir), "-wal"));
    let opened = Instant::now();
    let mut first = [0];
    start.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let took = opened.elapsed();
    start.kill().unwrap();
    start.wait().unwrap();
    took
}

/// All that was acknowledged is shown, with its spans, and nothing else.
fn check(bridge: &Serving, ledger: &Ledger) {
    let expected = ledger.samples();
    let mut scrape = String::new();
    until("all is shown, the completion rates too", || {
        scrape = get(bridge, "/metrics").body;
        differences(&Shown::of_text(&scrape), &expected).is_empty()
    });
    let samples = Samples::parse(&scrape);
    let spans = ledger.spans.len() as f64;
    assert_eq!(samples.get("bridge_outbox_items{signal=\"spans\"}"), spans);
    assert_eq!(samples.get("bridge_push_items_total{signal=\"spans\",outcome=\"queued\"}"), spans);
}

#[test]
fn recoveries_that_are_killed_twice_in_a_row() {
    let left = tempfile::tempdir().unwrap();
    let ledger = leave_a_long_log(left.path());
    let (mut killed_in_its_midst, mut took) = (0, Duration::ZERO);
    for round in 0..TRIES {
        let dir = tempfile::tempdir().unwrap();
        as_killed(left.path(), dir.path());
        if took.is_zero() {
            took = recovery(dir.path());
            continue;
        }
        // In every part of a recovery, the second time in another than the first.
        let part = |number: usize| took.mul_f64((round * 5 + number * 7) as f64 % 16.0 / 16.0);
        let both = [0, 1].map(|number| kill_a_recovery(dir.path(), part(number)));
        killed_in_its_midst += usize::from(both == [true, true]);
        let bridge = Serving::spawn(&mut serve(dir.path()));
        check(&bridge, &ledger);
        assert!(aside(dir.path()).is_empty());
        if killed_in_its_midst == ROUNDS {
            println!("killed twice in {ROUNDS} of {round} rounds; a recovery took {took:?}");
            return;
        }
    }
    panic!("only {killed_in_its_midst} of {TRIES} rounds were killed twice while they recovered, in {took:?}");
}
