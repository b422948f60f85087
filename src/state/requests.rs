//! Requests of a hub: those that are open, and those that ended and may be ended again.
//!
//! Ended requests are remembered by number, not by age: hubs that see many see their repeats soon.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Row, params};

use super::sessions::StartError;
use super::span::SpanIds;
use super::store::{Store, StoreError};
use crate::config;

/// The tables of requests.
pub(super) const MIGRATION: &str = "
    CREATE TABLE requests (
        request_id TEXT PRIMARY KEY,
        agent TEXT NOT NULL,
        operation TEXT NOT NULL,
        start_ns INTEGER NOT NULL,
        opened_ms INTEGER NOT NULL,
        trace_id BLOB NOT NULL,
        span_id BLOB NOT NULL,
        parent_span_id BLOB,
        sampled INTEGER NOT NULL,
        span_elsewhere INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE ended_requests (
        number INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL,
        agent TEXT NOT NULL,
        operation TEXT NOT NULL,
        start_ns INTEGER NOT NULL,
        end_ns INTEGER,
        trace_id BLOB NOT NULL,
        span_id BLOB NOT NULL,
        sampled INTEGER NOT NULL
    );
    CREATE INDEX ended_requests_by_id ON ended_requests (request_id);
";

/// An open request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What joins its start and its end.
    pub id: Arc<str>,
    /// The agent that handles it.
    pub agent: Arc<str>,
    /// What the agent was asked to do.
    pub operation: Arc<str>,
    /// When it started, in nanoseconds since 1970.
    pub start_ns: i64,
    /// When its start was recorded, by the bridge's own clock, in milliseconds since 1970.
    pub opened_ms: i64,
    /// Its span.
    pub span: SpanIds,
    /// Whether the agent makes the span itself, so that the bridge must not.
    pub span_elsewhere: bool,
}

/// A request that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedRequest {
    /// Its place among the ended ones.
    number: i64,
    /// The agent that handled it.
    pub agent: Arc<str>,
    /// What the agent was asked to do.
    pub operation: Arc<str>,
    /// When it started, in nanoseconds since 1970.
    pub start_ns: i64,
    /// When it ended, in nanoseconds since 1970; `None` where it timed out, and its end may still come.
    pub end_ns: Option<i64>,
    /// Its span.
    pub span: SpanIds,
}

/// The open requests, and the ended ones in the store.
#[derive(Debug)]
pub struct Requests {
    open: HashMap<Arc<str>, Request>,
    /// The open requests by `opened_ms`, the one that times out next first.
    by_age: BTreeSet<(i64, Arc<str>)>,
    by_agent: BTreeMap<Arc<str>, usize>,
    most: usize,
    timeout: Duration,
}

impl Requests {
    pub(super) fn new(config: &config::Requests) -> Self {
        Self {
            open: HashMap::new(),
            by_age: BTreeSet::new(),
            by_agent: BTreeMap::new(),
            most: config.max_active,
            timeout: config.timeout,
        }
    }

    /// How many requests of each agent are open, of the agents that have any.
    pub fn by_agent(&self) -> impl Iterator<Item = (&str, usize)> {
        self.by_agent.iter().map(|(agent, count)| (&**agent, *count))
    }

    /// How long a request may be open.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The open request of that id.
    pub fn find(&self, id: &str) -> Option<&Request> {
        self.open.get(id)
    }

    /// Opens a request.
    ///
    /// # Errors
    ///
    /// When there are too many, it is open already, or the store cannot be written.
    pub fn start(&mut self, store: &Store, request: Request) -> Result<(), StartError> {
        if self.open.contains_key(&request.id) {
            return Err(StartError::Exists);
        }
        if self.open.len() >= self.most {
            return Err(StartError::Full(self.most));
        }
        insert(store, &request)?;
        self.remember(request);
        Ok(())
    }

    /// Ends an open request: at `end_ns`, or by timeout where that is `None`.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn end(&mut self, store: &Store, id: &str, end_ns: Option<i64>) -> Result<Option<Request>, StoreError> {
        let Some(request) = self.open.remove(id) else { return Ok(None) };
        self.by_age.remove(&(request.opened_ms, Arc::clone(&request.id)));
        if let Some(count) = self.by_agent.get_mut(&request.agent) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_agent.remove(&request.agent);
            }
        }
        let db = store.db();
        db.prepare_cached("DELETE FROM requests WHERE request_id = ?1")?.execute([id])?;
        db.prepare_cached(
            "INSERT INTO ended_requests (request_id, agent, operation, start_ns, end_ns, trace_id, span_id, sampled) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            &*request.id,
            &*request.agent,
            &*request.operation,
            request.start_ns,
            end_ns,
            request.span.trace_id.to_bytes(),
            request.span.span_id.to_bytes(),
            request.span.sampled,
        ])?;
        let forgotten = db.last_insert_rowid().saturating_sub(i64::try_from(self.most).unwrap_or(i64::MAX));
        db.prepare_cached("DELETE FROM ended_requests WHERE number <= ?1")?.execute([forgotten])?;
        Ok(Some(request))
    }

    /// The ended requests of that id, the last ended first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn ended(&self, store: &Store, id: &str) -> Result<Vec<EndedRequest>, StoreError> {
        let mut statement = store.db().prepare_cached(
            "SELECT number, agent, operation, start_ns, end_ns, trace_id, span_id, sampled FROM ended_requests \
             WHERE request_id = ?1 ORDER BY number DESC LIMIT 100",
        )?;
        let ended = statement.query_map([id], read_ended)?;
        Ok(ended.collect::<Result<_, _>>()?)
    }

    /// Gives a request that timed out its real end.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn end_late(&self, store: &Store, late: &EndedRequest, end_ns: i64) -> Result<(), StoreError> {
        store
            .db()
            .prepare_cached("UPDATE ended_requests SET end_ns = ?2 WHERE number = ?1")?
            .execute(params![late.number, end_ns])?;
        Ok(())
    }

    /// The requests that have been open for too long, the oldest first: a bounded number of them.
    pub fn timed_out(&self, now_ms: i64) -> Vec<Arc<str>> {
        let oldest = now_ms.saturating_sub(i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX));
        let late = self.by_age.iter().take_while(|(opened_ms, _)| *opened_ms < oldest);
        late.take(super::TIMED_OUT_AT_ONCE).map(|(_, id)| Arc::clone(id)).collect()
    }

    /// What is in memory stays where the store cannot be read.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut statement = store.db().prepare_cached(
            "SELECT request_id, agent, operation, start_ns, opened_ms, trace_id, span_id, parent_span_id, sampled, \
             span_elsewhere FROM requests",
        )?;
        let requests: Vec<Request> = statement.query_map([], read_request)?.collect::<Result<_, _>>()?;
        self.open.clear();
        self.by_age.clear();
        self.by_agent.clear();
        for request in requests {
            self.remember(request);
        }
        Ok(())
    }

    /// Writes the open requests to a store in place of those that it has.
    pub(super) fn write_all(&self, store: &Store) -> Result<(), StoreError> {
        store.db().execute("DELETE FROM requests", [])?;
        self.open.values().try_for_each(|request| insert(store, request))
    }

    fn remember(&mut self, request: Request) {
        *self.by_agent.entry(Arc::clone(&request.agent)).or_default() += 1;
        self.by_age.insert((request.opened_ms, Arc::clone(&request.id)));
        self.open.insert(Arc::clone(&request.id), request);
    }
}

fn insert(store: &Store, request: &Request) -> Result<(), StoreError> {
    store
        .db()
        .prepare_cached(
            "INSERT INTO requests (request_id, agent, operation, start_ns, opened_ms, trace_id, span_id, \
             parent_span_id, sampled, span_elsewhere) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            &*request.id,
            &*request.agent,
            &*request.operation,
            request.start_ns,
            request.opened_ms,
            request.span.trace_id.to_bytes(),
            request.span.span_id.to_bytes(),
            request.span.parent.map(|parent| parent.to_bytes()),
            request.span.sampled,
            request.span_elsewhere,
        ])?;
    Ok(())
}

fn read_request(row: &Row<'_>) -> Result<Request, rusqlite::Error> {
    Ok(Request {
        id: row.get(0)?,
        agent: row.get(1)?,
        operation: row.get(2)?,
        start_ns: row.get(3)?,
        opened_ms: row.get(4)?,
        span: SpanIds::read(row, 5)?,
        span_elsewhere: row.get(9)?,
    })
}

fn read_ended(row: &Row<'_>) -> Result<EndedRequest, rusqlite::Error> {
    Ok(EndedRequest {
        number: row.get(0)?,
        agent: row.get(1)?,
        operation: row.get(2)?,
        start_ns: row.get(3)?,
        end_ns: row.get(4)?,
        span: SpanIds::read_ended(row, 5)?,
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceId};

    use super::*;

    fn requests(store: &Store, most: usize) -> Requests {
        let mut requests = Requests::new(&config::Requests { timeout: Duration::from_secs(10), max_active: most });
        requests.load(store).unwrap();
        requests
    }

    fn request(id: &str, opened_ms: i64) -> Request {
        let span = SpanIds { trace_id: TraceId::from(1), span_id: SpanId::from(2), parent: None, sampled: true };
        let (agent, operation) = ("planner".into(), "plan".into());
        Request { id: id.into(), agent, operation, start_ns: 5, opened_ms, span, span_elsewhere: false }
    }

    #[test]
    fn open_requests_are_read_back_as_they_were() {
        let store = Store::in_memory().unwrap();
        let mut first = requests(&store, 10);
        first.start(&store, request("a", 1)).unwrap();
        first.start(&store, request("b", 2)).unwrap();
        first.end(&store, "a", Some(9)).unwrap().unwrap();
        let second = requests(&store, 10);
        assert_eq!(second.find("b"), Some(&request("b", 2)));
        assert_eq!(second.find("a"), None);
        assert_eq!(second.by_agent().collect::<Vec<_>>(), [("planner", 1)]);
        assert_eq!(second.ended(&store, "a").unwrap()[0].end_ns, Some(9));
    }

    #[test]
    fn both_the_open_and_the_ended_are_bounded() {
        let store = Store::in_memory().unwrap();
        let mut requests = requests(&store, 3);
        for id in 0..10 {
            requests.start(&store, request(&id.to_string(), 0)).unwrap();
            requests.end(&store, &id.to_string(), Some(1)).unwrap();
        }
        let remembered: Vec<_> =
            (0..10).filter(|id: &i32| !requests.ended(&store, &id.to_string()).unwrap().is_empty()).collect();
        assert_eq!(remembered, [7, 8, 9]);
        for id in ["a", "b", "c"] {
            requests.start(&store, request(id, 0)).unwrap();
        }
        assert!(matches!(requests.start(&store, request("d", 0)), Err(StartError::Full(3))));
        assert!(matches!(requests.start(&store, request("a", 0)), Err(StartError::Exists)));
    }

    #[test]
    fn the_oldest_time_out_first_and_not_a_moment_early() {
        let store = Store::in_memory().unwrap();
        let mut requests = requests(&store, 10);
        requests.start(&store, request("young", 2_000)).unwrap();
        requests.start(&store, request("old", 1_000)).unwrap();
        assert!(requests.timed_out(11_000).is_empty());
        assert_eq!(requests.timed_out(11_001), ["old".into()]);
        assert_eq!(requests.timed_out(12_001), ["old".into(), "young".into()]);
    }

    #[test]
    fn a_late_end_is_given_to_the_request_that_timed_out() {
        let store = Store::in_memory().unwrap();
        let mut requests = requests(&store, 10);
        for end_ns in [Some(7), None] {
            requests.start(&store, request("a", 1)).unwrap();
            requests.end(&store, "a", end_ns).unwrap();
        }
        let late = requests.ended(&store, "a").unwrap().remove(0);
        assert_eq!(late.end_ns, None);
        requests.end_late(&store, &late, 8).unwrap();
        let ends: Vec<_> = requests.ended(&store, "a").unwrap().iter().map(|ended| ended.end_ns).collect();
        assert_eq!(ends, [Some(8), Some(7)]);
    }
}
