//! What is seen in the copy of both streams, and reported to the bridge.
//!
//! [`Observer`] is a state machine: bytes and times in, events out. Here it is joined to the queue that it reads from,
//! to the clock, and to the reporter, which has a thread of its own: a bridge that is slow never stops the observing.

mod calls;
mod ending;
mod lines;
mod message;
mod methods;
mod moment;
mod names;
mod observer;
mod scan;
mod session;
#[cfg(test)]
mod tests;
mod text;

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use self::moment::Moment;
use self::names::Names;
use self::observer::Observer;
use self::session::{Report, Session};
use super::report::{Reporter, Settings};
use super::{Observation, Receiver};
use crate::event::{ComponentName, Label, SessionStart};

/// How long the end of a session may take until its last reports are delivered: less than the wrapper waits for all of
/// it.
const LAST_REPORTS: Duration = Duration::from_millis(1250);
/// How much of that may go to reading what waits in the queue. What is left then is skipped: without its end a session
/// would seem to go on.
const LAST_READING: Duration = Duration::from_millis(400);

/// Follows the session to its end: returns once the last report was delivered or given up.
pub(super) fn run(receiver: &Receiver, observation: &Observation) {
    let now = Moment::now();
    let names = Names::new(observation.component.as_deref(), observation.command.first().map(|name| name.as_ref()));
    // The names are those of the moment when the session is reported.
    let here = SessionStart::here(ComponentName::lossy(""), Label::lossy(""));
    let session = Session::new(here, observation.trace.outside(), now.timestamp());
    let mut observer = Observer::new(names, session, now);
    let settings = Settings::new(observation.bridge.clone(), observation.trace.clone());
    let reporter = Reporter::start(settings);
    while !observer.is_over() {
        let wait = observer.due().saturating_duration_since(std::time::Instant::now());
        let next = receiver.recv_timeout(wait);
        if receiver.over_for().is_some_and(|over| over >= LAST_READING) {
            observer.hurry();
        }
        match next {
            Ok(piece) => observer.piece(piece, Moment::now()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => observer.finish(Moment::now()),
        }
        observer.tick(Moment::now());
        for report in observer.reports() {
            match report {
                Report::Event(event) => reporter.report(&event),
                Report::Lost(loss, count) => reporter.lose(loss, count),
            }
        }
    }
    reporter.finish(LAST_REPORTS.saturating_sub(receiver.over_for().unwrap_or_default()));
}
