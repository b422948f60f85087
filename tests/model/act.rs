//! What may happen to a bridge and its collector, and how a bridge is set up for it.

use std::time::Duration;

use mcp_otel_bridge::config::{Config, Durability, Otlp, Outbox, PushMetrics, PushSpans, Temporality};
use mcp_otel_bridge::telemetry::push::Signal;
use proptest::prelude::*;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::step::{Step, step};
use crate::support::collector::Answer;

/// How long a request may take: a collector that hangs costs as much.
const TIMEOUT: Duration = Duration::from_millis(200);
/// How long a collector asks to be left alone.
const ASKED: Duration = Duration::from_millis(20);
/// What tonic answers to a request that is too large; nothing else here is answered so.
pub const TOO_LARGE: Code = Code::OutOfRange;
/// Never, as far as a case goes.
const NEVER: Duration = Duration::from_secs(3600);

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Act {
    /// A batch is taken.
    Submit(Vec<Step>),
    /// A batch comes while nothing can be kept.
    Refuse(Vec<Step>),
    /// The process is killed and started again.
    Kill,
    /// It is killed while a batch of spans is in flight, which the collector took or not.
    KillInFlight { steps: Vec<Step>, taken: bool },
    /// It is killed when so much, in thousandths, of a batch is written to the log.
    KillWithin { steps: Vec<Step>, part: u64 },
    /// It is killed so long after a batch was handed to it.
    KillDuring { steps: Vec<Step>, micros: u64 },
    /// It is told to stop and started again.
    Stop,
    /// The log is copied into the database, and begun anew.
    Checkpoint,
    /// The collector goes away.
    Away,
    /// It comes back.
    Back,
    /// It will answer so.
    Answers(Signal, Reply),
    /// A snapshot of the metrics is filed.
    Collect,
    /// All that waits is delivered, in the end.
    Drain,
}

/// How the collector answers a request.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Partial(i64),
    Refused(Code),
    /// Overloaded, and it says for how long.
    Later,
    /// It takes no request of that size.
    TooLarge,
    Hang,
    TakenAndHang,
}

impl Reply {
    pub fn answer(self) -> Answer {
        match self {
            Self::Partial(rejected) => Answer::Partial(rejected),
            Self::Refused(code) => Answer::Status(Status::new(code, "no")),
            Self::Later => {
                let details = ErrorDetails::with_retry_info(Some(ASKED));
                Answer::Status(Status::with_error_details(Code::ResourceExhausted, "later", details))
            }
            Self::TooLarge => Answer::Status(Status::new(TOO_LARGE, "decoded message length too large: found 2 bytes")),
            Self::Hang => Answer::Hang,
            Self::TakenAndHang => Answer::TakenAndHang,
        }
    }
}

/// Any act.
pub fn act() -> impl Strategy<Value = Act> {
    let batch = || prop::collection::vec(step(), 1..8);
    let signal = prop::sample::select(&[Signal::Metrics, Signal::Spans][..]);
    let reply = prop_oneof![
        2 => (1..4i64).prop_map(Reply::Partial),
        5 => prop::sample::select(&[
            Code::Unavailable, Code::ResourceExhausted, Code::Aborted, Code::Unauthenticated, Code::InvalidArgument,
        ][..]).prop_map(Reply::Refused),
        1 => Just(Reply::Later),
        1 => Just(Reply::Hang),
        1 => Just(Reply::TakenAndHang),
    ];
    // A snapshot of the metrics that came in parts could not be told from one that lacks series.
    let of_signal = prop_oneof![
        6 => (signal, reply).prop_map(|(signal, reply)| Act::Answers(signal, reply)),
        4 => Just(Act::Answers(Signal::Spans, Reply::TooLarge)),
    ];
    prop_oneof![
        10 => batch().prop_map(Act::Submit),
        1 => batch().prop_map(Act::Refuse),
        2 => Just(Act::Kill),
        1 => (batch(), any::<bool>()).prop_map(|(steps, taken)| Act::KillInFlight { steps, taken }),
        2 => (batch(), prop_oneof![3 => 0..1000u64, 1 => Just(1000)]).prop_map(|(steps, part)| Act::KillWithin { steps, part }),
        1 => (batch(), 0..3000u64).prop_map(|(steps, micros)| Act::KillDuring { steps, micros }),
        1 => Just(Act::Stop),
        1 => Just(Act::Checkpoint),
        2 => Just(Act::Away),
        2 => Just(Act::Back),
        3 => of_signal,
        2 => Just(Act::Collect),
        2 => Just(Act::Drain),
    ]
}

/// How a bridge is set up.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    durability: Durability,
    /// `None` where metrics are not pushed.
    pub temporality: Option<Temporality>,
    batch: usize,
    /// The budget of the outbox, only where no snapshot of the metrics can fill it alone.
    pub budget: Option<usize>,
}

/// Any plan.
pub fn plan() -> impl Strategy<Value = Plan> {
    let durability = prop::sample::select(&[Durability::Full, Durability::Normal, Durability::Off][..]);
    let pushed = prop_oneof![
        3 => Just((Some(Temporality::Cumulative), None)),
        2 => Just((Some(Temporality::Delta), None)),
        1 => (1500..6000usize).prop_map(|budget| (None, Some(budget))),
    ];
    (durability, pushed, prop::sample::select(&[1, 3, 512][..])).prop_map(|(durability, pushed, batch)| {
        let (temporality, budget) = pushed;
        Plan { durability, temporality, batch, budget }
    })
}

impl Plan {
    /// The configuration of a bridge that pushes there. Metrics are collected only when somebody asks.
    pub fn config(&self, endpoint: &str) -> Config {
        let otlp = Otlp { timeout: TIMEOUT, ..Otlp::new(endpoint) };
        let metrics = |temporality| PushMetrics { interval: NEVER, temporality, ..PushMetrics::new(otlp.clone()) };
        Config {
            durability: self.durability,
            outbox: Outbox { max_bytes: self.budget },
            push_metrics: self.temporality.map(metrics),
            push_spans: Some(PushSpans {
                schedule_delay: Duration::from_millis(2),
                max_export_batch_size: self.batch,
                ..PushSpans::new(otlp)
            }),
            ..Config::default()
        }
    }
}
