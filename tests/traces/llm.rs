//! An LLM call is a span under its session.

use mcp_otel_bridge::event::Status;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::events::{end, send, start, with};
use crate::support::samples::Samples;
use crate::support::traced::{attributes, builder, hex, spans, traceparent};

const ID: &str = "a-20260206-123456-00000001";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn call() -> Value {
    json!({
        "event_type": "llm_call", "provider": "openai", "model": "gpt-4", "duration_seconds": 1.5,
        "input_tokens": 1200, "output_tokens": 34, "time_to_first_token_seconds": 0.25,
        "timestamp": "2026-02-06T12:35:00Z",
    })
}

#[test]
fn a_call_of_a_session_is_a_client_span_under_the_sessions() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    let answer = send(&bridge, with(call(), "session_id", ID));
    assert_eq!(answer.status, Status::Recorded);
    send(&bridge, with(with(call(), "session_id", "a-20260206-123456"), "operation", "embeddings"));
    send(&bridge, end(ID, "2026-02-06T12:40:00Z"));
    // The session is over; its call still belongs under it.
    send(&bridge, with(with(call(), "session_id", ID), "operation", "rerank"));

    let spans = spans(&bridge, &collector);
    let session = spans.one("session a");
    for name in ["chat gpt-4", "embeddings gpt-4", "rerank gpt-4"] {
        let span = spans.one(name);
        assert_eq!((&span.trace_id, &span.parent_span_id), (&session.trace_id, &session.span_id), "{name}");
        assert_eq!(span.kind(), SpanKind::Client, "{name}");
        assert_eq!(attributes(span)["session.id"], format!("{ID:?}"), "{name}");
    }
    let span = spans.one("chat gpt-4");
    assert_eq!(span.end_time_unix_nano, 1_770_381_300_000_000_000);
    assert_eq!(span.start_time_unix_nano, 1_770_381_298_500_000_000);
    assert_eq!(answer.traceparent.unwrap().to_string(), traceparent(span));
}

#[test]
fn its_attributes_have_the_conventions_names_beside_the_seeds() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    send(&bridge, with(call(), "error_type", "RateLimit"));
    let spans = spans(&bridge, &collector);
    let span = spans.one("chat gpt-4");
    let expected = [
        ("error.type", "\"RateLimit\""),
        ("gen_ai.operation.name", "\"chat\""),
        ("gen_ai.provider.name", "\"openai\""),
        ("gen_ai.request.model", "\"gpt-4\""),
        ("gen_ai.response.time_to_first_chunk", "0.25"),
        ("gen_ai.usage.input_tokens", "1200"),
        ("gen_ai.usage.output_tokens", "34"),
        ("model", "\"gpt-4\""),
        ("provider", "\"openai\""),
    ];
    let got = attributes(span);
    assert_eq!(got.iter().map(|(key, value)| (&**key, &**value)).collect::<Vec<_>>(), expected);
    assert_eq!(span.status.clone().unwrap().code(), StatusCode::Error);
    assert!(span.parent_span_id.is_empty());

    let samples = Samples::of(&bridge);
    let labels = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt-4\"";
    for (name, labels, value) in [
        ("mcp_hub_llm_api_calls_total", "provider=\"openai\",model=\"gpt-4\"".to_owned(), 1.0),
        ("gen_ai_client_operation_duration_seconds_sum", format!("{labels},error_type=\"RateLimit\""), 1.5),
        ("gen_ai_client_token_usage_sum", format!("{labels},gen_ai_token_type=\"input\""), 1200.0),
        ("gen_ai_client_token_usage_sum", format!("{labels},gen_ai_token_type=\"output\""), 34.0),
        ("gen_ai_client_operation_time_to_first_chunk_seconds_sum", labels.to_owned(), 0.25),
    ] {
        assert_eq!(samples.get(&format!("{name}{{{labels}}}")), value);
    }
}

#[test]
fn what_is_not_told_is_neither_measured_nor_an_attribute() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    send(&bridge, json!({"event_type": "llm_call", "provider": "p", "model": "m"}));
    let spans = spans(&bridge, &collector);
    let span = spans.one("chat m");
    assert_eq!(span.start_time_unix_nano, span.end_time_unix_nano);
    assert_eq!(attributes(span).len(), 5);
    let samples = Samples::of(&bridge);
    assert!(samples.named(&["gen_ai"]).is_empty());
    assert_eq!(samples.get("mcp_hub_llm_api_calls_total{provider=\"p\",model=\"m\"}"), 1.0);
}

#[test]
fn a_remote_parent_goes_before_the_session() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    send(&bridge, start("a", "2026-02-06T12:34:56Z", "00000001"));
    send(&bridge, with(with(call(), "session_id", ID), "traceparent", PARENT));
    let spans = spans(&bridge, &collector);
    let span = spans.one("chat gpt-4");
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
}

#[test]
fn a_call_of_an_unknown_session_is_a_trace_of_its_own() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    assert_eq!(send(&bridge, with(call(), "session_id", "nobody-20260206-123456")).status, Status::Recorded);
    let spans = spans(&bridge, &collector);
    let span = spans.one("chat gpt-4");
    assert!(span.parent_span_id.is_empty());
    assert_eq!(attributes(span)["session.id"], "\"nobody-20260206-123456\"");
}
