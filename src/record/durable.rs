//! The series that outlive a restart: brought back from the store, and written with the batch that changes them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Change, Measurement, Staged};
use crate::catalog::Kind;
use crate::state::{SeriesTotals, State, StoreError, StoredSeries, StoredValue};
use crate::telemetry::{Base, Instrument, Telemetry};

/// Brings back every stored series, as it stood.
///
/// Those with other labels or buckets than those in force (a view was changed), or of a group that is off, stay in the
/// store as they are, and so do those that find no room.
///
/// # Errors
///
/// When the store cannot be read, or does not take what is new in the configuration.
pub(crate) fn restore_series(state: &mut State, telemetry: &Telemetry) -> Result<(), StoreError> {
    let mut by_stream = HashMap::new();
    // The streams of a first start are dozens, and each commit waits for the disk.
    state.begin()?;
    for instrument in telemetry.instruments().filter(|instrument| instrument.is_durable()) {
        let (id, anew) = state.series_stream(instrument)?;
        if anew {
            tracing::warn!(
                metric = instrument.metric().prometheus,
                "its labels or buckets are others than before: its series start anew, and the earlier ones are kept \
                 until those are in force again"
            );
        }
        by_stream.insert(id, Arc::clone(instrument));
    }
    state.commit()?;
    let mut no_room: HashMap<&str, usize> = HashMap::new();
    let unread = state.restore_series(|totals, stored| {
        let Some(instrument) = by_stream.get(&stored.stream_id) else { return };
        if !restore_one(instrument, &stored, totals) {
            *no_room.entry(instrument.metric().prometheus).or_default() += 1;
        }
    })?;
    for (metric, series) in no_room {
        tracing::warn!(
            metric,
            series,
            "stored series find no room within the cardinality limit: they are not shown, and are kept until they do"
        );
    }
    if unread > 0 {
        tracing::warn!(series = unread, "stored series cannot be read: they are not shown");
    }
    Ok(())
}

/// `false` where there is no room.
fn restore_one(instrument: &Instrument, stored: &StoredSeries, totals: &mut SeriesTotals) -> bool {
    let kind = instrument.metric().kind;
    let base = match (&stored.value, kind) {
        (StoredValue::Integer(value), Kind::UpDownCounter) => Base::UpDownCounter(*value),
        (StoredValue::Integer(value), _) => Base::Counter(value.cast_unsigned()),
        (StoredValue::Real(_), _) => Base::None,
        (StoredValue::Distribution(stored), _) => Base::Histogram(Arc::new(stored.clone())),
    };
    let values: Option<Vec<&str>> = stored.labels.as_ref().map(|labels| labels.iter().map(String::as_str).collect());
    let Some((series, since_sum)) = instrument.adopt(values.as_deref(), base, stored.start_ns) else { return false };
    if let StoredValue::Real(value) = stored.value {
        series.set(value);
    }
    totals.go_on(stored, &series, kind, since_sum);
    true
}

impl Staged {
    /// Counts what is staged in the totals that the store keeps; the commit writes them.
    pub(crate) fn count(&self, totals: &mut SeriesTotals, telemetry: &Telemetry) {
        for newcomer in telemetry.take_newcomers() {
            totals.begin(newcomer);
        }
        for Measurement { series, change, .. } in &self.measurements {
            let Some(number) = series.number() else { continue };
            match *change {
                Change::Add(value) => totals.add(number, value),
                Change::Shift(value) => totals.shift(number, value),
                Change::Set(value) => totals.set(number, value),
                Change::Record(value) => totals.record(number, value, series.bucket(value)),
            }
        }
    }
}
