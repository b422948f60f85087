//! Events in over HTTP: single ones, arrays, NDJSON, and the parent that they came under.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::bench::{Bench, mcp_event, session_start};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_session_by_single_events() {
    let bench = Bench::start();
    let start = session_start("my-server");
    let answer = bench.event(&start);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let answer = answer.json();
    assert_eq!(answer["status"], "tracked");
    let id = answer["session_id"].as_str().unwrap();
    assert!(id.starts_with("my-server-20260301-100000-"), "{id}");

    let sessions = bench.get("/v1/sessions").json();
    let session = &sessions["sessions"][0];
    assert_eq!(session["session_id"], id);
    assert_eq!(session["component_name"], "my-server");
    assert_eq!(session["shell_type"], "TestShell");
    assert_eq!(session["started"], "2026-03-01T10:00:00Z");
    assert_eq!(session["traceparent"], answer["traceparent"]);

    let end = json!({"event_type": "session_end", "session_id": id, "timestamp": "2026-03-01T10:02:00Z"});
    let answer = bench.event(&end);
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("ended")));
    assert_eq!(bench.get("/v1/sessions").json()["sessions"], json!([]));
    let metrics = bench.metrics();
    assert!(
        metrics.contains("session_duration_seconds_sum{component_name=\"my-server\"} 120"),
        "the true duration: {metrics}"
    );
}

#[test]
fn a_repeated_event_is_answered_again_and_counted_once() {
    let bench = Bench::start();
    let start = session_start("a");
    let first = bench.event(&start).json();
    let batch = bench.post("application/json", json!([start, session_start("a")]).to_string()).json();
    assert_eq!((&batch["accepted"], &batch["duplicates"]), (&json!(1), &json!(1)));
    assert_eq!(batch["results"][0]["session_id"], first["session_id"]);
    assert_eq!(bench.sum("session_start_total{"), 2.0);
}

#[test]
fn a_bad_line_costs_its_neighbours_nothing() {
    let bench = Bench::start();
    let mut body = Vec::new();
    for line in [
        mcp_event("a").to_string().as_bytes(),
        b"{\"event_type\": \"mcp_event\"",
        b"\xff\xfe",
        b"",
        b"{\"event_type\": \"mcp_event\", \"component_name\": \"two words\"}",
        b"42",
        mcp_event("a").to_string().as_bytes(),
    ] {
        body.extend_from_slice(line);
        body.extend_from_slice(b"\r\n");
    }
    let answer = bench.post("application/x-ndjson; charset=utf-8", body);
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(0)));
    let indices: Vec<_> = answer["rejected"].as_array().unwrap().iter().map(|one| one["index"].clone()).collect();
    assert_eq!(indices, [1, 2, 3, 4]);
    assert_eq!(answer["rejected"][2]["field"], "component_name");
    assert_eq!(bench.sum("mcp_event_emit_success_total{component_name=\"a\",event_type=\"tool_list\"}"), 2.0);
}

#[test]
fn an_empty_batch_is_no_fault() {
    let bench = Bench::start();
    for (content_type, body) in [("application/json", "[]"), ("application/x-ndjson", "\n\n")] {
        let answer = bench.post(content_type, body);
        assert_eq!((answer.status, answer.json()["accepted"].clone()), (200, json!(0)));
    }
}

#[test]
fn the_requests_traceparent_is_the_parent_of_events_without_one() {
    let bench = Bench::start();
    let own = "00-11111111111111111111111111111111-2222222222222222-01";
    let mut with_own = session_start("a");
    with_own["traceparent"] = json!(own);
    let body = json!([session_start("a"), with_own]).to_string();
    let send = |headers: &[(&str, &str)]| {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        let results = bench.request("POST", "/v1/events", &all, body.as_bytes()).json();
        let trace = |index: usize| {
            let parent = results["results"][index]["traceparent"].as_str().unwrap();
            parent.split('-').nth(1).unwrap().to_owned()
        };
        (trace(0), trace(1))
    };
    assert_eq!(send(&[("traceparent", PARENT)]), (TRACE.to_owned(), "1".repeat(32)));

    let alone = |headers: &[(&str, &str)]| {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        let answer = bench.request("POST", "/v1/events", &all, session_start("b").to_string().as_bytes());
        assert_eq!(answer.status, 200);
        answer.json()["traceparent"].as_str().unwrap().split('-').nth(1).unwrap().to_owned()
    };
    assert_eq!(alone(&[("traceparent", PARENT)]), TRACE);
    // A malformed header is ignored, and so are two.
    assert_ne!(alone(&[("traceparent", &PARENT.replace("00-0af", "00-0AF"))]), TRACE);
    assert_ne!(alone(&[("traceparent", "nonsense")]), TRACE);
    assert_ne!(alone(&[("traceparent", PARENT), ("traceparent", PARENT)]), TRACE);
}

#[test]
fn gzip_is_read_up_to_the_same_limit() {
    let bench = Bench::with(|config| config.limits.body_bytes = 100_000);
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let send = |body: &[u8]| bench.request("POST", "/v1/events", &headers, body);
    assert_eq!(send(&gzip(mcp_event("a").to_string().as_bytes())).status, 200);

    let bomb = gzip(&vec![b' '; 10_000_000]);
    assert!(bomb.len() < 100_000);
    let answer = send(&bomb);
    assert_eq!(answer.status, 413);
    assert!(answer.json()["error"].as_str().unwrap().contains("100000 bytes"));

    let answer = send(b"{}");
    assert_eq!((answer.status, answer.json()["status"].as_str()), (400, Some("error")));

    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "br")];
    let answer = bench.request("POST", "/v1/events", &headers, b"x");
    assert_eq!((answer.status, answer.header("accept-encoding")), (415, Some("gzip")));
}

#[test]
fn the_right_method_and_content_type_are_named() {
    let bench = Bench::start();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let answer = bench.post(content_type, "{}");
        assert_eq!(answer.status, 415, "{content_type}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("application/json") && error.contains("application/x-ndjson"), "{error}");
    }
    let answer = bench.get("/v1/events");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    let answer = bench.request("POST", "/metrics", &[], b"");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,HEAD")));
}

#[test]
fn a_full_door_says_when_to_try_again() {
    let bench = Bench::with(|config| config.limits.queue_events = 2);
    // While metrics are held the writer cannot finish a batch: what comes after it waits, up to the limit.
    let answers: Vec<_> = {
        let _gate = bench.bridge.telemetry().hold();
        std::thread::scope(|scope| {
            let sent: Vec<_> = (0..8).map(|_| scope.spawn(|| bench.event(&mcp_event("a")))).collect();
            crate::bench::until("refusals", || sent.iter().filter(|one| one.is_finished()).count() >= 6);
            drop(_gate);
            sent.into_iter().map(|one| one.join().unwrap()).collect()
        })
    };
    let (taken, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((taken.len(), refused.len()), (2, 6));
    for answer in refused {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(answer.json()["status"], "error");
    }
    crate::bench::until("the account", || {
        bench.sum("bridge_events_rejected_total{source=\"http\",reason=\"overloaded\"}") == 6.0
    });
}
