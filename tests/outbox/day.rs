//! An outage of a day: of the snapshots of the metrics one a minute is left, then one an hour.
//!
//! The clock of the process is the system's; the shift is done to the rows, whose times are what counts.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::collector::points;
use crate::deltas;
use crate::yard::{Yard, until};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// When the snapshots that wait were made, in milliseconds since 1970.
fn waiting(yard: &Yard) -> BTreeSet<i64> {
    let db = Connection::open(yard.dir().join("bridge.db")).unwrap();
    let mut statement = db.prepare("SELECT at_ms FROM outbox_metrics").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Lets the outage have begun a day ago: with a snapshot every ten minutes, and every twenty seconds of the last two
/// hours. When they were made, and how many points each has.
fn begin_a_day_ago(yard: &Yard) -> (BTreeSet<i64>, f64) {
    let db = Connection::open(yard.dir().join("bridge.db")).unwrap();
    let first: i64 = db.query_row("SELECT min(at_ms) FROM outbox_metrics", [], |row| row.get(0)).unwrap();
    let long_ago = (12..=144).rev().map(|n| first - n * 10 * MINUTE);
    let lately = (1..360).rev().map(|n| first - n * 20 * SECOND);
    let times: BTreeSet<i64> = long_ago.chain(lately).collect();
    db.execute_batch("BEGIN; UPDATE outbox_metrics SET id = id + 1000").unwrap();
    for (id, at_ms) in (1i64..).zip(&times) {
        let copy = "INSERT INTO outbox_metrics (id, at_ms, items, settled, bytes, replaceable, request)
             SELECT ?1, ?2, items, 0, bytes, 1, request FROM outbox_metrics ORDER BY id DESC LIMIT 1";
        db.execute(copy, [id, *at_ms]).unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    let items = db.query_row("SELECT items FROM outbox_metrics ORDER BY id LIMIT 1", [], |row| row.get(0)).unwrap();
    (times, items)
}

/// Those that must be left: the last of each minute, and of each hour before the last one; and the newest.
fn left(made: &BTreeSet<i64>) -> BTreeSet<i64> {
    let newest = *made.last().unwrap();
    let last_of = |at: i64| {
        let grain = if newest - at > HOUR { HOUR } else { MINUTE };
        made.range(at + 1..).next().is_none_or(|next| next / grain != at / grain)
    };
    made.iter().copied().filter(|at| last_of(*at)).collect()
}

#[test]
fn an_outage_of_a_day_leaves_a_snapshot_a_minute_then_one_an_hour_and_the_newest_arrives_last() {
    let mut yard = Yard::in_an_outage(&[("OTEL_METRIC_EXPORT_INTERVAL", "20")]);
    yard.call(1);
    until("some snapshots", || (yard.book().items("metrics", "queued") > 0.0).then_some(()));
    yard.kill();
    let (before, items) = begin_a_day_ago(&yard);

    yard.start();
    yard.call(1);
    until("the next snapshot", || (yard.book().items("metrics", "superseded") > 0.0).then_some(()));
    // One that was in flight then is looked at again.
    deltas::filed(&yard);
    let superseded = yard.book().items("metrics", "superseded");
    yard.kill();
    let kept = waiting(&yard);
    assert_eq!(kept, left(&before.union(&kept).copied().collect()));
    // Some 23 hours of one, and some 61 minutes of one.
    assert!((81..=87).contains(&kept.len()), "{}", kept.len());
    // An hour may have begun since the first look.
    let gone = before.difference(&kept).count() as f64;
    assert!(superseded >= (gone - 2.0) * items, "{superseded} points gave way, and {gone} snapshots of {items} points");

    yard.start();
    yard.collector.come_back();
    let restarted = jiff::Timestamp::now().as_nanosecond() as u64;
    // When each snapshot that was taken was made, in the order of their coming.
    let times = |yard: &Yard| -> Vec<u64> {
        yard.collector.seen(|seen| {
            let taken = seen.metrics.iter().filter(|got| got.taken);
            taken.map(|got| points(&got.request).iter().map(|(.., time)| *time).max().unwrap()).collect()
        })
    };
    until("a snapshot made after the outage", || (*times(&yard).last()? > restarted).then_some(()));
    let times = times(&yard);
    assert!(times.is_sorted(), "{times:?}");
    let old = times.iter().filter(|time| **time < restarted).count();
    assert!((kept.len() - 1..=kept.len() + 1).contains(&old), "{old} of {}", kept.len());
}
