//! The memory of a series, against the peers: `cargo bench --bench memory` (Linux).
//!
//! Each peer gets a process of its own, which tells its resident set before and after: so the allocator's own room and
//! what it keeps after a scrape count too, as they do in a real process.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run may panic")]

mod support;

use std::process::Command;
use std::time::Duration;

use support::{Kind, Work, peers};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// prometheus-client comes without the label sets that only the benchmark keeps.
const PEERS: [peers::Make; 5] = [
    peers::bridge,
    peers::prometheus_client_from_str,
    peers::prometheus,
    peers::metrics_exporter_prometheus,
    peers::opentelemetry_prometheus,
];
const SERIES: usize = 100_000;
/// Set for the process of one peer: its place among the peers, and the kind.
const PEER: &str = "BENCH_MEMORY_PEER";

fn main() {
    if let Ok(peer) = std::env::var(PEER) {
        let (place, kind) = peer.split_once(' ').unwrap();
        let kind = *Kind::BOTH.iter().find(|known| known.name() == kind).unwrap();
        return measure(PEERS[place.parse::<usize>().unwrap()], kind);
    }
    println!(
        "| {SERIES} series | peer | bytes a series, recorded | bytes a series, after scrapes |\n|---|---|---:|---:|"
    );
    for kind in Kind::BOTH {
        for place in 0..PEERS.len() {
            let program = std::env::current_exe().unwrap();
            let output = Command::new(program).env(PEER, format!("{place} {}", kind.name())).output().unwrap();
            print!("{}", String::from_utf8(output.stdout).unwrap());
        }
    }
}

fn measure(make: peers::Make, kind: Kind) {
    let work = Work::new(kind, SERIES);
    let before = resident();
    let mut subject = make(work);
    (subject.record)(1);
    let recorded = resident();
    for _ in 0..3 {
        (subject.record)(1);
        drop((subject.scrape)());
    }
    // The allocator gives back what it does not need after a while, when it is asked for something.
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(600));
        (subject.record)(1);
        drop(vec![0u8; 1 << 20]);
    }
    let scraped = resident();
    let each = |after: usize| after.saturating_sub(before) / SERIES;
    println!("| {} | {} | {} | {} |", kind.name(), subject.name, each(recorded), each(scraped));
}

/// The resident set of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
