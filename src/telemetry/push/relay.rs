//! The end, inside the process, of the channels that the stock OTLP exporters send over.
//!
//! An exporter of opentelemetry-otlp knows how to turn the SDK's data into OTLP and to send it; it does not know how
//! to keep it while the collector is away. So it sends to a small OTLP service here, which files what it gets in the
//! outbox and answers success. Nothing goes over a socket: the connection is a pipe in memory.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use opentelemetry_otlp::{MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SpanExporter as _;
use prost::Message as _;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::server::Router;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use super::filer::Filing;
use super::outbox::{Items as _, NotKept, Outbox, Row};
use super::{Decorate, PushError, Signal};

/// The bytes that each direction of the pipe holds.
const PIPE: usize = 256 * 1024;
/// The window of the pipe's streams: there is no network to be careful with.
const WINDOW: u32 = 4 * 1024 * 1024;
/// The first wait for a store that fails, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The bound on one hop through the pipe, far above what it takes.
const HOP: Duration = Duration::from_secs(60);

/// A stock exporter whose requests end in `outbox`. To be called within the runtime of the push.
pub(super) fn metric_exporter(
    decorate: Arc<dyn Decorate>,
    filer: mpsc::Sender<Filing>,
) -> Result<MetricExporter, PushError> {
    let service = MetricsServiceServer::new(MetricsRelay { decorate, filer })
        .accept_compressed(Gzip)
        .max_decoding_message_size(usize::MAX);
    MetricExporter::builder()
        .with_temporality(Temporality::Cumulative)
        .with_tonic()
        .with_channel(pipe(server().add_service(service)))
        .with_timeout(HOP)
        .with_retry_policy(RetryPolicy::disabled())
        .build()
        .map_err(|e| PushError::Exporter { signal: Signal::Metrics, problem: e.to_string() })
}

/// A stock exporter whose requests end in `outbox`. To be called within the runtime of the push.
pub(super) fn span_exporter(
    resource: &Resource,
    outbox: Arc<Outbox<ExportTraceServiceRequest>>,
) -> Result<SpanExporter, PushError> {
    let service =
        TraceServiceServer::new(SpansRelay { outbox }).accept_compressed(Gzip).max_decoding_message_size(usize::MAX);
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_channel(pipe(server().add_service(service)))
        .with_timeout(HOP)
        .with_retry_policy(RetryPolicy::disabled())
        .build()
        .map_err(|e| PushError::Exporter { signal: Signal::Spans, problem: e.to_string() })?;
    exporter.set_resource(resource);
    Ok(exporter)
}

fn server() -> Server {
    // The exporters add the headers of the environment, whose length is not ours to judge.
    Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .http2_max_header_list_size(1024 * 1024)
}

/// A channel to `router`, which is served on the current runtime for as long as the channel is kept.
fn pipe(router: Router) -> Channel {
    let (accept, accepted) = mpsc::channel::<DuplexStream>(1);
    let incoming = ReceiverStream::new(accepted).map(Ok::<_, std::io::Error>);
    tokio::spawn(router.serve_with_incoming(incoming));
    // The address is never resolved; it only fills the requests' `:authority`.
    Endpoint::from_static("http://in-process").connect_with_connector_lazy(tower::service_fn(move |_| {
        let accept = accept.clone();
        async move {
            let (ours, theirs) = duplex(PIPE);
            accept.send(theirs).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused))?;
            Ok::<_, std::io::Error>(TokioIo::new(ours))
        }
    }))
}

struct MetricsRelay {
    decorate: Arc<dyn Decorate>,
    filer: mpsc::Sender<Filing>,
}

#[tonic::async_trait]
impl MetricsService for MetricsRelay {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut request = request.into_inner();
        self.decorate.decorate(&mut request);
        let (kept, filed) = oneshot::channel();
        self.filer.send(Filing { snapshot: request, kept }).await.map_err(|_| not_kept(&NotKept::Ended))?;
        filed.await.unwrap_or(Err(NotKept::Ended)).map_err(|error| not_kept(&error))?;
        Ok(Response::new(Default::default()))
    }
}

struct SpansRelay {
    outbox: Arc<Outbox<ExportTraceServiceRequest>>,
}

#[tonic::async_trait]
impl TraceService for SpansRelay {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let (items, request) = (request.count(), request.encode_to_vec());
        let mut wait = FIRST_WAIT;
        loop {
            let row = Row { items, replaceable: false, request: request.clone() };
            match self.outbox.file(vec![row], None).await {
                Ok(()) => return Ok(Response::new(Default::default())),
                // The exporter gives up in the end; until then its queue keeps what comes.
                Err(NotKept::Fault(_)) => tokio::time::sleep(wait).await,
                Err(error) => return Err(not_kept(&error)),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

fn not_kept(error: &NotKept) -> Status {
    Status::unavailable(error.to_string())
}
