//! A session is one span, from its start to its end.

use std::time::Duration;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, Sampler, Sessions};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;

use crate::support::collector::Collector;
use crate::support::events::{end, send, start, until, with};
use crate::support::samples::Samples;
use crate::support::traced::{LONG, attributes, builder, hex, pushing_to, spans, traceparent};

const START: u64 = 1_770_381_296_250_000_000;
const MINUTE: u64 = 60_000_000_000;
const ID: &str = "notes-server-20260206-123456-00000001";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn started() -> serde_json::Value {
    start("notes-server", "2026-02-06T12:34:56.25Z", "00000001")
}

#[test]
fn a_session_is_one_span_with_the_times_of_its_events() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let answer = send(&bridge, started());
    assert!(spans(&bridge, &collector).0.is_empty(), "nothing before it is over");

    send(&bridge, end(ID, "2026-02-06T12:35:56.25Z"));
    // Neither a repeated end nor a repeated start makes another.
    assert!(send(&bridge, end(ID, "2026-02-06T12:35:56.25Z")).duplicate);
    assert!(send(&bridge, started()).duplicate);
    let spans = spans(&bridge, &collector);
    let span = spans.one("session notes-server");
    assert_eq!(spans.0.len(), 1);
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (START, START + MINUTE));
    assert_eq!((span.kind(), &*span.parent_span_id), (SpanKind::Internal, &[][..]));
    assert_eq!(span.status.clone().unwrap_or_default().code(), StatusCode::Unset);
    assert_eq!(answer.traceparent.unwrap().to_string(), traceparent(span));
}

#[test]
fn a_span_carries_the_labels_of_its_metrics_and_what_metrics_must_not_have() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    send(&bridge, with(with(started(), "transport", "stdio"), "protocol_version", "2025-11-25"));
    send(&bridge, with(end(ID, "2026-02-06T12:35:56.25Z"), "status", "error"));
    let spans = spans(&bridge, &collector);
    let span = spans.one("session notes-server");
    let got = attributes(span);
    let expected = [
        ("component_name", "\"notes-server\""),
        ("shell_type", "\"TestShell\""),
        ("status", "\"error\""),
        ("session.id", "\"notes-server-20260206-123456-00000001\""),
        ("host.name", "\"desk-1\""),
        ("process.pid", "4711"),
        ("user.name", "\"user\""),
        ("mcp.protocol.version", "\"2025-11-25\""),
        ("network.transport", "\"pipe\""),
    ];
    for (key, value) in expected {
        assert_eq!(got.get(key).map(String::as_str), Some(value), "{key} in {got:#?}");
    }
    assert_eq!(span.status.clone().unwrap().code(), StatusCode::Error);

    // Every label of every series of this session is an attribute with the same value.
    let labels = Samples::of(&bridge);
    for key in labels.named(&["session_start_total", "session_duration_seconds_count", "active_sessions{"]).keys() {
        for label in key.split_once('{').unwrap().1.trim_end_matches('}').split(',') {
            let (name, value) = label.split_once('=').unwrap();
            assert_eq!(got.get(name).map(String::as_str), Some(value), "{key}");
        }
    }
}

#[test]
fn a_remote_parent_is_the_parent() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let answer = send(&bridge, with(started(), "traceparent", PARENT)).traceparent.unwrap().to_string();
    assert!(answer.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && answer.ends_with("-01"), "{answer}");
    send(&bridge, end(ID, "2026-02-06T12:35:56.25Z"));
    let spans = spans(&bridge, &collector);
    let span = spans.one("session notes-server");
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(answer, traceparent(span));
}

#[test]
fn an_unsampled_parent_is_honoured() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let answer = send(&bridge, with(started(), "traceparent", UNSAMPLED)).traceparent.unwrap().to_string();
    assert!(answer.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && answer.ends_with("-00"), "{answer}");
    send(
        &bridge,
        json!({"event_type": "llm_call", "provider": "p", "model": "m", "session_id": ID,
                         "duration_seconds": 1}),
    );
    let ended = send(&bridge, end(ID, "2026-02-06T12:35:56.25Z"));
    assert_eq!(ended.traceparent.unwrap().to_string(), answer);
    assert_eq!(spans(&bridge, &collector).names(), Vec::<&str>::new());
    assert!(Samples::of(&bridge).exemplars.is_empty());
}

#[test]
fn with_a_ratio_of_0_there_is_no_span_and_no_exemplar_but_for_sampled_parents() {
    let collector = Collector::start();
    let sampler = Sampler { parent_based: true, ratio: 0.0 };
    let config = Config { sampler, ..pushing_to(&collector) };
    let bridge = Bridge::builder().config(config).build().unwrap();
    let answer = send(&bridge, started());
    assert!(answer.traceparent.unwrap().to_string().ends_with("-00"));
    send(&bridge, json!({"event_type": "llm_call", "provider": "p", "model": "m", "duration_seconds": 1}));
    send(&bridge, end(ID, "2026-02-06T12:35:56.25Z"));
    assert!(spans(&bridge, &collector).0.is_empty());
    assert!(Samples::of(&bridge).exemplars.is_empty());

    send(&bridge, with(start("other", "2026-02-06T12:34:56Z", "00000002"), "traceparent", PARENT));
    send(&bridge, end("other-20260206-123456", "2026-02-06T12:35:56Z"));
    assert_eq!(spans(&bridge, &collector).names(), ["session other"]);
    let samples = Samples::of(&bridge);
    assert!(!samples.exemplars.is_empty());
    assert!(samples.exemplars.values().all(|exemplar| exemplar.trace_id == "0af7651916cd43dd8448eb211c80319c"));
}

#[test]
fn the_decision_of_a_session_holds_for_all_that_is_under_it() {
    let collector = Collector::start();
    let sampler = Sampler { parent_based: true, ratio: 0.5 };
    let bridge = Bridge::builder().config(Config { sampler, ..pushing_to(&collector) }).build().unwrap();
    let mut sampled = 0;
    for number in 0..64 {
        let prefix = format!("{number:08x}");
        let answer = send(&bridge, start("a", "2026-02-06T12:34:56Z", &prefix)).traceparent.unwrap();
        sampled += usize::from(answer.is_sampled());
        let id = format!("a-20260206-123456-{prefix}");
        let call = json!({"event_type": "llm_call", "provider": "p", "model": "m", "session_id": id});
        let call = send(&bridge, call).traceparent.unwrap();
        assert_eq!((call.trace_id(), call.is_sampled()), (answer.trace_id(), answer.is_sampled()));
        send(&bridge, end(&id, "2026-02-06T12:35:56Z"));
    }
    assert!((1..64).contains(&sampled), "{sampled}");
    let names = spans(&bridge, &collector);
    assert_eq!(names.0.iter().filter(|span| span.name == "session a").count(), sampled);
    assert_eq!(names.0.len(), 2 * sampled);
}

#[test]
fn a_session_that_times_out_ends_when_it_was_last_heard_of() {
    let collector = Collector::start();
    let sessions = Sessions { timeout: Duration::from_millis(50), ..Sessions::default() };
    let bridge = Bridge::builder().config(Config { sessions, ..pushing_to(&collector) }).build().unwrap();
    let beat = json!({"event_type": "session_heartbeat", "session_id": ID, "timestamp": "2026-02-06T12:35:56.25Z"});
    let early = with(beat.clone(), "timestamp", "2026-02-06T12:35:00Z");
    for event in [started(), beat, early] {
        assert!(!send(&bridge, event).is_rejected());
    }
    until("the span arrives", || !spans(&bridge, &collector).0.is_empty());
    // The end that comes after all makes no second span.
    send(&bridge, end(ID, "2026-02-06T12:50:00Z"));
    let spans = spans(&bridge, &collector);
    let span = spans.one("session notes-server");
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (START, START + MINUTE));
    assert_eq!(attributes(span)["status"], "\"timeout\"");
}

#[test]
fn the_span_of_a_session_from_before_a_restart_is_exported_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let bridge = builder(&collector).data_dir(dir.path()).build().unwrap();
    let answer = send(&bridge, with(started(), "traceparent", PARENT)).traceparent.unwrap();
    bridge.shutdown(LONG).unwrap();
    drop(bridge);
    assert!(collector.seen(|seen| seen.all_spans()).is_empty());

    let bridge = builder(&collector).data_dir(dir.path()).build().unwrap();
    let call = json!({"event_type": "llm_call", "provider": "p", "model": "m", "session_id": ID});
    send(&bridge, call);
    let ended = send(&bridge, end(ID, "2026-02-06T12:35:56.25Z"));
    assert_eq!(ended.traceparent, Some(answer));
    let spans = spans(&bridge, &collector);
    let span = spans.one("session notes-server");
    assert_eq!(traceparent(span), answer.to_string());
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (START, START + MINUTE));
    let got = attributes(span);
    assert_eq!(
        (&*got["shell_type"], &*got["host.name"], &*got["process.pid"]),
        ("\"TestShell\"", "\"desk-1\"", "4711")
    );
    assert_eq!(spans.one("chat m").parent_span_id, span.span_id);
}

#[test]
fn a_span_never_ends_before_it_starts() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    send(&bridge, started());
    send(&bridge, end(ID, "2026-02-06T12:00:00Z"));
    let spans = spans(&bridge, &collector);
    let span = spans.one("session notes-server");
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (START, START));
}
