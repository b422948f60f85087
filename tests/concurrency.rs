//! 64 tasks that record at once, over HTTP, gRPC and the library, lose nothing: neither in a series that all of them
//! share nor in those that each has for itself, and gauges that go up and down come back.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "this needs a part of it")]
#[path = "serve/bench.rs"]
mod bench;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bench::Bench;
use mcp_otel_bridge::RecordError;
use mcp_otel_bridge::event::{BodyForm, parse_body};
use mcp_otel_bridge::proto::v1;
use mcp_otel_bridge::proto::v1::event::Event as Kind;
use mcp_otel_bridge::proto::v1::event_service_client::EventServiceClient;
use serde_json::json;

const TASKS: usize = 64;
const ROUNDS: usize = 20;
/// What all tasks record into.
const SHARED: &str = "shared";
const SECONDS: f64 = 0.25;

/// The events of one round of a task, as JSON and as protobuf: two emissions, two calls of breakers, and a request that
/// starts and ends under the agent that all share.
fn round(own: &str, round: usize) -> Vec<(serde_json::Value, v1::Event)> {
    let mut events = Vec::new();
    let mut add = |json: serde_json::Value, kind: Kind| {
        events.push((json, v1::Event { event: Some(kind), ..v1::Event::default() }));
    };
    for name in [SHARED, own] {
        let name = name.to_owned();
        add(
            json!({"event_type": "mcp_event", "component_name": name, "emitted_type": "e",
                "duration_seconds": SECONDS}),
            Kind::McpEvent(v1::McpEvent {
                component_name: name.clone(),
                emitted_type: "e".to_owned(),
                duration_seconds: Some(SECONDS),
                error_type: None,
            }),
        );
        let success = round.is_multiple_of(2);
        add(
            json!({"event_type": "circuit_breaker_call", "component": name, "latency_seconds": SECONDS,
                "success": success}),
            Kind::CircuitBreakerCall(v1::CircuitBreakerCall {
                component: name,
                latency_seconds: Some(SECONDS),
                success: Some(success),
            }),
        );
    }
    let (request_id, agent, operation) = (format!("{own}-{round}"), SHARED.to_owned(), own.to_owned());
    add(
        json!({"event_type": "request_start", "request_id": request_id, "agent": agent, "operation": operation}),
        Kind::RequestStart(v1::RequestStart {
            request_id: request_id.clone(),
            agent: agent.clone(),
            operation: operation.clone(),
        }),
    );
    add(
        json!({"event_type": "request_end", "request_id": request_id, "agent": agent, "operation": operation}),
        Kind::RequestEnd(v1::RequestEnd { request_id, agent, operation, error_type: None }),
    );
    events
}

/// A round over HTTP; one that the bridge has no room for is sent again.
async fn over_http(bench: Arc<Bench>, own: String, number: usize) {
    let lines: String = round(&own, number).iter().map(|(json, _)| format!("{json}\n")).collect();
    tokio::task::spawn_blocking(move || {
        loop {
            let answer = bench.post("application/x-ndjson", &lines);
            match answer.status {
                200 => return assert_eq!(answer.json()["accepted"], 6, "{}", answer.text()),
                503 => std::thread::sleep(Duration::from_millis(5)),
                status => panic!("{status}: {}", answer.text()),
            }
        }
    })
    .await
    .unwrap();
}

async fn over_grpc(client: &mut EventServiceClient<tonic::transport::Channel>, own: &str, number: usize) {
    let events: Vec<v1::Event> = round(own, number).into_iter().map(|(_, event)| event).collect();
    loop {
        match client.record(v1::RecordRequest { batch_id: None, events: events.clone() }).await {
            Ok(answer) => return assert_eq!(answer.into_inner().accepted, 6),
            Err(status) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn through_the_library(bench: &Bench, own: &str, number: usize) {
    for (json, _) in round(own, number) {
        let event = parse_body(json.to_string().as_bytes(), BodyForm::Json).unwrap().events.remove(0).unwrap();
        loop {
            match bench.bridge.record_async(event.clone()).await {
                Ok(_) => break,
                Err(RecordError::Refused(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn task(bench: Arc<Bench>, index: usize) {
    let own = format!("own-{index}");
    let mut client = match index % 3 {
        1 => Some(EventServiceClient::connect(format!("http://{}", bench.addr)).await.unwrap()),
        _ => None,
    };
    for number in 0..ROUNDS {
        match (&mut client, index % 3) {
            (Some(client), _) => over_grpc(client, &own, number).await,
            (None, 0) => over_http(Arc::clone(&bench), own.clone(), number).await,
            _ => through_the_library(&bench, &own, number).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_over_three_ways_lose_nothing() {
    let bench = Arc::new(Bench::start());
    let tasks: Vec<_> = (0..TASKS).map(|index| tokio::spawn(task(Arc::clone(&bench), index))).collect();
    // Whoever looks meanwhile disturbs nothing, and sees no gauge below zero.
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        let looking = Arc::clone(&bench);
        let text = tokio::task::spawn_blocking(move || looking.metrics()).await.unwrap();
        assert!(bench::sum(&text, "mcp_hub_active_operations") >= 0.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for task in tasks {
        task.await.unwrap();
    }

    let text = tokio::task::spawn_blocking(move || bench.metrics()).await.unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples: BTreeMap<&str, f64> =
        lines.map(|line| line.rsplit_once(' ').map(|(key, value)| (key, value.parse().unwrap())).unwrap()).collect();
    let names = std::iter::once((SHARED.to_owned(), TASKS * ROUNDS));
    for (name, rounds) in names.chain((0..TASKS).map(|index| (format!("own-{index}"), ROUNDS))) {
        let rounds = rounds as f64;
        let emitted = format!("{{component_name=\"{name}\",event_type=\"e\"}}");
        let breaker = format!("{{component=\"{name}\"}}");
        for (key, expected) in [
            (format!("mcp_event_emit_success_total{emitted}"), rounds),
            (format!("mcp_event_emit_duration_seconds_count{emitted}"), rounds),
            (format!("mcp_event_emit_duration_seconds_sum{emitted}"), rounds * SECONDS),
            (format!("circuit_breaker_calls_total{breaker}"), rounds),
            (format!("circuit_breaker_calls_success{breaker}"), rounds / 2.0),
            (format!("circuit_breaker_calls_failed{breaker}"), rounds / 2.0),
            (format!("circuit_breaker_failure_rate{breaker}"), 50.0),
        ] {
            assert_eq!(samples.get(key.as_str()), Some(&expected), "{key}");
        }
    }
    for index in 0..TASKS {
        for family in
            ["mcp_hub_requests_total", "mcp_hub_requests_success_total", "mcp_hub_request_duration_seconds_count"]
        {
            let key = format!("{family}{{agent=\"{SHARED}\",operation=\"own-{index}\"}}");
            assert_eq!(samples.get(key.as_str()), Some(&(ROUNDS as f64)), "{key}");
        }
    }
    assert_eq!(samples["mcp_hub_active_operations{agent=\"shared\"}"], 0.0);
    // A third of the tasks each: 22 over HTTP, 21 over either other way.
    for (source, tasks) in [("http", 22), ("grpc", 21), ("library", 21)] {
        let key = format!("bridge_events_accepted_total{{source=\"{source}\"}}");
        assert_eq!(samples[key.as_str()], (tasks * ROUNDS * 6) as f64, "{key}");
    }
}
