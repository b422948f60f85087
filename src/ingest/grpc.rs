//! Events over gRPC: `EventService`, with health and reflection beside it.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{parent, under};
use crate::bridge::{Bridge, Refused, Source};
use crate::config::Limits;
use crate::event::{Body, Outcome, Reason, Rejection, TraceParent, from_proto, record_response};
use crate::proto::v1;
use crate::proto::v1::event_service_server::{EventService, EventServiceServer};
use crate::serve::Stop;

/// How many batches of one stream may wait for their answers.
const WAITING_BATCHES: usize = 32;
/// When to try again what was refused.
const RETRY: Duration = Duration::from_secs(1);
/// How often health is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The gRPC services, ready to be served.
pub(crate) struct Service {
    /// Their routes.
    pub(crate) routes: Router,
    /// What keeps the health service right.
    pub(crate) health: HealthReport,
}

/// Tells the health service how the bridge is.
#[derive(Debug)]
pub(crate) struct HealthReport(HealthReporter);

/// Builds the services.
pub(crate) fn service(bridge: &Bridge, limits: &Limits, stop: Stop) -> Service {
    let events = EventServiceServer::new(Events { bridge: bridge.clone(), stop })
        .max_decoding_message_size(limits.body_bytes)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut routes = Routes::builder();
    routes.add_service(events).add_service(health);
    // The descriptors are made by the build: they are well-formed.
    if let Ok(v1) = reflection().build_v1() {
        routes.add_service(v1);
    }
    if let Ok(v1alpha) = reflection().build_v1alpha() {
        routes.add_service(v1alpha);
    }
    let routes = routes.routes().prepare().into_axum_router().reset_fallback();
    Service { routes, health: HealthReport(reporter) }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

impl HealthReport {
    /// Follows the bridge until it is to stop; `alive` is held as long.
    pub(crate) async fn follow(self, bridge: Bridge, mut stop: Stop, alive: mpsc::Sender<Infallible>) {
        let name = <EventServiceServer<Events> as tonic::server::NamedService>::NAME;
        loop {
            let status = if bridge.health().ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.set(name, status).await;
            tokio::select! {
                () = stop.draining() => break,
                () = sleep(LOOK) => {}
            }
        }
        self.set(name, ServingStatus::NotServing).await;
        drop(alive);
    }

    async fn set(&self, name: &str, status: ServingStatus) {
        self.0.set_service_status(name, status).await;
        // The empty name stands for the server as a whole.
        self.0.set_service_status("", status).await;
    }
}

/// The service of events.
struct Events {
    bridge: Bridge,
    stop: Stop,
}

/// The answers of a stream, in the order of its batches.
type Answers = Pin<Box<dyn Stream<Item = Result<v1::RecordResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for Events {
    type RecordStreamStream = Answers;

    async fn record(&self, request: Request<v1::RecordRequest>) -> Result<Response<v1::RecordResponse>, Status> {
        let parent = parent_of(request.metadata());
        let v1::RecordRequest { batch_id, events } = request.into_inner();
        let outcomes = submit(&self.bridge, events, parent).await;
        match outcomes {
            Ok(outcomes) => Ok(Response::new(record_response(batch_id, outcomes))),
            Err(Fault::TooMany(rejection)) => Err(Status::invalid_argument(rejection.error)),
            Err(Fault::Refused(refused)) => Err(Status::with_error_details(
                Code::Unavailable,
                refused.to_string(),
                ErrorDetails::with_retry_info(Some(RETRY)),
            )),
        }
    }

    async fn record_stream(&self, request: Request<Streaming<v1::RecordRequest>>) -> Result<Response<Answers>, Status> {
        let parent = parent_of(request.metadata());
        let (answers, waiting) = mpsc::channel(WAITING_BATCHES);
        tokio::spawn(read(self.bridge.clone(), request.into_inner(), parent, self.stop.clone(), answers));
        let waiting = ReceiverStream::new(waiting);
        Ok(Response::new(Box::pin(waiting.then(|answer| answer))))
    }
}

/// An answer in the making.
type Answer = Pin<Box<dyn Future<Output = Result<v1::RecordResponse, Status>> + Send>>;

/// Reads a stream's batches and hands each to the door as it comes, so that they are recorded in their order while
/// their answers are still awaited.
async fn read(
    bridge: Bridge,
    mut batches: Streaming<v1::RecordRequest>,
    parent: Option<TraceParent>,
    mut stop: Stop,
    answers: mpsc::Sender<Answer>,
) {
    loop {
        let batch = tokio::select! {
            biased;
            () = answers.closed() => return,
            () = stop.draining() => Err(Status::unavailable("the bridge is stopping")),
            batch = batches.message() => batch,
        };
        let (answer, last): (Answer, bool) = match batch {
            Ok(Some(v1::RecordRequest { batch_id, events })) => {
                let outcomes = submit(&bridge, events, parent);
                (Box::pin(async move { Ok(respond(batch_id, outcomes.await)) }), false)
            }
            Ok(None) => return,
            Err(status) => (Box::pin(std::future::ready(Err(status))), true),
        };
        if answers.send(answer).await.is_err() || last {
            return;
        }
    }
}

/// Why no event of a batch was recorded.
enum Fault {
    TooMany(Rejection),
    Refused(Refused),
}

/// Hands a batch to the door at once; the future waits for the outcomes.
fn submit(
    bridge: &Bridge,
    events: Vec<v1::Event>,
    parent: Option<TraceParent>,
) -> impl Future<Output = Result<Vec<Outcome>, Fault>> + Send + use<> {
    let too_many = (events.len() > Body::MAX_EVENTS).then(|| {
        let error = format!("the batch holds more than {} events: send them in several", Body::MAX_EVENTS);
        Rejection::new(Reason::TooLarge, error)
    });
    let incoming = match &too_many {
        // The batch counts as one event that was rejected.
        Some(rejection) => vec![Err(rejection.clone())],
        None => under(parent, events.iter().map(from_proto).collect()),
    };
    drop(events);
    let outcomes = (!incoming.is_empty()).then(|| bridge.submit(Source::Grpc, incoming));
    async {
        let outcomes = match outcomes {
            Some(outcomes) => outcomes.await,
            None => Ok(Vec::new()),
        };
        match (too_many, outcomes) {
            (Some(rejection), _) => Err(Fault::TooMany(rejection)),
            (None, outcomes) => outcomes.map_err(Fault::Refused),
        }
    }
}

fn respond(batch_id: Option<u64>, outcomes: Result<Vec<Outcome>, Fault>) -> v1::RecordResponse {
    let failure = match outcomes {
        Ok(outcomes) => return record_response(batch_id, outcomes),
        Err(Fault::TooMany(rejection)) => rejection.into(),
        Err(Fault::Refused(refused)) => {
            let reason = match refused {
                Refused::Overloaded => Reason::Overloaded.name(),
                Refused::Storage(_) => Reason::Storage.name(),
                Refused::Stopping => "stopping",
            };
            v1::BatchFailure { reason: reason.to_owned(), error: refused.to_string(), retryable: true }
        }
    };
    v1::RecordResponse { batch_id, failure: Some(failure), ..v1::RecordResponse::default() }
}

fn parent_of(metadata: &MetadataMap) -> Option<TraceParent> {
    parent(metadata.get_all("traceparent").iter().map(|value| value.as_encoded_bytes()))
}
