//! A small OTLP collector: a real gRPC server on loopback that keeps what it gets and answers as told.

#[path = "collector/proxy.rs"]
mod proxy;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcp_otel_bridge::telemetry::push::Signal;
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
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataMap;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};

use proxy::Proxy;

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
    /// Taken, and yet never answered.
    TakenAndHang,
}

/// How a proxy before the collector turns a request away: an HTTP status, and a Retry-After if there is one.
pub type TurnedAway = (u16, Option<&'static str>);

/// One request as it came in.
pub struct Got<R> {
    pub at: Instant,
    /// The number of the connection that it came over; each has one of its own.
    pub connection: usize,
    pub headers: MetadataMap,
    pub request: R,
    /// Whether it was taken, in whole or in part.
    pub taken: bool,
    /// How it was answered, if it was: so many items rejected, or refused with that code.
    pub answer: Option<Result<u64, Code>>,
}

/// What the collector has seen. It outlives the server, which may be killed and come back.
#[derive(Default)]
pub struct Seen {
    pub metrics: Vec<Got<ExportMetricsServiceRequest>>,
    pub spans: Vec<Got<ExportTraceServiceRequest>>,
    /// The answers to the next requests; success when there are none.
    pub answers: VecDeque<Answer>,
    /// The numbers of the last connections from each address.
    connections: HashMap<SocketAddr, usize>,
    /// How many connections there were.
    connected: usize,
    /// The answers to the next requests of one signal, where there are none for either.
    answers_to: [VecDeque<Answer>; 2],
    /// How a proxy turns the next requests away, before the collector sees them.
    pub proxy: VecDeque<TurnedAway>,
    /// When it turned one away.
    pub turned_away: Vec<Instant>,
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

    /// The answers to the next requests of that signal.
    pub fn answers_to(&mut self, signal: Signal) -> &mut VecDeque<Answer> {
        &mut self.answers_to[usize::from(signal == Signal::Spans)]
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
    /// Numbers a connection. Somebody may have had the same port before.
    fn number(&self, peer: SocketAddr) {
        let mut seen = self.0.lock().unwrap();
        seen.connected += 1;
        let number = seen.connected;
        seen.connections.insert(peer, number);
    }

    /// Notes a request of so many items, which `got` puts among those that came; the items to reject, or the failure.
    async fn answer<R>(
        &self,
        signal: Signal,
        items: usize,
        request: Request<R>,
        got: fn(&mut Seen) -> &mut Vec<Got<R>>,
    ) -> Result<i64, Status> {
        let peer = request.remote_addr().unwrap();
        let (headers, _, request) = request.into_parts();
        let (index, answer) = {
            let mut seen = self.0.lock().unwrap();
            let connection = seen.connections[&peer];
            let came = Got { at: Instant::now(), connection, headers, request, taken: false, answer: None };
            got(&mut seen).push(came);
            let answer = match &seen.most {
                Some((most, status)) if items > *most => Some(Answer::Status(status.clone())),
                _ => seen.answers.pop_front().or_else(|| seen.answers_to(signal).pop_front()),
            };
            (got(&mut seen).len() - 1, answer)
        };
        let (taken, answer) = match answer {
            None => (true, Some(Ok(0))),
            Some(Answer::Partial(rejected)) => (true, Some(Ok(rejected))),
            Some(Answer::Status(status)) => (false, Some(Err(status))),
            Some(Answer::After(time)) => {
                tokio::time::sleep(time).await;
                (true, Some(Ok(0)))
            }
            Some(Answer::Hang) => (false, None),
            Some(Answer::TakenAndHang) => (true, None),
        };
        {
            let mut seen = self.0.lock().unwrap();
            let told = |answer: &Result<i64, Status>| match answer {
                Ok(rejected) => Ok(*rejected as u64),
                Err(status) => Err(status.code()),
            };
            // Whoever looks may have taken the requests out by now.
            if let Some(came) = got(&mut seen).get_mut(index) {
                (came.taken, came.answer) = (taken, answer.as_ref().map(told));
            }
        }
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let items = points(request.get_ref()).len();
        let rejected = self.answer(Signal::Metrics, items, request, |seen| &mut seen.metrics).await?;
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
        let scopes = request.get_ref().resource_spans.iter().flat_map(|r| &r.scope_spans);
        let items = scopes.map(|s| s.spans.len()).sum();
        let rejected = self.answer(Signal::Spans, items, request, |seen| &mut seen.spans).await?;
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
        let (service, connecting, tls) = (self.service.clone(), self.service.clone(), self.tls.clone());
        // The port may have been given to a connection of somebody else's meanwhile, for as long as that lasts.
        let deadline = Instant::now() + Duration::from_secs(5);
        let socket = loop {
            match runtime.block_on(async { tokio::net::TcpListener::bind(self.address).await }) {
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                bound => break bound.unwrap(),
            }
        };
        self.address = socket.local_addr().unwrap();
        runtime.spawn(async move {
            let mut server = Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            let metrics = MetricsServiceServer::new(service.clone()).accept_compressed(Gzip);
            let traces = TraceServiceServer::new(service.clone()).accept_compressed(Gzip);
            let proxy = tower::layer::layer_fn(move |inner| Proxy { service: service.clone(), inner });
            let router = server.layer(proxy).add_service(metrics).add_service(traces);
            let connections = TcpListenerStream::new(socket).map(|accepted| {
                let stream = accepted?;
                connecting.number(stream.peer_addr()?);
                Ok::<_, std::io::Error>(stream)
            });
            router.serve_with_incoming(connections).await.unwrap();
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

    /// Answers the next requests of that signal so.
    pub fn then_to(&self, signal: Signal, answers: impl IntoIterator<Item = Answer>) {
        self.seen(|seen| seen.answers_to(signal).extend(answers));
    }

    /// Serves on another port, so that whoever still knows the old one finds nobody there.
    pub fn move_on(&mut self) {
        self.kill();
        self.address.set_port(0);
        self.come_back();
    }

    /// Whether it can be reached.
    pub fn is_up(&self) -> bool {
        self.runtime.is_some()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}
