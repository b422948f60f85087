//! A small OTLP collector: a real gRPC server on loopback that keeps what it gets and answers as told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, Sum};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataMap;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// How one request is answered.
pub enum Answer {
    /// Taken but for so many items.
    Partial(i64),
    /// Refused.
    Status(Status),
    /// Taken, after so long.
    After(Duration),
    /// Never.
    Hang,
}

/// One request as it came in.
pub struct Got<R> {
    pub at: Instant,
    /// The other end of the connection that it came over.
    pub peer: Option<SocketAddr>,
    pub headers: MetadataMap,
    pub request: R,
    /// Whether it was answered with success, in whole or in part.
    pub taken: bool,
}

/// What the collector has seen. It outlives the server, which may be killed and come back.
#[derive(Default)]
pub struct Seen {
    pub metrics: Vec<Got<ExportMetricsServiceRequest>>,
    pub spans: Vec<Got<ExportTraceServiceRequest>>,
    /// The answers to the next requests; success when there are none.
    pub answers: VecDeque<Answer>,
    /// The most items that a request may have, and the answer to a larger one.
    pub most: Option<(usize, Status)>,
}

impl Seen {
    /// The metrics of that name in all taken requests, in order.
    pub fn metric(&self, name: &str) -> Vec<Metric> {
        let requests = self.metrics.iter().filter(|got| got.taken);
        let scopes = requests.flat_map(|got| &got.request.resource_metrics).flat_map(|r| &r.scope_metrics);
        scopes.flat_map(|s| &s.metrics).filter(|m| m.name == name).cloned().collect()
    }

    /// All taken spans, in order.
    pub fn all_spans(&self) -> Vec<Span> {
        let requests = self.spans.iter().filter(|got| got.taken);
        let scopes = requests.flat_map(|got| &got.request.resource_spans).flat_map(|r| &r.scope_spans);
        scopes.flat_map(|s| &s.spans).cloned().collect()
    }
}

/// The name of each point's metric, its attributes, and its time.
pub fn points(request: &ExportMetricsServiceRequest) -> Vec<(String, String, u64)> {
    let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let point = |metric: &Metric, attributes: &[KeyValue], time| (metric.name.clone(), format!("{attributes:?}"), time);
    metrics
        .flat_map(|metric| -> Vec<_> {
            match metric.data.as_ref().unwrap() {
                Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. }) => {
                    data_points.iter().map(|p| point(metric, &p.attributes, p.time_unix_nano)).collect()
                }
                Data::Histogram(histogram) => {
                    histogram.data_points.iter().map(|p| point(metric, &p.attributes, p.time_unix_nano)).collect()
                }
                other => panic!("{other:?}"),
            }
        })
        .collect()
}

#[derive(Clone, Default)]
struct Service(Arc<Mutex<Seen>>);

impl Service {
    /// The items to reject of so many, or the failure.
    async fn answer(&self, items: usize) -> Result<i64, Status> {
        let answer = {
            let mut seen = self.0.lock().unwrap();
            if let Some((most, status)) = &seen.most
                && items > *most
            {
                return Err(status.clone());
            }
            seen.answers.pop_front()
        };
        match answer {
            None => Ok(0),
            Some(Answer::Partial(rejected)) => Ok(rejected),
            Some(Answer::Status(status)) => Err(status),
            Some(Answer::After(time)) => {
                tokio::time::sleep(time).await;
                Ok(0)
            }
            Some(Answer::Hang) => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let peer = request.remote_addr();
        let (headers, _, request) = request.into_parts();
        let at = Instant::now();
        let items = points(&request).len();
        let index = {
            let mut seen = self.0.lock().unwrap();
            seen.metrics.push(Got { at, peer, headers, request, taken: false });
            seen.metrics.len() - 1
        };
        let rejected = self.answer(items).await?;
        self.0.lock().unwrap().metrics[index].taken = true;
        let partial_success = (rejected > 0).then(|| ExportMetricsPartialSuccess {
            rejected_data_points: rejected,
            error_message: "too old".to_owned(),
        });
        Ok(Response::new(ExportMetricsServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let peer = request.remote_addr();
        let (headers, _, request) = request.into_parts();
        let at = Instant::now();
        let items = request.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum();
        let index = {
            let mut seen = self.0.lock().unwrap();
            seen.spans.push(Got { at, peer, headers, request, taken: false });
            seen.spans.len() - 1
        };
        let rejected = self.answer(items).await?;
        self.0.lock().unwrap().spans[index].taken = true;
        let partial_success = (rejected > 0)
            .then(|| ExportTracePartialSuccess { rejected_spans: rejected, error_message: "too old".to_owned() });
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

/// The collector. It is killed when dropped.
pub struct Collector {
    service: Service,
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    tls: Option<ServerTlsConfig>,
}

impl Collector {
    /// Starts on a free port.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts on a free port, with TLS.
    pub fn start_with(tls: Option<ServerTlsConfig>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut collector = Self { service: Service::default(), address, runtime: None, tls };
        collector.come_back();
        collector
    }

    /// Serves, on the same port as before.
    pub fn come_back(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (service, tls) = (self.service.clone(), self.tls.clone());
        let socket = runtime.block_on(async { tokio::net::TcpListener::bind(self.address).await }).unwrap();
        self.address = socket.local_addr().unwrap();
        runtime.spawn(async move {
            let mut server = Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            let metrics = MetricsServiceServer::new(service.clone()).accept_compressed(Gzip);
            let traces = TraceServiceServer::new(service).accept_compressed(Gzip);
            let router = server.add_service(metrics).add_service(traces);
            router.serve_with_incoming(TcpListenerStream::new(socket)).await.unwrap();
        });
        self.runtime = Some(runtime);
    }

    /// Dies at once, with all its connections.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Looks at what was seen.
    pub fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.service.0.lock().unwrap())
    }

    /// Answers the next requests so.
    pub fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.seen(|seen| seen.answers.extend(answers));
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}
