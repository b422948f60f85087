//! Collections that are shared: who asks while one runs waits for the next, and all who wait share it.
//!
//! Nobody joins the collection that runs already. So what is shown always holds everything that was acknowledged
//! before it was asked for, and however many ask at once, at most two collections are made for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::oneshot;

use super::exposition::{Format, NameFilter, encode};
use crate::telemetry::{Snapshot, Telemetry};

/// Makes collections for those who ask, one at a time, on a thread that may block.
#[derive(Debug)]
pub(crate) struct Collections {
    telemetry: Arc<Telemetry>,
    state: Mutex<State>,
    made: AtomicU64,
}

#[derive(Default)]
struct State {
    running: bool,
    waiting: Vec<Job>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("running", &self.running).field("waiting", &self.waiting.len()).finish()
    }
}

/// Reads a collection, or learns why there is none, and answers who asked.
type Job = Box<dyn FnOnce(Result<&Collected<'_>, &str>) + Send>;

/// Why there is no collection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(String);

/// One collection, and the bodies that were made of it.
pub(crate) struct Collected<'t> {
    pub(crate) snapshot: Snapshot<'t>,
    telemetry: &'t Telemetry,
    took: Duration,
    bodies: RefCell<HashMap<(Format, bool), Body>>,
}

/// An encoded body, shared by all who get it.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// How long it took to collect and to encode it.
    pub(crate) took: Duration,
}

impl Collections {
    pub(crate) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry, state: Mutex::default(), made: AtomicU64::new(0) }
    }

    /// Reads a collection that begins after this call.
    ///
    /// Who stops waiting costs nothing more than the collection. `read` runs on a blocking thread.
    pub(crate) async fn ask<R: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Collected<'_>) -> R + Send + 'static,
    ) -> Result<R, Failed> {
        let (answer, answered) = oneshot::channel();
        self.admit(Box::new(move |collected| {
            if !answer.is_closed() {
                drop(answer.send(collected.map(read).map_err(|error| Failed(error.to_owned()))));
            }
        }));
        answered.await.unwrap_or_else(|_| Err(Failed("the collection was cut off".to_owned())))
    }

    fn admit(self: &Arc<Self>, job: Job) {
        let idle = {
            let mut state = self.state();
            state.waiting.push(job);
            !std::mem::replace(&mut state.running, true)
        };
        if idle {
            // Made here, so that it also cleans up when the runtime ends before the thread begins.
            let mut turn = Turn { collections: Arc::clone(self), done: false };
            tokio::task::spawn_blocking(move || turn.run());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were made.
    #[cfg(test)]
    fn made(&self) -> u64 {
        self.made.load(Ordering::Acquire)
    }
}

/// The right to collect, from the first who asks until nobody waits.
struct Turn {
    collections: Arc<Collections>,
    done: bool,
}

impl Turn {
    fn run(&mut self) {
        while let Some(jobs) = self.next() {
            self.collections.made.fetch_add(1, Ordering::AcqRel);
            // A panic costs those who asked for this collection an error, and nobody else anything.
            let _ = catch_unwind(AssertUnwindSafe(|| round(&self.collections.telemetry, jobs)));
        }
    }

    fn next(&mut self) -> Option<Vec<Job>> {
        let mut state = self.collections.state();
        if state.waiting.is_empty() {
            state.running = false;
            self.done = true;
            return None;
        }
        Some(std::mem::take(&mut state.waiting))
    }
}

/// Makes one collection and hands it to all.
fn round(telemetry: &Telemetry, jobs: Vec<Job>) {
    let began = Instant::now();
    match telemetry.collect() {
        Ok(snapshot) => {
            let (took, bodies) = (began.elapsed(), RefCell::default());
            let collected = Collected { snapshot, telemetry, took, bodies };
            jobs.into_iter().for_each(|job| job(Ok(&collected)));
        }
        Err(error) => {
            let error = error.to_string();
            jobs.into_iter().for_each(|job| job(Err(&error)));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The runtime ended before the thread began: who waits learns that, and the next one starts afresh.
        if !self.done {
            let mut state = self.collections.state();
            state.running = false;
            state.waiting.clear();
        }
    }
}

impl Collected<'_> {
    /// The collection in that format; made once where nothing is filtered.
    pub(crate) fn body(&self, format: Format, gzip: bool, filter: &NameFilter) -> Body {
        if !filter.is_empty() {
            return self.make(format, gzip, filter);
        }
        if let Some(body) = self.bodies.borrow().get(&(format, gzip)) {
            return body.clone();
        }
        let body = self.make(format, gzip, filter);
        self.bodies.borrow_mut().insert((format, gzip), body.clone());
        body
    }

    fn make(&self, format: Format, gzip: bool, filter: &NameFilter) -> Body {
        if gzip {
            let Body { bytes, took } = self.body(format, false, filter);
            let began = Instant::now();
            let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
            // Writing into a Vec does not fail.
            let _ = encoder.write_all(&bytes);
            let bytes = encoder.finish().unwrap_or_default().into();
            return Body { bytes, took: took + began.elapsed() };
        }
        let began = Instant::now();
        let mut text = String::new();
        encode(&mut text, &self.snapshot, self.telemetry.resource(), format, filter);
        Body { bytes: text.into(), took: self.took + began.elapsed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bridge;

    #[tokio::test]
    async fn all_who_ask_while_a_collection_runs_share_the_next_one() {
        let bridge = Bridge::builder().build().unwrap();
        let collections = Arc::clone(&bridge.exposed().collections);
        let ask = |collections: &Arc<Collections>| {
            let collections = Arc::clone(collections);
            tokio::spawn(async move {
                collections.ask(|collected| collected.body(Format::Text004, false, &NameFilter::default())).await
            })
        };
        let (hold, held) = oneshot::channel::<()>();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let telemetry = Arc::clone(bridge.telemetry());
        let holder = std::thread::spawn(move || {
            let gate = telemetry.hold();
            hold.send(()).unwrap();
            released.recv().unwrap();
            drop(gate);
        });
        held.await.unwrap();
        let first = ask(&collections);
        while collections.made() < 1 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..10).map(|_| ask(&collections)).collect();
        while collections.state().waiting.len() < 10 {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        let mut bodies = Vec::new();
        for other in others {
            bodies.push(other.await.unwrap().unwrap().bytes);
        }
        assert_eq!(collections.made(), 2);
        let shared = bodies.iter().all(|body| body.as_ptr() == bodies[0].as_ptr());
        assert!(shared, "the encoded body is made once");
        holder.join().unwrap();
    }

    #[tokio::test]
    async fn a_collection_that_panics_does_not_stop_the_next() {
        let bridge = Bridge::builder().build().unwrap();
        let collections = &bridge.exposed().collections;
        assert!(collections.ask::<()>(|_| panic!("as the test wants it")).await.is_err());
        assert!(collections.ask(|_| ()).await.is_ok());
    }
}
