//! Who watches, what each of them wants to see, and the short queue of each.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

/// The updates that wait for one client.
const QUEUE: usize = 4;
/// A client that loses so many updates in a row is sent away.
const MOST_LOST: u32 = 30;

/// The clients that get updates.
#[derive(Debug, Default)]
pub(super) struct Registry {
    slots: Mutex<Slots>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Slots {
    next: u64,
    by_id: BTreeMap<u64, Slot>,
}

#[derive(Debug)]
struct Slot {
    queue: mpsc::Sender<Utf8Bytes>,
    /// The one skill that it wants to see; everything, if `None`.
    skill: Option<Arc<str>>,
    /// Updates lost in a row.
    lost: u32,
    /// The client learns from its end that it was sent away.
    _stays: oneshot::Sender<Infallible>,
}

/// A client's place among those that get updates, until it is dropped.
#[derive(Debug)]
pub(super) struct Member {
    registry: Arc<Registry>,
    id: u64,
    pub(super) queue: mpsc::Receiver<Utf8Bytes>,
    /// Resolves when the client is sent away.
    pub(super) sent_away: oneshot::Receiver<Infallible>,
}

impl Registry {
    /// Held for moments only, never over an await.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn join(self: &Arc<Self>) -> Member {
        let (sender, queue) = mpsc::channel(QUEUE);
        let (stays, sent_away) = oneshot::channel();
        let mut slots = self.lock();
        let id = slots.next;
        slots.next += 1;
        slots.by_id.insert(id, Slot { queue: sender, skill: None, lost: 0, _stays: stays });
        drop(slots);
        self.arrived.notify_one();
        Member { registry: Arc::clone(self), id, queue, sent_away }
    }

    /// Resolves while someone is there; `true` where it had to wait.
    pub(super) async fn occupied(&self) -> bool {
        let mut waited = false;
        while self.lock().by_id.is_empty() {
            waited = true;
            self.arrived.notified().await;
        }
        waited
    }

    /// The skills that someone wants to see alone.
    pub(super) fn wanted(&self) -> HashSet<Arc<str>> {
        self.lock().by_id.values().filter_map(|slot| slot.skill.clone()).collect()
    }

    /// Puts an update into each queue, by what its client wants to see, and tells how many were lost. Where `text` has
    /// none yet for a skill that was subscribed to just now, its client waits for the next.
    pub(super) fn deliver(&self, text: impl Fn(Option<&str>) -> Option<Utf8Bytes>) -> u64 {
        let mut lost = 0;
        self.lock().by_id.retain(|_, slot| {
            let Some(text) = text(slot.skill.as_deref()) else { return true };
            match slot.queue.try_send(text) {
                Ok(()) => slot.lost = 0,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    lost += 1;
                    slot.lost += 1;
                }
                // It is leaving by itself.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
            slot.lost < MOST_LOST
        });
        lost
    }
}

impl Member {
    /// From now on it gets this skill alone, or everything; nothing of before is left in its queue.
    pub(super) fn wants(&mut self, skill: Option<Arc<str>>) {
        let mut slots = self.registry.lock();
        if let Some(slot) = slots.by_id.get_mut(&self.id) {
            slot.skill = skill;
        }
        while self.queue.try_recv().is_ok() {}
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.registry.lock().by_id.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(registry: &Registry) -> u64 {
        registry.deliver(|skill| Some(skill.unwrap_or("all").into()))
    }

    #[test]
    fn who_reads_stays_and_who_loses_too_many_in_a_row_goes() {
        let registry = Arc::new(Registry::default());
        let (mut reads, mut sleeps, mut dozes) = (registry.join(), registry.join(), registry.join());
        let mut lost = 0;
        for round in 0..QUEUE + MOST_LOST as usize {
            lost += deliver(&registry);
            assert_eq!(reads.queue.try_recv().unwrap().as_str(), "all");
            if round % 20 == 19 {
                while dozes.queue.try_recv().is_ok() {}
            }
        }
        let dozed = (20 - QUEUE) + (14 - QUEUE);
        assert_eq!(lost, u64::from(MOST_LOST) + dozed as u64);
        assert!(sleeps.sent_away.try_recv() == Err(oneshot::error::TryRecvError::Closed));
        assert!(dozes.sent_away.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        assert!(reads.sent_away.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(registry.lock().by_id.len(), 2);
    }

    #[test]
    fn a_subscription_leaves_nothing_of_before_in_the_queue() {
        let registry = Arc::new(Registry::default());
        let mut member = registry.join();
        deliver(&registry);
        member.wants(Some("lint".into()));
        assert!(member.queue.try_recv().is_err());
        assert_eq!(registry.wanted(), HashSet::from(["lint".into()]));
        deliver(&registry);
        assert_eq!(member.queue.try_recv().unwrap().as_str(), "lint");
        registry.deliver(|skill| skill.is_none().then(|| "all".into()));
        assert!(member.queue.try_recv().is_err());
        member.wants(None);
        assert!(registry.wanted().is_empty());
        drop(member);
        assert!(registry.lock().by_id.is_empty());
    }
}
