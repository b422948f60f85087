//! Tokens with rights, and a user with a password: what each opens, over HTTP and gRPC, and how they are changed.

use std::path::Path;

use mcp_otel_bridge::config::{Auth, Basic, Secret, TokenSource, Tokens};
use tonic::{Code, Request};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::bench::{Answer, Bench, mcp_event, until};
use crate::grpc;

fn token(token: &str) -> Option<Tokens> {
    Some(Secret::new(token).into())
}

fn every_kind() -> Auth {
    let basic = Basic { username: "prom".to_owned(), password: Secret::new("pass:word"), source: None };
    Auth {
        all: token("t-all"),
        scrape: token("t-scrape"),
        ingest: token("t-ingest"),
        admin: token("t-admin"),
        basic: Some(basic),
    }
}

fn bench(auth: Auth) -> Bench {
    Bench::with(|config| config.auth = auth)
}

fn ask(bench: &Bench, method: &str, path: &str, authorization: &str) -> Answer {
    let headers = [("Host", "localhost"), ("Authorization", authorization), ("Content-Type", "application/json")];
    let body = if method == "POST" { mcp_event("a").to_string() } else { String::new() };
    bench.request(method, path, &headers, body.as_bytes())
}

const SCRAPE: &[(&str, &str)] = &[
    ("GET", "/metrics"),
    ("GET", "/api/get_prometheus_metrics_service"),
    ("GET", "/v1/sessions"),
    ("GET", "/v1/metrics/catalog"),
    ("GET", "/v1/metrics/summary"),
    ("GET", "/health/metrics"),
    ("GET", "/prometheus/query"),
    ("GET", "/live"),
];
const INGEST: &[(&str, &str)] = &[("POST", "/v1/events"), ("GET", "/v1/events/schema")];
const ANY: &[(&str, &str)] = &[("GET", "/"), ("POST", "/mcp")];

#[test]
fn each_path_needs_its_right() {
    let bench = bench(every_kind());
    let everything = ["Bearer t-all", "Bearer t-admin"];
    // cHJvbTpwYXNzOndvcmQ= is prom:pass:word.
    for (paths, right, with, without) in [
        (SCRAPE, "scrape", &["Bearer t-scrape", "Basic cHJvbTpwYXNzOndvcmQ="][..], &["Bearer t-ingest"][..]),
        (INGEST, "ingest", &["Bearer t-ingest"][..], &["Bearer t-scrape", "Basic cHJvbTpwYXNzOndvcmQ="][..]),
    ] {
        for (method, path) in paths {
            for authorization in with.iter().chain(&everything) {
                let status = ask(&bench, method, path, authorization).status;
                assert!(![401, 403, 404].contains(&status), "{method} {path} {authorization}: {status}");
            }
            for authorization in without {
                let answer = ask(&bench, method, path, authorization);
                assert_eq!(answer.status, 403, "{method} {path} {authorization}");
                assert!(answer.text().contains(&format!("the right `{right}`")), "{}", answer.text());
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{right}\"");
                assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()));
            }
        }
    }
    for (method, path) in SCRAPE.iter().chain(INGEST).chain(ANY) {
        for wrong in ["Bearer wrong", "Bearer t-scrape2", "Bearer t-scrap", "Basic d3Jvbmc6d3Jvbmc=", "Basic t-all", ""]
        {
            assert_eq!(ask(&bench, method, path, wrong).status, 401, "{method} {path} {wrong}");
        }
    }
    for (method, path) in ANY {
        for authorization in ["Bearer t-scrape", "Bearer t-ingest", "Basic cHJvbTpwYXNzOndvcmQ=", "Bearer t-all"] {
            assert!(![401, 403, 404].contains(&ask(&bench, method, path, authorization).status), "{method} {path}");
        }
    }
}

#[test]
fn what_is_declared_nowhere_opens_to_administrators_alone() {
    let bench = bench(every_kind());
    for path in ["/nowhere", "/metrics/", "//metrics", "/v1", "/mcp_otel_bridge.v1.EventServiceX/Record"] {
        for known in ["Bearer t-scrape", "Bearer t-ingest"] {
            assert_eq!(ask(&bench, "GET", path, known).status, 403, "{path}");
        }
        assert_eq!(ask(&bench, "GET", path, "Bearer t-admin").status, 404, "{path}");
        assert_eq!(bench.get(path).status, 401, "{path}");
    }
}

#[test]
fn a_right_that_nothing_gives_is_nobody_s() {
    let scrape = bench(Auth { scrape: token("t-scrape"), ..Auth::default() });
    assert_eq!(ask(&scrape, "POST", "/v1/events", "Bearer t-scrape").status, 403);
    assert_eq!(scrape.event(&mcp_event("a")).status, 401);
    let basic = bench(Auth { basic: every_kind().basic, ..Auth::default() });
    assert_eq!(ask(&basic, "GET", "/metrics", "Basic cHJvbTpwYXNzOndvcmQ=").status, 200);
    assert_eq!(ask(&basic, "POST", "/v1/events", "Basic cHJvbTpwYXNzOndvcmQ=").status, 403);
    assert_eq!((basic.get("/metrics").status, basic.event(&mcp_event("a")).status), (401, 401));
    assert_eq!((basic.get("/livez").status, basic.get("/readyz").status), (200, 200));
}

#[test]
fn basic_authentication_is_named_where_it_is_taken() {
    let challenges = |auth: Auth| {
        let answer = bench(auth).get("/metrics");
        assert_eq!(answer.status, 401);
        let of = answer.headers.into_iter().filter(|(name, _)| name == "www-authenticate");
        of.map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(challenges(Auth { all: token("t"), ..Auth::default() }), ["Bearer"]);
    assert_eq!(challenges(every_kind()), ["Bearer", "Basic realm=\"mcp-otel-bridge\", charset=\"UTF-8\""]);
}

fn bearing<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_of_grpc_need_their_rights() {
    let bench = bench(every_kind());
    let channel = grpc::channel(bench.addr).await;
    let mut events = grpc::client(&bench).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    let mut reflection = ServerReflectionClient::new(channel);
    let list = || {
        let list = MessageRequest::ListServices(String::new());
        tokio_stream::once(ServerReflectionRequest { host: String::new(), message_request: Some(list) })
    };
    for (token, may_scrape, may_ingest) in
        [("t-scrape", true, false), ("t-ingest", false, true), ("t-admin", true, true), ("t-all", true, true)]
    {
        let denied = |may: bool| (!may).then_some(Code::PermissionDenied);
        let batch = grpc::batch(1, vec![grpc::event("a", 1.0)]);
        let recorded = events.record(bearing(batch, token)).await.err();
        assert!(recorded.as_ref().is_none_or(|status| status.message().contains("the right `ingest`")));
        assert_eq!(recorded.map(|status| status.code()), denied(may_ingest), "{token}");
        let reflected = reflection.server_reflection_info(bearing(list(), token)).await.err();
        assert_eq!(reflected.map(|status| status.code()), denied(may_scrape), "{token}");
        health.check(bearing(tonic_health::pb::HealthCheckRequest::default(), token)).await.unwrap();
    }
    let status = events.record(bearing(grpc::batch(1, Vec::new()), "wrong")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

fn in_file(path: &Path, text: &str) -> Option<TokenSource> {
    std::fs::write(path, text).unwrap();
    Some(TokenSource::File(path.to_owned()))
}

#[test]
fn tokens_and_password_change_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let (tokens, password) = (dir.path().join("tokens"), dir.path().join("password"));
    let bench = bench(Auth {
        scrape: Some(Tokens { tokens: vec![Secret::new("old")], source: in_file(&tokens, "old\n") }),
        basic: Some(Basic {
            username: "u".to_owned(),
            password: Secret::new("old"),
            source: in_file(&password, "old\n"),
        }),
        ..Auth::default()
    });
    let status = |authorization: &str| ask(&bench, "GET", "/metrics", authorization).status;
    let (old_user, new_user) = ("Basic dTpvbGQ=", "Basic dTpuZXc=");
    assert_eq!((status("Bearer old"), status("Bearer new"), status(old_user)), (200, 401, 200));
    // Both, so that nobody is locked out while those who ask are told the new one.
    std::fs::write(&tokens, "old\n\nnew\n").unwrap();
    until("the new token", || status("Bearer new") == 200);
    assert_eq!(status("Bearer old"), 200);
    std::fs::write(&tokens, "new\n").unwrap();
    until("the end of the old token", || status("Bearer old") == 401);
    assert_eq!(status("Bearer new"), 200);
    // A file that holds none changes nothing; that it was looked at shows in the password, which was changed with it.
    std::fs::write(&tokens, "no token\n").unwrap();
    std::fs::write(&password, "new").unwrap();
    until("the new password", || status(new_user) == 200);
    assert_eq!((status(old_user), status("Bearer new"), status("Bearer no")), (401, 200, 401));
}
