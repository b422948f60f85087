//! The door: every way in hands its events here, and a bounded queue leads from here to the writer.
//!
//! The queue is bounded by events, not only by messages, so that what waits has a bound in memory. What finds no room
//! is refused and counted; nothing waits outside, and nothing is lost unsaid.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::orders::Tray;
use crate::event::{Event, EventType, Outcome, Rejection};
use crate::state::{State, StoreError, now_ms};

/// The most messages that may wait, whatever the number of their events.
pub(super) const QUEUE_MESSAGES: usize = 4096;

/// Where events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `POST /v1/events`
    Http,
    /// The gRPC service.
    Grpc,
    /// The tools of the MCP server.
    Mcp,
    /// A wrapped MCP server.
    Wrap,
    /// A Rust program that uses the library.
    Library,
}

impl Source {
    /// All of them, each at its own index.
    pub const ALL: [Source; 5] = [Self::Http, Self::Grpc, Self::Mcp, Self::Wrap, Self::Library];

    /// The value of the `source` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Mcp => "mcp",
            Self::Wrap => "wrap",
            Self::Library => "library",
        }
    }
}

/// An event as a way in hands it over: read and valid, or why it is not.
pub type Incoming = Result<Event, Rejection>;

/// The type of an event, where it could be read.
pub(super) fn type_of(event: &Incoming) -> Option<EventType> {
    match event {
        Ok(event) => Some(event.event_type()),
        Err(rejection) => rejection.event_type,
    }
}

/// Why a whole batch was not taken. It may be sent again, with the same event ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many events wait as may.
    #[error("the bridge has as many events waiting as it may; try again")]
    Overloaded,
    /// The store cannot keep events now.
    #[error("the bridge cannot keep events now: {0}")]
    Storage(String),
    /// The bridge is stopping.
    #[error("the bridge is stopping")]
    Stopping,
}

/// What the answer is given to.
pub(super) type Reply = Box<dyn FnOnce(Result<Vec<Outcome>, Refused>) + Send>;

/// A batch on its way to the writer.
pub(super) struct Submission {
    pub(super) source: Source,
    pub(super) events: Vec<Incoming>,
    pub(super) received: Instant,
    pub(super) reply: Reply,
}

/// What the writer is asked to do.
pub(super) enum Command {
    /// Record a batch.
    Submit(Submission),
    /// Show what is remembered.
    Inspect(Box<dyn FnOnce(&State) + Send>),
    /// Change what is remembered, in a transaction of its own.
    Change(Change),
    /// Look whether the push has orders.
    Wake,
    /// Stop, once everything before this is done.
    Stop,
}

/// What makes a change.
type Make = Box<dyn FnOnce(&mut State) -> Result<usize, StoreError> + Send>;

/// A change of what is remembered that no event makes.
pub(super) struct Change {
    /// Makes it, and tells how many things it changed.
    pub(super) make: Make,
    pub(super) reply: Box<dyn FnOnce(Result<usize, Refused>) + Send>,
}

/// The way to the writer.
#[derive(Debug)]
pub(super) struct Door {
    queue: SyncSender<Command>,
    shared: std::sync::Arc<Shared>,
    most_events: usize,
}

/// What the door and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Events that wait.
    waiting: AtomicUsize,
    closed: AtomicBool,
    /// When the writer last turned, in milliseconds since 1970.
    turned_ms: AtomicI64,
    /// Events refused at the door, by source and type, which the writer counts.
    refused: [[AtomicU64; EventType::COUNT + 1]; Source::ALL.len()],
    /// Why events cannot be kept, while they cannot.
    store_fault: Mutex<Option<String>>,
    /// What the push asks of the writer.
    pub(super) tray: Tray,
}

impl Door {
    pub(super) fn new(queue: SyncSender<Command>, shared: std::sync::Arc<Shared>, most_events: usize) -> Self {
        Self { queue, shared, most_events }
    }

    /// Hands a batch to the writer, never waiting; `reply` gets the answer after the commit, or why there is none.
    pub(super) fn submit(&self, source: Source, events: Vec<Incoming>, reply: Reply) {
        if self.shared.is_closed() {
            return reply(Err(Refused::Stopping));
        }
        let count = events.len();
        let waiting = self.shared.waiting.fetch_add(count, Ordering::AcqRel);
        // A batch larger than the whole queue has its turn when nothing else waits.
        if waiting > 0 && waiting + count > self.most_events {
            return self.refuse(source, &events, reply);
        }
        let submission = Submission { source, events, received: Instant::now(), reply };
        match self.queue.try_send(Command::Submit(submission)) {
            Ok(()) => {}
            Err(TrySendError::Full(Command::Submit(back))) => self.refuse(source, &back.events, back.reply),
            Err(TrySendError::Disconnected(Command::Submit(back))) => {
                self.shared.waiting.fetch_sub(count, Ordering::AcqRel);
                (back.reply)(Err(Refused::Stopping));
            }
            Err(_) => {}
        }
    }

    fn refuse(&self, source: Source, events: &[Incoming], reply: Reply) {
        self.shared.waiting.fetch_sub(events.len(), Ordering::AcqRel);
        for event in events {
            let index = type_of(event).map_or(EventType::COUNT, EventType::index);
            self.shared.refused[source as usize][index].fetch_add(1, Ordering::Relaxed);
        }
        reply(Err(Refused::Overloaded));
    }

    /// Runs `inspect` on the writer's thread, between two batches; `false` where the bridge is stopping or full.
    pub(super) fn inspect(&self, inspect: Box<dyn FnOnce(&State) + Send>) -> bool {
        self.queue.try_send(Command::Inspect(inspect)).is_ok()
    }

    /// Makes a change on the writer's thread; `reply` gets how many things it changed, after the commit.
    pub(super) fn change(&self, change: Change) {
        match self.queue.try_send(Command::Change(change)) {
            Ok(()) => {}
            Err(TrySendError::Full(Command::Change(back))) => (back.reply)(Err(Refused::Overloaded)),
            Err(TrySendError::Disconnected(Command::Change(back))) => (back.reply)(Err(Refused::Stopping)),
            Err(_) => {}
        }
    }

    /// Takes no more events.
    pub(super) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }

    /// Waits until the writer is done with all that waits.
    pub(super) fn finish(&self) {
        let (done, finished) = sync_channel(1);
        let told = self.queue.send(Command::Inspect(Box::new(move |_| {
            let _ = done.send(());
        })));
        // The only errors say that the writer is gone already.
        if told.is_ok() {
            let _ = finished.recv();
        }
    }

    /// Takes no more events, and lets the writer finish those that wait and end.
    pub(super) fn stop(&self) {
        self.close();
        // The only error says that the writer is gone already.
        let _ = self.queue.send(Command::Stop);
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            turned_ms: AtomicI64::new(now_ms()),
            refused: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            store_fault: Mutex::new(None),
            tray: Tray::new(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The writer is done with so many events.
    pub(super) fn done(&self, events: usize) {
        self.waiting.fetch_sub(events, Ordering::AcqRel);
    }

    pub(super) fn turn(&self) {
        self.turned_ms.store(now_ms(), Ordering::Release);
    }

    pub(super) fn turned_ms(&self) -> i64 {
        self.turned_ms.load(Ordering::Acquire)
    }

    /// Hands over what was refused since the last time.
    pub(super) fn take_refused(&self, mut each: impl FnMut(Source, Option<EventType>, u64)) {
        for source in Source::ALL {
            for (index, count) in self.refused[source as usize].iter().enumerate() {
                let count = count.swap(0, Ordering::Relaxed);
                if count > 0 {
                    each(source, EventType::ALL.get(index).copied(), count);
                }
            }
        }
    }

    pub(super) fn set_store_fault(&self, fault: Option<String>) {
        *self.store_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub(super) fn store_fault(&self) -> Option<String> {
        self.store_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
