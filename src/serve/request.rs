//! One request: whether it is served at all, by when it must be answered, and what is noted of it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Request, StatusCode, Version};
use hyper::body::Incoming;
use tokio::time::timeout;
use tonic::Status;
use tower::ServiceExt as _;

use super::accept::Shared;
use super::activity::Activity;
use super::body::{AnswerBody, Progress, RequestBody, Silence};

/// Whether it is a gRPC request or answer.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Counts a request as long as it is not answered to the end.
pub(super) struct InFlight(Arc<Activity>);

impl InFlight {
    fn new(activity: Arc<Activity>) -> Self {
        activity.request_began();
        Self(activity)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// Answers a request. `certified`: its connection showed a certificate, or need not.
pub(super) async fn answer(
    router: Router,
    request: Request<Incoming>,
    certified: bool,
    activity: Arc<Activity>,
    shared: Arc<Shared>,
) -> Result<Response, Infallible> {
    let in_flight = InFlight::new(Arc::clone(&activity));
    let (mut parts, body) = request.into_parts();
    let (grpc, version) = (is_grpc(&parts.headers), parts.version);
    let progress = Arc::new(Progress::new());
    let body = RequestBody::new(body, Arc::clone(&progress));

    let permit = Arc::clone(&shared.requests).try_acquire_owned();
    let mut response = if permit.is_err() {
        drop(body);
        full(grpc)
    } else {
        match shared.auth.admit(&parts, certified) {
            Err(refusal) => {
                drop(body);
                *refusal
            }
            Ok(granted) => {
                parts.extensions.insert(granted);
                let answered = router.oneshot(Request::from_parts(parts, Body::new(body)));
                match timeout(shared.limits.request, answered).await {
                    Ok(Ok(response)) => response,
                    Err(_) => late(grpc, &progress),
                }
            }
        }
    };
    if !progress.request_ended() && !grpc {
        activity.left_unread();
        // What is left of the body is not read, so nothing can follow it.
        if version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    let silence = is_grpc(response.headers()).then(|| Silence {
        limit: shared.limits.idle_stream,
        stop: shared.stop.clone(),
        progress,
    });
    let held = (in_flight, permit.ok());
    Ok(response.map(|body| Body::new(AnswerBody::new(body, held, silence))))
}

fn full(grpc: bool) -> Response {
    const WHY: &str = "the bridge has as many requests in hand as it may; try again";
    if grpc {
        return Status::unavailable(WHY).into_http();
    }
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], format!("{WHY}\n")).into_response()
}

fn late(grpc: bool, progress: &Progress) -> Response {
    let (status, why) = if progress.request_ended() {
        (StatusCode::GATEWAY_TIMEOUT, "the request could not be answered in time")
    } else {
        (StatusCode::REQUEST_TIMEOUT, "the body of the request did not come in time")
    };
    if grpc {
        return Status::deadline_exceeded(why).into_http();
    }
    (status, format!("{why}\n")).into_response()
}
