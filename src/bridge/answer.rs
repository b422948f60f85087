//! What the writer is asked and not told: its answer, for tasks that await and threads that wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Refused;

/// An answer that is on its way: await it in an async task, or [`Answer::wait`] for it anywhere else.
///
/// It comes after everything that was handed to the bridge before it was asked for. The question is asked at once,
/// whether or not the answer is looked at.
#[derive(Debug)]
#[must_use = "the answer is not here yet: await it, or wait for it"]
pub struct Answer<T>(oneshot::Receiver<Result<T, Refused>>);

impl<T> Answer<T> {
    /// An answer, and where it is put in.
    pub(super) fn new() -> (oneshot::Sender<Result<T, Refused>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// Blocks the thread until the answer is here, which takes about as long as the commit of a batch.
    ///
    /// # Errors
    ///
    /// When the bridge is stopping, or has too much waiting to be asked.
    ///
    /// # Panics
    ///
    /// Inside of an async task, which must await the answer.
    pub fn wait(self) -> Result<T, Refused> {
        self.0.blocking_recv().unwrap_or(Err(Refused::Stopping))
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(Refused::Stopping)))
    }
}
