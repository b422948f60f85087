//! After a failure of the store: what can be mended is mended, and memory fits the store again.

use super::{INSTANCE_ID, State, StoreError};

impl State {
    /// Forgets the batch that failed so, and mends the store: opens it again, or exchanges a damaged one for a new one
    /// that holds what can be read and, for the rest, what is in memory. `alive` is called now and then meanwhile.
    ///
    /// # Errors
    ///
    /// When that failed; then memory may not fit the store, and [`State::roll_back`] must come first next time.
    pub fn recover(&mut self, error: &StoreError, alive: &dyn Fn()) -> Result<(), StoreError> {
        self.store.roll_back();
        if error.is_damage() {
            return self.replace(error, alive);
        }
        match self.mend(error) {
            Err(damage) if damage.is_damage() => self.replace(&damage, alive),
            mended => mended,
        }
    }

    fn mend(&mut self, error: &StoreError) -> Result<(), StoreError> {
        if self.store.is_adrift() || error.asks_for_a_new_connection() {
            self.store.reopen()?;
            self.reopened = true;
        } else {
            // What the log no longer needs may be the room that is missing.
            self.store.fold_log();
        }
        self.roll_back()
    }

    /// Exchanges a damaged store for a new one.
    ///
    /// What was copied whole is what was committed last. What could not be read whole is written from memory, where the
    /// batch that met the damage may have left something.
    fn replace(&mut self, damage: &StoreError, alive: &dyn Fn()) -> Result<(), StoreError> {
        self.series.forget();
        self.event_ids.forget();
        self.outbox.roll_back();
        let (new, incomplete) = self.store.rebuild(alive)?;
        let lost = |table: &str| incomplete.iter().any(|name| name == table);
        new.begin()?;
        if let Some(id) = &self.instance_id {
            new.set_meta(INSTANCE_ID, id)?;
        }
        if lost("sessions") || self.sessions.load(&new).is_err() {
            self.sessions.write_all(&new)?;
        }
        if lost("event_ids") || self.event_ids.load(&new, super::now_ms()).is_err() {
            self.event_ids.write_all(&new)?;
        }
        if lost("hosts") || self.hosts.load(&new).is_err() {
            self.hosts.write_all(&new)?;
        }
        if lost("requests") || self.requests.load(&new).is_err() {
            self.requests.write_all(&new)?;
        }
        if lost("breakers") || lost("breaker_latencies") || self.breakers.load(&new).is_err() {
            self.breakers.write_all(&new)?;
        }
        if lost("series_streams") || lost("series") {
            self.series.write_all(&new)?;
        }
        if lost("skills") || self.skills.load(&new).is_err() {
            self.skills.write_all(&new)?;
        }
        new.commit()?;
        self.store.exchange(new, damage, &incomplete)?;
        self.load_all()?;
        (self.changing, self.reopened) = (false, false);
        Ok(())
    }
}
