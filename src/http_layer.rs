//! A tower layer that records each HTTP request of an axum, tonic or tower service as a call of a component.
//!
//! What must always hold: the number of components depends on the service's routes, never on what clients send. So a
//! component is named after the route that matched, and a gRPC method only where the service is known to have it.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::MatchedPath;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::Bridge;
use crate::bridge::{Source, current_parent};
use crate::event::{CircuitBreakerCall, Event, Label, Seconds, TraceParent};

/// The component of the requests that no route matched.
const OTHER: &str = "_other";
/// The most gRPC methods that are told apart.
const MOST_METHODS: usize = 1000;
/// The status of gRPC that a method which does not exist is answered with.
const UNIMPLEMENTED: &str = "12";

impl Bridge {
    /// A layer that records each request of a service as a call: the component is `METHOD_/route/template`, or `_other`
    /// where no route matched.
    ///
    /// - An answer of 2xx or 3xx (and 101) is a success; with gRPC, one that does not begin with an error.
    /// - The latency is that until the head of the answer. A request that is cancelled before has failed.
    /// - The route is axum's, so add the layer with [`axum::Router::layer`], after the routes. A gRPC method has a
    ///   component of its own, `POST_/package.Service/Method`, once the service has answered it as one that it has;
    ///   outside of a router that takes an answer without an error.
    ///
    /// It never makes a request wait, and asks nothing of its body.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum::{Router, routing::get};
    ///
    /// let bridge = mcp_otel_bridge::Bridge::builder().build()?;
    /// let app: Router = Router::new().route("/users/{id}", get(|| async { "me" })).layer(bridge.http_layer());
    /// # drop(app);
    /// # Ok(())
    /// # }
    /// ```
    pub fn http_layer(&self) -> HttpLayer {
        HttpLayer { bridge: self.clone(), methods: Arc::default() }
    }
}

/// Records each request of the service that it is laid around; see [`Bridge::http_layer`].
#[derive(Debug, Clone)]
pub struct HttpLayer {
    bridge: Bridge,
    methods: Arc<Methods>,
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> HttpService<S> {
        HttpService { inner, layer: self.clone() }
    }
}

/// A service whose requests are recorded; see [`Bridge::http_layer`].
#[derive(Debug, Clone)]
pub struct HttpService<S> {
    inner: S,
    layer: HttpLayer,
}

impl<S, B, R> Service<Request<B>> for HttpService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = HttpFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let watch = Watch::new(&self.layer, &request);
        HttpFuture { inner: self.inner.call(request), watch }
    }
}

pin_project! {
    /// The answer to a request that is recorded, on its way.
    #[derive(Debug)]
    pub struct HttpFuture<F> {
        #[pin]
        inner: F,
        watch: Watch,
    }
}

impl<F, R, E> Future for HttpFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(context));
        match &result {
            Ok(response) => this.watch.answered(response.status(), response.headers()),
            Err(_) => this.watch.failed(),
        }
        Poll::Ready(result)
    }
}

/// A request under way. Dropped before its answer, it has failed.
#[derive(Debug)]
struct Watch {
    bridge: Bridge,
    method: &'static str,
    route: Option<MatchedPath>,
    grpc: Option<Grpc>,
    parent: Option<TraceParent>,
    started: Instant,
    over: bool,
}

/// A call of a gRPC method, which no route names.
#[derive(Debug)]
struct Grpc {
    path: String,
    methods: Arc<Methods>,
}

impl Watch {
    fn new<B>(layer: &HttpLayer, request: &Request<B>) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        // A route that names a whole path needs no help; tonic's names the service alone.
        let open_ended = route.as_ref().is_none_or(|route| route.as_str().contains("{*"));
        let grpc = (open_ended && is_grpc(request.headers()))
            .then(|| Grpc { path: request.uri().path().to_owned(), methods: Arc::clone(&layer.methods) });
        let sent = || request.headers().get("traceparent")?.to_str().ok()?.parse().ok();
        Self {
            bridge: layer.bridge.clone(),
            method: method_name(request.method()),
            route,
            grpc,
            parent: current_parent().or_else(sent),
            started: Instant::now(),
            over: false,
        }
    }

    fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        let mut success = status.as_u16() < 400;
        if let Some(grpc) = &self.grpc
            && is_grpc(headers)
        {
            let code = headers.get("grpc-status").map(|code| code.as_bytes());
            let well = code.is_none_or(|code| code == b"0");
            success &= well;
            if well || (self.route.is_some() && code != Some(UNIMPLEMENTED.as_bytes())) {
                grpc.methods.learn(&grpc.path);
            }
        }
        self.record(success);
    }

    fn failed(&mut self) {
        self.record(false);
    }

    fn record(&mut self, success: bool) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let latency_seconds = Seconds::from(self.started.elapsed());
        let call = CircuitBreakerCall { component: self.component(), latency_seconds, success };
        let event = Event { traceparent: self.parent, ..Event::new(call) };
        self.bridge.submit_and_forget(Source::Library, event);
    }

    fn component(&self) -> Label {
        let method = self.grpc.as_ref().filter(|grpc| grpc.methods.knows(&grpc.path)).map(|grpc| grpc.path.as_str());
        match method.or(self.route.as_ref().map(MatchedPath::as_str)) {
            Some(path) => Label::lossy(&format!("{}_{path}", self.method)),
            None => Label::literal(OTHER),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.record(false);
    }
}

/// The paths of the gRPC methods that the service is known to have.
#[derive(Debug, Default)]
struct Methods(RwLock<HashSet<Box<str>>>);

impl Methods {
    fn knows(&self, path: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    fn learn(&self, path: &str) {
        if self.knows(path) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_METHODS {
            known.insert(path.into());
        }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The method, where HTTP or a common extension of it defines it: clients may send any word.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}
