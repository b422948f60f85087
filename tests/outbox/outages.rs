//! Outages of each kind: the collector is gone, unwilling, overloaded, or silent; and one that lasts a day.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::collector::{Answer, points};
use crate::peers::http;
use crate::yard::{Yard, until};

#[test]
fn every_span_arrives_once_whatever_the_collector_answers_as_it_comes_back() {
    let asked = ErrorDetails::with_retry_info(Some(std::time::Duration::from_millis(200)));
    let status = |status| Answer::Status(status);
    let mut yard =
        Yard::in_an_outage(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "500"), ("OTEL_METRIC_EXPORT_INTERVAL", "3600000")]);
    let sent = yard.call(1200);
    until("a failed request", || (yard.book().requests("spans", "retry") >= 2.0).then_some(()));
    yard.collector.then([
        status(Status::unavailable("starting")),
        status(Status::with_error_details(Code::ResourceExhausted, "later", asked)),
        status(Status::resource_exhausted("no room")),
        Answer::Hang,
        status(Status::aborted("again")),
    ]);
    yard.collector.come_back();
    let book = yard.drained();
    assert_eq!(yard.taken(), sent);
    assert_eq!(book.items("spans", "taken"), 1200.0);
    assert!(yard.collector.seen(|seen| seen.answers.is_empty()));
}

#[test]
fn what_a_collector_rejects_is_counted_as_rejected_and_the_rest_goes_on() {
    let mut yard = Yard::new(&[("OTEL_METRIC_EXPORT_INTERVAL", "3600000")]);
    yard.collector.then([Answer::Partial(7), Answer::Status(Status::invalid_argument("no"))]);
    yard.start();
    yard.call(500);
    until("the first batch", || (yard.book().items("spans", "taken") == 493.0).then_some(()));
    yard.call(3);
    until("the refused batch", || (yard.book().items("spans", "rejected") == 10.0).then_some(()));
    yard.call(2);
    let book = yard.drained();
    assert_eq!((book.items("spans", "taken"), book.items("spans", "rejected")), (495.0, 10.0));
    assert_eq!(book.requests("spans", "partial"), 1.0);
    assert_eq!(book.requests("spans", "failure"), 1.0);
}

/// The outbox is in the store, and what was settled must be kept before the next request leaves.
#[test]
fn the_push_rests_while_the_store_fails_and_goes_on_by_itself() {
    let mut yard = Yard::new(&[("OTEL_METRIC_EXPORT_INTERVAL", "50")]);
    yard.start();
    let mut sent = yard.call(3);
    yard.drained();
    let ready = |yard: &Yard| http::get(&yard.bridge().url("/readyz"), "*/*").unwrap().status;

    let mut db = rusqlite::Connection::open(yard.dir().join("bridge.db")).unwrap();
    let held = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    until("the fault to show", || (ready(&yard) == 503).then_some(()));
    let (requests, failed) = (yard.collector.seen(|seen| seen.metrics.len()), yard.book().items("metrics", "queued"));
    held.rollback().unwrap();
    until("the fault to be over", || (ready(&yard) == 200).then_some(()));
    until("metrics again", || (yard.collector.seen(|seen| seen.metrics.len()) > requests + 1).then_some(()));
    assert!(yard.book().items("metrics", "queued") > failed);
    sent.extend(yard.call(2));
    let book = yard.drained();
    assert_eq!(yard.taken(), sent);
    assert_eq!(book.items("metrics", "dropped") + book.items("spans", "dropped"), 0.0);
}

/// The clock of the process is the system's; the shift is done to the rows, whose times are what counts.
#[test]
fn an_outage_of_a_day_leaves_an_hourly_snapshot_and_the_newest_arrives_last() {
    let mut yard = Yard::in_an_outage(&[("OTEL_METRIC_EXPORT_INTERVAL", "20")]);
    yard.call(1);
    until("some snapshots", || (yard.book().items("metrics", "queued") > 0.0).then_some(()));
    yard.kill();
    // A snapshot every ten minutes of a day, the first one's copies.
    let db = rusqlite::Connection::open(yard.dir().join("bridge.db")).unwrap();
    db.execute_batch(
        "UPDATE outbox_metrics SET id = id + 1000;
         WITH RECURSIVE tens (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM tens WHERE n < 143)
         INSERT INTO outbox_metrics (id, at_ms, items, settled, bytes, replaceable, request)
         SELECT n + 1, at_ms - (144 - n) * 600000, items, 0, bytes, 1, request
         FROM tens, (SELECT * FROM outbox_metrics ORDER BY id LIMIT 1);",
    )
    .unwrap();
    drop(db);

    yard.start();
    yard.call(1);
    until("the next snapshot", || (yard.book().items("metrics", "superseded") > 0.0).then_some(()));
    yard.kill();
    let db = rusqlite::Connection::open(yard.dir().join("bridge.db")).unwrap();
    let rows: i64 = db.query_row("SELECT count(*) FROM outbox_metrics", [], |row| row.get(0)).unwrap();
    // 23 or 24 hours of one, then six in the recent hour, then the last minute or two.
    assert!((29..=34).contains(&rows), "{rows}");
    drop(db);

    yard.start();
    yard.collector.come_back();
    let restarted = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
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
    let old = times.iter().filter(|time| **time < restarted).count() as i64;
    assert!((rows - 1..=rows + 1).contains(&old), "{old} of {rows}");
    yard.book();
}
