//! The token and TLS, and what cannot even start.

use std::path::{Path, PathBuf};

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::config::{Config, KeyPair, ListenerTls, Secret};
use mcp_otel_bridge::proto::v1::event_service_client::EventServiceClient;
use mcp_otel_bridge::serve::{ServeError, Server};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request};

use crate::bench::{Bench, LONG, mcp_event};
use crate::grpc;

const TOKEN: &str = "s3cret-token";

fn with_token() -> Bench {
    Bench::with(|config| config.auth.all = Some(Secret::new(TOKEN).into()))
}

#[test]
fn without_the_token_there_is_only_health() {
    let bench = with_token();
    for path in ["/", "/metrics", "/v1/sessions", "/v1/metrics/summary", "/nowhere"] {
        for (authorization, challenge) in [
            (None, "Bearer"),
            (Some("Bearer wrong"), "Bearer error=\"invalid_token\""),
            (Some("Bearer s3cret-toke"), "Bearer error=\"invalid_token\""),
            (Some("Basic s3cret-token"), "Bearer error=\"invalid_token\""),
            (Some("Bearer"), "Bearer error=\"invalid_token\""),
        ] {
            let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", *value)).collect();
            let answer = bench.get_with(path, &headers);
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge)), "{path}");
            assert!(!answer.text().contains(TOKEN));
        }
    }
    assert_eq!(bench.event(&mcp_event("a")).status, 401);
    assert_eq!((bench.get("/livez").status, bench.get("/readyz").status), (200, 200));
}

#[test]
fn with_the_token_there_is_everything() {
    let bench = with_token();
    let authorization = format!("bearer {TOKEN}");
    for path in ["/", "/metrics", "/v1/sessions"] {
        assert_eq!(bench.get_with(path, &[("Authorization", &authorization)]).status, 200);
    }
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let answer = bench.request("POST", "/v1/events", &headers, mcp_event("a").to_string().as_bytes());
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_needs_the_token_too() {
    let bench = with_token();
    let mut client = grpc::client(&bench).await;
    let status = client.record(grpc::batch(1, Vec::new())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut health = tonic_health::pb::health_client::HealthClient::new(grpc::channel(bench.addr).await);
    let status = health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut request = Request::new(grpc::batch(1, vec![grpc::event("a", 1.0)]));
    request.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    assert_eq!(client.record(request).await.unwrap().into_inner().accepted, 1);
}

/// A certificate of its own making, in a directory that goes with it.
struct Identity {
    dir: tempfile::TempDir,
    pem: String,
}

impl Identity {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self { dir, pem: made.cert.pem() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tls(&self) -> ListenerTls {
        let identity = KeyPair { cert_file: self.path("cert.pem"), key_file: self.path("key.pem") };
        ListenerTls { identity, client_ca_file: None }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_carries_http_and_grpc() {
    let identity = Identity::new();
    let bench = Bench::with(|config| config.tls = Some(identity.tls()));
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&identity.pem)).domain_name("localhost");
    let channel = Channel::from_shared(format!("https://{}", bench.addr)).unwrap().tls_config(tls).unwrap();
    let mut client = EventServiceClient::new(channel.connect().await.unwrap());
    assert_eq!(client.record(grpc::batch(1, vec![grpc::event("a", 1.0)])).await.unwrap().into_inner().accepted, 1);

    let (addr, pem) = (bench.addr, identity.pem.clone());
    let text = tokio::task::spawn_blocking(move || https_get(addr, &pem)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
}

/// `GET /livez` over TLS, offering HTTP/1.1 alone.
fn https_get(addr: std::net::SocketAddr, pem: &str) -> String {
    use rustls_pki_types::pem::PemObject as _;
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

    let mut roots = RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let tcp = std::net::TcpStream::connect(addr).unwrap();
    tcp.set_read_timeout(Some(LONG)).unwrap();
    let mut stream = StreamOwned::new(connection, tcp);
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_handshake_that_does_not_end_is_cut_off() {
    use std::io::{Read as _, Write as _};
    let identity = Identity::new();
    let bench = Bench::with(|config| {
        config.tls = Some(identity.tls());
        config.limits.first_bytes = std::time::Duration::from_millis(200);
        config.limits.tls_handshake = std::time::Duration::from_millis(200);
    });
    for first in [&b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = bench.connect();
        stream.write_all(first).unwrap();
        let mut said = Vec::new();
        // It may close with an alert, or with a reset.
        let _ = stream.read_to_end(&mut said);
        assert!(said.len() < 20, "{said:?}");
    }
}

fn error_of(change: impl FnOnce(&mut Config)) -> String {
    let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    change(&mut config);
    let bridge = Bridge::builder().config(config.clone()).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error: ServeError = runtime.block_on(Server::bind(bridge, &config)).unwrap_err();
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    let line = error_of(|config| config.listen = taken);
    assert!(line.contains(&taken.to_string()) && line.contains("--listen") && line.contains("Prometheus"), "{line}");
    drop(holder);
    let line = error_of(|config| config.listen = ([192, 0, 2, 1], 0).into());
    assert!(line.contains("192.0.2.1:0") && line.contains("no such address"), "{line}");

    let identity = Identity::new();
    let with = |cert: &Path, key: &Path| {
        let (cert_file, key_file) = (cert.to_owned(), key.to_owned());
        let identity = KeyPair { cert_file, key_file };
        error_of(|config| config.tls = Some(ListenerTls { identity, client_ca_file: None }))
    };
    let (cert, key) = (identity.path("cert.pem"), identity.path("key.pem"));
    let missing = identity.path("missing.pem");
    assert!(with(&missing, &key).contains("missing.pem: cannot be read"), "{}", with(&missing, &key));
    assert!(with(&cert, &missing).contains("missing.pem: cannot be read"));
    assert!(with(&key, &key).contains("key.pem: holds no certificate"));
    assert!(with(&cert, &cert).contains("cert.pem: holds no private key"));
    let other = Identity::new();
    let line = with(&cert, &other.path("key.pem"));
    assert!(line.contains("key.pem: cannot be used with"), "{line}");

    for path in ["metrics", "/v1/events", "/{all}", "/with space", ""] {
        let line = error_of(|config| config.metrics.path = path.to_owned());
        assert!(line.starts_with(&format!("the metrics cannot be served at {path:?}")), "{line}");
    }
}
