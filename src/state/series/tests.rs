//! Totals against a store: what is taken back, what is written, and what is read again.

use opentelemetry_sdk::Resource;

use super::*;
use crate::catalog::metrics::{
    MCP_EVENT_EMIT_DURATION, MCP_EVENT_EMIT_SUCCESS, MCP_HUB_ACTIVE_OPERATIONS, SESSION_QUALITY_SCORE,
};
use crate::config::{ExemplarFilter, Metrics};
use crate::telemetry::Telemetry;

struct Home {
    store: Store,
    telemetry: Telemetry,
    totals: SeriesTotals,
    series: Vec<Arc<Series>>,
}

/// Which of the series of [`Home`], and what happens to it.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add(u64),
    Shift(i64),
    Set(f64),
    Record(f64),
}

impl Home {
    fn new() -> Self {
        let (store, metrics) = (Store::in_memory().unwrap(), Metrics::default());
        let telemetry =
            Telemetry::new(Resource::builder_empty().build(), &metrics, &[], ExemplarFilter::AlwaysOff, None).unwrap();
        let mut totals = SeriesTotals::default();
        for instrument in telemetry.instruments().filter(|instrument| instrument.is_durable()) {
            totals.stream(&store, instrument).unwrap();
        }
        totals.read(&store, |_, _| ()).unwrap();
        let series = vec![
            telemetry.instrument(&MCP_EVENT_EMIT_SUCCESS).series(&["a", "e"]),
            telemetry.instrument(&MCP_HUB_ACTIVE_OPERATIONS).series(&["a"]),
            telemetry.instrument(&SESSION_QUALITY_SCORE).series(&["a"]),
            telemetry.instrument(&MCP_EVENT_EMIT_DURATION).series(&["a", "\"e\","]),
        ];
        let mut home = Self { store, telemetry, totals, series };
        home.count(&[]);
        home
    }

    fn count(&mut self, steps: &[Step]) {
        for newcomer in self.telemetry.take_newcomers() {
            self.totals.begin(newcomer);
        }
        for step in steps {
            let of = |place: usize| self.series[place].number().unwrap();
            match *step {
                Step::Add(value) => self.totals.add(of(0), value),
                Step::Shift(value) => self.totals.shift(of(1), value),
                Step::Set(value) => self.totals.set(of(2), value),
                Step::Record(value) => self.totals.record(of(3), value, self.series[3].bucket(value)),
            }
        }
    }

    fn commit(&mut self) {
        self.totals.write(&self.store).unwrap();
        self.totals.keep();
    }
}

/// The labels, the start and the value of every row.
fn rows(store: &Store) -> Vec<(Option<Vec<String>>, u64, StoredValue)> {
    let mut rows = Vec::new();
    let (unread, _) = table::read(store, |stored| rows.push((stored.labels, stored.start_ns, stored.value))).unwrap();
    assert_eq!(unread, 0);
    rows
}

const SOME: [Step; 6] =
    [Step::Add(3), Step::Shift(-2), Step::Set(0.1), Step::Record(0.1), Step::Record(0.7), Step::Record(1e300)];
const OTHERS: [Step; 5] = [Step::Add(5), Step::Record(0.2), Step::Record(1e-300), Step::Set(7.0), Step::Shift(9)];

#[test]
fn what_was_not_kept_is_taken_back_to_the_last_bit() {
    let (mut home, mut other) = (Home::new(), Home::new());
    for home in [&mut home, &mut other] {
        home.count(&SOME);
        home.commit();
    }
    home.count(&OTHERS);
    home.totals.write(&home.store).unwrap();
    home.totals.forget();
    for home in [&mut home, &mut other] {
        home.count(&OTHERS);
        home.count(&SOME);
        home.commit();
    }
    let values =
        |home: &Home| rows(&home.store).into_iter().map(|(labels, _, value)| (labels, value)).collect::<Vec<_>>();
    assert_eq!(values(&home), values(&other));
}

#[test]
fn a_value_that_is_not_finite_counts_nothing_as_in_the_sdk() {
    let mut home = Home::new();
    home.count(&[Step::Record(f64::NAN), Step::Record(f64::INFINITY), Step::Record(2.0)]);
    home.commit();
    let distributions: Vec<Distribution> = rows(&home.store)
        .into_iter()
        .filter_map(|(_, _, value)| if let StoredValue::Distribution(value) = value { Some(value) } else { None })
        .collect();
    let [only] = &distributions[..] else { panic!("{distributions:?}") };
    assert_eq!((only.count, only.sum, only.min, only.max, only.buckets.iter().sum()), (1, 2.0, 2.0, 2.0, 1));
}

#[test]
fn a_gauge_has_a_row_once_it_is_set_and_others_at_once() {
    let mut home = Home::new();
    home.commit();
    assert_eq!(rows(&home.store).len(), 3);
    home.count(&[Step::Set(1.5)]);
    home.totals.write(&home.store).unwrap();
    home.totals.forget();
    home.count(&[Step::Set(-0.0)]);
    home.commit();
    let stored = rows(&home.store);
    let gauges: Vec<&StoredValue> =
        stored.iter().map(|(.., value)| value).filter(|value| matches!(value, StoredValue::Real(_))).collect();
    let [StoredValue::Real(only)] = gauges[..] else { panic!("{gauges:?}") };
    assert!(*only == 0.0 && only.is_sign_negative());
}

#[test]
fn another_store_gets_everything() {
    let mut home = Home::new();
    home.count(&SOME);
    home.commit();
    let before = rows(&home.store);
    home.store = Store::in_memory().unwrap();
    home.totals.write_all(&home.store).unwrap();
    assert_eq!(rows(&home.store), before);
    home.count(&[Step::Add(1)]);
    home.commit();
    assert_eq!(rows(&home.store).len(), before.len());
}

#[test]
fn a_row_that_is_gone_comes_again() {
    let mut home = Home::new();
    home.count(&SOME);
    home.commit();
    let before = rows(&home.store);
    home.store.db().execute("DELETE FROM series", []).unwrap();
    // What is touched is written whole, and a histogram's 0 more changes nothing else.
    home.count(&[Step::Add(0), Step::Shift(1), Step::Shift(-1), Step::Set(1.0), Step::Record(1.0)]);
    home.commit();
    home.count(&[Step::Set(0.1)]);
    home.commit();
    let after = rows(&home.store);
    assert_eq!(after.len(), before.len());
    assert_eq!(after[..3], before[..3]);
    let count = |rows: &[(Option<Vec<String>>, u64, StoredValue)]| match &rows[3].2 {
        StoredValue::Distribution(distribution) => distribution.count,
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&after), count(&before) + 1);
}
