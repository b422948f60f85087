//! The bridge of the whole process, for programs that pass none around.

use std::sync::{Mutex, PoisonError};

use super::Bridge;

static GLOBAL: Mutex<Option<Bridge>> = Mutex::new(None);

impl Bridge {
    /// The bridge of the process: the one given to [`Bridge::set_global`], else one in memory that is made now.
    ///
    /// # Panics
    ///
    /// When none was set and the system cannot start a thread.
    pub fn global() -> Bridge {
        let mut global = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::expect_used, reason = "in memory and without push, only the start of a thread can fail")]
        global.get_or_insert_with(|| Bridge::builder().build().expect("a bridge in memory")).clone()
    }

    /// Makes this the bridge of the process, in place of the one before.
    pub fn set_global(bridge: Bridge) {
        *GLOBAL.lock().unwrap_or_else(PoisonError::into_inner) = Some(bridge);
    }
}
