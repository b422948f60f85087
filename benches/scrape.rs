//! A scrape, collected and encoded, against the peers: `cargo bench --bench scrape`, or with `-- 10000` or `-- 100000`
//! for that many series only.
//!
//! Every peer holds the same series of one metric with three labels. The bridge and prometheus-client write OpenMetrics;
//! the others have only the text format. What a scrape gives is dropped outside the measured time.
//!
//! A warm scrape comes right after others of the same peer. One where all changed comes right after a measurement in
//! every series; the scrape before it was long ago, and the other peers have had the machine's caches since.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run may panic")]

mod support;

use support::peers::{self, Subject};
use support::report::{alternate, head, rows, time};
use support::{Kind, Work};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    head("scrape");
    for (series, repetitions, before) in [(10_000, 31, 3), (100_000, 5, 1)] {
        if !asked.is_empty() && !asked.contains(&series) {
            continue;
        }
        for kind in Kind::BOTH {
            let work = Work::new(kind, series);
            let mut subjects: Vec<Subject> = peers::ALL.iter().map(|make| make(work)).collect();
            subjects.push(peers::collection(work));
            for subject in &mut subjects {
                (subject.record)(1);
            }
            for (state, changed) in [("warm", false), ("all changed", true)] {
                let prepare = |subject: &mut Subject| {
                    if changed {
                        (subject.record)(1);
                    } else {
                        (0..before).for_each(|_| drop((subject.scrape)()));
                    }
                };
                let scrape = |subject: &mut Subject| time(&mut subject.scrape);
                let times = alternate(&mut subjects, repetitions, Subject::name, prepare, scrape);
                rows(&format!("{series} {}s, {state}", kind.name()), &times, series);
            }
        }
    }
}
