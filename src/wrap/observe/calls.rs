//! Requests that wait for their answers, and those that wait to be asked again with more input.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::message::{Id, Params};
use super::methods::{Method, Role};
use crate::event::{Label, TraceParent};

/// The most requests of one way that wait for their answers.
const MAX_OPEN: usize = 4096;
/// The most requests that wait to be asked again.
const MAX_WAITING: usize = 256;

/// A request: where it asks for input, all its steps together.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: &'static Method,
    /// The name that the client gave, of a tool or a prompt.
    pub(super) name: Option<String>,
    uri: Option<u64>,
    /// When its last byte went by; that of the first step.
    pub(super) begun: Instant,
    pub(super) parent: Option<TraceParent>,
    pub(super) protocol_version: Option<Label>,
}

impl Call {
    pub(super) fn new(method: &'static Method, version: Option<Label>, params: Params, begun: Instant) -> Self {
        Self {
            method,
            name: params.name,
            uri: params.uri,
            begun,
            parent: params.traceparent,
            protocol_version: version,
        }
    }

    /// The same call, whose first step was that one.
    pub(super) fn after(self, first: Self) -> Self {
        Self { begun: first.begun, parent: first.parent.or(self.parent), ..self }
    }
}

/// A request that was answered with the wish for input.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) call: Call,
    state: Option<u64>,
    /// When that answer went by.
    pub(super) answered: Instant,
}

/// The requests of one way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<Id, Call>,
    waiting: VecDeque<Waiting>,
}

/// What became of a request that was to be remembered.
#[derive(Debug)]
pub(super) enum Opened {
    Remembered,
    /// In place of one of the same id, which can no longer be told from it.
    Instead(Call),
    /// There are too many.
    NoRoom,
}

impl Calls {
    pub(super) fn open(&mut self, id: Id, call: Call) -> Opened {
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&id) {
            return Opened::NoRoom;
        }
        self.open.insert(id, call).map_or(Opened::Remembered, Opened::Instead)
    }

    /// Looks at the request of that id.
    pub(super) fn get(&self, id: Id) -> Option<&Call> {
        self.open.get(&id)
    }

    /// Takes the request of that id: it is answered, or will not be.
    pub(super) fn close(&mut self, id: Id) -> Option<Call> {
        self.open.remove(&id)
    }

    /// Keeps a request until it is asked again; gives back the oldest where there are too many.
    pub(super) fn wait(&mut self, call: Call, state: Option<u64>, answered: Instant) -> Option<Waiting> {
        self.waiting.push_back(Waiting { call, state, answered });
        if self.waiting.len() > MAX_WAITING { self.waiting.pop_front() } else { None }
    }

    /// The request that this one asks again. It repeats the state that it was given; where it was given none, it is
    /// the oldest of the same method about the same thing.
    pub(super) fn earlier(&mut self, call: &Call, state: Option<u64>, responses: bool) -> Option<Call> {
        if state.is_none() && !responses {
            return None;
        }
        let about = |call: &Call| (call.method.name, call.uri);
        let same = |Waiting { call: earlier, state: given, .. }: &Waiting| {
            *given == state && about(earlier) == about(call) && earlier.name == call.name
        };
        let place = self.waiting.iter().position(same)?;
        self.waiting.remove(place).map(|waiting| waiting.call)
    }

    /// Takes all that are open, in the order in which they came.
    pub(super) fn take_open(&mut self) -> Vec<Call> {
        let mut calls: Vec<Call> = self.open.drain().map(|(_, call)| call).collect();
        calls.sort_by_key(|call| call.begun);
        calls
    }

    /// Takes all that were never asked again.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes those of a role.
    pub(super) fn take_of(&mut self, role: Role) -> Vec<Call> {
        self.open.extract_if(|_, call| call.method.role == role).map(|(_, call)| call).collect()
    }
}
