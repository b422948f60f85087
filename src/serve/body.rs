//! The bodies of requests and answers, watched: whether a request was read to its end, and when a stream last moved.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::stop::Stop;

/// How long a stream may stay silent once the bridge is stopping.
const SILENCE_AT_THE_END: Duration = Duration::from_millis(250);

/// What a request's two bodies did.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// When either body last moved, in milliseconds since the beginning.
    moved: AtomicU64,
    request_ended: AtomicBool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), moved: AtomicU64::new(0), request_ended: AtomicBool::new(false) }
    }

    fn moves(&self) {
        self.moved.store(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    fn moved(&self) -> Instant {
        self.began + Duration::from_millis(self.moved.load(Ordering::Acquire))
    }

    /// Whether the request's body was read to its end.
    pub(super) fn request_ended(&self) -> bool {
        self.request_ended.load(Ordering::Acquire)
    }
}

/// The body of a request.
pub(super) struct RequestBody {
    inner: Incoming,
    progress: Arc<Progress>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, progress: Arc<Progress>) -> Self {
        if inner.is_end_stream() {
            progress.request_ended.store(true, Ordering::Release);
        }
        Self { inner, progress }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        this.progress.moves();
        if frame.is_none() || this.inner.is_end_stream() {
            this.progress.request_ended.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// How long a stream may stay silent.
pub(super) struct Silence {
    pub(super) limit: Duration,
    pub(super) stop: Stop,
    pub(super) progress: Arc<Progress>,
}

impl Silence {
    /// Resolves when the stream was silent for too long, with what it is told.
    async fn broken(mut self) -> Status {
        loop {
            let stopping = self.stop.is_draining();
            let limit = if stopping { SILENCE_AT_THE_END.min(self.limit) } else { self.limit };
            let end = self.progress.moved() + limit;
            if end <= Instant::now() {
                let why = if stopping { "the bridge is stopping" } else { "the stream was silent for too long" };
                return Status::unavailable(why);
            }
            tokio::select! {
                () = sleep_until(end) => {}
                () = self.stop.draining(), if !stopping => {}
            }
        }
    }
}

/// The body of an answer, and what is held until it is written.
pub(super) struct AnswerBody<H> {
    inner: Body,
    _held: H,
    progress: Option<Arc<Progress>>,
    state: State,
}

enum State {
    /// Silence is not watched yet, or not at all.
    Quiet(Option<Silence>),
    /// The stream has been silent at least once.
    Watched(Pin<Box<dyn Future<Output = Status> + Send>>),
    /// It was ended.
    Ended,
}

impl<H> AnswerBody<H> {
    pub(super) fn new(inner: Body, held: H, silence: Option<Silence>) -> Self {
        let progress = silence.as_ref().map(|silence| Arc::clone(&silence.progress));
        Self { inner, _held: held, progress, state: State::Quiet(silence) }
    }
}

impl<H: Unpin> HttpBody for AnswerBody<H> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if matches!(this.state, State::Ended) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            if let Some(progress) = &this.progress {
                progress.moves();
            }
            return Poll::Ready(frame);
        }
        if let State::Quiet(silence) = &mut this.state {
            match silence.take() {
                Some(silence) => this.state = State::Watched(Box::pin(silence.broken())),
                None => return Poll::Pending,
            }
        }
        let State::Watched(broken) = &mut this.state else { return Poll::Pending };
        let status = ready!(broken.as_mut().poll(cx));
        this.state = State::Ended;
        this.inner = Body::empty();
        let mut trailers = http::HeaderMap::new();
        // Only details too long for a header fail, and there are none.
        let _ = status.add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended) || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
