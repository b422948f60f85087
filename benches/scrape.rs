//! A scrape, collected and encoded, against the peers: `cargo bench --bench scrape`.
//!
//! Every peer holds the same series of one metric with three labels. The bridge and prometheus-client write OpenMetrics;
//! the others have only the text format. What a scrape gives is dropped outside the measured time.
//!
//! A warm scrape comes right after three others of the same peer. One where all changed comes right after a measurement in
//! every series; the scrape before it was long ago, and the other peers have had the machine's caches since.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run may panic")]

mod support;

use support::peers::{self, Subject};
use support::report::{alternate, head, rows, time};
use support::{Kind, Work};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    head("scrape");
    for (series, repetitions) in [(10_000, 21), (100_000, 5)] {
        for kind in Kind::BOTH {
            let work = Work::new(kind, series);
            let mut subjects: Vec<Subject> = peers::ALL.iter().map(|make| make(work)).collect();
            for subject in &mut subjects {
                (subject.record)(1);
            }
            for (state, changed) in [("warm", false), ("all changed", true)] {
                let prepare = |subject: &mut Subject| {
                    if changed {
                        (subject.record)(1);
                    } else {
                        (0..3).for_each(|_| drop((subject.scrape)()));
                    }
                };
                let scrape = |subject: &mut Subject| time(&mut subject.scrape);
                let times = alternate(&mut subjects, repetitions, Subject::name, prepare, scrape);
                rows(&format!("{series} {}s, {state}", kind.name()), &times, series);
            }
        }
    }
}
