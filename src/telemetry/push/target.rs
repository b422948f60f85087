//! Where one signal is pushed to over the network: endpoint, TLS, headers, and the clients that send there.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tonic::Status;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::http_error::Connection;
use super::{PushError, Signal};
use crate::config::{KeyPair, Otlp};

/// The collector's answer to a request that it took, in whole or in part.
pub(super) struct Answer {
    /// Items that it rejected for good.
    pub(super) rejected: u64,
    /// What it has to say, if anything.
    pub(super) message: String,
}

/// A request of one signal, and the call that sends it.
pub(super) trait Export: Send + Sized + 'static {
    /// Sends the request.
    fn send(
        connection: Connection,
        gzip: bool,
        request: tonic::Request<Self>,
    ) -> impl Future<Output = Result<Answer, Status>> + Send;
}

impl Export for ExportMetricsServiceRequest {
    async fn send(connection: Connection, gzip: bool, request: tonic::Request<Self>) -> Result<Answer, Status> {
        let mut client = MetricsServiceClient::new(connection).accept_compressed(Gzip);
        if gzip {
            client = client.send_compressed(Gzip);
        }
        let partial = client.export(request).await?.into_inner().partial_success.unwrap_or_default();
        Ok(Answer { rejected: partial.rejected_data_points.try_into().unwrap_or(0), message: partial.error_message })
    }
}

impl Export for ExportTraceServiceRequest {
    async fn send(connection: Connection, gzip: bool, request: tonic::Request<Self>) -> Result<Answer, Status> {
        let mut client = TraceServiceClient::new(connection).accept_compressed(Gzip);
        if gzip {
            client = client.send_compressed(Gzip);
        }
        let partial = client.export(request).await?.into_inner().partial_success.unwrap_or_default();
        Ok(Answer { rejected: partial.rejected_spans.try_into().unwrap_or(0), message: partial.error_message })
    }
}

/// One endpoint, checked and ready to connect to.
pub(super) struct Target {
    endpoint: Endpoint,
    headers: MetadataMap,
    secrets: Vec<String>,
    gzip: bool,
    timeout: Duration,
    shown: String,
}

impl Target {
    /// Checks `otlp`; one request, connecting included, takes no longer than its timeout and `at_most`.
    pub(super) fn new(signal: Signal, otlp: &Otlp, at_most: Duration) -> Result<Self, PushError> {
        let (uri, shown) = parse(signal, &otlp.endpoint)?;
        let timeout = otlp.timeout.min(at_most);
        let tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let mut endpoint = Endpoint::from(uri)
            .connect_timeout(timeout)
            .tcp_keepalive(Some(Duration::from_secs(60)))
            .user_agent(concat!("mcp-otel-bridge/", env!("CARGO_PKG_VERSION")))
            .map_err(|e| PushError::Endpoint { signal, endpoint: shown.clone(), problem: chain(&e) })?;
        if tls {
            let config = tls_config(signal, otlp)?.timeout(timeout);
            endpoint =
                endpoint.tls_config(config).map_err(|e| PushError::Tls { signal, problem: tls_problem(otlp, &e) })?;
        }
        Ok(Self {
            endpoint,
            headers: MetadataMap::from_headers(headers(signal, otlp)?),
            // A collector may repeat a token in its error message; short values would only garble it.
            secrets: otlp.headers.iter().map(|(_, v)| v.expose().to_owned()).filter(|v| v.len() >= 6).collect(),
            gzip: otlp.gzip,
            timeout,
            shown,
        })
    }

    /// The endpoint as it may be shown.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A connection that is made when it is first used, and again whenever it breaks.
    pub(super) fn connect(&self) -> Connection {
        Connection(self.endpoint.connect_lazy())
    }

    /// Sends one request within the timeout.
    pub(super) async fn send<R: Export>(&self, connection: Connection, request: R) -> Result<Answer, Status> {
        let mut request = tonic::Request::new(request);
        *request.metadata_mut() = self.headers.clone();
        match tokio::time::timeout(self.timeout, R::send(connection, self.gzip, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {:?}", self.timeout))),
        }
    }

    /// A failed request in one short line without secrets.
    pub(super) fn describe(&self, status: &Status) -> String {
        let mut text = format!("{:?}: {}", status.code(), status.message());
        let mut source = std::error::Error::source(status);
        while let Some(error) = source {
            let more = error.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            source = error.source();
        }
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), "****");
        }
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect()
    }
}

/// Parses an endpoint; the second part is what may be shown of it.
fn parse(signal: Signal, given: &str) -> Result<(Uri, String), PushError> {
    // Whatever stands before an `@` is a credential, even where the rest is no URL.
    let shown = match given.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            if scheme.is_empty() { after.to_owned() } else { format!("{scheme}://{after}") }
        }
        None => given.to_owned(),
    };
    let bad = |problem: String| PushError::Endpoint { signal, endpoint: shown.clone(), problem };
    let uri: Uri = given.trim().parse().map_err(|e| bad(format!("not a URL: {e}")))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => return Err(bad(format!("scheme {other:?} is neither http nor https"))),
        None => return Err(bad("no scheme".to_owned())),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(bad("no host".to_owned()));
    }
    Ok((uri, shown))
}

fn headers(signal: Signal, otlp: &Otlp) -> Result<HeaderMap, PushError> {
    let mut map = HeaderMap::with_capacity(otlp.headers.len());
    for (name, value) in &otlp.headers {
        let bad = |problem: &str| PushError::Header { signal, name: name.clone(), problem: problem.to_owned() };
        let key: HeaderName = name.parse().map_err(|_| bad("not a header name"))?;
        let mut value: HeaderValue =
            value.expose().parse().map_err(|_| bad("its value has characters that a header cannot carry"))?;
        value.set_sensitive(true);
        map.append(key, value);
    }
    Ok(map)
}

fn tls_config(signal: Signal, otlp: &Otlp) -> Result<ClientTlsConfig, PushError> {
    let mut config = match &otlp.ca_file {
        Some(path) => {
            let pem = read(signal, "CA certificate", path)?;
            certificates(signal, "CA certificate", path, &pem)?;
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
        }
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some(KeyPair { cert_file, key_file }) = &otlp.client {
        let cert = read(signal, "client certificate", cert_file)?;
        certificates(signal, "client certificate", cert_file, &cert)?;
        let key = read(signal, "client key", key_file)?;
        PrivateKeyDer::from_pem_slice(&key).map_err(|e| PushError::Certificate {
            signal,
            what: "client key",
            path: key_file.clone(),
            problem: format!("no private key in PEM: {e}"),
        })?;
        config = config.identity(Identity::from_pem(cert, key));
    }
    Ok(config)
}

fn read(signal: Signal, what: &'static str, path: &Path) -> Result<Vec<u8>, PushError> {
    std::fs::read(path).map_err(|e| PushError::Certificate {
        signal,
        what,
        path: path.to_owned(),
        problem: format!("cannot read it: {e}"),
    })
}

/// Fails unless `pem` holds certificates: rustls would skip what it cannot read, and trust nobody.
fn certificates(signal: Signal, what: &'static str, path: &Path, pem: &[u8]) -> Result<(), PushError> {
    let bad = |problem: String| PushError::Certificate { signal, what, path: path.to_owned(), problem };
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        certificate.map_err(|e| bad(format!("not PEM: {e}")))?;
        count += 1;
    }
    if count == 0 { Err(bad("no certificate in PEM".to_owned())) } else { Ok(()) }
}

/// What rustls says, with the files it can be about.
fn tls_problem(otlp: &Otlp, error: &(dyn std::error::Error + 'static)) -> String {
    let files = match &otlp.client {
        Some(client) => format!(" (certificate {}, key {})", client.cert_file.display(), client.key_file.display()),
        None => String::new(),
    };
    format!("{}{files}", chain(error))
}

/// An error and all its causes in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
