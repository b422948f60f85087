//! The series that were made since the store was last told of new ones.

use std::sync::{Arc, Mutex, PoisonError};

use super::series::Series;

/// The new series of all instruments whose series outlive a restart: no more than their limits admit.
#[derive(Debug, Default)]
pub(super) struct Newcomers(Mutex<Vec<Newcomer>>);

/// A series that the store does not know yet.
#[derive(Debug)]
pub(crate) struct Newcomer {
    /// The place of its metric in the catalog.
    pub(crate) place: usize,
    /// The series.
    pub(crate) series: Arc<Series>,
    /// Whether it holds what exceeds the cardinality limit.
    pub(crate) overflow: bool,
}

impl Newcomers {
    pub(super) fn add(&self, place: usize, series: &Arc<Series>, overflow: bool) {
        let newcomer = Newcomer { place, series: Arc::clone(series), overflow };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(newcomer);
    }

    /// Those that came since the last time, in the order of their coming.
    pub(super) fn take(&self) -> Vec<Newcomer> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
