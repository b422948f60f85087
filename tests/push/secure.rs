//! TLS, mTLS, and what cannot even start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_otel_bridge::config::{self, Otlp, Secret};
use mcp_otel_bridge::telemetry::push::{RequestOutcome, Signal};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::bench::{Bench, LONG, metrics, otlp, span, spans, until};
use crate::collector::Collector;

/// A CA, and certificates of its making in a directory that goes with it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = std::env::temp_dir().join(format!("mcp-otel-push-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A certificate and key for `host`, as PEM.
    fn issue(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    fn server(&self) -> ServerTlsConfig {
        let (cert, key) = self.issue("127.0.0.1");
        ServerTlsConfig::new().identity(Identity::from_pem(cert, key))
    }

    fn client(&self) -> config::KeyPair {
        let (cert, key) = self.issue("client");
        std::fs::write(self.path("client.pem"), cert).unwrap();
        std::fs::write(self.path("client.key"), key).unwrap();
        config::KeyPair { cert_file: self.path("client.pem"), key_file: self.path("client.key") }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn delivers(otlp: Otlp, collector: &Collector) {
    let bench = Bench::start(otlp);
    bench.calls.add(1, &[]);
    bench.sink().send(vec![span(1, true)]);
    bench.push.flush(LONG).unwrap();
    assert!(collector.seen(|seen| !seen.metric("calls").is_empty() && seen.all_spans().len() == 1));
}

fn fails(otlp: Otlp, collector: &Collector) {
    let bench = Bench::start_with(None, Some(spans(otlp)));
    bench.sink().send(vec![span(1, true)]);
    until("a failed request", || bench.book.requests(Signal::Spans, RequestOutcome::Retry) >= 1);
    assert!(collector.seen(|seen| seen.spans.is_empty()));
}

#[test]
fn tls_with_a_ca_of_ones_own_and_with_nobody_elses() {
    let authority = Authority::new("tls");
    let collector = Collector::start_with(Some(authority.server()));
    // The system's roots do not know this CA.
    fails(otlp(collector.endpoint()), &collector);
    delivers(Otlp { ca_file: Some(authority.path("ca.pem")), ..otlp(collector.endpoint()) }, &collector);
}

#[test]
fn mtls_shows_the_client_certificate() {
    let authority = Authority::new("mtls");
    let server = authority.server().client_ca_root(Certificate::from_pem(authority.issuer.pem()));
    let collector = Collector::start_with(Some(server));
    let anonymous = Otlp { ca_file: Some(authority.path("ca.pem")), ..otlp(collector.endpoint()) };
    fails(anonymous.clone(), &collector);
    delivers(Otlp { client: Some(authority.client()), ..anonymous }, &collector);
}

/// The one line that says why a push does not start.
fn refusal(otlp: Otlp) -> String {
    let error = match Bench::try_start(Some(metrics(otlp)), None) {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    };
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn what_cannot_work_is_said_at_the_start() {
    let authority = Authority::new("bad");
    let https = || otlp("https://127.0.0.1:1".to_owned());
    let has = |error: String, parts: &[&str]| {
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    has(refusal(otlp("localhost:4317".to_owned())), &["metrics", "localhost:4317", "http://localhost:4317"]);
    has(refusal(otlp("ftp://localhost:4317".to_owned())), &["ftp"]);
    has(refusal(otlp("not a url".to_owned())), &["not a url"]);
    has(refusal(Otlp { ca_file: Some(Path::new("/no/such/ca.pem").to_owned()), ..https() }), &["/no/such/ca.pem"]);
    let garbage = authority.path("garbage.pem");
    std::fs::write(&garbage, "no certificate here").unwrap();
    has(refusal(Otlp { ca_file: Some(garbage.clone()), ..https() }), &["garbage.pem", "no certificate"]);
    let mut client = authority.client();
    client.key_file = garbage;
    has(refusal(Otlp { client: Some(client.clone()), ..https() }), &["garbage.pem", "key"]);
    // A key that belongs to another certificate.
    let other = authority.path("other.key");
    std::fs::write(&other, authority.issue("other").1).unwrap();
    client.key_file = other;
    has(refusal(Otlp { client: Some(client), ..https() }), &["other.key"]);

    let header = |name: &str, value: &str| Otlp {
        headers: vec![(name.to_owned(), Secret::new(value))],
        ..otlp("http://127.0.0.1:1".to_owned())
    };
    has(refusal(header("bad name", "x")), &["bad name"]);
    let error = refusal(header("token", "secret\nvalue"));
    assert!(error.contains("token") && !error.contains("secret"), "{error}");
    let error = refusal(otlp("ftp://user:secret@localhost:4317".to_owned()));
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn a_secret_that_the_collector_repeats_is_not_shown() {
    let collector = Collector::start();
    let otlp = Otlp {
        headers: vec![("authorization".to_owned(), Secret::new("Bearer abcdef"))],
        ..otlp(collector.endpoint())
    };
    collector.then([crate::collector::Answer::Status(tonic::Status::permission_denied("not for Bearer abcdef"))]);
    let bench = Bench::start_with(None, Some(spans(otlp)));
    bench.sink().send(vec![span(1, true)]);
    let error = bench.push.flush(Duration::from_secs(10)).unwrap_err().to_string();
    assert!(error.contains("not for ****"), "{error}");
}
