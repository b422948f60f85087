//! The breakers of a bridge, by component: a component has one, whoever asks for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::clock::Clock;
use super::guard::Shared;
use super::{BreakerError, BreakerSettings};
use crate::Bridge;
use crate::event::Label;

/// All breakers of a bridge. They hold no handle on the bridge, so that it can go.
#[derive(Debug)]
pub(crate) struct Registry {
    breakers: Mutex<HashMap<Label, Arc<Shared>>>,
    most: usize,
}

impl Registry {
    /// Room for so many breakers.
    pub(crate) fn new(most: usize) -> Self {
        Self { breakers: Mutex::default(), most }
    }

    /// The component's breaker, made now where there is none. Without settings any will do.
    pub(super) fn get(
        &self,
        bridge: &Bridge,
        component: Label,
        settings: Option<BreakerSettings>,
    ) -> Result<Arc<Shared>, BreakerError> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = breakers.get(&component) {
            if settings.is_some_and(|settings| settings != known.settings()) {
                return Err(BreakerError::OtherSettings { component: component.as_str().to_owned() });
            }
            return Ok(Arc::clone(known));
        }
        if breakers.len() >= self.most {
            return Err(BreakerError::TooMany { most: self.most });
        }
        let shared = Arc::new(Shared::new(component.clone(), settings.unwrap_or_default(), Clock::default()));
        shared.introduce(bridge);
        breakers.insert(component, Arc::clone(&shared));
        Ok(shared)
    }
}
