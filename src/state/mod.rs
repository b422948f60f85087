//! What the bridge remembers: active and ended sessions, the ids of events, what hosts reported.
//!
//! Only the writer thread touches it. Memory is what decisions are made on; every change is written to the store in
//! the transaction of the batch that made it, so that memory can be rebuilt from the store when a commit fails.

mod hosts;
mod ids;
mod sessions;
mod store;

pub use sessions::{Ended, EndedStatus, Session, Sessions, SpanIds, SpanValue, StartError};
pub use store::StoreError;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hosts::Hosts;
use ids::EventIds;
use store::Store;

use crate::config;

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
    pub fn open(dir: Option<&Path>, sessions: &config::Sessions, events: &config::Events) -> Result<Self, StoreError> {
        let store = match dir {
            Some(dir) => Store::open(dir)?,
            None => Store::in_memory()?,
        };
        let mut state = Self {
            store,
            sessions: Sessions::new(sessions),
            event_ids: EventIds::new(events),
            hosts: Hosts::default(),
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

    /// Writes the batch's event ids and commits: from now on the batch is remembered.
    ///
    /// # Errors
    ///
    /// When the store cannot be written; then nothing of the batch is remembered, once [`State::roll_back`] is done.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.event_ids.write(&self.store, now_ms())?;
        self.store.commit()
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
        self.load()
    }

    /// Forgets what is too old to be remembered.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn prune(&mut self) -> Result<(), StoreError> {
        let now = now_ms();
        self.sessions.prune(&self.store, now)?;
        self.event_ids.prune(&self.store, now)
    }

    /// The store that changes are written to.
    pub fn parts(&mut self) -> (&Store, &mut Sessions, &mut EventIds, &mut Hosts) {
        (&self.store, &mut self.sessions, &mut self.event_ids, &mut self.hosts)
    }

    fn load(&mut self) -> Result<(), StoreError> {
        self.sessions.load(&self.store)?;
        self.event_ids.load(&self.store, now_ms())?;
        self.hosts.load(&self.store)
    }
}
