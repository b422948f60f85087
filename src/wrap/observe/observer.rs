//! The observer: what goes by on both ways in, events out. It has no clock and does no input or output.

use std::time::{Duration, Instant};

use super::calls::{Call, Calls, Opened};
use super::ending;
use super::lines::{Line, Lines};
use super::message::{Answer, Id, Message, Params, Refusal};
use super::methods::{Method, Role};
use super::moment::Moment;
use super::names::Names;
use super::session::{Done, Report, Session};
use crate::event::{Direction, Label, Seconds, SessionStatus};
use crate::wrap::report::Loss;
use crate::wrap::tap::{Piece, Way};

/// How long the first answer is waited for before the session is reported without it.
const FIRST_ANSWER: Duration = Duration::from_secs(1);
/// How often a session says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(3600);
/// The most requests of one way that are reported as aborted where there is no time for more.
const LAST_ABORTED: usize = 128;
/// `error.type` of a request whose tool failed.
const TOOL_ERROR: &str = "tool_error";
/// `error.type` of a request that was taken back.
const CANCELLED: &str = "cancelled";
/// `error.type` of a request that was not answered before the end.
const ABORTED: &str = "aborted";

/// Follows one session from its first byte to its end.
#[derive(Debug)]
pub(super) struct Observer {
    names: Names,
    session: Session,
    to_server: Direct,
    to_client: Direct,
    /// The revision that was agreed on.
    version: Option<Label>,
    begin_by: Instant,
    next_beat: Instant,
    /// Whether there is no time to read any more.
    hurried: bool,
    over: bool,
    now: Moment,
}

/// One way: its lines, and the requests that went it.
#[derive(Debug)]
struct Direct {
    lines: Lines,
    calls: Calls,
}

impl Observer {
    pub(super) fn new(names: Names, session: Session, now: Moment) -> Self {
        let hashing = std::hash::RandomState::new();
        let direct = || Direct { lines: Lines::new(hashing.clone()), calls: Calls::default() };
        Self {
            names,
            session,
            to_server: direct(),
            to_client: direct(),
            version: None,
            begin_by: now.at + FIRST_ANSWER,
            next_beat: now.at + HEARTBEAT,
            hurried: false,
            over: false,
            now,
        }
    }

    /// When [`Observer::tick`] is due next.
    pub(super) fn due(&self) -> Instant {
        if self.session.has_begun() { self.next_beat } else { self.begin_by }
    }

    /// Whether the session has ended.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// What is to be reported since the last time.
    pub(super) fn reports(&mut self) -> impl Iterator<Item = Report> {
        self.session.reports()
    }

    /// Does what the time asks for.
    pub(super) fn tick(&mut self, now: Moment) {
        self.now = now;
        if self.over {
            return;
        }
        if !self.session.has_begun() && now.at >= self.begin_by {
            self.begin();
        }
        if now.at >= self.next_beat {
            self.session.beat(now);
            self.next_beat = now.at + HEARTBEAT;
        }
    }

    /// From now on what went by is not read: its messages are counted as lost.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Takes what went by.
    pub(super) fn piece(&mut self, piece: Piece, now: Moment) {
        self.now = now;
        match piece {
            Piece::Bytes { way, bytes, .. } if self.hurried => {
                let lines = self.of(way).lines.skip(&bytes);
                self.session.lose(Loss::Unread, lines);
            }
            Piece::Bytes { way, at, bytes } => {
                // The copy may have waited for its reader.
                self.session.seen(now.time_of(at));
                let mut lines = Vec::new();
                self.of(way).lines.feed(&bytes, at, |line| lines.push(line));
                for line in lines {
                    self.line(way, line);
                }
            }
            Piece::Gap { way, .. } => self.of(way).lines.gap(),
            // Nothing more comes this way, so no request of the other one will be answered.
            Piece::End { way } => self.abort(other(way)),
            Piece::Exited { status, asked } => self.exited(ending::status(status, asked)),
        }
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, now: Moment) {
        self.now = now;
        self.exited(SessionStatus::Success);
    }

    fn of(&mut self, way: Way) -> &mut Direct {
        match way {
            Way::ToServer => &mut self.to_server,
            Way::ToClient => &mut self.to_client,
        }
    }

    fn line(&mut self, way: Way, line: Line) {
        match line {
            Line::Messages { messages, begun, ended } => {
                for message in messages {
                    self.message(way, message, begun, ended);
                }
            }
            // What is no message was none for its receiver either.
            Line::Garbage => {}
            Line::Torn => self.session.lose(Loss::Unread, 1),
        }
    }

    fn message(&mut self, way: Way, message: Message, begun: Instant, ended: Instant) {
        let Message { id, has_id, method, params, result, error } = message;
        match (method, result, error) {
            (Some(method), ..) if has_id => {
                // One whose id is null can have no answer.
                if let Some(id) = id {
                    self.request(way, id, method, params, ended);
                }
            }
            (Some(method), ..) => {
                match (method.role, params.cancelled) {
                    (Role::Cancelled, Some(id)) => self.cancelled(way, id, ended),
                    _ => self.subscribed(way, params.subscription, ended),
                }
                let took = Seconds::from(ended.saturating_duration_since(begun));
                self.session.done(Done::notification(method, took, self.now.time_of(ended)), &self.names);
            }
            (None, result, error) if result.is_some() || error.is_some() => {
                // The answer goes the other way than its request; one to no open request says nothing.
                let asked = other(way);
                if let Some(call) = id.and_then(|id| self.of(asked).calls.close(id)) {
                    self.answered(asked, call, result.unwrap_or_default(), error, ended);
                }
            }
            _ => {}
        }
    }

    fn request(&mut self, way: Way, id: Id, method: &'static Method, params: Params, at: Instant) {
        if way == Way::ToServer && method.role == Role::Initialize {
            self.names.hear_client(params.client_info.clone());
            // The client waits no more for an answer to its question for the era, and takes the older one.
            for call in self.to_server.calls.take_of(Role::Discover) {
                self.done(way, call, at, None);
            }
        } else if way == Way::ToServer {
            self.names.hear_client(params.client.clone());
        }
        let (state, responses) = (params.state, params.responses);
        let version = params.protocol_version.as_deref().map(|version| self.names.revision(version));
        let call = Call::new(method, version, params, at);
        let calls = &mut self.of(way).calls;
        let call = match calls.earlier(&call, state, responses) {
            Some(first) => call.after(first),
            None => call,
        };
        match calls.open(id, call) {
            Opened::Remembered => {}
            Opened::Instead(lost) => self.done(way, lost, at, Some(Label::literal(ABORTED))),
            Opened::NoRoom => self.session.lose(Loss::OpenRequests, 1),
        }
    }

    fn answered(&mut self, way: Way, call: Call, result: Answer, error: Option<Refusal>, at: Instant) {
        let Answer { is_error, input_required, state, server_info, server, protocol_version, tools } = result;
        let role = call.method.role;
        // Servers of the older revisions refuse the question with whatever error they have.
        let probe = error.as_ref().is_some_and(|error| role == Role::Discover && !error.is_of_protocol());
        if way == Way::ToServer {
            if let Role::Initialize | Role::Discover = role {
                self.names.hear_server(server_info);
            }
            self.names.hear_server(server);
            match (role, protocol_version) {
                (Role::Initialize, Some(version)) => self.version = Some(self.names.revision(&version)),
                _ if error.is_none() && self.version.is_none() => self.version = call.protocol_version.clone(),
                _ => {}
            }
            if role == Role::ListTools {
                self.names.hear_tools(tools);
            }
            // One who asks which era it is has not begun to talk yet, if the answer is no.
            if !probe {
                self.begin();
            }
        }
        let error_type = match error {
            Some(_) if probe => None,
            Some(error) => Some(self.names.error(error.code)),
            None if input_required && way == Way::ToServer => {
                if let Some(forgotten) = self.of(way).calls.wait(call, state, at) {
                    self.done(way, forgotten.call, forgotten.answered, Some(Label::literal(ABORTED)));
                }
                return;
            }
            None if is_error && matches!(role, Role::CallTool | Role::TaskResult) => Some(Label::literal(TOOL_ERROR)),
            // The end of a subscription of which nothing was heard: a lifetime, no latency.
            None if role == Role::Listen => return,
            None => None,
        };
        self.done(way, call, at, error_type);
    }

    /// A request is taken back by who sent it; a server may take back a subscription too.
    fn cancelled(&mut self, way: Way, id: Id, at: Instant) {
        let listens = self.to_server.calls.get(id).is_some_and(|call| call.method.role == Role::Listen);
        let own = self.of(way).calls.close(id).map(|call| (way, call));
        let call = own.or_else(|| {
            let call = if listens { self.to_server.calls.close(id) } else { None };
            call.map(|call| (Way::ToServer, call))
        });
        if let Some((way, call)) = call {
            self.done(way, call, at, Some(Label::literal(CANCELLED)));
        }
    }

    /// The first notification of a subscription says that it is open: that is what its request asked for.
    fn subscribed(&mut self, way: Way, subscription: Option<Id>, at: Instant) {
        let Some(id) = subscription.filter(|_| way == Way::ToClient) else { return };
        if self.to_server.calls.get(id).is_some_and(|call| call.method.role == Role::Listen)
            && let Some(call) = self.to_server.calls.close(id)
        {
            self.done(Way::ToServer, call, at, None);
        }
    }

    fn done(&mut self, way: Way, call: Call, at: Instant, error_type: Option<Label>) {
        let given_up = error_type.as_ref().is_some_and(|error| [CANCELLED, ABORTED].contains(&error.as_str()));
        if call.method.role == Role::Listen && given_up {
            // A subscription of which nothing was heard: how long that was is no latency.
            return;
        }
        let direction = match way {
            Way::ToServer => Direction::ToServer,
            Way::ToClient => Direction::ToClient,
        };
        let done = Done {
            method: call.method,
            tool: (call.method.role == Role::CallTool).then(|| self.names.tool(call.name.as_deref())),
            direction: Some(direction),
            took: Seconds::from(at.saturating_duration_since(call.begun)),
            error_type,
            parent: call.parent,
            protocol_version: call.protocol_version.or_else(|| self.version.clone()),
            time: self.now.time_of(at),
        };
        self.session.done(done, &self.names);
    }

    fn begin(&mut self) {
        self.session.begin(&self.names, self.version.clone());
    }

    fn abort(&mut self, way: Way) {
        let mut calls = self.of(way).calls.take_open();
        if self.hurried {
            // The oldest would have to give way to the end in any case.
            let dropped = calls.len().saturating_sub(LAST_ABORTED);
            calls.drain(..dropped);
            self.session.lose(Loss::SpoolFull, dropped as u64);
        }
        for call in calls {
            self.done(way, call, self.now.at, Some(Label::literal(ABORTED)));
        }
    }

    fn exited(&mut self, status: SessionStatus) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let torn = [&self.to_server, &self.to_client].into_iter().filter(|direct| direct.lines.is_torn()).count();
        self.session.lose(Loss::Unread, torn as u64);
        self.abort(Way::ToServer);
        self.abort(Way::ToClient);
        for waiting in self.to_server.calls.take_waiting() {
            self.done(Way::ToServer, waiting.call, waiting.answered, Some(Label::literal(ABORTED)));
        }
        self.begin();
        self.session.end(status, self.now);
    }
}

const fn other(way: Way) -> Way {
    match way {
        Way::ToServer => Way::ToClient,
        Way::ToClient => Way::ToServer,
    }
}

impl Done {
    /// A message that asks for no answer: it has no latency, only the time that it took to go by.
    fn notification(method: &'static Method, took: Seconds, time: crate::event::Timestamp) -> Self {
        Self { method, tool: None, direction: None, took, error_type: None, parent: None, protocol_version: None, time }
    }
}
