//! What waits for the bridge: bounded, and in order.
//!
//! Where there is no room, the oldest notification goes first, then the oldest of the rest. The session's start and end
//! are never dropped: without its start nothing else can be placed, and without its end it would seem to go on. So at the
//! end of a session what there is no time for gives way to them, and is counted beside the end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::loss::{Loss, Losses};
use crate::event::{Event, EventId, EventKind, SessionHeartbeat, SessionId, Timestamp};

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The most reports.
    pub(super) reports: usize,
    /// The most bytes of them.
    pub(super) bytes: usize,
    /// The most reports of one request.
    pub(super) batch_reports: usize,
    /// The most bytes of one request, unless one report alone is larger.
    pub(super) batch_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { reports: 10_000, bytes: 4 * 1024 * 1024, batch_reports: 500, batch_bytes: 256 * 1024 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Start,
    /// The account of what was lost.
    Account,
    Other,
}

/// A report as it is sent.
#[derive(Debug)]
struct Entry {
    number: u64,
    kind: Kind,
    line: String,
}

/// The end of the session.
#[derive(Debug, Clone, Copy)]
struct Closing {
    since: Instant,
    deadline: Instant,
}

impl Closing {
    /// How many requests there is time for, where one takes so long: at least one, and half of the time stays unused, as
    /// the next may take longer. A bridge that has answered none so far gets one, and so does any in the second half.
    fn requests(self, pace: Option<Duration>) -> usize {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let late = 2 * left <= self.deadline.saturating_duration_since(self.since);
        match pace.filter(|_| !late) {
            Some(pace) => {
                usize::try_from(left.as_micros() / (2 * pace.as_micros().max(1))).unwrap_or(usize::MAX).max(1)
            }
            None => 1,
        }
    }
}

/// The reports that wait.
#[derive(Debug)]
pub(super) struct Spool {
    limits: Limits,
    start: Option<Entry>,
    notifications: VecDeque<Entry>,
    others: VecDeque<Entry>,
    end: Option<Entry>,
    /// Those on their way; they come first, and stay until they are answered.
    batch: VecDeque<Entry>,
    /// How many of those are sent at once.
    portion: usize,
    /// The bytes of all of them.
    bytes: usize,
    /// The number of the next one.
    next: u64,
    losses: Losses,
    session: Option<SessionId>,
    closing: Option<Closing>,
    /// How long the last request took that was answered, or was not in time.
    pace: Option<Duration>,
    given_up: bool,
    /// Why what waits could not be delivered when it was tried last.
    trouble: Option<String>,
}

impl Spool {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            start: None,
            notifications: VecDeque::new(),
            others: VecDeque::new(),
            end: None,
            batch: VecDeque::new(),
            portion: 0,
            bytes: 0,
            next: 0,
            losses: Losses::NONE,
            session: None,
            closing: None,
            pace: None,
            given_up: false,
            trouble: None,
        }
    }

    /// Takes a report, and drops what has no room any more.
    pub(super) fn push(&mut self, event: &Event) {
        let mut entry = self.entry(event, Kind::Other);
        self.bytes += entry.line.len();
        match &event.kind {
            EventKind::SessionStart(start) => {
                let (time, id) = (event.timestamp.unwrap_or_else(Timestamp::now), event.id);
                self.session = id.map(|id| SessionId::derive(&start.component_name, time, id));
                entry.kind = Kind::Start;
                self.start = Some(entry);
            }
            EventKind::SessionEnd(_) => self.end = Some(entry),
            EventKind::McpEvent(_) => self.notifications.push_back(entry),
            _ => self.others.push_back(entry),
        }
        self.drop_beyond(self.limits.reports, self.limits.bytes);
    }

    /// Drops the oldest until what waits is no more than that.
    fn drop_beyond(&mut self, reports: usize, bytes: usize) {
        while self.count() > reports || self.bytes > bytes {
            let Some(dropped) = self.notifications.pop_front().or_else(|| self.others.pop_front()) else { break };
            self.bytes -= dropped.line.len();
            self.lose(Loss::SpoolFull, 1);
        }
    }

    /// Takes note of what could not be reported; the next request tells of it.
    pub(super) fn lose(&mut self, loss: Loss, count: u64) {
        self.losses.add(loss, count);
    }

    /// How many reports wait.
    pub(super) fn count(&self) -> usize {
        let single = usize::from(self.start.is_some()) + usize::from(self.end.is_some());
        self.batch.len() + self.notifications.len() + self.others.len() + single
    }

    /// Whether reports wait.
    pub(super) fn has_reports(&self) -> bool {
        self.count() > 0
    }

    /// Whether nothing is left to tell.
    pub(super) fn is_done(&self) -> bool {
        !self.has_reports() && (self.session.is_none() || self.losses == Losses::NONE)
    }

    /// Whether what waits fills a request.
    pub(super) fn fills_batch(&self) -> bool {
        self.count() >= self.limits.batch_reports || self.bytes >= self.limits.batch_bytes
    }

    /// What is to be sent now: what was sent before, until it is answered, and then the oldest that wait.
    pub(super) fn body(&mut self) -> String {
        if self.batch.is_empty() {
            self.fill();
        }
        let lines = self.batch.iter().take(self.portion).map(|entry| &*entry.line);
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// What was sent last was answered: all of it is taken, but for those at these places. Tells whether the start is
    /// among it, which is then the first.
    pub(super) fn settle(&mut self, rejected: &[usize]) -> bool {
        let started = self.batch.front().is_some_and(|entry| entry.kind == Kind::Start);
        for (place, entry) in self.batch.drain(..self.portion.min(self.batch.len())).enumerate() {
            self.bytes -= entry.line.len();
            // A refused account of losses must not become a loss to give account of.
            if rejected.contains(&place) && entry.kind != Kind::Account {
                self.losses.add(Loss::Rejected, 1);
            }
        }
        self.portion = self.batch.len();
        started
    }

    /// What was sent last is more than the bridge takes at once: the half of it comes next. Where it is a single one
    /// already, it is lost.
    pub(super) fn halve(&mut self) {
        if self.portion > 1 {
            self.portion /= 2;
        } else {
            self.settle(&[0]);
        }
    }

    /// No more will come, and what waits is worth no more after `deadline`.
    pub(super) fn close(&mut self, deadline: Instant) {
        self.closing = Some(Closing { since: Instant::now(), deadline });
    }

    /// When what waits is worth no more, once no more will come.
    pub(super) fn closing(&self) -> Option<Instant> {
        self.closing.map(|closing| closing.deadline)
    }

    /// For how long that has been known.
    pub(super) fn closing_for(&self) -> Duration {
        self.closing.map_or(Duration::ZERO, |closing| closing.since.elapsed())
    }

    /// The last request took so long.
    pub(super) fn took(&mut self, pace: Duration) {
        self.pace = Some(pace);
    }

    /// Takes note of why the last request failed; `None` if it did not.
    pub(super) fn set_trouble(&mut self, trouble: Option<String>) {
        self.trouble = trouble;
    }

    /// Why the last request failed.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What waits will not be delivered.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    pub(super) const fn is_given_up(&self) -> bool {
        self.given_up
    }

    fn fill(&mut self) {
        if let Some(closing) = self.closing {
            // The last of these requests must hold the end.
            let requests = closing.requests(self.pace);
            let [reports, bytes] = [self.limits.batch_reports, self.limits.batch_bytes];
            self.drop_beyond(reports.saturating_mul(requests), bytes.saturating_mul(requests));
        }
        let mut bytes = 0;
        while self.batch.len() < self.limits.batch_reports {
            let Some(entry) = self.oldest(bytes) else { break };
            bytes += entry.line.len();
            self.batch.push_back(entry);
        }
        self.account();
        if self.notifications.is_empty() && self.others.is_empty() {
            self.batch.extend(self.end.take());
        }
        self.portion = self.batch.len();
    }

    /// Takes the oldest that waits, if it fits beside so many bytes.
    fn oldest(&mut self, beside: usize) -> Option<Entry> {
        if let Some(start) = self.start.take() {
            return Some(start);
        }
        let number = |queue: &VecDeque<Entry>| queue.front().map_or(u64::MAX, |entry| entry.number);
        let queue = match number(&self.notifications) < number(&self.others) {
            true => &mut self.notifications,
            false => &mut self.others,
        };
        let fits = |entry: &Entry| beside == 0 || beside + entry.line.len() <= self.limits.batch_bytes;
        if queue.front().is_some_and(fits) { queue.pop_front() } else { None }
    }

    /// Adds the account of what was lost, which has an id of its own and so counts once.
    fn account(&mut self) {
        let Some(session_id) = self.session.clone() else { return };
        let Some(dropped) = self.losses.take() else { return };
        let event = Event {
            id: Some(EventId::random()),
            timestamp: Some(Timestamp::now()),
            ..Event::new(SessionHeartbeat { session_id, dropped: Some(dropped) })
        };
        let entry = self.entry(&event, Kind::Account);
        self.bytes += entry.line.len();
        self.batch.push_back(entry);
    }

    fn entry(&mut self, event: &Event, kind: Kind) -> Entry {
        let number = self.next;
        self.next += 1;
        // An event has string keys only, so this cannot fail.
        Entry { number, kind, line: serde_json::to_string(event).unwrap_or_default() }
    }
}
