//! Sessions: those that are active, and those that ended and may be ended again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Row, params};

use super::span::SpanIds;
use super::store::{Store, StoreError};
use crate::config;

/// An active session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// `{component_name}-{YYYYMMDD-HHMMSS}-{first 8 hex digits of the event's id}`.
    pub id: Arc<str>,
    /// The same without the digits: the seeds' form, which several sessions may share.
    pub short_id: Arc<str>,
    /// The component that it is a session of.
    pub component_name: Arc<str>,
    /// The kind of shell that it runs in.
    pub shell_type: Arc<str>,
    /// When it started, in nanoseconds since 1970.
    pub start_ns: i64,
    /// The latest timestamp of an event of it, in nanoseconds since 1970.
    pub last_event_ns: i64,
    /// When something was last heard of it, by the bridge's own clock, in milliseconds since 1970.
    pub heard_ms: i64,
    /// The `heard_ms` that the store knows, which may lag behind.
    pub stored_ms: i64,
    /// Its span.
    pub span: SpanIds,
    /// Whether the host makes the span itself, so that the bridge must not.
    pub span_elsewhere: bool,
    /// What only the span tells: attribute keys and values.
    pub attributes: Vec<(String, SpanValue)>,
}

/// The value of an attribute that is kept for a span.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum SpanValue {
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
}

/// A session that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its whole id.
    pub id: Arc<str>,
    /// The component that it was a session of.
    pub component_name: Arc<str>,
    /// When it started, in nanoseconds since 1970.
    pub start_ns: i64,
    /// When it ended, in nanoseconds since 1970.
    pub end_ns: i64,
    /// How.
    pub status: EndedStatus,
    /// Its span.
    pub span: SpanIds,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedStatus {
    /// As it should.
    Success,
    /// In an error.
    Error,
    /// Nothing was heard of it for too long.
    Timeout,
}

impl EndedStatus {
    /// The value of the `status` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }

    fn from_name(name: &str) -> Self {
        [Self::Success, Self::Timeout].into_iter().find(|status| status.name() == name).unwrap_or(Self::Error)
    }
}

/// Why a session or a request cannot start.
#[derive(Debug)]
pub enum StartError {
    /// As many are active as may be.
    Full(usize),
    /// One of that id is active already.
    Exists,
    /// The store cannot be written.
    Store(StoreError),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The active sessions, and the ended ones in the store.
#[derive(Debug)]
pub struct Sessions {
    active: HashMap<Arc<str>, Session>,
    /// The active sessions of each short id, oldest first.
    by_short_id: HashMap<Arc<str>, Vec<Arc<str>>>,
    by_component: BTreeMap<Arc<str>, usize>,
    /// How many ended sessions the store has.
    ended: usize,
    most: usize,
    timeout: Duration,
    remember_ended: Duration,
    most_ended: usize,
}

impl Sessions {
    pub(super) fn new(config: &config::Sessions) -> Self {
        Self {
            active: HashMap::new(),
            by_short_id: HashMap::new(),
            by_component: BTreeMap::new(),
            ended: 0,
            most: config.max_active,
            timeout: config.timeout,
            remember_ended: config.remember_ended,
            most_ended: config.max_ended,
        }
    }

    /// The active sessions, in no order.
    pub fn active(&self) -> impl Iterator<Item = &Session> {
        self.active.values()
    }

    /// How many sessions are active.
    pub fn count(&self) -> usize {
        self.active.len()
    }

    /// How many sessions of each component are active, of the components that have any.
    pub fn by_component(&self) -> impl Iterator<Item = (&str, usize)> {
        self.by_component.iter().map(|(component, count)| (&**component, *count))
    }

    /// How many sessions of the component are active.
    pub fn of_component(&self, component: &str) -> usize {
        self.by_component.get(component).copied().unwrap_or(0)
    }

    /// The active session of that whole id, or the oldest of that short id.
    pub fn find(&self, id: &str) -> Option<&Session> {
        self.active.get(id).or_else(|| self.active.get(self.by_short_id.get(id)?.first()?))
    }

    /// Makes a session active.
    ///
    /// # Errors
    ///
    /// When there are too many, it is active already, or the store cannot be written.
    pub fn start(&mut self, store: &Store, session: Session) -> Result<(), StartError> {
        if self.active.contains_key(&session.id) {
            return Err(StartError::Exists);
        }
        if self.active.len() >= self.most {
            return Err(StartError::Full(self.most));
        }
        insert(store, &session)?;
        self.remember(session);
        Ok(())
    }

    /// Something was heard of the session.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn hear(&mut self, store: &Store, id: &str, event_ns: i64, now_ms: i64) -> Result<(), StoreError> {
        let Some(id) = self.find(id).map(|session| Arc::clone(&session.id)) else { return Ok(()) };
        let Some(session) = self.active.get_mut(&id) else { return Ok(()) };
        session.last_event_ns = session.last_event_ns.max(event_ns);
        // The store may lag behind by a small part of the timeout: a write for every event would buy nothing.
        session.heard_ms = now_ms;
        let lag = i64::try_from(self.timeout.as_millis() / 20).unwrap_or(i64::MAX).min(60_000);
        if now_ms.saturating_sub(session.stored_ms) >= lag {
            session.stored_ms = now_ms;
            store
                .db()
                .prepare_cached("UPDATE sessions SET heard_ms = ?2, last_event_ns = ?3 WHERE session_id = ?1")?
                .execute(params![&*id, now_ms, session.last_event_ns])?;
        }
        Ok(())
    }

    /// Ends an active session.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn end(
        &mut self,
        store: &Store,
        id: &str,
        end_ns: i64,
        status: EndedStatus,
        now_ms: i64,
    ) -> Result<Option<Session>, StoreError> {
        let Some(session) = self.active.remove(id) else { return Ok(None) };
        if let Some(ids) = self.by_short_id.get_mut(&session.short_id) {
            ids.retain(|known| *known != session.id);
            if ids.is_empty() {
                self.by_short_id.remove(&session.short_id);
            }
        }
        if let Some(count) = self.by_component.get_mut(&session.component_name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_component.remove(&session.component_name);
            }
        }
        store.db().prepare_cached("DELETE FROM sessions WHERE session_id = ?1")?.execute([id])?;
        store
            .db()
            .prepare_cached(
                "INSERT OR REPLACE INTO ended_sessions (session_id, short_id, component_name, start_ns, end_ns, \
                 status, trace_id, span_id, sampled, ended_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                &*session.id,
                &*session.short_id,
                &*session.component_name,
                session.start_ns,
                end_ns,
                status.name(),
                session.span.trace_id.to_bytes(),
                session.span.span_id.to_bytes(),
                session.span.sampled,
                now_ms,
            ])?;
        self.ended += 1;
        if self.ended > self.most_ended {
            self.forget_ended(store)?;
        }
        Ok(Some(session))
    }

    /// Forgets the sessions that ended first: the one that is too many, and one more where a bound was lowered.
    fn forget_ended(&mut self, store: &Store) -> Result<(), StoreError> {
        let forgotten = store
            .db()
            .prepare_cached(
                "DELETE FROM ended_sessions WHERE session_id IN \
                 (SELECT session_id FROM ended_sessions ORDER BY ended_ms LIMIT ?1)",
            )?
            .execute([if self.ended - self.most_ended > 1 { 2_i64 } else { 1 }])?;
        self.ended = self.ended.saturating_sub(forgotten);
        Ok(())
    }

    /// The ended sessions of that whole or short id, the last ended first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn ended(&self, store: &Store, id: &str) -> Result<Vec<Ended>, StoreError> {
        let mut statement = store.db().prepare_cached(
            "SELECT session_id, component_name, start_ns, end_ns, status, trace_id, span_id, sampled \
             FROM ended_sessions WHERE session_id = ?1 OR short_id = ?1 ORDER BY ended_ms DESC, session_id LIMIT 100",
        )?;
        let ended = statement.query_map([id], read_ended)?;
        Ok(ended.collect::<Result<_, _>>()?)
    }

    /// Gives a session that timed out its real end.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn end_late(&self, store: &Store, id: &str, end_ns: i64, status: EndedStatus) -> Result<(), StoreError> {
        store
            .db()
            .prepare_cached("UPDATE ended_sessions SET end_ns = ?2, status = ?3 WHERE session_id = ?1")?
            .execute(params![id, end_ns, status.name()])?;
        Ok(())
    }

    /// The active sessions of which nothing was heard for too long: a bounded number of them.
    pub fn timed_out(&self, now_ms: i64) -> Vec<Arc<str>> {
        let oldest = now_ms.saturating_sub(i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX));
        let late = self.active.values().filter(|session| session.heard_ms < oldest);
        late.take(super::TIMED_OUT_AT_ONCE).map(|session| session.id.clone()).collect()
    }

    pub(super) fn prune(&mut self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        let oldest = now_ms.saturating_sub(i64::try_from(self.remember_ended.as_millis()).unwrap_or(i64::MAX));
        let forgotten =
            store.db().prepare_cached("DELETE FROM ended_sessions WHERE ended_ms < ?1")?.execute([oldest])?;
        self.ended = self.ended.saturating_sub(forgotten);
        Ok(())
    }

    /// What is in memory stays where the store cannot be read.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut statement = store.db().prepare_cached(
            "SELECT session_id, short_id, component_name, shell_type, start_ns, last_event_ns, heard_ms, trace_id, \
             span_id, parent_span_id, sampled, span_elsewhere, attributes FROM sessions ORDER BY start_ns, session_id",
        )?;
        let sessions: Vec<Session> = statement.query_map([], read_session)?.collect::<Result<_, _>>()?;
        let ended: i64 = store.db().query_row("SELECT count(*) FROM ended_sessions", [], |row| row.get(0))?;
        self.ended = usize::try_from(ended).unwrap_or(0);
        self.active.clear();
        self.by_short_id.clear();
        self.by_component.clear();
        for session in sessions {
            self.remember(session);
        }
        Ok(())
    }

    /// Writes the active sessions to a store in place of those that it has.
    pub(super) fn write_all(&self, store: &Store) -> Result<(), StoreError> {
        store.db().execute("DELETE FROM sessions", [])?;
        self.active.values().try_for_each(|session| insert(store, session))
    }

    fn remember(&mut self, session: Session) {
        *self.by_component.entry(session.component_name.clone()).or_default() += 1;
        let ids = self.by_short_id.entry(session.short_id.clone()).or_default();
        let at = ids.partition_point(|known| {
            self.active.get(known).is_some_and(|other| (other.start_ns, &other.id) <= (session.start_ns, &session.id))
        });
        ids.insert(at, session.id.clone());
        self.active.insert(session.id.clone(), session);
    }
}

fn insert(store: &Store, session: &Session) -> Result<(), StoreError> {
    let attributes = serde_json::to_string(&session.attributes)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    store
        .db()
        .prepare_cached(
            "INSERT INTO sessions (session_id, short_id, component_name, shell_type, start_ns, last_event_ns, \
             heard_ms, trace_id, span_id, parent_span_id, sampled, span_elsewhere, attributes) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            &*session.id,
            &*session.short_id,
            &*session.component_name,
            &*session.shell_type,
            session.start_ns,
            session.last_event_ns,
            session.heard_ms,
            session.span.trace_id.to_bytes(),
            session.span.span_id.to_bytes(),
            session.span.parent.map(|parent| parent.to_bytes()),
            session.span.sampled,
            session.span_elsewhere,
            attributes,
        ])?;
    Ok(())
}

fn read_session(row: &Row<'_>) -> Result<Session, rusqlite::Error> {
    let attributes: String = row.get(12)?;
    Ok(Session {
        id: row.get(0)?,
        short_id: row.get(1)?,
        component_name: row.get(2)?,
        shell_type: row.get(3)?,
        start_ns: row.get(4)?,
        last_event_ns: row.get(5)?,
        heard_ms: row.get(6)?,
        stored_ms: row.get(6)?,
        span: SpanIds::read(row, 7)?,
        span_elsewhere: row.get(11)?,
        // Attributes only adorn a span: a row that cannot be read must not cost the session.
        attributes: serde_json::from_str(&attributes).unwrap_or_default(),
    })
}

fn read_ended(row: &Row<'_>) -> Result<Ended, rusqlite::Error> {
    Ok(Ended {
        id: row.get(0)?,
        component_name: row.get(1)?,
        start_ns: row.get(2)?,
        end_ns: row.get(3)?,
        status: EndedStatus::from_name(&row.get::<_, String>(4)?),
        span: SpanIds::read_ended(row, 5)?,
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceId};

    use super::*;

    fn session(number: u32) -> Session {
        let span = SpanIds { trace_id: TraceId::from(1), span_id: SpanId::from(2), parent: None, sampled: true };
        Session {
            id: format!("a-{number}").into(),
            short_id: "a".into(),
            component_name: "a".into(),
            shell_type: "Shell".into(),
            start_ns: 1,
            last_event_ns: 1,
            heard_ms: 1,
            stored_ms: 1,
            span,
            span_elsewhere: false,
            attributes: Vec::new(),
        }
    }

    #[test]
    fn the_ended_sessions_are_bounded_and_the_first_go_first() {
        let store = Store::in_memory().unwrap();
        let with = |most| Sessions::new(&config::Sessions { max_ended: most, ..config::Sessions::default() });
        let kept = |sessions: &Sessions| -> Vec<u32> {
            (0..30).filter(|number| !sessions.ended(&store, &format!("a-{number}")).unwrap().is_empty()).collect()
        };
        let mut sessions = with(10);
        let end = |sessions: &mut Sessions, number: u32| {
            sessions.start(&store, session(number)).unwrap();
            sessions.end(&store, &format!("a-{number}"), 2, EndedStatus::Success, i64::from(number)).unwrap().unwrap();
        };
        for number in 0..20 {
            end(&mut sessions, number);
        }
        assert_eq!(kept(&sessions), (10..20).collect::<Vec<_>>());
        // A lower bound is reached bit by bit, so that no transaction takes long.
        let mut lower = with(5);
        lower.load(&store).unwrap();
        for number in 20..30 {
            end(&mut lower, number);
        }
        assert_eq!(kept(&lower), (25..30).collect::<Vec<_>>());
    }
}
