//! What the bridge remembers: active and ended sessions, open requests, the ids of events, what hosts reported, skills.
//!
//! Only the writer thread touches it. Memory is what decisions are made on; every change is written to the store in
//! the transaction of the batch that made it, so that memory can be rebuilt from the store when a commit fails.

mod anew;
mod breakers;
mod forget;
mod hosts;
mod ids;
mod outbox;
mod requests;
mod series;
mod sessions;
mod skills;
mod span;
mod store;
mod window;

pub(crate) use breakers::{BreakerCall, BreakerMemory, Known};
pub use breakers::{BreakerSummary, LatencyPercentiles};
pub use forget::{ForgetError, Forgotten, Labelled, forget};
pub use outbox::{MemoryShelf, Orders, Outbox};
pub use requests::{EndedRequest, Request, Requests};
pub(crate) use series::{SeriesTotals, StoredSeries, StoredValue};
pub use sessions::{Ended, EndedStatus, Session, Sessions, SpanValue, StartError};
pub use skills::{Invocation, Skills};
pub use span::SpanIds;
pub use store::StoreError;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hosts::Hosts;
use ids::EventIds;
use store::Store;

use crate::config::Config;
use crate::skills::SkillAnomaly;
use crate::telemetry::Instrument;
use crate::telemetry::push::Signal;
use crate::telemetry::push::outbox::Row;

/// The name of the instance id in the store.
const INSTANCE_ID: &str = "instance_id";

/// The name in the store of what is written to find out whether that can be done.
const TRIED: &str = "tried_to_write_ms";

/// The most sessions, and the most requests, that time out in one transaction: the rest have their turn in the next.
const TIMED_OUT_AT_ONCE: usize = 4096;

/// How often a little room is given back at once where the disk is full: the writer has others to answer.
const GIVEN_BACK_AT_ONCE: usize = 16;

/// All that is remembered, and the store behind it.
#[derive(Debug)]
pub struct State {
    store: Store,
    /// The `service.instance.id`, once it was asked for.
    instance_id: Option<String>,
    /// Memory may differ from the store: a batch has begun and is not committed.
    changing: bool,
    /// The store was opened again since memory was last known to fit it.
    reopened: bool,
    /// Active and ended sessions.
    pub sessions: Sessions,
    /// The ids of the events that were recorded.
    pub event_ids: EventIds,
    /// What hosts reported of their own active sessions.
    pub hosts: Hosts,
    /// Open and ended requests.
    pub requests: Requests,
    /// What is kept of calls through circuit breakers.
    pub(crate) breakers: BreakerMemory,
    /// Skills and their anomalies.
    pub skills: Skills,
    /// What the series have counted.
    pub(crate) series: SeriesTotals,
    /// What waits for the collector.
    pub outbox: Outbox,
}

/// The wall clock in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl State {
    /// Opens what is remembered in `dir`, which is made where it is missing; without one, memory alone.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written, another bridge holds it, or the database cannot be read.
    pub fn open(dir: Option<&Path>, config: &Config) -> Result<Self, StoreError> {
        let store = match dir {
            Some(dir) => Store::open(dir, config.durability)?,
            None => Store::in_memory()?,
        };
        let mut state = Self {
            store,
            instance_id: None,
            changing: false,
            reopened: false,
            sessions: Sessions::new(&config.sessions),
            event_ids: EventIds::new(&config.events),
            hosts: Hosts::default(),
            requests: Requests::new(&config.requests),
            breakers: BreakerMemory::new(config.metrics.series_limit, config.circuit_breakers.max_latency_samples),
            skills: Skills::new(&config.skills),
            series: SeriesTotals::default(),
            outbox: Outbox::new(config, dir.is_some()),
        };
        match state.load_all() {
            Err(damage) if damage.is_damage() => {
                state.store.start_over(&damage)?;
                state.load_all()?;
            }
            loaded => loaded?,
        }
        Ok(state)
    }

    /// The `service.instance.id` of this store: made once, the same after every restart.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub fn instance_id(&mut self, make: impl FnOnce() -> String) -> Result<String, StoreError> {
        let id = self.store.meta(INSTANCE_ID, make)?;
        self.instance_id = Some(id.clone());
        Ok(id)
    }

    /// Begins the transaction of a batch.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        self.store.begin()?;
        self.changing = true;
        Ok(())
    }

    /// Works out what the batch makes of what is too dear to be worked out at every event: the windows of latencies.
    ///
    /// # Errors
    ///
    /// As of [`State::commit`].
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        self.breakers.settle(&self.store)
    }

    /// Writes what the batch gathered and commits: from now on the batch is remembered.
    ///
    /// # Errors
    ///
    /// When the store cannot be written; then nothing of the batch is remembered, once [`State::recover`] is done.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.event_ids.write(&self.store, now_ms())?;
        self.skills.write(&self.store)?;
        self.settle()?;
        self.series.write(&self.store)?;
        self.store.commit()?;
        self.changing = false;
        self.event_ids.keep();
        self.series.keep();
        self.outbox.keep();
        Ok(())
    }

    /// Whether so many bytes more can be kept; folds the log of the store in where that makes room.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoRoom`], where what is left is needed for what is there already.
    pub fn check_room(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.store.check_room(bytes).or_else(|_| {
            self.store.fold_log();
            self.store.check_room(bytes)
        })
    }

    /// Commits something that means nothing, of so many bytes, to find out whether the store takes it.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn try_to_write(&self, now_ms: i64, bytes: usize) -> Result<(), StoreError> {
        if bytes > 0 {
            self.store.begin()?;
            // The next value takes its place, and gives its pages back. Only a commit shows whether there is room.
            self.store.fill_meta(TRIED, bytes)?;
            self.store.commit()?;
        }
        self.store.begin()?;
        self.store.set_meta(TRIED, &now_ms.to_string())?;
        self.store.commit()
    }

    /// Forgets the batch: memory is rebuilt from the store.
    ///
    /// # Errors
    ///
    /// When the store cannot be read; then memory does not fit the store, and this must be tried again first.
    pub fn roll_back(&mut self) -> Result<(), StoreError> {
        self.store.roll_back();
        self.series.forget();
        self.outbox.roll_back();
        if self.reopened {
            // What lies on the disk need not be what the connection before had seen.
            self.event_ids.load(&self.store, now_ms())?;
            self.reopened = false;
        } else {
            self.event_ids.forget();
        }
        if self.changing {
            self.load()?;
            self.changing = false;
        }
        Ok(())
    }

    /// Finds out whether what is committed is still kept where it will be looked for.
    ///
    /// # Errors
    ///
    /// When the files of the store were deleted or replaced; then [`State::recover`] must come next.
    pub fn check_place(&self) -> Result<(), StoreError> {
        self.store.check_place()
    }

    /// Keeps the log of the store within its bound: something for between two batches.
    pub fn bound_log(&mut self) {
        self.store.bound_log();
    }

    /// Forgets what is too old to be remembered.
    ///
    /// # Errors
    ///
    /// When the store cannot be written; then [`State::recover`] must come next.
    pub fn prune(&mut self) -> Result<(), StoreError> {
        let now = now_ms();
        self.changing = true;
        self.sessions.prune(&self.store, now)?;
        self.event_ids.prune(&self.store, now)?;
        self.skills.prune(&self.store, now)?;
        self.changing = false;
        Ok(())
    }

    /// Files encoded spans, in the transaction of the events that they tell of.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn file_spans(&mut self, rows: &[Row], now_ms: i64) -> Result<(), StoreError> {
        if rows.is_empty() { Ok(()) } else { self.outbox.file(&self.store, Signal::Spans, rows, None, now_ms) }
    }

    /// Does what the push orders, within the open transaction; the answers wait in `orders` until it is kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub fn serve(&mut self, orders: &mut Orders, now_ms: i64) -> Result<(), StoreError> {
        self.outbox.serve(&self.store, orders, now_ms)
    }

    /// What the deltas that were filed for the push add up to.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn push_base(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Outbox::base(&self.store)
    }

    /// Gives room on the disk that nothing needs any more back, some at a time.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn give_back_room(&self) -> Result<(), StoreError> {
        self.outbox.give_back(&self.store)
    }

    /// The same where the disk is full: a little after the other, each gone before the next.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn give_back_all_room(&mut self) -> Result<(), StoreError> {
        for _ in 0..GIVEN_BACK_AT_ONCE {
            if !outbox::give_back_few(self.store.db())? {
                break;
            }
            self.store.fold_log();
        }
        Ok(())
    }

    /// The store that changes are written to.
    pub fn parts(&mut self) -> (&Store, &mut Sessions, &mut EventIds, &mut Hosts) {
        (&self.store, &mut self.sessions, &mut self.event_ids, &mut self.hosts)
    }

    /// The store, and the requests in it.
    pub fn requests(&mut self) -> (&Store, &mut Requests) {
        (&self.store, &mut self.requests)
    }

    /// Puts what is counted by an instrument in force, under its labels and with its buckets; gives its number, and
    /// whether the metric had others before, and these never.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub(crate) fn series_stream(&mut self, instrument: &Instrument) -> Result<(i64, bool), StoreError> {
        self.series.stream(&self.store, instrument)
    }

    /// Hands over every series that is stored, in the order of their coming; gives how many could not be read.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(crate) fn restore_series(
        &mut self,
        mut each: impl FnMut(&mut SeriesTotals, StoredSeries),
    ) -> Result<usize, StoreError> {
        self.series.read(&self.store, &mut each)
    }

    /// Whether time alone has something to do: to end what timed out, or to look at skills.
    pub fn is_overdue(&self, now_ms: i64) -> bool {
        self.skills.due(now_ms)
            || !self.sessions.timed_out(now_ms).is_empty()
            || !self.requests.timed_out(now_ms).is_empty()
    }

    /// The skills, and the store that their changes are written to.
    pub fn skill_parts(&mut self) -> (&Store, &mut Skills) {
        (&self.store, &mut self.skills)
    }

    /// The active sessions: those that are remembered, and those that hosts reported of themselves.
    pub fn active_sessions(&self) -> u64 {
        (self.sessions.count() as u64).saturating_add(self.hosts.total())
    }

    /// The anomalies that were seen at that time or later (in nanoseconds since 1970), the last seen first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn anomalies(&self, since_ns: i64, limit: usize) -> Result<Vec<SkillAnomaly>, StoreError> {
        skills::anomalies_since(&self.store, since_ns, limit)
    }

    /// Takes everything into memory that a new process does not have.
    fn load_all(&mut self) -> Result<(), StoreError> {
        self.outbox.load(&self.store)?;
        self.event_ids.load(&self.store, now_ms())?;
        self.load()
    }

    /// All that a batch that is not kept may have changed, but for what can take it back itself.
    fn load(&mut self) -> Result<(), StoreError> {
        self.sessions.load(&self.store)?;
        self.hosts.load(&self.store)?;
        self.requests.load(&self.store)?;
        self.breakers.load(&self.store)?;
        self.skills.load(&self.store)
    }
}
