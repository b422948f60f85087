//! Outages of each kind: the collector is gone, unwilling, overloaded, or silent.

use mcp_otel_bridge::telemetry::push::Signal;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::collector::Answer;
use crate::deltas;
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
fn metrics_arrive_whatever_the_collector_answers_as_it_comes_back() {
    let asked = ErrorDetails::with_retry_info(Some(std::time::Duration::from_millis(200)));
    for temporality in [deltas::DELTA, (deltas::DELTA.0, "cumulative")] {
        let mut yard = Yard::in_an_outage(&[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
            temporality,
        ]);
        yard.call(40);
        deltas::filed(&yard);
        yard.call(60);
        deltas::filed(&yard);
        yard.kill_and_start();
        yard.collector.then_to(
            Signal::Metrics,
            [
                Answer::Status(Status::unavailable("starting")),
                Answer::Status(Status::with_error_details(Code::ResourceExhausted, "later", asked.clone())),
                Answer::Status(Status::resource_exhausted("no room")),
                Answer::Hang,
                Answer::TakenAndHang,
                Answer::Status(Status::aborted("again")),
            ],
        );
        yard.collector.come_back();
        let told = |yard: &Yard| match temporality {
            deltas::DELTA => deltas::calls_told_once(yard),
            _ => deltas::last_calls(yard),
        };
        until("all calls of the outage", || (told(&yard) == 100).then_some(()));
        yard.call(7);
        until("the calls after it", || (told(&yard) == 107).then_some(()));
        let book = yard.book();
        assert_eq!(book.items("metrics", "dropped") + book.items("metrics", "rejected"), 0.0);
        assert_eq!(book.items("metrics", "superseded") == 0.0, temporality == deltas::DELTA);
        assert!(yard.collector.seen(|seen| seen.answers_to(Signal::Metrics).is_empty()));
    }
}

#[test]
fn a_partial_success_after_an_outage_is_counted_as_what_it_is() {
    let mut yard = Yard::in_an_outage(&[("OTEL_METRIC_EXPORT_INTERVAL", "50")]);
    let sent = yard.call(600);
    deltas::filed(&yard);
    yard.collector.then_to(Signal::Spans, [Answer::Partial(7)]);
    yard.collector.then_to(Signal::Metrics, [Answer::Partial(2)]);
    yard.collector.come_back();
    let book = yard.drained();
    assert_eq!((book.items("spans", "taken"), book.items("spans", "rejected")), (593.0, 7.0));
    assert_eq!(yard.taken(), sent, "what the collector did not want is not sent again");
    until("the last totals", || (deltas::last_calls(&yard) == 600).then_some(()));
    let book = until("its book", || Some(yard.book()).filter(|book| book.items("metrics", "rejected") == 2.0));
    assert_eq!((book.requests("spans", "partial"), book.requests("metrics", "partial")), (1.0, 1.0));
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
