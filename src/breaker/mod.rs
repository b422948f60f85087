//! A circuit breaker for Rust programs, which records its calls and its states by itself.
//!
//! - `closed`: calls go through. After `failure_threshold` failures in a row it opens.
//! - `open`: calls are refused at once. The first call after `timeout` tries again.
//! - `half_open`: one trial call at a time goes through, the others are refused. After `success_threshold` successes in
//!   a row it closes; the first failure opens it again.
//!
//! What must always hold:
//!
//! - Each call that was let through has one verdict. A call that panics or is cancelled has failed, so that a trial that
//!   never ends by itself cannot keep the others out.
//! - A call that was let through before the state changed no longer decides anything; it is only recorded.
//! - States are reported in the order in which they were taken on. One that finds the bridge overloaded is reported with
//!   the next call.
//! - A refused call counts as a failed call, and leaves no latency.

mod clock;
mod error;
mod guard;
mod machine;
mod registry;
mod settings;

use std::future::Future;
use std::sync::Arc;

pub use error::{BreakerError, BreakerOpen, CallError};
pub use guard::CallGuard;
pub(crate) use registry::Registry;
pub use settings::BreakerSettings;

use crate::Bridge;
use crate::event::{BreakerState, Label};
use guard::Shared;

impl Bridge {
    /// The circuit breaker of that component: the one that was made before, else a new one with the default settings.
    ///
    /// # Errors
    ///
    /// When the component cannot be a label, or there are as many breakers as `metrics.series_limit` allows.
    pub fn breaker(&self, component: &str) -> Result<CircuitBreaker, BreakerError> {
        let shared = self.breaker_registry().get(self, Label::new(component)?, None)?;
        Ok(CircuitBreaker { bridge: self.clone(), shared })
    }

    /// As [`Bridge::breaker`], with settings of its own.
    ///
    /// # Errors
    ///
    /// As well when a setting is out of range, or the breaker was made before with other settings.
    pub fn breaker_with(&self, component: &str, settings: BreakerSettings) -> Result<CircuitBreaker, BreakerError> {
        settings.check()?;
        let shared = self.breaker_registry().get(self, Label::new(component)?, Some(settings))?;
        Ok(CircuitBreaker { bridge: self.clone(), shared })
    }
}

/// A circuit breaker around the calls to one component. Cheap to clone; the clones are one breaker.
///
/// ```
/// use mcp_otel_bridge::{Bridge, CallError};
///
/// # fn charge() -> Result<u32, std::io::Error> { Ok(7) }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bridge = Bridge::builder().build()?;
/// let breaker = bridge.breaker("payments")?;
/// match breaker.call(|| charge()) {
///     Ok(receipt) => println!("charged: {receipt}"),
///     Err(CallError::Open(open)) => println!("not tried: {open}"),
///     Err(CallError::Failed(error)) => println!("failed: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    bridge: Bridge,
    shared: Arc<Shared>,
}

impl CircuitBreaker {
    /// What the breaker guards: the `component` label of its metrics.
    pub fn component(&self) -> &str {
        self.shared.component()
    }

    /// Its settings.
    pub fn settings(&self) -> BreakerSettings {
        self.shared.settings()
    }

    /// The state that it is in. An open one stays open until a call tries it again.
    pub fn state(&self) -> BreakerState {
        self.shared.state()
    }

    /// Makes the call, where the breaker lets it through. It has failed if it returns an error or panics.
    ///
    /// # Errors
    ///
    /// [`CallError::Open`] when the call was refused, [`CallError::Failed`] when it was made and failed.
    pub fn call<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        let guard = self.admit()?;
        guard.judge(call())
    }

    /// As [`CircuitBreaker::call`], for async calls. It has also failed if the future is dropped before its end, as a
    /// timeout around it does.
    ///
    /// # Errors
    ///
    /// [`CallError::Open`] when the call was refused, [`CallError::Failed`] when it was made and failed.
    pub async fn call_async<T, E, F>(&self, call: impl FnOnce() -> F) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let guard = self.admit()?;
        guard.judge(call().await)
    }

    /// As [`CircuitBreaker::call`], with something to fall back on where the call is refused or fails. What is recorded
    /// is the call, not what it falls back on.
    pub fn call_or_else<T, E>(
        &self,
        call: impl FnOnce() -> Result<T, E>,
        fallback: impl FnOnce(CallError<E>) -> T,
    ) -> T {
        self.call(call).unwrap_or_else(fallback)
    }

    /// As [`CircuitBreaker::call_async`], with something to fall back on where the call is refused or fails.
    pub async fn call_async_or_else<T, E, F, G>(
        &self,
        call: impl FnOnce() -> F,
        fallback: impl FnOnce(CallError<E>) -> G,
    ) -> T
    where
        F: Future<Output = Result<T, E>>,
        G: Future<Output = T>,
    {
        match self.call_async(call).await {
            Ok(value) => value,
            Err(error) => fallback(error).await,
        }
    }

    /// Lets a call through that no closure fits around: the guard takes its verdict, and counts it as failed where it is
    /// dropped without one.
    ///
    /// # Errors
    ///
    /// When the breaker refuses the call.
    pub fn admit(&self) -> Result<CallGuard, BreakerOpen> {
        CallGuard::admit(&self.bridge, &self.shared)
    }
}

#[cfg(test)]
mod tests;
