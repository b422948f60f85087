//! One connection, from its first byte to its last, with a deadline at every step.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::accept::Shared;
use super::activity::Activity;
use super::request;
use super::transport::Transport;

/// The most requests at once in one HTTP/2 connection.
const STREAMS: u32 = 256;
/// The most that the headers of a request may take.
const HEADERS_BYTES: u32 = 32 * 1024;
const HTTP1_BUFFER: usize = 64 * 1024;
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// For a connection that is told to close to do so.
const CLOSE: Duration = Duration::from_secs(1);

/// Serves a connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    router: Router,
    shared: Arc<Shared>,
    alive: mpsc::Sender<Infallible>,
) {
    let mut stop = shared.stop.clone();
    let served = async {
        match &shared.tls {
            None => drive(stream, true, permit, router, &shared).await,
            Some(tls) => {
                // The clock of the handshake starts with its first byte.
                let mut first = [0];
                match timeout(shared.limits.first_bytes, stream.peek(&mut first)).await {
                    Ok(Ok(1..)) => {}
                    Ok(Ok(_) | Err(_)) | Err(_) => return,
                }
                match timeout(shared.limits.tls_handshake, tls.acceptor().accept(stream)).await {
                    Ok(Ok(stream)) => {
                        // What is shown has been verified by now.
                        let shown = stream.get_ref().1.peer_certificates().is_some_and(|shown| !shown.is_empty());
                        let certified = shown || !tls.asks_for_certificates();
                        drive(stream, certified, permit, router, &shared).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                }
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = stop.cut() => {}
    }
    drop(alive);
}

async fn drive<T>(stream: T, certified: bool, permit: OwnedSemaphorePermit, router: Router, shared: &Arc<Shared>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let transport = TokioIo::new(Transport::new(stream, Arc::clone(&activity), permit));
    let service = service_fn({
        let (activity, shared) = (Arc::clone(&activity), Arc::clone(shared));
        move |request| request::answer(router.clone(), request, certified, Arc::clone(&activity), Arc::clone(&shared))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.headers)
        .max_buf_size(HTTP1_BUFFER)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let mut connection = pin!(builder.serve_connection_with_upgrades(transport, service));
    let mut stop = shared.stop.clone();
    let silent = {
        let mut silence = pin!(sleep_until(Instant::from_std(activity.deadline(&shared.limits))));
        // The connection does what it does in here, so the deadline is looked at each time that it did something.
        let ended = poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
            loop {
                let deadline = Instant::from_std(activity.deadline(&shared.limits));
                let passed = silence.is_elapsed();
                if passed && deadline <= silence.deadline() {
                    return Poll::Ready(None);
                }
                // A deadline that moves on is looked at when the earlier one has passed.
                if passed || deadline < silence.deadline() {
                    silence.as_mut().reset(deadline);
                }
                if silence.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        });
        tokio::select! {
            ended = ended => match ended {
                Some(ended) => return log(ended),
                None => true,
            },
            () = stop.draining() => false,
        }
    };
    connection.as_mut().graceful_shutdown();
    if silent {
        tracing::debug!("a connection was silent for too long");
        let _ = timeout(CLOSE, connection).await;
    } else {
        log(connection.await);
    }
}

fn log(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended in an error");
    }
}
