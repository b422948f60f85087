//! An outbox of its own, in memory, for a push without a bridge.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Orders, Outbox};
use crate::state::now_ms;
use crate::state::store::{Store, StoreError};
use crate::telemetry::push::outbox::{Level, Order, Shelf};
use crate::telemetry::push::{Signal, Stats};

/// Keeps the items of a push in memory, in the same way in which a bridge keeps them in its store.
pub struct MemoryShelf(Mutex<Inside>);

struct Inside {
    store: Store,
    outbox: Outbox,
    stats: Arc<dyn Stats>,
}

impl std::fmt::Debug for MemoryShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryShelf")
    }
}

impl MemoryShelf {
    /// Keeps at most so many bytes, and counts to `stats` what becomes of the items.
    ///
    /// # Errors
    ///
    /// When SQLite has no memory.
    pub fn new(max_bytes: u64, stats: Arc<dyn Stats>) -> Result<Arc<Self>, StoreError> {
        let store = Store::in_memory()?;
        let outbox = Outbox::with(Some(max_bytes), false, 1);
        Ok(Arc::new(Self(Mutex::new(Inside { store, outbox, stats }))))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn serve(&mut self, orders: &mut Orders) -> Result<(), StoreError> {
        self.store.begin()?;
        self.outbox.serve(&self.store, orders, now_ms())?;
        self.store.commit()
    }
}

impl Shelf for MemoryShelf {
    fn order(&self, order: Order) {
        let mut inside = self.lock();
        let mut orders = Orders::new(VecDeque::from([order]));
        match inside.serve(&mut orders) {
            Ok(()) => {
                inside.outbox.keep();
                let Inside { outbox, stats, .. } = &mut *inside;
                outbox.show(&**stats);
                orders.answer();
            }
            Err(error) => {
                inside.store.roll_back();
                inside.outbox.roll_back();
                orders.refuse(&error);
            }
        }
    }

    fn lost(&self, spans: u64) {
        let mut inside = self.lock();
        inside.outbox.lost(spans);
        let Inside { outbox, stats, .. } = &mut *inside;
        outbox.show(&**stats);
    }

    fn level(&self, signal: Signal) -> watch::Receiver<Level> {
        self.lock().outbox.subscribe(signal)
    }

    fn base(&self) -> Option<Vec<u8>> {
        None
    }

    fn is_durable(&self) -> bool {
        false
    }
}
