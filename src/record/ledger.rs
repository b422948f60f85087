//! The account of events: received = accepted + duplicates + rejected, by source.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bridge::Source;
use crate::catalog::metrics::{
    BRIDGE_EVENT_WARNINGS, BRIDGE_EVENTS_ACCEPTED, BRIDGE_EVENTS_DUPLICATE, BRIDGE_EVENTS_RECEIVED,
    BRIDGE_EVENTS_REJECTED,
};
use crate::event::{EventType, Outcome, Reason, Rejection};
use crate::telemetry::{Instrument, Telemetry};

/// The label of an event type that could not be read.
const OTHER: &str = "_other";

/// Counts a batch's events, all at once when the batch is applied.
#[derive(Debug)]
pub(crate) struct Ledger {
    received: Arc<Instrument>,
    accepted: Arc<Instrument>,
    duplicate: Arc<Instrument>,
    rejected: Arc<Instrument>,
    warnings: Arc<Instrument>,
    counts: Counts,
}

/// Bounded by the numbers of sources, event types and reasons.
#[derive(Debug, Default)]
struct Counts {
    received: HashMap<(Source, Option<EventType>), u64>,
    accepted: HashMap<Source, u64>,
    duplicate: HashMap<Source, u64>,
    rejected: HashMap<(Source, Reason), u64>,
    warnings: HashMap<&'static str, u64>,
}

impl Ledger {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let ledger = Self {
            received: telemetry.instrument(&BRIDGE_EVENTS_RECEIVED),
            accepted: telemetry.instrument(&BRIDGE_EVENTS_ACCEPTED),
            duplicate: telemetry.instrument(&BRIDGE_EVENTS_DUPLICATE),
            rejected: telemetry.instrument(&BRIDGE_EVENTS_REJECTED),
            warnings: telemetry.instrument(&BRIDGE_EVENT_WARNINGS),
            counts: Counts::default(),
        };
        for source in Source::ALL {
            ledger.accepted.series(&[source.name()]);
            ledger.duplicate.series(&[source.name()]);
        }
        ledger
    }

    /// An event came, of which nobody will say what became of it.
    pub(crate) fn received(&mut self, source: Source, event_type: Option<EventType>) {
        *self.counts.received.entry((source, event_type)).or_default() += 1;
    }

    /// An event was recorded, or recognised as a repeated one.
    pub(crate) fn outcome(&mut self, source: Source, event_type: EventType, outcome: &Outcome) {
        self.received(source, Some(event_type));
        let counts = if outcome.duplicate { &mut self.counts.duplicate } else { &mut self.counts.accepted };
        *counts.entry(source).or_default() += 1;
        for warning in &outcome.warnings {
            *self.counts.warnings.entry(warning.reason()).or_default() += 1;
        }
    }

    /// An event was rejected.
    pub(crate) fn rejection(&mut self, source: Source, rejection: &Rejection) {
        self.refused(source, rejection.event_type, rejection.reason, 1);
    }

    /// So many events of a type were rejected for a reason.
    pub(crate) fn refused(&mut self, source: Source, event_type: Option<EventType>, reason: Reason, count: u64) {
        *self.counts.received.entry((source, event_type)).or_default() += count;
        *self.counts.rejected.entry((source, reason)).or_default() += count;
    }

    /// Counts what came since the last time. The caller keeps collections out meanwhile.
    pub(crate) fn apply(&mut self) {
        let Counts { received, accepted, duplicate, rejected, warnings } = &mut self.counts;
        for ((source, event_type), count) in received.drain() {
            self.received.add(&[source.name(), event_type.map_or(OTHER, EventType::name)], count, None);
        }
        for (source, count) in accepted.drain() {
            self.accepted.add(&[source.name()], count, None);
        }
        for (source, count) in duplicate.drain() {
            self.duplicate.add(&[source.name()], count, None);
        }
        for ((source, reason), count) in rejected.drain() {
            self.rejected.add(&[source.name(), reason.name()], count, None);
        }
        for (reason, count) in warnings.drain() {
            self.warnings.add(&[reason], count, None);
        }
    }

    /// Whatever became of the events that came since the last time, they are refused for this reason: the batch was not
    /// kept.
    pub(crate) fn refuse_all(&mut self, reason: Reason) {
        let received = std::mem::take(&mut self.counts).received;
        for ((source, event_type), count) in received {
            self.refused(source, event_type, reason, count);
        }
    }
}
