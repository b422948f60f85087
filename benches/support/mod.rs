//! What the benchmarks share: the peers, the way of measuring them against each other, the table that comes out.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each benchmark uses its part of what is shared")]

pub mod peers;
pub mod report;

use std::sync::OnceLock;

use mcp_otel_bridge::catalog::Metric;
use mcp_otel_bridge::catalog::metrics::{GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK, MCP_EVENT_EMIT_FAILURE};

/// The buckets that every peer's histogram has: those of `session_duration_seconds`.
pub const BUCKETS: [f64; 8] = [60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0];

/// The kind of metric that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Histogram,
}

impl Kind {
    pub const BOTH: [Kind; 2] = [Kind::Counter, Kind::Histogram];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        }
    }

    /// The metric of the catalog that stands for this kind; both have three labels.
    pub fn metric(self) -> &'static Metric {
        match self {
            Kind::Counter => &MCP_EVENT_EMIT_FAILURE,
            Kind::Histogram => &GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK,
        }
    }
}

/// The same work for every peer: one metric with this many series.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub kind: Kind,
    /// The label values of each series.
    pub values: &'static [[String; 3]],
    /// Whether each measurement leaves an exemplar, with the peers that have them.
    pub exemplars: bool,
}

impl Work {
    /// `count` series of `kind`, at most 100,000.
    pub fn new(kind: Kind, count: usize) -> Self {
        static VALUES: OnceLock<Vec<[String; 3]>> = OnceLock::new();
        let values = VALUES.get_or_init(|| {
            (0..100_000usize)
                .map(|at| {
                    [
                        format!("component-{:02}", at % 50),
                        format!("tools/call/{:03}", at / 50 % 200),
                        format!("ErrorType{:02}", at / 10_000),
                    ]
                })
                .collect()
        });
        Self { kind, values: &values[..count], exemplars: false }
    }

    pub fn with_exemplars(self) -> Self {
        Self { exemplars: true, ..self }
    }

    /// The series and their places, as many times over as is said.
    pub fn rounds(self, rounds: usize) -> impl Iterator<Item = (usize, &'static [String; 3])> {
        (0..rounds).flat_map(move |_| self.values.iter().enumerate())
    }

    /// What is recorded into series `at` of a histogram: every bucket is used.
    pub fn observation(at: usize) -> f64 {
        const VALUES: [f64; 9] = [30.5, 61.25, 301.5, 901.0, 1801.75, 3601.5, 7201.0, 14401.25, 28801.5];
        VALUES[at % VALUES.len()]
    }
}
