//! A proxy before the collector.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::{Either, Ready, ready};
use tonic::body::Body;

use super::Service;

/// What stands before the collector: a proxy that turns requests away as HTTP does, without a word of gRPC.
#[derive(Clone)]
pub(super) struct Proxy<S> {
    pub(super) service: Service,
    pub(super) inner: S,
}

impl<S> tower::Service<http::Request<Body>> for Proxy<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<Ready<Result<S::Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut seen = self.service.0.lock().unwrap();
        let Some((status, retry_after)) = seen.proxy.pop_front() else {
            drop(seen);
            return Either::Right(self.inner.call(request));
        };
        seen.turned_away.push(Instant::now());
        let mut response = http::Response::builder().status(status);
        if let Some(retry_after) = retry_after {
            response = response.header("retry-after", retry_after);
        }
        Either::Left(ready(Ok(response.body(Body::empty()).unwrap())))
    }
}
