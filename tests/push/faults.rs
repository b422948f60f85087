//! A collector that is away, silent, overloaded or unwilling.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mcp_otel_bridge::config::{Otlp, PushMetrics, PushSpans};
use mcp_otel_bridge::telemetry::push::{ItemOutcome, PushError, RequestOutcome, Signal};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::bench::{Bench, LONG, keep_log, log, metrics, otlp, span, spans, until};
use crate::collector::{Answer, Collector};

#[test]
fn an_outage_is_survived_and_logged_once_each_way() {
    keep_log();
    let mut collector = Collector::start();
    let endpoint = collector.endpoint();
    let bench = Bench::start(otlp(endpoint.clone()));
    bench.calls.add(1, &[]);
    bench.sink().send(vec![span(1, true)]);
    bench.push.flush(LONG).unwrap();
    assert_eq!(log(&endpoint), [""; 0], "nothing to say while it works");

    collector.kill();
    bench.sink().send(vec![span(2, true)]);
    until("failed requests of both signals", || {
        [Signal::Metrics, Signal::Spans].into_iter().all(|s| bench.book.requests(s, RequestOutcome::Retry) >= 3)
    });
    let status = bench.push.status().spans.unwrap();
    assert_eq!(status.endpoint, endpoint);
    assert!(status.failing_since.is_some() && status.last_success.is_some());
    assert!(status.last_error.unwrap().contains("Unavailable"));
    assert_eq!(status.waiting, 1);
    assert_eq!(log(&endpoint).iter().filter(|line| line.starts_with("WARN")).count(), 2, "{:?}", log(&endpoint));

    collector.come_back();
    until("both signals again", || {
        let status = bench.push.status();
        status.metrics.unwrap().failing_since.is_none() && status.spans.unwrap().failing_since.is_none()
    });
    bench.push.flush(LONG).unwrap();
    let mut lines = log(&endpoint);
    lines.sort();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (line, start) in lines.iter().zip(["INFO metrics ", "INFO spans ", "WARN metrics ", "WARN spans "]) {
        assert!(line.starts_with(start), "{lines:?}");
    }
    let ids: Vec<_> = collector.seen(|seen| seen.all_spans()).into_iter().map(|span| span.name).collect();
    assert_eq!(ids, ["span 1", "span 2"]);
    bench.book.check(Signal::Metrics);
    bench.book.check(Signal::Spans);
}

#[test]
fn a_collector_that_takes_connections_and_never_answers_costs_the_timeout_each_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    // The backlog takes the connections; nobody ever reads them.
    let otlp = Otlp { timeout: Duration::from_millis(200), ..otlp(endpoint) };
    let bench = Bench::start(otlp);
    bench.calls.add(1, &[]);
    until("a failed request", || bench.book.requests(Signal::Metrics, RequestOutcome::Retry) >= 1);
    let start = Instant::now();
    let before = bench.book.requests(Signal::Metrics, RequestOutcome::Retry);
    until("another", || bench.book.requests(Signal::Metrics, RequestOutcome::Retry) > before);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(bench.push.status().metrics.unwrap().last_error.unwrap().contains("200ms"));
    bench.book.check(Signal::Metrics);
}

#[test]
fn an_address_that_swallows_packets_costs_the_timeout_each_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // Once the backlog is full, the kernel drops what asks for a connection.
    let mut fill = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        fill.push(stream);
        assert!(fill.len() < 100, "the backlog does not fill");
    }
    let otlp = Otlp { timeout: Duration::from_millis(200), ..otlp(format!("http://{address}")) };
    let bench = Bench::start(otlp);
    bench.sink().send(vec![span(1, true)]);
    let start = Instant::now();
    until("three failed requests", || bench.book.requests(Signal::Spans, RequestOutcome::Retry) >= 3);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let start = Instant::now();
    assert!(bench.push.shutdown(Duration::from_millis(500)).is_err());
    assert!(start.elapsed() < Duration::from_millis(700), "{:?}", start.elapsed());
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Dropped), 1);
    bench.book.check(Signal::Spans);
}

/// Forwards connections to `to`; those that are open when `silent` is set say nothing any more, and stay open.
fn forwarder(to: SocketAddr, silent: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(to).unwrap());
            let silent = Arc::new((Arc::clone(&silent), silent.load(Ordering::SeqCst)));
            for (mut from, mut into) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                let silent = Arc::clone(&silent);
                std::thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(n @ 1..) = from.read(&mut bytes) {
                        let (now, at_opening) = (silent.0.load(Ordering::SeqCst), silent.1);
                        if now == at_opening && into.write_all(&bytes[..n]).is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    address
}

#[test]
fn a_connection_that_went_silent_is_left_for_a_new_one() {
    let collector = Collector::start();
    let silent = Arc::new(AtomicBool::new(false));
    let address = forwarder(collector.address(), Arc::clone(&silent));
    let otlp = Otlp { timeout: Duration::from_millis(200), ..otlp(format!("http://{address}")) };
    let bench = Bench::start_with(None, Some(spans(otlp)));
    bench.sink().send(vec![span(1, true)]);
    bench.push.flush(LONG).unwrap();
    silent.store(true, Ordering::SeqCst);
    bench.sink().send(vec![span(2, true)]);
    until("taken in the end", || bench.book.items(Signal::Spans, ItemOutcome::Taken) == 2);
    assert_eq!(bench.book.requests(Signal::Spans, RequestOutcome::Retry), 1);
    bench.book.check(Signal::Spans);
}

#[test]
fn a_flush_waits_for_the_snapshot_that_took_the_place_of_its_own() {
    let collector = Collector::start();
    // The first request fails when the flush's snapshot has long been superseded by those of the intervals.
    collector.then([Answer::Hang]);
    let otlp = Otlp { timeout: Duration::from_millis(400), ..otlp(collector.endpoint()) };
    let bench = Bench::start_with(Some(metrics(otlp)), None);
    bench.calls.add(1, &[]);
    until("a request in flight", || collector.seen(|seen| !seen.metrics.is_empty()));
    bench.push.flush(LONG).unwrap();
    assert!(bench.book.items(Signal::Metrics, ItemOutcome::Superseded) > 0);
    assert!(collector.seen(|seen| !seen.metric("calls").is_empty()));
    bench.book.check(Signal::Metrics);
}

#[test]
fn an_overloaded_collector_is_asked_again_when_it_said() {
    let collector = Collector::start();
    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    let wait = Duration::from_millis(700);
    let details = ErrorDetails::with_retry_info(Some(wait));
    collector.then([
        Answer::Status(Status::with_error_details(Code::ResourceExhausted, "later", details)),
        Answer::Status(Status::resource_exhausted("later")),
        Answer::Status(Status::unavailable("later")),
    ]);
    bench.sink().send(vec![span(1, true)]);
    until("taken in the end", || bench.book.items(Signal::Spans, ItemOutcome::Taken) == 1);
    let times: Vec<_> = collector.seen(|seen| seen.spans.iter().map(|got| got.at).collect());
    assert_eq!(times.len(), 4);
    let asked = times[1] - times[0];
    assert!(asked >= wait && asked < wait * 2, "{asked:?}");
    assert!(times[2] - times[1] < wait, "without a RetryInfo the wait is our own");
    assert_eq!(bench.book.requests(Signal::Spans, RequestOutcome::Retry), 3);
    assert_eq!(bench.book.requests(Signal::Spans, RequestOutcome::Success), 1);
    bench.book.check(Signal::Spans);
}

#[test]
fn a_partial_success_is_counted_as_what_it_is() {
    let collector = Collector::start();
    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    collector.then([Answer::Partial(3)]);
    bench.sink().send((1..=10).map(|id| span(id, true)).collect());
    until("settled", || {
        bench.book.items(Signal::Spans, ItemOutcome::Queued) == 10 && bench.book.waiting(Signal::Spans) == 0
    });
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Taken), 7);
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Rejected), 3);
    assert_eq!(bench.book.requests(Signal::Spans, RequestOutcome::Partial), 1);
    assert_eq!(bench.book.requests(Signal::Spans, RequestOutcome::Success), 0);
    bench.book.check(Signal::Spans);
    assert_eq!(collector.seen(|seen| seen.spans.len()), 1, "a partial success is not sent again");
}

#[test]
fn what_is_refused_for_good_is_not_sent_again() {
    let collector = Collector::start();
    let push = metrics(otlp(collector.endpoint()));
    let push = PushMetrics { interval: LONG * 10, ..push };
    let bench = Bench::start_with(Some(push), Some(spans(otlp(collector.endpoint()))));
    collector.then([Answer::Status(Status::invalid_argument("no")), Answer::Status(Status::failed_precondition("no"))]);
    bench.calls.add(1, &[]);
    bench.sink().send(vec![span(1, true)]);
    let error = bench.push.flush(LONG).unwrap_err();
    assert!(matches!(&error, PushError::Undelivered { .. }), "{error}");
    for signal in [Signal::Metrics, Signal::Spans] {
        assert_eq!(bench.book.requests(signal, RequestOutcome::Failure), 1);
        assert_eq!(bench.book.items(signal, ItemOutcome::Rejected), 1);
        assert_eq!(bench.book.waiting(signal), 0);
        bench.book.check(signal);
    }
    bench.sink().send(vec![span(2, true)]);
    bench.push.flush(LONG).unwrap();
    assert_eq!(collector.seen(|seen| seen.all_spans().len()), 1);
    bench.book.check(Signal::Metrics);
}

/// A token that is out of date, a route that leads elsewhere, a server that is broken: none of it is the items' fault.
#[test]
fn a_collector_that_refuses_the_client_loses_nothing() {
    let refusals = [
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::Unimplemented,
        Code::Unknown,
        Code::Internal,
        Code::NotFound,
    ];
    let collector = Collector::start();
    let unauthenticated = std::iter::repeat_n(Code::Unauthenticated, 20);
    let answers = unauthenticated.chain(refusals).map(|code| Answer::Status(Status::new(code, "mend me")));
    collector.then(answers);
    let bench = Bench::start_with(None, Some(spans(otlp(collector.endpoint()))));
    bench.sink().send((1..=1000).map(|id| span(id, true)).collect());
    // A flush asks at once, where the sender itself would wait for long; and it does not wait in vain.
    until("all taken", || bench.push.flush(LONG * 10).is_ok());
    let names: Vec<_> = collector.seen(|seen| seen.all_spans()).into_iter().map(|span| span.name).collect();
    assert_eq!(names, (1..=1000).map(|id| format!("span {id}")).collect::<Vec<_>>());
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Rejected), 0);
    assert_eq!(bench.book.requests(Signal::Spans, RequestOutcome::Retry), 20 + refusals.len() as u64);
    bench.book.check(Signal::Spans);
}

#[test]
fn requests_that_are_refused_for_good_in_a_row_come_slower_and_slower() {
    let collector = Collector::start();
    let status = || Answer::Status(Status::invalid_argument("no"));
    collector.then([status(), status(), status(), status(), status()]);
    let push = PushSpans { max_export_batch_size: 1, ..spans(otlp(collector.endpoint())) };
    let bench = Bench::start_with(None, Some(push));
    bench.sink().send((1..=6).map(|id| span(id, true)).collect());
    until("the last", || bench.book.items(Signal::Spans, ItemOutcome::Taken) == 1);
    assert_eq!(bench.book.items(Signal::Spans, ItemOutcome::Rejected), 5);
    let times: Vec<_> = collector.seen(|seen| seen.spans.iter().map(|got| got.at).collect());
    // The first wait is of 50 ms and each is twice the last, at least half of it.
    for (pair, wait) in times[1..].windows(2).zip([25, 50, 100, 200]) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(wait), "{:?}", pair[1] - pair[0]);
    }
    bench.book.check(Signal::Spans);
}

#[test]
fn a_full_outbox_drops_its_oldest_spans_and_counts_them() {
    let mut collector = Collector::start();
    collector.kill();
    let push = PushSpans { max_export_batch_size: 10, ..spans(otlp(collector.endpoint())) };
    // Room for something above a hundred spans, but not for a thousand.
    let room = 20_000;
    let bench = Bench::start_small(push, room);
    for first in (1..=1000).step_by(50) {
        bench.sink().send((first..first + 50).map(|id| span(id, true)).collect());
    }
    until("a request has failed", || bench.book.requests(Signal::Spans, RequestOutcome::Retry) >= 1);
    bench.book.check(Signal::Spans);
    assert!(bench.book.bytes(Signal::Spans) <= room);
    collector.come_back();
    until("the rest is taken", || bench.book.waiting(Signal::Spans) == 0);
    let (taken, dropped) =
        (bench.book.items(Signal::Spans, ItemOutcome::Taken), bench.book.items(Signal::Spans, ItemOutcome::Dropped));
    assert_eq!(taken + dropped, 1000);
    assert!(taken >= 100, "{taken}");
    let names: Vec<_> = collector.seen(|seen| seen.all_spans()).into_iter().map(|span| span.name).collect();
    let latest: Vec<_> = (901..=1000).map(|id| format!("span {id}")).collect();
    assert_eq!(names[names.len() - 100..], latest);
    bench.book.check(Signal::Spans);
}
