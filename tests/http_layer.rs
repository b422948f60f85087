//! The tower layer on services of axum and tonic and on the bridge's own listener; circuit breakers as JSON.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use mcp_otel_bridge::config::Config;
use mcp_otel_bridge::event::BreakerState;
use mcp_otel_bridge::serve::Server;
use mcp_otel_bridge::{BreakerSummary, Bridge};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

async fn ask(app: &Router, method: &str, path: &str) -> StatusCode {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

async fn components(bridge: &Bridge) -> Vec<String> {
    bridge.breakers().components().await.unwrap()
}

async fn summary(bridge: &Bridge, component: &str) -> BreakerSummary {
    let found = bridge.breakers().summary(component).await.unwrap();
    match found {
        Some(summary) => summary,
        None => panic!("no component {component} among {:?}", components(bridge).await),
    }
}

#[tokio::test]
async fn a_request_is_a_call_of_the_route_that_it_matched() {
    let bridge = Bridge::builder().build().unwrap();
    let app = Router::new()
        .route("/users/{id}", get(|| async { "me" }))
        .route("/moved", get(|| async { (StatusCode::FOUND, "") }))
        .route("/broken", post(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .nest("/api", Router::new().route("/items/{*rest}", get(|| async { StatusCode::NOT_FOUND })))
        .layer(bridge.http_layer());
    for id in 0..20 {
        assert_eq!(ask(&app, "GET", &format!("/users/{id}?q={id}")).await, StatusCode::OK);
        ask(&app, "GET", &format!("/nowhere/{id}")).await;
        ask(&app, &format!("WORD{id}"), "/users/1").await;
    }
    ask(&app, "GET", "/moved").await;
    ask(&app, "POST", "/broken").await;
    ask(&app, "GET", "/api/items/1/2").await;

    let expected =
        ["GET_/api/items/{*rest}", "GET_/moved", "GET_/users/{id}", "POST_/broken", "_OTHER_/users/{id}", "_other"];
    assert_eq!(components(&bridge).await, expected);
    for (component, calls, failed) in [
        ("GET_/users/{id}", 20, 0),
        ("_OTHER_/users/{id}", 20, 20),
        ("_other", 20, 20),
        ("GET_/moved", 1, 0),
        ("POST_/broken", 1, 1),
        ("GET_/api/items/{*rest}", 1, 1),
    ] {
        let summary = summary(&bridge, component).await;
        assert_eq!((summary.total_calls, summary.failed_calls), (calls, failed), "{component}");
    }
}

#[tokio::test]
async fn the_latency_is_that_until_the_head_of_the_answer() {
    let bridge = Bridge::builder().build().unwrap();
    let app = Router::new()
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_millis(30)).await }))
        .layer(bridge.http_layer());
    ask(&app, "GET", "/slow").await;
    let latency = summary(&bridge, "GET_/slow").await.max_latency;
    assert!((0.029..5.0).contains(&latency), "{latency}");
}

#[tokio::test]
async fn a_request_that_is_cancelled_or_breaks_has_failed() {
    let bridge = Bridge::builder().build().unwrap();
    let app = Router::new().route("/hangs", get(std::future::pending::<()>)).layer(bridge.http_layer());
    let cancelled = tokio::time::timeout(Duration::from_millis(20), ask(&app, "GET", "/hangs")).await;
    assert!(cancelled.is_err());
    assert_eq!(summary(&bridge, "GET_/hangs").await.failed_calls, 1);

    // A service of tower alone has no routes.
    let mut broken = bridge.http_layer().layer(service_fn(|_: Request<()>| async { Err::<Response<()>, _>("broken") }));
    assert_eq!(broken.ready().await.unwrap().call(Request::new(())).await.unwrap_err(), "broken");
    let mut well =
        bridge.http_layer().layer(service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) }));
    well.ready().await.unwrap().call(Request::new(())).await.unwrap();
    let other = summary(&bridge, "_other").await;
    assert_eq!((other.total_calls, other.failed_calls), (2, 1));
}

/// A unary gRPC request; `service` is the name that the health service is asked for.
fn grpc(path: &str, service: &str) -> Request<Body> {
    let length = u8::try_from(service.len()).unwrap();
    let mut message = vec![0, 0, 0, 0, if length == 0 { 0 } else { length + 2 }];
    if length > 0 {
        message.extend([0x0a, length]);
        message.extend(service.bytes());
    }
    let request = Request::post(path).version(http::Version::HTTP_2).header("content-type", "application/grpc");
    request.header("te", "trailers").body(Body::from(message)).unwrap()
}

#[tokio::test]
async fn a_grpc_method_is_a_component_where_the_service_has_it() {
    let bridge = Bridge::builder().build().unwrap();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let router = tonic::service::Routes::new(health).into_axum_router().layer(bridge.http_layer());
    for (path, service) in [
        ("/grpc.health.v1.Health/Check", ""),
        // Not found: an error in the head of the answer.
        ("/grpc.health.v1.Health/Check", "nobody"),
        ("/grpc.health.v1.Health/Made1", ""),
        ("/grpc.health.v1.Health/Made2", ""),
        ("/made.Up/Check", ""),
    ] {
        let response = router.clone().oneshot(grpc(path, service)).await.unwrap();
        let _ = response.into_body().collect().await;
    }
    let expected = ["POST_/grpc.health.v1.Health/Check", "POST_/grpc.health.v1.Health/{*rest}", "_other"];
    assert_eq!(components(&bridge).await, expected);
    for (component, calls, failed) in [(expected[0], 2, 1), (expected[1], 2, 2), (expected[2], 1, 1)] {
        let summary = summary(&bridge, component).await;
        assert_eq!((summary.total_calls, summary.failed_calls), (calls, failed), "{component}");
    }
}

#[tokio::test]
async fn outside_of_a_router_a_grpc_method_is_known_by_an_answer_without_an_error() {
    let bridge = Bridge::builder().build().unwrap();
    let answer = |request: Request<()>| async move {
        let response = Response::builder().header("content-type", "application/grpc");
        let refused = request.uri().path() != "/a.B/Good";
        let response = if refused { response.header("grpc-status", "16") } else { response };
        Ok::<_, Infallible>(response.body(()).unwrap())
    };
    let mut service = bridge.http_layer().layer(service_fn(answer));
    for path in ["/a.B/Made1", "/a.B/Made2", "/a.B/Good"] {
        let request = Request::post(path).header("content-type", "application/grpc").body(()).unwrap();
        service.ready().await.unwrap().call(request).await.unwrap();
    }
    assert_eq!(components(&bridge).await, ["POST_/a.B/Good", "_other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_observes_its_own_requests_where_it_is_told_to() {
    for observe in [false, true] {
        let mut config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
        config.circuit_breakers.observe_requests = observe;
        let bridge = Bridge::builder().config(config.clone()).build().unwrap();
        let server = Server::bind(bridge.clone(), &config).await.unwrap();
        let base = format!("http://{}", server.local_addr());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
        tokio::task::spawn_blocking(move || {
            ureq::get(format!("{base}/livez")).call().unwrap();
            assert!(ureq::get(format!("{base}/no/such/path")).call().is_err());
        })
        .await
        .unwrap();
        let expected: &[&str] = if observe { &["GET_/livez", "_other"] } else { &[] };
        assert_eq!(components(&bridge).await, expected);
        stop.send(()).unwrap();
        running.await.unwrap();
    }
}

async fn json(app: &Router, path: &str) -> (StatusCode, serde_json::Value) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn keys(value: &serde_json::Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_shown_as_json() {
    let bridge = Bridge::builder().build().unwrap();
    let app = bridge.breakers_service();
    let (status, empty) = json(&app, "/health/metrics").await;
    assert_eq!((status, &empty["healthy"], keys(&empty["components"]).len()), (StatusCode::OK, &true.into(), 0));

    let told = bridge.clone();
    tokio::task::spawn_blocking(move || {
        for (component, latency, success) in [("pay_api", 0.25, true), ("pay_api", 0.75, false), ("db", 0.5, true)] {
            told.circuit_breaker_call(component, latency, success).unwrap();
        }
        told.circuit_breaker_state("pay_api", BreakerState::HalfOpen).unwrap();
    })
    .await
    .unwrap();

    // Half of the calls is not yet over half of them.
    let (status, health) = json(&app, "/health/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(keys(&health), ["healthy", "components", "timestamp"]);
    assert!(health["timestamp"].as_f64().unwrap() > 1.7e9);
    assert_eq!(keys(&health["components"]), ["db", "pay_api"]);
    let pay = &health["components"]["pay_api"];
    assert_eq!(keys(pay), ["total_calls", "success_rate", "failure_rate", "avg_latency_ms", "p99_latency_ms"]);
    assert_eq!(
        (&pay["total_calls"], &pay["failure_rate"], &pay["avg_latency_ms"]),
        (&2.into(), &50.0.into(), &500.0.into())
    );
    assert_eq!(pay["p99_latency_ms"], 745.0);

    let failing = bridge.clone();
    tokio::task::spawn_blocking(move || failing.circuit_breaker_call("pay_api", 1.0, false).unwrap()).await.unwrap();
    let (status, health) = json(&app, "/health/metrics").await;
    assert_eq!((status, &health["healthy"]), (StatusCode::SERVICE_UNAVAILABLE, &false.into()));

    let (status, all) = json(&app, "/prometheus/query").await;
    assert_eq!((status, keys(&all)), (StatusCode::OK, vec!["db", "pay_api"]));
    let (_, some) = json(&app, "/prometheus/query?q=ay_a").await;
    assert_eq!(keys(&some), ["pay_api"]);
    assert_eq!(keys(&json(&app, "/prometheus/query?q=nobody").await.1).len(), 0);
    let pay = &some["pay_api"];
    let expected = [
        "component",
        "total_calls",
        "successful_calls",
        "failed_calls",
        "success_rate",
        "failure_rate",
        "avg_latency",
        "min_latency",
        "max_latency",
        "current_state",
        "last_failure_time",
        "latency_percentiles",
    ];
    assert_eq!(keys(pay), expected);
    assert_eq!(keys(&pay["latency_percentiles"]), ["p50", "p95", "p99"]);
    assert_eq!((&pay["current_state"], &pay["min_latency"]), (&"half_open".into(), &0.25.into()));
    assert!(pay["last_failure_time"].as_f64().unwrap() > 1.7e9);
    assert!(all["db"]["last_failure_time"].is_null());
}
