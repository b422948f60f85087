//! The reporter against a bridge that answers as told, and the spool on its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::spool::{Limits, Spool};
use super::{Loss, Reporter, Settings};
use crate::client::Client;
use crate::event::{
    ComponentName, Event, EventId, Label, McpEvent, McpOperation, Seconds, SessionEnd, SessionId, SessionStart,
    SessionStatus, Timestamp, Transport,
};
use crate::wrap::TraceContext;

const LONG: Duration = Duration::from_secs(20);

fn event(kind: impl Into<crate::event::EventKind>) -> Event {
    Event { id: Some(EventId::random()), timestamp: Some(Timestamp::now()), ..Event::new(kind) }
}

fn start() -> Event {
    event(SessionStart::here(ComponentName::lossy("notes"), Label::lossy("shell")))
}

fn end() -> Event {
    event(SessionEnd { session_id: SessionId::new("s").unwrap(), status: SessionStatus::Success, quality_score: None })
}

fn notification(method: &str) -> Event {
    event(McpEvent {
        component_name: ComponentName::lossy("notes"),
        emitted_type: Label::lossy(method),
        duration_seconds: Seconds::from(Duration::ZERO),
        error_type: None,
    })
}

fn operation(method: &str) -> Event {
    event(McpOperation {
        component_name: ComponentName::lossy("notes"),
        method: Label::lossy(method),
        tool_name: None,
        direction: crate::event::Direction::ToServer,
        duration_seconds: Seconds::from(Duration::ZERO),
        error_type: None,
        protocol_version: None,
        transport: Transport::Stdio,
        session_id: None,
    })
}

/// What a report is known by.
fn mark(event: &Value) -> String {
    let name = |key: &str| event[key].as_str().map(str::to_owned);
    name("method").or_else(|| name("emitted_type")).or_else(|| name("event_type")).unwrap()
}

fn parsed(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn marks(body: &str) -> Vec<String> {
    parsed(body).iter().map(mark).collect()
}

const SMALL: Limits = Limits { reports: 6, bytes: 1 << 20, batch_reports: 4, batch_bytes: 1 << 20 };

#[test]
fn the_oldest_notification_goes_first_then_the_oldest_operation_and_start_and_end_never() {
    let mut spool = Spool::new(SMALL);
    spool.push(&start());
    spool.push(&operation("a"));
    for method in ["n1", "n2"] {
        spool.push(&notification(method));
    }
    for method in ["b", "c", "d", "e"] {
        spool.push(&operation(method));
    }
    spool.push(&end());
    assert_eq!(spool.count(), 6);
    // In order, with the account of the three that were dropped.
    let first = spool.body();
    assert_eq!(marks(&first), ["session_start", "b", "c", "d", "session_heartbeat"]);
    let account = &parsed(&first)[4];
    assert_eq!(account["dropped"], json!({"spool_full": 3}));
    let session = account["session_id"].as_str().unwrap();
    assert!(session.starts_with("notes-"), "{session}");
    // Until it is answered the same comes again.
    assert_eq!(spool.body(), first);
    assert!(spool.settle(&[]));
    assert_eq!(marks(&spool.body()), ["e", "session_end"]);
    assert!(!spool.is_done());
    assert!(!spool.settle(&[]));
    assert!(spool.is_done());
    assert_eq!(spool.body(), "");
}

#[test]
fn what_there_is_no_time_for_gives_way_to_the_end() {
    let all = vec!["session_start", "a", "b", "c"];
    let last = vec!["session_start", "d", "e", "session_heartbeat", "session_end"];
    for (left, pace, marked) in [
        (LONG, Some(Duration::from_millis(5)), all.clone()),
        (LONG, Some(LONG / 5), all),
        // Two requests would do, and there is time for one.
        (LONG, Some(LONG / 3), last.clone()),
        (LONG, None, last.clone()),
        (Duration::ZERO, Some(Duration::from_millis(5)), last),
    ] {
        let mut spool = Spool::new(Limits { reports: 10, ..SMALL });
        spool.push(&start());
        for method in ["a", "b", "c", "d", "e"] {
            spool.push(&operation(method));
        }
        spool.push(&end());
        if let Some(pace) = pace {
            spool.took(pace);
        }
        spool.close(Instant::now() + left);
        assert_eq!(marks(&spool.body()), marked, "{left:?} {pace:?}");
    }
}

#[test]
fn a_slow_bridge_gets_the_end_of_a_session_whose_spool_is_full() {
    let (url, got) = bridge(vec![Answer::Slow(Duration::from_millis(700))]);
    let (reporter, _) = reporter(&url);
    reporter.report(&start());
    got.recv_timeout(LONG).unwrap();
    for _ in 0..10_100 {
        reporter.report(&operation("a"));
    }
    // The one that is under way is answered, and there is time for one more.
    got.recv_timeout(LONG).unwrap();
    reporter.report(&end());
    reporter.finish(Duration::from_millis(1250));
    let mut ended = false;
    while let Ok(request) = got.recv_timeout(Duration::from_secs(2)) {
        let events = parsed(&request.body);
        if events.iter().any(|event| mark(event) == "session_end") {
            let account = events.iter().find(|event| mark(event) == "session_heartbeat").unwrap();
            assert!(account["dropped"]["spool_full"].as_u64().unwrap() > 5000, "{account}");
            ended = true;
            break;
        }
    }
    assert!(ended);
}

#[test]
fn what_is_on_its_way_is_not_dropped_and_its_room_counts() {
    let mut spool = Spool::new(SMALL);
    spool.push(&start());
    for method in ["a", "b", "c"] {
        spool.push(&operation(method));
    }
    let body = spool.body();
    for method in ["d", "e", "f", "g"] {
        spool.push(&operation(method));
    }
    assert_eq!(spool.body(), body);
    spool.settle(&[]);
    assert_eq!(marks(&spool.body()), ["f", "g", "session_heartbeat"]);
}

#[test]
fn the_bytes_are_bounded_too() {
    let line = serde_json::to_string(&operation("a")).unwrap().len();
    let mut spool = Spool::new(Limits { bytes: line * 3, ..Limits::default() });
    for method in ["a", "b", "c", "d", "e"] {
        spool.push(&operation(method));
    }
    assert_eq!(marks(&spool.body()), ["c", "d", "e"]);
    let mut spool = Spool::new(Limits { batch_bytes: line * 2, ..Limits::default() });
    for method in ["a", "b", "c"] {
        spool.push(&operation(method));
    }
    assert_eq!(marks(&spool.body()), ["a", "b"]);
}

#[test]
fn losses_are_told_once_and_a_refused_account_is_no_loss() {
    let mut spool = Spool::new(Limits::default());
    spool.push(&start());
    for loss in [Loss::Unread, Loss::OpenRequests, Loss::Unread] {
        spool.lose(loss, 1);
    }
    let body = spool.body();
    assert_eq!(parsed(&body)[1]["dropped"], json!({"unread": 2, "open_requests": 1}));
    spool.settle(&[0, 1]);
    assert_eq!(parsed(&spool.body())[0]["dropped"], json!({"rejected": 1}));
    spool.settle(&[0]);
    assert!(spool.is_done());
}

#[test]
fn what_is_too_large_comes_in_halves() {
    let mut spool = Spool::new(Limits::default());
    for method in ["a", "b", "c"] {
        spool.push(&operation(method));
    }
    spool.body();
    spool.halve();
    assert_eq!(marks(&spool.body()), ["a"]);
    spool.settle(&[]);
    assert_eq!(marks(&spool.body()), ["b", "c"]);
    spool.halve();
    spool.halve();
    assert_eq!(marks(&spool.body()), ["c"]);
}

/// A request as it came in.
struct Got {
    at: Instant,
    headers: String,
    body: String,
}

/// How a request is answered.
enum Answer {
    /// Every event is taken.
    Taken,
    /// With this status line, these headers and this body.
    Says(&'static str, &'static str, String),
    /// Every event is taken, after so long.
    Slow(Duration),
    /// Not at all: the connection is closed.
    Closes,
}

/// Answers one request after the other as told, the last answer for ever.
fn bridge(answers: Vec<Answer>) -> (String, Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, got) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let answer = &answers[number.min(answers.len() - 1)];
            if tell.send(answer_one(stream.unwrap(), answer)).is_err() {
                break;
            }
        }
    });
    (url, got)
}

fn answer_one(stream: TcpStream, answer: &Answer) -> Got {
    let at = Instant::now();
    let mut reader = BufReader::new(stream);
    let mut headers = String::new();
    while !headers.ends_with("\r\n\r\n") {
        reader.read_line(&mut headers).unwrap();
    }
    let length = headers.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let (status, more, text) = match answer {
        Answer::Taken | Answer::Slow(_) => {
            if let Answer::Slow(wait) = answer {
                std::thread::sleep(*wait);
            }
            let count = body.lines().count();
            ("200 OK", "", json!({"accepted": count, "duplicates": 0, "rejected": [], "results": []}).to_string())
        }
        Answer::Says(status, more, text) => (*status, *more, text.clone()),
        Answer::Closes => return Got { at, headers, body },
    };
    let length = text.len();
    let response = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{more}connection: close\r\n\r\n{text}");
    reader.get_mut().write_all(response.as_bytes()).unwrap();
    Got { at, headers, body }
}

fn reporter(url: &str) -> (Reporter, TraceContext) {
    let trace = TraceContext::default();
    (Reporter::start(Settings::new(Client::new(url, Some("s3cret")), trace.clone())), trace)
}

#[test]
fn reports_go_out_soon_with_token_and_source_and_the_session_gets_its_span() {
    const SPAN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = json!({"accepted": 2, "duplicates": 0, "rejected": [], "results": [
        {"status": "tracked", "session_id": "x", "traceparent": SPAN}, {"status": "recorded", "traceparent": "other"}]});
    let (url, got) = bridge(vec![Answer::Says("200 OK", "", answer.to_string()), Answer::Taken]);
    let (reporter, trace) = reporter(&url);
    let begun = Instant::now();
    reporter.report(&start());
    reporter.report(&operation("a"));
    let request = got.recv_timeout(LONG).unwrap();
    let took = request.at - begun;
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(marks(&request.body), ["session_start", "a"]);
    for header in ["authorization: Bearer s3cret", "mcp-otel-bridge-source: wrap", "content-type: application/x-ndjson"]
    {
        assert!(request.headers.contains(header), "{header}: {}", request.headers);
    }
    assert!(reporter.finish(LONG));
    assert_eq!(trace.current().unwrap().to_string(), SPAN);
}

#[test]
fn what_was_not_answered_is_sent_again_with_the_same_ids() {
    let busy = || Answer::Says("503 Service Unavailable", "", String::new());
    let half = || Answer::Says("200 OK", "", "{\"accepted\":1,".to_owned());
    let (url, got) = bridge(vec![Answer::Closes, busy(), half(), Answer::Taken]);
    let (reporter, _) = reporter(&url);
    reporter.report(&start());
    let first = got.recv_timeout(LONG).unwrap().body;
    for _ in 0..3 {
        assert_eq!(got.recv_timeout(LONG).unwrap().body, first);
    }
    assert!(reporter.finish(LONG));
    assert!(got.try_recv().is_err());
}

#[test]
fn the_bridge_is_left_alone_for_as_long_as_it_asks() {
    let busy = Answer::Says("503 Service Unavailable", "retry-after: 1\r\n", String::new());
    let (url, got) = bridge(vec![busy, Answer::Taken]);
    let (reporter, _) = reporter(&url);
    reporter.report(&start());
    let first = got.recv_timeout(LONG).unwrap().at;
    let waited = got.recv_timeout(LONG).unwrap().at - first;
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    assert!(reporter.finish(LONG));
}

#[test]
fn what_is_refused_alone_is_dropped_and_told_and_its_neighbours_are_not() {
    let refusal = json!({"accepted": 1, "duplicates": 0, "rejected": [{"index": 1, "error": "no"}], "results": []});
    let large = Answer::Says("413 Payload Too Large", "", String::new());
    let (url, got) = bridge(vec![large, Answer::Taken, Answer::Says("200 OK", "", refusal.to_string()), Answer::Taken]);
    let (reporter, _) = reporter(&url);
    for event in [start(), operation("a"), operation("b"), operation("c")] {
        reporter.report(&event);
    }
    let next = || got.recv_timeout(LONG).unwrap().body;
    assert_eq!(marks(&next()), ["session_start", "a", "b", "c"]);
    assert_eq!(marks(&next()), ["session_start", "a"]);
    assert_eq!(marks(&next()), ["b", "c"]);
    // The account goes with what comes next.
    reporter.report(&end());
    let last = next();
    assert_eq!(marks(&last), ["session_heartbeat", "session_end"]);
    assert_eq!(parsed(&last)[0]["dropped"], json!({"rejected": 1}));
    assert!(reporter.finish(LONG));
}

#[test]
fn the_end_of_a_session_waits_no_longer_than_it_may() {
    // A bridge that takes connections and never answers.
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", frozen.local_addr().unwrap());
    let (frozen_reporter, _) = reporter(&url);
    frozen_reporter.report(&start());
    let begun = Instant::now();
    assert!(!frozen_reporter.finish(Duration::from_millis(300)));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // No bridge at all: there is little to hope for.
    drop(frozen);
    let (lonely, _) = reporter(&url);
    lonely.report(&start());
    let begun = Instant::now();
    assert!(!lonely.finish(LONG));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // One that refuses will refuse again.
    let (url, got) = bridge(vec![Answer::Says("401 Unauthorized", "", String::new())]);
    let (refused, _) = reporter(&url);
    refused.report(&start());
    got.recv_timeout(LONG).unwrap();
    let begun = Instant::now();
    assert!(!refused.finish(LONG));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn nobody_who_reports_waits_for_the_bridge() {
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let (reporter, _) = reporter(&format!("http://{}", frozen.local_addr().unwrap()));
    reporter.report(&start());
    let begun = Instant::now();
    for _ in 0..20_000 {
        reporter.report(&notification("n"));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(reporter.shared.lock().count(), Limits::default().reports);
}
