//! Limits: clients that are slow, silent or too many cost a bounded amount of time and room.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mcp_otel_bridge::config::Limits;

use crate::bench::{Answer, Bench, LONG, mcp_event, write_request};

const SHORT: Duration = Duration::from_millis(300);
/// For the rest of the machine to be slow.
const SLACK: Duration = Duration::from_secs(4);

fn limited(change: impl FnOnce(&mut Limits)) -> Bench {
    Bench::with(|config| change(&mut config.limits))
}

/// Waits until the server closes; what it said, and how long it took.
fn closed(mut stream: TcpStream) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    (said, began.elapsed())
}

#[test]
fn who_says_nothing_or_half_a_preface_is_closed() {
    let bench = limited(|limits| limits.first_bytes = SHORT);
    for first in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM"] {
        let mut stream = bench.connect();
        stream.write_all(first).unwrap();
        let (said, took) = closed(stream);
        assert!(took >= SHORT / 2 && took < SHORT + SLACK, "{took:?} after {first:?}");
        assert!(said.is_empty(), "{said:?}");
    }
}

#[test]
fn headers_that_trickle_in_are_cut_off() {
    let bench = limited(|limits| limits.headers = SHORT * 2);
    let began = Instant::now();
    let mut stream = bench.connect();
    let request =
        b"GET /livez HTTP/1.1\r\nHost: bridge\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let mut sent = 0;
    for byte in request.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        sent += 1;
        std::thread::sleep(Duration::from_millis(20));
        assert!(began.elapsed() < SHORT * 2 + SLACK, "{sent} bytes were taken");
    }
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    assert_eq!(bench.get("/livez").status, 200);
}

#[test]
fn http2_headers_that_never_end_are_cut_off() {
    let bench = limited(|limits| limits.headers = SHORT);
    let mut stream = bench.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    // SETTINGS, empty; then HEADERS of stream 1 without END_HEADERS: the rest never comes.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    stream.write_all(&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]).unwrap();
    let (_, took) = closed(stream);
    assert!(took < SHORT + SLACK, "{took:?}");
}

#[test]
fn idle_connections_are_closed_and_busy_ones_kept() {
    let bench = limited(|limits| limits.headers = SHORT);
    let mut stream = bench.connect();
    for _ in 0..6 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
        assert_eq!(Answer::read(&mut stream).status, 200);
        std::thread::sleep(SHORT / 3);
    }
    let (said, took) = closed(stream);
    assert!(said.is_empty() && took < SHORT + SLACK);
}

#[test]
fn a_body_that_stalls_is_answered_with_408() {
    let bench = limited(|limits| limits.request = SHORT);
    let mut stream = bench.connect();
    stream
        .write_all(
            b"POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        )
        .unwrap();
    let answer = Answer::read(&mut stream);
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert_eq!(answer.text(), "the body of the request did not come in time\n");
    // The client that never finishes is not waited for long.
    assert!(closed(stream).1 < SLACK);
}

#[test]
fn an_answer_that_cannot_be_made_is_504() {
    let bench = limited(|limits| limits.request = SHORT);
    let _gate = bench.bridge.telemetry().hold();
    let answer = bench.get("/metrics");
    assert_eq!((answer.status, answer.text().as_str()), (504, "the request could not be answered in time\n"));
    drop(_gate);
    assert_eq!(bench.get("/metrics").status, 200);
}

#[test]
fn a_full_house_turns_away_with_503_and_lets_in_again() {
    let bench = limited(|limits| limits.connections = 3);
    let mut held: Vec<TcpStream> = (0..3).map(|_| bench.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
        assert_eq!(Answer::read(stream).status, 200);
    }
    for _ in 0..5 {
        let answer = bench.get("/livez");
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert!(answer.text().contains("as many connections as it may"), "{}", answer.text());
    }
    drop(held.pop());
    crate::bench::until("room", || bench.get("/livez").status == 200);
    // Many that say nothing are turned away too, and hold nobody up.
    let silent: Vec<TcpStream> = (0..100).map(|_| bench.connect()).collect();
    drop((held, silent));
    crate::bench::until("room", || bench.get("/livez").status == 200);
}

#[test]
fn many_requests_follow_each_other_on_one_connection() {
    let bench = Bench::start();
    let mut stream = bench.connect();
    let event = mcp_event("a").to_string();
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{event}",
        event.len()
    );
    for _ in 0..20 {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(Answer::read(&mut stream).status, 200);
    }
    // Also after a fault whose body was read.
    stream
        .write_all(
            b"POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnono",
        )
        .unwrap();
    assert_eq!(Answer::read(&mut stream).status, 400);
    stream.write_all(request.as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 200);
}

#[test]
fn headers_that_are_too_many_or_too_long_are_431() {
    let bench = Bench::start();
    let long = "a".repeat(200_000);
    let mut stream = bench.connect();
    let _ = write!(stream, "GET /livez HTTP/1.1\r\nHost: b\r\nX-Long: {long}\r\n\r\n");
    assert_eq!(Answer::read(&mut stream).status, 431);
    let mut stream = bench.connect();
    write_request(&mut stream, "GET", "/livez", &vec![("X", "y"); 500], b"");
    assert_eq!(Answer::read(&mut stream).status, 431);
}
