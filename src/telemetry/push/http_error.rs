//! HTTP errors on the way to the collector, told as gRPC statuses.
//!
//! A proxy between the bridge and the collector answers as HTTP does: 413, 429 or 503, with a Retry-After perhaps. gRPC
//! says which status each means, but tonic's client drops the headers, and with them how long to wait.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::Service;

/// A channel whose answers all have a gRPC status.
#[derive(Debug, Clone)]
pub(super) struct Connection(pub(super) Channel);

pin_project! {
    /// An answer under way.
    pub(super) struct Answering {
        #[pin]
        inner: <Channel as Service<Request<Body>>>::Future,
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    type Error = <Channel as Service<Request<Body>>>::Error;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        Answering { inner: self.0.call(request) }
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, <Channel as Service<Request<Body>>>::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().inner.poll(context)).map(told_as_grpc))
    }
}

/// Gives an HTTP error the status that gRPC's mapping of HTTP statuses says; its other headers stay.
fn told_as_grpc(mut response: Response<Body>) -> Response<Body> {
    let status = response.status();
    if status == StatusCode::OK || response.headers().contains_key(Status::GRPC_STATUS) {
        return response;
    }
    let code = match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    let message = format!("HTTP status code {}", status.as_u16());
    let headers = response.headers_mut();
    headers.insert(Status::GRPC_STATUS, HeaderValue::from(code as i32));
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert(Status::GRPC_MESSAGE, message);
    }
    headers.insert(CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
    *response.status_mut() = StatusCode::OK;
    *response.body_mut() = Body::empty();
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::push::retry::Fault;

    fn fault(status: u16, headers: &[(&'static str, &'static str)]) -> Fault {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        let told = told_as_grpc(response);
        Fault::of(&Status::from_header_map(told.headers()).unwrap())
    }

    #[test]
    fn what_a_proxy_answers_is_told_as_what_it_means() {
        assert_eq!(fault(413, &[]), Fault::TooLarge { asked: None });
        let asked = Some(Duration::from_secs(9));
        assert_eq!(fault(413, &[("retry-after", "9")]), Fault::TooLarge { asked });
        assert_eq!(fault(503, &[]), Fault::MayPass { asked: None });
        assert_eq!(fault(503, &[("retry-after", "9")]), Fault::MayPass { asked });
        assert_eq!(fault(429, &[("retry-after", "9")]), Fault::MayPass { asked });
        for of_the_route in [401, 403, 404, 500] {
            assert_eq!(fault(of_the_route, &[]), Fault::Refused { asked: None }, "{of_the_route}");
        }
    }

    #[test]
    fn what_has_a_grpc_status_stays_as_it_is() {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert("grpc-status", HeaderValue::from_static("3"));
        assert_eq!(told_as_grpc(response).headers()["grpc-status"], "3");
        assert!(told_as_grpc(Response::new(Body::empty())).headers().is_empty());
    }
}
