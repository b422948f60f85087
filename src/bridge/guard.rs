//! Guards: what is timed from here to the end of a scope, and recorded when the guard is dropped or finished.
//!
//! Each opens a `tracing` span with the attributes of its metrics. Where a tracing-opentelemetry layer is installed,
//! that span is the trace, and the event says that its span exists already; without one, the bridge makes the span of
//! the event. A guard never blocks: its event is handed over and not waited for.

mod call;
mod request;
mod session;
mod span;
mod timer;

pub use call::LlmCallGuard;
pub use request::RequestGuard;
pub use session::SessionGuard;
pub(crate) use span::current_parent;
pub use timer::EventTimer;

use crate::event::Label;

/// The kind of error of what a panic has ended.
const PANIC: &str = "panic";

/// The error that a guard is dropped with: the one it was told, or the panic that drops it.
fn error_at_drop(told: Option<Label>) -> Option<Label> {
    told.or_else(|| std::thread::panicking().then(|| Label::literal(PANIC)))
}
