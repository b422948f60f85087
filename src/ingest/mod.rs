//! The ways in: each reads its own form of events and hands them to the bridge's one door.

pub(crate) mod grpc;
pub(crate) mod http;

pub(crate) mod body;

use crate::bridge::Incoming;
use crate::event::TraceParent;

/// Puts events that name no parent of their own under the one of the request that they came in.
pub(crate) fn under(parent: Option<TraceParent>, mut events: Vec<Incoming>) -> Vec<Incoming> {
    if parent.is_some() {
        for event in events.iter_mut().flatten() {
            event.traceparent = event.traceparent.or(parent);
        }
    }
    events
}

/// The parent of a request's headers. More than one, or one that is malformed, is none: so W3C has it.
pub(crate) fn parent<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<TraceParent> {
    let line = std::str::from_utf8(lines.next()?).ok()?;
    if lines.next().is_some() { None } else { line.trim().parse().ok() }
}
