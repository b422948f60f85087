//! The threads of the push, whose own spans must not be pushed: pushing those would make the next ones, for ever.
//!
//! OpenTelemetry's suppression alone does not hold: where a program traces everything, a span of the push's own
//! connections that is entered makes its own context the current one, and that one suppresses nothing.

use std::cell::Cell;

use opentelemetry::Context;

thread_local! {
    static OF_THE_PUSH: Cell<bool> = const { Cell::new(false) };
}

/// This thread is one of the push, until it ends.
pub(super) fn begin() {
    OF_THE_PUSH.set(true);
    // The SDK's own components ask the context.
    std::mem::forget(Context::enter_telemetry_suppressed_scope());
}

/// Whether what happens here is not to become telemetry.
pub(super) fn here() -> bool {
    OF_THE_PUSH.get() || Context::is_current_telemetry_suppressed()
}
