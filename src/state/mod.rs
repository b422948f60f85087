//! What the bridge remembers: active and ended sessions, open requests, the ids of events, what hosts reported, skills.
//!
//! Only the writer thread touches it. Memory is what decisions are made on; every change is written to the store in
//! the transaction of the batch that made it, so that memory can be rebuilt from the store when a commit fails.

mod breakers;
mod hosts;
mod ids;
mod requests;
mod sessions;
mod skills;
mod store;
mod window;

pub(crate) use breakers::{BreakerCall, BreakerMemory, Known};
pub use breakers::{BreakerSummary, LatencyPercentiles};
pub use requests::{EndedRequest, Request, Requests};
pub use sessions::{Ended, EndedStatus, Session, Sessions, SpanIds, SpanValue, StartError};
pub use skills::{Invocation, Skills};
pub use store::StoreError;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hosts::Hosts;
use ids::EventIds;
use store::Store;

use crate::config::Config;
use crate::skills::SkillAnomaly;

/// All that is remembered, and the store behind it.
#[derive(Debug)]
pub struct State {
    store: Store,
    /// Active and ended sessions.
    pub sessions: Sessions,
    /// The ids of the events that were recorded.
    pub event_ids: EventIds,
    /// What hosts reported of their own active sessions.
    pub hosts: Hosts,
    /// Open and ended requests.
    pub requests: Requests,
    /// What is kept of calls through circuit breakers. Of this, nothing outlives a restart.
    pub(crate) breakers: BreakerMemory,
    /// Skills and their anomalies.
    pub skills: Skills,
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
            Some(dir) => Store::open(dir)?,
            None => Store::in_memory()?,
        };
        let mut state = Self {
            store,
            sessions: Sessions::new(&config.sessions),
            event_ids: EventIds::new(&config.events),
            hosts: Hosts::default(),
            requests: Requests::new(&config.requests),
            breakers: BreakerMemory::new(config.metrics.series_limit, config.circuit_breakers.max_latency_samples),
            skills: Skills::new(&config.skills),
        };
        state.load()?;
        Ok(state)
    }

    /// The `service.instance.id` of this store: made once, the same after every restart.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub fn instance_id(&self, make: impl FnOnce() -> String) -> Result<String, StoreError> {
        self.store.meta("instance_id", make)
    }

    /// Begins the transaction of a batch.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        self.store.begin()
    }

    /// Writes what the batch gathered and commits: from now on the batch is remembered.
    ///
    /// # Errors
    ///
    /// When the store cannot be written; then nothing of the batch is remembered, once [`State::roll_back`] is done.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.event_ids.write(&self.store, now_ms())?;
        self.skills.write(&self.store)?;
        self.store.commit()?;
        self.breakers.keep();
        Ok(())
    }

    /// Writes something that means nothing, to find out whether the store takes it.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn try_to_write(&self, now_ms: i64) -> Result<(), StoreError> {
        self.store.set_meta("tried_to_write_ms", &now_ms.to_string())
    }

    /// Forgets the batch: memory is rebuilt from the store.
    ///
    /// # Errors
    ///
    /// When the store cannot be read; then memory does not fit the store, and this must be tried again first.
    pub fn roll_back(&mut self) -> Result<(), StoreError> {
        self.store.roll_back();
        self.breakers.forget();
        self.load()
    }

    /// Forgets what is too old to be remembered.
    ///
    /// # Errors
    ///
    /// When the store cannot be written; then [`State::roll_back`] must come next.
    pub fn prune(&mut self) -> Result<(), StoreError> {
        let now = now_ms();
        self.sessions.prune(&self.store, now)?;
        self.event_ids.prune(&self.store, now)?;
        self.skills.prune(&self.store, now)
    }

    /// The store that changes are written to.
    pub fn parts(&mut self) -> (&Store, &mut Sessions, &mut EventIds, &mut Hosts) {
        (&self.store, &mut self.sessions, &mut self.event_ids, &mut self.hosts)
    }

    /// The store, and the requests in it.
    pub fn requests(&mut self) -> (&Store, &mut Requests) {
        (&self.store, &mut self.requests)
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

    fn load(&mut self) -> Result<(), StoreError> {
        self.sessions.load(&self.store)?;
        self.event_ids.load(&self.store, now_ms())?;
        self.hosts.load(&self.store)?;
        self.requests.load(&self.store)?;
        self.skills.load(&self.store)
    }
}
