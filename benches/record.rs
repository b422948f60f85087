//! A measurement, labels looked up each time, against the peers: `cargo bench --bench record`.
//!
//! Every peer records into each of its series in turn, with label values that are known only then. prometheus-client is
//! measured twice: with label sets made from them each time, and with label sets that were made before.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run may panic")]

mod support;

use support::peers::{self, Subject};
use support::report::{alternate, head, rows, time};
use support::{Kind, Work};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many measurements one repetition makes.
const MEASUREMENTS: usize = 200_000;
const REPETITIONS: usize = 41;

fn main() {
    head("measurement");
    for (series, kind) in [1, 1_000].into_iter().flat_map(|series| Kind::BOTH.map(|kind| (series, kind))) {
        let plain = Work::new(kind, series);
        let name = |exemplar: &str| format!("{}, {series} series{exemplar}", kind.name());
        let mut subjects: Vec<Subject> = peers::ALL.iter().map(|make| make(plain)).collect();
        subjects.insert(2, peers::prometheus_client_from_str(plain));
        compare(&name(""), &mut subjects, series);
        let linked = plain.with_exemplars();
        let mut subjects =
            [peers::bridge(linked), peers::prometheus_client(linked), peers::prometheus_client_from_str(linked)];
        compare(&name(", an exemplar each"), &mut subjects, series);
    }
}

fn compare(what: &str, subjects: &mut [Subject], series: usize) {
    let rounds = MEASUREMENTS / series;
    // A peer that keeps every observation until it is asked gives them up before, unmeasured.
    let prepare = |subject: &mut Subject| drop((subject.scrape)());
    let record = |subject: &mut Subject| time(|| (subject.record)(rounds));
    let times = alternate(subjects, REPETITIONS, Subject::name, prepare, record);
    rows(what, &times, rounds * series);
}
