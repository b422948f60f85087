//! Label values as `&'static str`, each held once for the life of the process.
//!
//! Collecting clones every attribute of every series: a static string makes that clone free, and lets the encoder
//! recognise a series by the addresses of its values. Only values of series that a limit admitted come here, so what
//! is never given back is bounded by those limits.

use std::collections::HashSet;
use std::sync::{LazyLock, PoisonError, RwLock};

static VALUES: LazyLock<RwLock<HashSet<&'static str>>> = LazyLock::new(RwLock::default);

/// The one copy of `value`.
pub(super) fn intern(value: &str) -> &'static str {
    if let Some(known) = VALUES.read().unwrap_or_else(PoisonError::into_inner).get(value) {
        return known;
    }
    let mut values = VALUES.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = values.get(value) {
        return known;
    }
    let copy: &'static str = Box::leak(value.to_owned().into_boxed_str());
    values.insert(copy);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_one_address() {
        let first = intern(&String::from("an interned value"));
        let second = intern(&String::from("an interned value"));
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_ne!(first.as_ptr(), intern("another").as_ptr());
    }
}
