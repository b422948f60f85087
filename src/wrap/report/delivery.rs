//! The thread that delivers: small batches, soon; and what was not answered again, with the same ids.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::StatusCode;

use super::Shared;
use super::retry::Backoff;
use crate::client::{Answer, Client, EVENTS, Patience, Reply};
use crate::event::TraceParent;
use crate::wrap::TraceContext;

/// How long the first report of a batch waits for company.
const LINGER: Duration = Duration::from_millis(25);
/// The longest time to connect to the bridge.
const CONNECT: Duration = Duration::from_secs(1);
/// The longest time of one request.
const ANSWER: Duration = Duration::from_secs(5);
/// The longest wait between two attempts at the end of a session.
const LAST_WAIT: Duration = Duration::from_millis(50);
/// How long the end of a session hopes for a bridge that is not there.
const LAST_HOPE: Duration = Duration::from_millis(250);
/// How long the bridge is away before a line says so.
const AWAY: Duration = Duration::from_secs(10);
/// How long to leave alone what refuses or is no bridge, before it is tried again.
const REFUSED: Duration = Duration::from_secs(30);

/// Delivers what waits in the spool.
#[derive(Debug)]
pub(super) struct Delivery {
    client: Client,
    trace: TraceContext,
    shared: Arc<Shared>,
    backoff: Backoff,
    /// Since when nobody answers.
    away: Option<Instant>,
    said: Said,
}

/// What the person was told: each thing once.
#[derive(Debug, Default)]
struct Said {
    away: bool,
    refused: bool,
    rejected: bool,
}

/// What became of an attempt.
enum Outcome {
    /// The bridge has answered: rejections, and the spans of all.
    Taken(Answer),
    TooLarge,
    /// It is to be tried again, perhaps when the bridge asks for it.
    Later(Option<Duration>),
    /// Nobody answers, and why; there may be nobody to `hope` for.
    Silent {
        hope: Duration,
        why: String,
    },
    /// It will hardly do better next time.
    Refused(String),
}

impl Delivery {
    pub(super) fn new(client: Client, trace: TraceContext, shared: Arc<Shared>) -> Self {
        Self { client, trace, shared, backoff: Backoff::default(), away: None, said: Said::default() }
    }

    /// Delivers until no more will come, and all is delivered or worth no more.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while let Some((body, time)) = next(&shared) {
            let begun = Instant::now();
            let outcome = self.attempt(&body, time);
            self.note(&outcome, begun.elapsed());
            // How long to wait, and how long the end of the session would wait for better times.
            let (wait, hope) = match outcome {
                Outcome::Taken(answer) => {
                    self.taken(answer);
                    shared.changed.notify_all();
                    continue;
                }
                Outcome::TooLarge => {
                    shared.lock().halve();
                    continue;
                }
                Outcome::Later(asked) => {
                    self.away = None;
                    (self.backoff.next(asked), Duration::MAX)
                }
                Outcome::Silent { hope, why } => {
                    self.tell_away(&why);
                    (self.backoff.next(None), hope)
                }
                Outcome::Refused(why) => {
                    if !std::mem::replace(&mut self.said.refused, true) {
                        tracing::warn!("{why}; nothing is reported meanwhile");
                    }
                    (REFUSED, Duration::ZERO)
                }
            };
            if !pause(&shared, wait, hope) {
                break;
            }
        }
        shared.lock().give_up();
        shared.changed.notify_all();
    }

    fn attempt(&self, body: &str, time: Duration) -> Outcome {
        let patience = Patience { connect: CONNECT.min(time), whole: time };
        let reply = match self.client.send(body, patience) {
            Ok(reply) => reply,
            Err(error) => return self.unanswered(&error),
        };
        if let Some(why) = self.client.refusal(&reply) {
            return Outcome::Refused(why);
        }
        let url = self.client.url(EVENTS);
        let Reply { status, retry_after, body } = reply;
        match status {
            StatusCode::OK => match serde_json::from_str(&body) {
                Ok(answer) => Outcome::Taken(answer),
                Err(error) if error.is_eof() => Outcome::Later(None),
                Err(error) => Outcome::Refused(format!("{url} gave an answer that is no bridge's: {error}")),
            },
            StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Outcome::Later(retry_after),
            status if status.is_server_error() => Outcome::Later(retry_after),
            status => {
                Outcome::Refused(format!("{url} answered {status}, so it is no bridge, or none that knows events"))
            }
        }
    }

    fn unanswered(&self, error: &ureq::Error) -> Outcome {
        use std::io::ErrorKind::ConnectionRefused;
        if let Some(why) = self.client.distrust(error) {
            return Outcome::Refused(why);
        }
        let url = self.client.url(EVENTS);
        match error {
            ureq::Error::BadUri(_) => Outcome::Refused(format!("{:?} is no URL of a bridge", self.client.url(""))),
            ureq::Error::BodyExceedsLimit(_) => {
                Outcome::Refused(format!("{url} gave an answer that is no bridge's: {error}"))
            }
            ureq::Error::Io(io) if io.kind() == ConnectionRefused => {
                Outcome::Silent { hope: LAST_HOPE, why: error.to_string() }
            }
            _ => Outcome::Silent { hope: Duration::MAX, why: self.client.away(error) },
        }
    }

    fn taken(&mut self, answer: Answer) {
        self.backoff.reset();
        self.away = None;
        if let Some(rejected) = answer.rejected.first()
            && !std::mem::replace(&mut self.said.rejected, true)
        {
            tracing::warn!("the bridge refused a report: {}", rejected.error);
        }
        let places: Vec<usize> = answer.rejected.iter().map(|rejected| rejected.index).collect();
        let started = self.shared.lock().settle(&places);
        let span = answer.results.first().and_then(|taken| taken.traceparent.as_deref()?.parse::<TraceParent>().ok());
        if let (true, Some(span)) = (started, span) {
            self.trace.set_session(span);
        }
    }

    /// Takes note of how an attempt went, for the end of the session.
    fn note(&self, outcome: &Outcome, took: Duration) {
        let url = self.client.url(EVENTS);
        let mut spool = self.shared.lock();
        spool.set_trouble(match outcome {
            Outcome::Taken(_) | Outcome::TooLarge => None,
            Outcome::Later(_) => Some(format!("the bridge at {url} is too busy to take them")),
            Outcome::Silent { why, .. } => Some(format!("no bridge answers at {url} ({why})")),
            // That was said when it happened.
            Outcome::Refused(_) => Some("the reason stands above".to_owned()),
        });
        // Where nobody listens nothing was waited for.
        if !matches!(outcome, Outcome::Silent { hope: LAST_HOPE, .. }) {
            spool.took(took);
        }
    }

    fn tell_away(&mut self, why: &str) {
        let since = *self.away.get_or_insert_with(Instant::now);
        if since.elapsed() >= AWAY && !std::mem::replace(&mut self.said.away, true) {
            let url = self.client.url(EVENTS);
            tracing::warn!("no bridge answers at {url} ({why}): reports wait for it; the MCP session goes on without");
        }
    }
}

/// Waits for something to send; gives it with the time that it may take. `None` once nothing more will come.
fn next(shared: &Shared) -> Option<(String, Duration)> {
    let mut spool = shared.lock();
    let mut company: Option<Instant> = None;
    loop {
        let left = spool.closing().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match left {
            Some(left) if left.is_zero() || spool.is_done() => return None,
            Some(left) => return Some((spool.body(), left.min(ANSWER))),
            None => {}
        }
        // What was lost alone waits for company.
        if !spool.has_reports() {
            spool = shared.wait(spool, Duration::MAX);
            continue;
        }
        let until = *company.get_or_insert_with(|| Instant::now() + LINGER);
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || spool.fills_batch() {
            return Some((spool.body(), ANSWER));
        }
        spool = shared.wait(spool, left);
    }
}

/// Waits before the next attempt; whether another one makes sense. The end of the session cuts the wait short, and
/// hopes for better times no longer than `hope`.
fn pause(shared: &Shared, wait: Duration, hope: Duration) -> bool {
    let begun = Instant::now();
    let mut spool = shared.lock();
    let closing_already = spool.closing().is_some();
    if closing_already && spool.closing_for() >= hope {
        return false;
    }
    let wait = if closing_already { wait.min(LAST_WAIT) } else { wait };
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        if left.is_zero() || (spool.closing().is_some() && !closing_already) {
            return true;
        }
        spool = shared.wait(spool, left);
    }
}
