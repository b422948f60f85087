//! The session as it is reported: its start, what went on in it, its heartbeats, its end.

use super::methods::Method;
use super::moment::Moment;
use super::names::Names;
use crate::event::{
    Direction, Event, EventId, EventKind, Label, McpEvent, McpOperation, Seconds, SessionEnd, SessionHeartbeat,
    SessionId, SessionStart, SessionStatus, Timestamp, TraceParent, Transport,
};
use crate::wrap::report::Loss;

/// The most that is held back until the session is reported.
const MAX_HELD: usize = 1024;

/// What is to be reported.
#[derive(Debug)]
pub(super) enum Report {
    Event(Box<Event>),
    /// So much was not seen, or had no room.
    Lost(Loss, u64),
}

/// A request that is over, or a notification, which has no direction.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) method: &'static Method,
    pub(super) tool: Option<Label>,
    pub(super) direction: Option<Direction>,
    pub(super) took: Seconds,
    pub(super) error_type: Option<Label>,
    pub(super) parent: Option<TraceParent>,
    pub(super) protocol_version: Option<Label>,
    pub(super) time: Timestamp,
}

/// The session on its way to the bridge.
#[derive(Debug)]
pub(super) struct Session {
    /// What is known of the host.
    start: SessionStart,
    parent: Option<TraceParent>,
    started: Timestamp,
    id: Option<SessionId>,
    held: Vec<Done>,
    reports: Vec<Report>,
}

impl Session {
    /// A session that starts now, in the trace of `parent`.
    pub(super) const fn new(start: SessionStart, parent: Option<TraceParent>, started: Timestamp) -> Self {
        Self { start, parent, started, id: None, held: Vec::new(), reports: Vec::new() }
    }

    /// Something went by then: the server has started by that time.
    pub(super) fn seen(&mut self, time: Timestamp) {
        if self.id.is_none() {
            self.started = self.started.min(time);
        }
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.id.is_some()
    }

    pub(super) fn reports(&mut self) -> impl Iterator<Item = Report> {
        std::mem::take(&mut self.reports).into_iter()
    }

    /// Reports the start, unless that was done, and then what was held back.
    pub(super) fn begin(&mut self, names: &Names, protocol_version: Option<Label>) {
        if self.id.is_some() {
            return;
        }
        let start = SessionStart {
            component_name: names.component(),
            shell_type: names.shell(),
            protocol_version,
            transport: Some(Transport::Stdio),
            server: names.server.told(),
            client: names.client.told(),
            ..self.start.clone()
        };
        let event_id = EventId::random();
        self.id = Some(SessionId::derive(&start.component_name, self.started, event_id));
        let event =
            Event { id: Some(event_id), timestamp: Some(self.started), traceparent: self.parent, ..Event::new(start) };
        self.reports.push(Report::Event(Box::new(event)));
        for done in std::mem::take(&mut self.held) {
            self.done(done, names);
        }
    }

    /// Reports what is over, or holds it back until the start is reported.
    pub(super) fn done(&mut self, done: Done, names: &Names) {
        if self.id.is_none() {
            if self.held.len() < MAX_HELD {
                self.held.push(done);
            } else {
                self.lose(Loss::SpoolFull, 1);
            }
            return;
        }
        let Done { method, tool, direction, took, error_type, parent, protocol_version, time } = done;
        let kind = match direction {
            Some(direction) => EventKind::from(McpOperation {
                component_name: names.component(),
                method: method.label(),
                tool_name: tool,
                direction,
                duration_seconds: took,
                error_type,
                protocol_version,
                transport: Transport::Stdio,
                session_id: self.id.clone(),
            }),
            None => EventKind::from(McpEvent {
                component_name: names.component(),
                emitted_type: method.label(),
                duration_seconds: took,
                error_type,
            }),
        };
        self.report(kind, time, parent);
    }

    /// Says that the session is still there.
    pub(super) fn beat(&mut self, now: Moment) {
        if let Some(session_id) = self.id.clone() {
            self.report(SessionHeartbeat { session_id, dropped: None }.into(), now.timestamp(), None);
        }
    }

    /// Reports the end.
    pub(super) fn end(&mut self, status: SessionStatus, now: Moment) {
        if let Some(session_id) = self.id.clone() {
            // A clock that was set back does not make it end before it started.
            let time = now.timestamp().max(self.started);
            self.report(SessionEnd { session_id, status, quality_score: None }.into(), time, None);
        }
    }

    pub(super) fn lose(&mut self, loss: Loss, count: u64) {
        if count > 0 {
            self.reports.push(Report::Lost(loss, count));
        }
    }

    fn report(&mut self, kind: EventKind, time: Timestamp, parent: Option<TraceParent>) {
        let event =
            Event { id: Some(EventId::random()), timestamp: Some(time), traceparent: parent, ..Event::new(kind) };
        self.reports.push(Report::Event(Box::new(event)));
    }
}
