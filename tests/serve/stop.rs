//! The end: what is in flight finishes, the rest is cut, in time. And metrics without a server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::serve::ServeError;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::bench::{Answer, Bench, LONG, mcp_event, until, write_request};
use crate::grpc;

/// Begins a request and waits until its handler asks for the body.
fn begin(bench: &Bench, length: usize) -> TcpStream {
    let mut stream = bench.connect();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100"));
    stream
}

#[test]
fn a_request_in_flight_is_finished() {
    let mut bench = Bench::start();
    let event = mcp_event("a").to_string();
    let mut stream = begin(&bench, event.len());
    // An idle connection is there too, and holds nothing up.
    let mut idle = bench.connect();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut idle).status, 200);
    bench.signal();
    until("the listener to be closed", || TcpStream::connect(bench.addr).is_err());
    stream.write_all(event.as_bytes()).unwrap();
    let answer = Answer::read(&mut stream);
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("recorded")));
    assert!(bench.join() < Duration::from_secs(2), "nothing was left to wait for");
    // What was answered was recorded.
    let text = bench.bridge.render(mcp_otel_bridge::expose::exposition::Format::Text004).unwrap();
    assert!(text.contains("mcp_event_emit_success_total{component_name=\"a\",event_type=\"tool_list\"} 1\n"));
}

#[test]
fn what_never_ends_is_cut() {
    let mut bench = Bench::start();
    let _stream = begin(&bench, 100);
    bench.signal();
    let took = bench.join();
    // 60 % of the 3 s that the test's configuration gives.
    assert!(took > Duration::from_secs(1) && took < Duration::from_millis(3500), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_answered_and_told_that_the_bridge_stops() {
    let mut bench = Bench::start();
    let mut client = grpc::client(&bench).await;
    let (batches, waiting) = mpsc::channel(8);
    let mut answers = client.record_stream(ReceiverStream::new(waiting)).await.unwrap().into_inner();
    batches.send(grpc::batch(1, vec![grpc::event("a", 1.0)])).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap().accepted, 1);
    bench.signal();
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the bridge is stopping"));
    let took = tokio::task::spawn_blocking(move || bench.join()).await.unwrap();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

fn get(addr: std::net::SocketAddr, path: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write_request(&mut stream, "GET", path, &[], b"");
    Answer::read(&mut stream)
}

#[test]
fn a_program_without_a_runtime_can_serve_its_metrics() {
    let bridge = Bridge::builder().build().unwrap();
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    let addr = bridge.serve_metrics(any).unwrap();
    bridge.session_start("a", "Shell").unwrap();
    assert!(
        get(addr, "/metrics").text().contains("session_start_total{component_name=\"a\",shell_type=\"Shell\"} 1\n")
    );
    assert_eq!((get(addr, "/livez").status, get(addr, "/readyz").status), (200, 200));
    assert_eq!((get(addr, "/v1/events").status, get(addr, "/v1/sessions").status), (404, 404));

    // Again is the same; elsewhere is an error, and so is a port in use.
    assert_eq!(bridge.serve_metrics(any).unwrap(), addr);
    assert_eq!(bridge.clone().serve_metrics(addr).unwrap(), addr);
    let other: std::net::SocketAddr = ([127, 0, 0, 2], 0).into();
    assert!(matches!(bridge.serve_metrics(other), Err(ServeError::AlreadyServed { .. })));
    let second = Bridge::builder().build().unwrap();
    let error = second.serve_metrics(addr).unwrap_err();
    assert!(error.to_string().contains(&addr.to_string()), "{error}");

    // The port is free again once the bridge has stopped.
    bridge.shutdown(Duration::from_secs(1)).unwrap();
    assert_eq!(second.serve_metrics(addr).unwrap(), addr);
    // And when the last handle is gone.
    drop(second);
    until("the port to be free", || TcpStream::connect(addr).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_axum_application_can_mount_the_metrics() {
    use tower::ServiceExt as _;
    let bridge = Bridge::builder().build().unwrap();
    let app: axum::Router = axum::Router::new().nest("/internal", bridge.metrics_service());
    let request = http::Request::get("/internal/metrics").body(axum::body::Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
}
