//! Certificates of clients, and certificates that change while the bridge runs.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use mcp_otel_bridge::config::{KeyPair, ListenerTls, Secret, TokenSource, Tokens};
use mcp_otel_bridge::proto::v1::event_service_client::EventServiceClient;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::authority::{Authority, Issued};
use crate::bench::{Bench, LONG, until};
use crate::grpc;

fn tls(server: &Issued, clients: Option<&Authority>) -> Option<ListenerTls> {
    let identity = KeyPair { cert_file: server.cert_file.clone(), key_file: server.key_file.clone() };
    Some(ListenerTls { identity, client_ca_file: clients.map(Authority::file) })
}

/// A connection that trusts `authority`, and shows that certificate.
fn connect(addr: SocketAddr, authority: &str, shown: Option<&Issued>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let cert = CertificateDer::from_pem_slice(shown.cert.as_bytes()).unwrap();
            builder
                .with_client_auth_cert(vec![cert], PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap())
                .unwrap()
        }
    };
    let tcp = TcpStream::connect(addr).unwrap();
    tcp.set_read_timeout(Some(LONG)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap(), tcp)
}

/// Asks on a connection that stays open; the head of the answer and the first of its body.
fn ask(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    request: &str,
    authorization: &str,
) -> io::Result<String> {
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && (request.starts_with("HEAD") || !body.is_empty() || head.contains("content-length: 0"))
        {
            return Ok(text.into_owned());
        }
    }
}

fn once(addr: SocketAddr, authority: &Authority, shown: Option<&Issued>, request: &str) -> io::Result<String> {
    ask(&mut connect(addr, &authority.pem(), shown), request, "")
}

#[track_caller]
fn is(answer: &io::Result<String>, status: u16) {
    let text = answer.as_ref().unwrap();
    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
}

#[test]
fn without_a_certificate_there_are_only_probes() {
    let (own, clients, foreign) = (Authority::new(), Authority::new(), Authority::new());
    let (server, client, stranger) = (own.issue("server"), clients.issue("client"), foreign.issue("client"));
    let bench = Bench::with(|config| {
        config.tls = tls(&server, Some(&clients));
        config.auth.scrape = Some(Secret::new("t").into());
    });
    for probe in ["GET /livez", "GET /readyz", "HEAD /livez", "HEAD /readyz"] {
        is(&once(bench.addr, &own, None, probe), 200);
        is(&once(bench.addr, &own, Some(&client), probe), 200);
        // Another authority's is worse than none: the handshake fails.
        once(bench.addr, &own, Some(&stranger), probe).unwrap_err();
    }
    for request in ["GET /metrics", "GET /", "POST /livez", "POST /v1/events", "GET /nowhere", "GET /livez/"] {
        let mut stream = connect(bench.addr, &own.pem(), None);
        let answer = ask(&mut stream, request, "Authorization: Bearer t\r\n");
        is(&answer, 403);
        assert!(answer.unwrap().contains("tls.client_ca_file"));
    }
    // The certificate is asked for beside the token, not in its place.
    let mut stream = connect(bench.addr, &own.pem(), Some(&client));
    is(&ask(&mut stream, "GET /metrics", ""), 401);
    let mut stream = connect(bench.addr, &own.pem(), Some(&client));
    is(&ask(&mut stream, "GET /metrics", "Authorization: Bearer t\r\n"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_needs_the_certificate_too() {
    let authority = Authority::new();
    let (server, client) = (authority.issue("server"), authority.issue("client"));
    let bench = Bench::with(|config| config.tls = tls(&server, Some(&authority)));
    let trust =
        || ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("localhost");
    let channel = async |tls| {
        let channel = Channel::from_shared(format!("https://{}", bench.addr)).unwrap().tls_config(tls).unwrap();
        EventServiceClient::new(channel.connect().await.unwrap())
    };
    let batch = || grpc::batch(1, vec![grpc::event("a", 1.0)]);
    let status = channel(trust()).await.record(batch()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("client certificate"), "{}", status.message());
    let shown = trust().identity(Identity::from_pem(&client.cert, &client.key));
    assert_eq!(channel(shown).await.record(batch()).await.unwrap().into_inner().accepted, 1);
}

fn copy(from: &Issued, to: &Issued) {
    std::fs::copy(&from.key_file, &to.key_file).unwrap();
    std::fs::copy(&from.cert_file, &to.cert_file).unwrap();
}

fn bearing(path: &Path, token: &str) -> String {
    std::fs::write(path, token).unwrap();
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn certificates_change_with_their_files_and_broken_ones_do_not_count() {
    let (old, new) = (Authority::new(), Authority::new());
    let (server, later) = (old.issue("server"), new.issue("server"));
    let (old_client, new_client) = (old.issue("client"), new.issue("client"));
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    let first = bearing(&tokens, "first");
    let bench = Bench::with(|config| {
        config.tls = tls(&server, Some(&old));
        let source = Some(TokenSource::File(tokens.clone()));
        config.auth.all = Some(Tokens { tokens: vec![Secret::new("first")], source });
    });
    let mut before = connect(bench.addr, &old.pem(), Some(&old_client));
    is(&ask(&mut before, "GET /v1/sessions", &first), 200);

    copy(&later, &server);
    std::fs::write(old.file(), new.pem()).unwrap();
    until("the new certificate", || once(bench.addr, &new, Some(&new_client), "GET /livez").is_ok());
    once(bench.addr, &old, None, "GET /livez").unwrap_err();
    once(bench.addr, &new, Some(&old_client), "GET /livez").unwrap_err();
    // What was connected before goes on.
    is(&ask(&mut before, "GET /v1/sessions", &first), 200);

    // Files that cannot be used: that they were looked at shows in the token, which was changed after them.
    std::fs::write(&server.key_file, "no key").unwrap();
    let second = bearing(&tokens, "second");
    let mut during = connect(bench.addr, &new.pem(), Some(&new_client));
    until("the new token", || ask(&mut during, "GET /v1/sessions", &second).unwrap().starts_with("HTTP/1.1 200"));
    is(&once(bench.addr, &new, Some(&new_client), "GET /livez"), 200);
}
