//! `POST /v1/events`: one JSON event, a JSON array, or NDJSON; and what an event may hold, as JSON Schema.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};

use super::body::{Received, Room, Unread};
use super::{parent, under};
use crate::bridge::{Bridge, Refused, Source};
use crate::client::SOURCE_HEADER;
use crate::config::Limits;
use crate::event::{Body, BodyError, BodyForm, Outcome, Reason, Rejection, batch_json, parse_body, schema};

const SOURCE: HeaderName = HeaderName::from_static(SOURCE_HEADER);
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Bodies up to this size are parsed at once, others on a thread that may block.
const SMALL: usize = 128 * 1024;

#[derive(Debug, Clone)]
struct Ingest {
    bridge: Bridge,
    room: Room,
}

/// The route of events, and that of their schema.
pub(crate) fn router(bridge: &Bridge, limits: &Limits) -> Router {
    let ingest = Ingest { bridge: bridge.clone(), room: Room::new(limits.body_bytes) };
    Router::new().route("/v1/events", post(events)).route("/v1/events/schema", get(events_schema)).with_state(ingest)
}

async fn events(State(ingest): State<Ingest>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(source) = source(&parts.headers) else {
        let why = format!("the header {SOURCE} must be mcp or wrap, once; only the bridge's own commands send it");
        return error(StatusCode::BAD_REQUEST, &why);
    };
    match ingest.take(source, &parts.headers, body).await {
        Ok(response) => response,
        Err(fault) => fault.into_response(&ingest.bridge, source).await,
    }
}

async fn events_schema() -> Response {
    ([(CONTENT_TYPE, "application/schema+json")], format!("{:#}\n", schema())).into_response()
}

/// Where the events of a request come from; `None` where its header says what it may not.
fn source(headers: &HeaderMap) -> Option<Source> {
    let mut named = headers.get_all(SOURCE).iter();
    let Some(name) = named.next() else { return Some(Source::Http) };
    let mut known = [Source::Mcp, Source::Wrap].into_iter();
    known.find(|source| name.as_bytes() == source.name().as_bytes()).filter(|_| named.next().is_none())
}

/// Why no event of a request was looked at.
enum Fault {
    ContentType,
    ContentEncoding,
    NoRoom,
    TooLarge(usize),
    Body(Rejection),
    Refused(Refused),
}

impl Ingest {
    async fn take(&self, source: Source, headers: &HeaderMap, body: axum::body::Body) -> Result<Response, Fault> {
        let form = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = form.and_then(BodyForm::from_content_type).ok_or(Fault::ContentType)?;
        let gzip = is_gzip(headers)?;
        let mut received = self.room.read(body).await.map_err(|unread| self.fault(unread))?;
        if gzip {
            received = self.room.gunzip(received).await.map_err(|unread| self.fault(unread))?;
        }
        let Body { events, single } = parse(received, form).await?;
        let events = under(parent(headers.get_all(TRACEPARENT).iter().map(HeaderValue::as_bytes)), events);
        let outcomes = match events.is_empty() {
            true => Vec::new(),
            false => self.bridge.submit(source, events).await.map_err(Fault::Refused)?,
        };
        Ok(match &outcomes[..] {
            [outcome] if single => one(outcome),
            outcomes => json(StatusCode::OK, batch_json(outcomes)),
        })
    }

    fn fault(&self, unread: Unread) -> Fault {
        match unread {
            Unread::TooLarge => Fault::TooLarge(self.room.most()),
            Unread::NoRoom => Fault::NoRoom,
            Unread::Malformed(error) => Fault::Body(Rejection::new(Reason::Malformed, error)),
        }
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Fault> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        Ok("gzip" | "x-gzip") => Ok(true),
        Ok("identity" | "") => Ok(false),
        _ => Err(Fault::ContentEncoding),
    }
}

async fn parse(received: Received, form: BodyForm) -> Result<Body, Fault> {
    let parsed = if received.bytes.len() <= SMALL {
        parse_body(&received.bytes, form)
    } else {
        let parse = move || parse_body(&received.bytes, form);
        match tokio::task::spawn_blocking(parse).await {
            Ok(parsed) => parsed,
            // The thread is lost only where the bridge goes down with it.
            Err(_) => return Err(Fault::Refused(Refused::Stopping)),
        }
    };
    parsed.map_err(|error: BodyError| Fault::Body(error.into()))
}

impl Fault {
    async fn into_response(self, bridge: &Bridge, source: Source) -> Response {
        match self {
            Fault::ContentType => error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the Content-Type must be application/json (an event or an array of events) or application/x-ndjson \
                 (an event a line)",
            ),
            Fault::ContentEncoding => {
                let why = "the Content-Encoding must be gzip, or absent";
                let mut response = error(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
                response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
            Fault::NoRoom => later(error(
                StatusCode::SERVICE_UNAVAILABLE,
                "the bridge is reading as many bytes of events as it may; try again",
            )),
            Fault::TooLarge(most) => {
                let why = format!("the body is larger than {most} bytes; send the events in several requests");
                let rejection = Rejection::new(Reason::TooLarge, why);
                let mut response = reject(bridge, source, rejection).await;
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                response
            }
            Fault::Body(rejection) => reject(bridge, source, rejection).await,
            Fault::Refused(refused) => later(error(StatusCode::SERVICE_UNAVAILABLE, &refused.to_string())),
        }
    }
}

/// The body as a whole is one event that was rejected; it is counted as one.
async fn reject(bridge: &Bridge, source: Source, rejection: Rejection) -> Response {
    let answer = one(&Outcome::from(rejection.clone()));
    // Where it cannot be counted now, the client's fault stays the same.
    let _ = bridge.submit(source, vec![Err(rejection)]).await;
    answer
}

fn one(outcome: &Outcome) -> Response {
    let (status, body) = outcome.to_json();
    json(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body)
}

fn error(status: StatusCode, why: &str) -> Response {
    json(status, Outcome::from(Rejection::new(Reason::Malformed, why)).to_json().1)
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn later(mut response: Response) -> Response {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
