//! Events in over gRPC, with health and reflection, as a tonic client sees them.

use mcp_otel_bridge::proto::v1;
use mcp_otel_bridge::proto::v1::event::Event as Kind;
use mcp_otel_bridge::proto::v1::event_service_client::EventServiceClient;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::bench::{Bench, until};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub async fn channel(addr: std::net::SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap()
}

pub async fn client(bench: &Bench) -> EventServiceClient<Channel> {
    EventServiceClient::new(channel(bench.addr).await)
}

pub fn event(component: &str, seconds: f64) -> v1::Event {
    let event = v1::McpEvent {
        component_name: component.to_owned(),
        emitted_type: "tool_list".to_owned(),
        duration_seconds: Some(seconds),
        error_type: None,
    };
    v1::Event { event: Some(Kind::McpEvent(event)), ..v1::Event::default() }
}

pub fn batch(batch_id: u64, events: Vec<v1::Event>) -> v1::RecordRequest {
    v1::RecordRequest { batch_id: Some(batch_id), events }
}

fn session_start(component: &str) -> v1::Event {
    let start = v1::SessionStart {
        component_name: component.to_owned(),
        shell_type: "Shell".to_owned(),
        pid: Some(1),
        user: Some(v1::User { username: "u".to_owned(), home: "/home/u".to_owned() }),
        hostname: "h".to_owned(),
        environment: Some(v1::Environment { python_version: None, platform: "linux".to_owned(), cwd: "/".to_owned() }),
        ..v1::SessionStart::default()
    };
    v1::Event {
        event_id: uuid::Uuid::new_v4().to_string(),
        event_version: "1.0".to_owned(),
        timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        event: Some(Kind::SessionStart(start)),
        ..v1::Event::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_event_by_event() {
    let bench = Bench::start();
    let mut client = client(&bench).await.send_compressed(Gzip).accept_compressed(Gzip);
    let start = session_start("a");
    let events = vec![
        start.clone(),
        event("a", f64::NAN),
        event("a", f64::INFINITY),
        event("a", -1.0),
        event("two words", 1.0),
        v1::Event::default(),
        start,
        event("a", 0.5),
    ];
    let answer = client.record(batch(7, events)).await.unwrap().into_inner();
    assert_eq!((answer.batch_id, answer.accepted, answer.duplicates), (Some(7), 2, 1));
    let rejected: Vec<_> = answer.rejected.iter().map(|one| (one.index, one.field.as_str())).collect();
    let duration = "duration_seconds";
    assert_eq!(rejected, [(1, duration), (2, duration), (3, duration), (4, "component_name"), (5, "event")]);
    let statuses: Vec<_> = answer.results.iter().map(|one| one.status.as_str()).collect();
    assert_eq!(statuses, ["tracked", "error", "error", "error", "error", "error", "tracked", "recorded"]);
    assert_eq!(answer.results[0].session_id, answer.results[6].session_id);
    assert!(answer.failure.is_none());
    assert_eq!(bench.sum("bridge_events_received_total{source=\"grpc\""), 8.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadatas_traceparent_is_the_parent() {
    let bench = Bench::start();
    let mut client = client(&bench).await;
    for (header, taken) in [(PARENT, true), ("nonsense", false)] {
        let mut request = Request::new(batch(1, vec![session_start("a")]));
        request.metadata_mut().insert("traceparent", header.parse().unwrap());
        let answer = client.record(request).await.unwrap().into_inner();
        assert_eq!(answer.results[0].traceparent.contains(&PARENT[3..35]), taken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_answered_batch_by_batch_and_in_order() {
    let bench = Bench::start();
    let mut client = client(&bench).await;
    let (batches, waiting) = mpsc::channel(64);
    let mut answers = client.record_stream(ReceiverStream::new(waiting)).await.unwrap().into_inner();
    for id in 0..200 {
        batches.send(batch(id, vec![event("a", 1.0); 10])).await.unwrap();
        // Some answers are taken while more is sent, the others later.
        if id % 2 == 0 {
            let answer = answers.next().await.unwrap().unwrap();
            assert_eq!((answer.batch_id, answer.accepted), (Some(id / 2), 10));
        }
    }
    drop(batches);
    for id in 100..200 {
        assert_eq!(answers.next().await.unwrap().unwrap().batch_id, Some(id));
    }
    assert!(answers.next().await.is_none());
    assert_eq!(bench.sum("mcp_event_emit_success_total{component_name=\"a\",event_type=\"tool_list\"}"), 2000.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_door_says_so_and_keeps_the_stream() {
    let bench = Bench::with(|config| config.limits.queue_events = 1);
    let mut client = client(&bench).await;
    let (batches, waiting) = mpsc::channel(8);
    let mut answers = client.record_stream(ReceiverStream::new(waiting)).await.unwrap().into_inner();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (hold, held) = tokio::sync::oneshot::channel();
    let telemetry = std::sync::Arc::clone(bench.bridge.telemetry());
    let holder = std::thread::spawn(move || {
        let _gate = telemetry.hold();
        hold.send(()).unwrap();
        released.recv().unwrap();
    });
    held.await.unwrap();
    // The writer works at the first and cannot finish it; the second finds the one place taken.
    batches.send(batch(1, vec![event("a", 1.0)])).await.unwrap();
    batches.send(batch(2, vec![event("a", 1.0)])).await.unwrap();
    let status = loop {
        // Until the first batch has arrived this one takes its place; then it is refused at once.
        let mut unary = client.clone();
        let answer = unary.record(batch(3, vec![event("b", 1.0)]));
        if let Ok(Err(status)) = tokio::time::timeout(std::time::Duration::from_millis(300), answer).await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_error_details().retry_info().unwrap().retry_delay.is_some());
    release.send(()).unwrap();
    let first = answers.next().await.unwrap().unwrap();
    let second = answers.next().await.unwrap().unwrap();
    assert_eq!((first.batch_id, second.batch_id), (Some(1), Some(2)));
    let failure = second.failure.unwrap();
    assert_eq!((failure.reason.as_str(), failure.retryable), ("overloaded", true));
    // The stream goes on, and once the place is free again its batches are taken.
    loop {
        batches.send(batch(4, vec![event("a", 1.0)])).await.unwrap();
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer.batch_id, Some(4));
        if answer.failure.is_none() {
            break assert_eq!(answer.accepted, 1);
        }
    }
    holder.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit_is_refused_with_a_clear_status() {
    let bench = Bench::with(|config| config.limits.body_bytes = 10_000);
    let mut client = client(&bench).await;
    let status = client.record(batch(1, vec![event("a", 1.0); 5000])).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("10000"), "{status}");
    assert_eq!(client.record(batch(1, vec![event("a", 1.0)])).await.unwrap().into_inner().accepted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_too_many_events_is_refused_before_it_takes_room() {
    let bench = Bench::start();
    let mut client = client(&bench).await;
    // Two bytes each on the wire, and hundreds in memory.
    let status = client.record(batch(1, vec![v1::Event::default(); 1_000_000])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("65536 events"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_bridge_to_its_end() {
    let mut bench = Bench::start();
    let mut health = HealthClient::new(channel(bench.addr).await);
    for service in ["", "mcp_otel_bridge.v1.EventService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving);
    }
    let mut watched = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    bench.signal();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    // The stream itself does not hold the end up.
    assert_eq!(watched.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
    tokio::task::spawn_blocking(move || drop(bench)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_tells_the_services_in_both_versions() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::{v1, v1alpha};

    let bench = Bench::start();
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel(bench.addr).await);
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"mcp_otel_bridge.v1.EventService"), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");

    use v1alpha::server_reflection_client::ServerReflectionClient as Alpha;
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
            "mcp_otel_bridge.v1.EventService".to_owned(),
        )),
    };
    let mut client = Alpha::new(channel(bench.addr).await);
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    assert!(answers.next().await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_can_have_a_listener_of_its_own() {
    let bench = Bench::with(|config| config.grpc_listen = Some(([127, 0, 0, 1], 0).into()));
    let mut client = EventServiceClient::new(channel(bench.grpc_addr.unwrap()).await);
    assert_eq!(client.record(batch(1, vec![event("a", 1.0)])).await.unwrap().into_inner().accepted, 1);
    // And the other one goes on serving it.
    let mut client = self::client(&bench).await;
    assert_eq!(client.record(batch(1, vec![event("a", 1.0)])).await.unwrap().into_inner().accepted, 1);
    assert_eq!(bench.sum("mcp_event_emit_success_total{component_name=\"a\",event_type=\"tool_list\"}"), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_is_ended_with_a_status() {
    let bench = Bench::with(|config| config.limits.idle_stream = std::time::Duration::from_millis(300));
    let mut client = client(&bench).await;
    let (batches, waiting) = mpsc::channel(8);
    let mut answers = client.record_stream(ReceiverStream::new(waiting)).await.unwrap().into_inner();
    // A stream that is not silent outlives the limit.
    for id in 0..6 {
        batches.send(batch(id, vec![event("a", 1.0)])).await.unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap().accepted, 1);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the stream was silent for too long"));
    until("the end of the reader", || batches.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_is_unimplemented() {
    let bench = Bench::start();
    let channel = channel(bench.addr).await;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/mcp_otel_bridge.v1.EventService/Forget");
    let codec = tonic_prost::ProstCodec::<v1::RecordRequest, v1::RecordResponse>::default();
    let status = grpc.unary(Request::new(batch(1, Vec::new())), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}
