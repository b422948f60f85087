//! The bytes of a connection, watched: what came and went when, and whether they are HTTP yet.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use super::activity::Activity;

/// What an HTTP/2 client begins with. What differs from it in the first bytes is HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long and how much is read after the end, so that the client can read its answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 32 * 1024 * 1024;

/// A transport that keeps the account of its connection, and its place among the connections for as long as it lives:
/// also beyond an upgrade.
pub(super) struct Transport<T> {
    inner: T,
    activity: Arc<Activity>,
    /// How much of the preface came; `None` once the protocol is known.
    preface: Option<usize>,
    linger: Option<Linger>,
    _permit: OwnedSemaphorePermit,
}

struct Linger {
    end: Pin<Box<Sleep>>,
    left: usize,
}

impl<T> Transport<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>, permit: OwnedSemaphorePermit) -> Self {
        Self { inner, activity, preface: Some(0), linger: None, _permit: permit }
    }

    fn came(&mut self, bytes: &[u8]) {
        self.activity.read();
        let Some(seen) = self.preface else { return };
        let expected = &PREFACE[seen..];
        let compared = expected.len().min(bytes.len());
        if bytes[..compared] != expected[..compared] || compared == expected.len() {
            self.preface = None;
            self.activity.protocol_known();
        } else {
            self.preface = Some(seen + compared);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Transport<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let bytes = &buf.filled()[before..];
        if !bytes.is_empty() {
            this.came(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Transport<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, bytes));
        this.activity.written();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write_vectored(cx, slices));
        this.activity.written();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    /// Ends the writing. Where a request was not read to its end, what still comes of it is read and thrown away for a
    /// while: closing on unread bytes resets the connection, and takes the answer back from the client.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            if !this.activity.is_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(|| Linger { end: Box::pin(sleep(LINGER)), left: LINGER_BYTES });
        let mut unread = [0; 8192];
        while linger.left > 0 && linger.end.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut unread);
            match ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => linger.left = linger.left.saturating_sub(buf.filled().len()),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
