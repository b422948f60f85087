//! Requests of a hub: handled in one event, or started and ended by two, and the span of each.
//!
//! A request counts when it starts and again when it ends, as a success or a failure, under the labels of its start.
//! One that never ends fails by timeout, so that the active operations stay true.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status as SpanStatus};

use super::span::{Over, nanos};
use super::{Context, Fault, Tracing};
use crate::catalog::metrics::{
    MCP_HUB_ACTIVE_OPERATIONS, MCP_HUB_REQUEST_DURATION, MCP_HUB_REQUESTS, MCP_HUB_REQUESTS_FAILED,
    MCP_HUB_REQUESTS_SUCCESS,
};
use crate::event::{
    Event, EventKind, Outcome, Reason, Rejection, RequestEnd, RequestStart, Seconds, SpanOwner, Status, Timestamp,
    Warning,
};
use crate::state::{EndedRequest, Request, SpanIds, StartError, StoreError};
use crate::telemetry::{FinishedSpan, Instrument, Link, Telemetry};

/// The error type of a request that never ended.
const TIMEOUT: &str = "timeout";

/// Records requests.
#[derive(Debug)]
pub(super) struct RequestRecorder {
    started: Arc<Instrument>,
    succeeded: Arc<Instrument>,
    failed: Arc<Instrument>,
    duration: Arc<Instrument>,
    active: Arc<Instrument>,
    tracing: Arc<Tracing>,
}

impl RequestRecorder {
    pub(super) fn new(telemetry: &Telemetry, tracing: Arc<Tracing>) -> Self {
        Self {
            started: telemetry.instrument(&MCP_HUB_REQUESTS),
            succeeded: telemetry.instrument(&MCP_HUB_REQUESTS_SUCCESS),
            failed: telemetry.instrument(&MCP_HUB_REQUESTS_FAILED),
            duration: telemetry.instrument(&MCP_HUB_REQUEST_DURATION),
            active: telemetry.instrument(&MCP_HUB_ACTIVE_OPERATIONS),
            tracing,
        }
    }

    pub(super) fn whole(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::Request(request) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let end = event.timestamp.unwrap_or_else(Timestamp::now);
        let (agent, operation) = (request.agent.as_str(), request.operation.as_str());
        let error = request.error_type.as_ref();
        let parent = event.traceparent.as_ref().map(|parent| parent.span_context());
        let over = Over {
            name: span_name(agent, operation),
            kind: SpanKind::Internal,
            took: Some(request.duration_seconds),
            end,
            error_type: error,
        };
        let attributes = || attributes(agent, operation, error.map(|error| error.as_str()), None);
        let span = self.tracing.over(context.staged, &event, parent, over, attributes);
        let link = self.tracing.link(&span, end);
        context.staged.add(self.started.series(&[agent, operation]), 1, link);
        self.count_end(context, agent, operation, error.map(|error| error.as_str()), link);
        context.staged.record(self.duration.series(&[agent, operation]), request.duration_seconds.get(), link);
        Ok(Outcome::new(Status::Recorded).with_span(&span))
    }

    pub(super) fn start(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::RequestStart(start) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        if let Some(time) = event.timestamp
            && let Some(span) = started_before(context, start, time)?
        {
            return Ok(Outcome { duplicate: true, ..Outcome::new(Status::Recorded).with_span(&span.context()) });
        }
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let (agent, operation) = (start.agent.as_str(), start.operation.as_str());
        let span = self.span_of_start(&event, agent, operation);
        let request = Request {
            id: start.request_id.as_str().into(),
            agent: agent.into(),
            operation: operation.into(),
            start_ns: nanos(time),
            opened_ms: context.now_ms,
            span,
            span_elsewhere: event.span_owner == SpanOwner::Caller,
        };
        let (store, requests) = context.state.requests();
        match requests.start(store, request) {
            Ok(()) => {}
            Err(StartError::Store(error)) => return Err(error.into()),
            Err(StartError::Exists) => {
                let error =
                    format!("a request {} is open already; give each request an id of its own", start.request_id);
                return Err(refused(Reason::Conflict, "request_id", error));
            }
            Err(StartError::Full(most)) => {
                let error = format!("{most} requests are open, which is as many as requests.max_active allows");
                return Err(refused(Reason::RequestLimit, "event_type", error));
            }
        }
        let link = self.tracing.link(&span.context(), time);
        context.staged.add(self.started.series(&[agent, operation]), 1, link);
        context.staged.change(self.active.series(&[agent]), 1);
        Ok(Outcome::new(Status::Recorded).with_span(&span.context()))
    }

    pub(super) fn end(&self, context: &mut Context<'_>, event: Event) -> Result<Outcome, Fault> {
        let EventKind::RequestEnd(end) = &event.kind else { return Ok(Outcome::new(Status::Recorded)) };
        let time = event.timestamp.unwrap_or_else(Timestamp::now);
        let id = end.request_id.as_str();
        let (store, requests) = context.state.requests();
        let open = requests.find(id);

        // The end of an open request comes after its start; every other end may be a repeated one.
        if open.is_none_or(|open| nanos(time) < open.start_ns) {
            let ended = requests.ended(store, id)?;
            if let Some(before) = ended.iter().find(|ended| ended.end_ns == Some(nanos(time))) {
                let outcome = Outcome::new(Status::Recorded).with_span(&before.span.context());
                return Ok(Outcome { duplicate: true, ..outcome });
            }
            if open.is_none() {
                return match ended.iter().find(|ended| ended.end_ns.is_none()) {
                    Some(late) => self.end_late(context, end, late, time),
                    None => Ok(end_unknown(end, ended.first())),
                };
            }
        }
        let Some(open) = open else { return Ok(end_unknown(end, None)) };
        check_labels(end, &open.agent, &open.operation)?;
        let Some(request) = requests.end(store, id, Some(nanos(time)))? else { return Ok(end_unknown(end, None)) };

        let error = end.error_type.as_ref().map(|error| error.as_str());
        let link = self.tracing.link(&request.span.context(), time);
        let mut outcome = Outcome::new(Status::Recorded).with_span(&request.span.context());
        self.count_end(context, &request.agent, &request.operation, error, link);
        context.staged.change(self.active.series(&[&request.agent]), -1);
        let labels = [&*request.agent, &*request.operation];
        self.observe_duration(context, labels, request.start_ns, time, link, &mut outcome);
        self.finish_span(context, &request, error, time.into());
        Ok(outcome)
    }

    /// The answer to a start that was recorded before.
    pub(super) fn started_again(&self, context: &mut Context<'_>, start: &RequestStart) -> Result<Outcome, StoreError> {
        let (store, requests) = context.state.requests();
        let id = start.request_id.as_str();
        let span = match requests.find(id) {
            Some(open) => Some(open.span),
            None => requests.ended(store, id)?.first().map(|ended| ended.span),
        };
        let outcome = Outcome::new(Status::Recorded);
        Ok(match span {
            Some(span) => outcome.with_span(&span.context()),
            None => outcome,
        })
    }

    /// The answer to an end that was recorded before, whether it ended a request or not.
    pub(super) fn ended_again(
        &self,
        context: &mut Context<'_>,
        event: &Event,
        end: &RequestEnd,
    ) -> Result<Outcome, StoreError> {
        let (store, requests) = context.state.requests();
        let ended = requests.ended(store, end.request_id.as_str())?;
        let at = event.timestamp.map(nanos);
        // Without a time of its own it can only have been the last one.
        let same = ended.iter().find(|ended| ended.end_ns.is_some() && (at.is_none() || at == ended.end_ns));
        Ok(match same {
            Some(ended) => Outcome::new(Status::Recorded).with_span(&ended.span.context()),
            None => end_unknown(end, ended.first()),
        })
    }

    pub(super) fn time_out(&self, context: &mut Context<'_>) -> Result<(), StoreError> {
        for id in context.state.requests.timed_out(context.now_ms) {
            let (store, requests) = context.state.requests();
            let timeout = requests.timeout();
            let Some(request) = requests.end(store, &id, None)? else { continue };
            let link = self.tracing.link(&request.span.context(), Timestamp::now());
            self.count_end(context, &request.agent, &request.operation, Some(TIMEOUT), link);
            context.staged.change(self.active.series(&[&request.agent]), -1);
            let start = time_of(request.start_ns);
            self.finish_span(context, &request, Some(TIMEOUT), start.checked_add(timeout).unwrap_or(start));
        }
        Ok(())
    }

    /// Brings the active operations to what is open: the store knows better than a sum that may have been off meanwhile.
    pub(super) fn restore(&self, context: &mut Context<'_>) {
        for (agent, count) in context.state.requests.by_agent() {
            context.staged.change(self.active.series(&[agent]), i64::try_from(count).unwrap_or(i64::MAX));
        }
        for series in self.active.all_series().into_iter().chain(self.active.overflow()) {
            let before = series.base().up_down_counter(0);
            if before != 0 {
                context.staged.change(series, before.wrapping_neg());
            }
        }
    }

    fn count_end(
        &self,
        context: &mut Context<'_>,
        agent: &str,
        operation: &str,
        error: Option<&str>,
        link: Option<Link>,
    ) {
        let counted = match error {
            None => self.succeeded.series(&[agent, operation]),
            Some(error) => self.failed.series(&[agent, operation, error]),
        };
        context.staged.add(counted, 1, link);
    }

    /// Observes the time from start to end; a negative one is a clock that went wrong, and only warned of.
    fn observe_duration(
        &self,
        context: &mut Context<'_>,
        labels: [&str; 2],
        start_ns: i64,
        end: Timestamp,
        link: Option<Link>,
        outcome: &mut Outcome,
    ) {
        match u64::try_from(nanos(end) - start_ns) {
            Ok(took) => {
                let took = Seconds::from(Duration::from_nanos(took));
                context.staged.record(self.duration.series(&labels), took.get(), link);
            }
            Err(_) => outcome.warnings.push(Warning::ClockSkew),
        }
    }

    fn end_late(
        &self,
        context: &mut Context<'_>,
        end: &RequestEnd,
        late: &EndedRequest,
        time: Timestamp,
    ) -> Result<Outcome, Fault> {
        check_labels(end, &late.agent, &late.operation)?;
        let (store, requests) = context.state.requests();
        requests.end_late(store, late, nanos(time))?;
        let mut outcome = Outcome::new(Status::Recorded).with_span(&late.span.context());
        outcome.warnings.push(Warning::LateEnd);
        let link = self.tracing.link(&late.span.context(), time);
        self.observe_duration(context, [&late.agent, &late.operation], late.start_ns, time, link, &mut outcome);
        Ok(outcome)
    }

    fn span_of_start(&self, event: &Event, agent: &str, operation: &str) -> SpanIds {
        let parent = event.traceparent.as_ref().map(|parent| parent.span_context());
        let (span, parent) = match parent {
            Some(own) if event.span_owner == SpanOwner::Caller => (own, None),
            parent => {
                let name = span_name(agent, operation);
                let span = self.tracing.tracer.start(parent.as_ref(), &name, &SpanKind::Internal);
                (span, parent.map(|parent| parent.span_id()))
            }
        };
        SpanIds { trace_id: span.trace_id(), span_id: span.span_id(), parent, sampled: span.is_sampled() }
    }

    fn finish_span(&self, context: &mut Context<'_>, request: &Request, error: Option<&str>, end: SystemTime) {
        if !request.span.sampled || request.span_elsewhere {
            return;
        }
        let finished = FinishedSpan {
            name: span_name(&request.agent, &request.operation),
            kind: SpanKind::Internal,
            start: time_of(request.start_ns),
            end,
            status: error.map_or(SpanStatus::Unset, |error| SpanStatus::error(error.to_owned())),
            attributes: attributes(&request.agent, &request.operation, error, Some(&request.id)),
        };
        let data = self.tracing.tracer.finish(request.span.context(), request.span.parent, finished);
        context.staged.spans.push(data);
    }
}

/// The name of a request's span.
pub(crate) fn span_name(agent: &str, operation: &str) -> String {
    format!("{operation} {agent}")
}

/// The attributes of a request's span: the labels of its metrics, OpenTelemetry's name for the error type, and its id,
/// where it has one.
pub(crate) fn attributes(agent: &str, operation: &str, error: Option<&str>, id: Option<&str>) -> Vec<KeyValue> {
    let mut attributes =
        vec![KeyValue::new("agent", agent.to_owned()), KeyValue::new("operation", operation.to_owned())];
    for (key, value) in [("error_type", error), ("error.type", error), ("request_id", id)] {
        attributes.extend(value.map(|value| KeyValue::new(key, value.to_owned())));
    }
    attributes
}

/// The span of the same start, where it was recorded before.
fn started_before(
    context: &mut Context<'_>,
    start: &RequestStart,
    time: Timestamp,
) -> Result<Option<SpanIds>, StoreError> {
    let (store, requests) = context.state.requests();
    let id = start.request_id.as_str();
    let is_same = |agent: &str, operation: &str, start_ns: i64| {
        agent == start.agent.as_str() && operation == start.operation.as_str() && start_ns == nanos(time)
    };
    if let Some(open) = requests.find(id) {
        return Ok(is_same(&open.agent, &open.operation, open.start_ns).then_some(open.span));
    }
    let ended = requests.ended(store, id)?;
    let same = ended.iter().find(|ended| is_same(&ended.agent, &ended.operation, ended.start_ns));
    Ok(same.map(|ended| ended.span))
}

/// An end tells the agent and the operation of its start: another one's is another request's end.
fn check_labels(end: &RequestEnd, agent: &str, operation: &str) -> Result<(), Fault> {
    let (field, given, known) = if end.agent.as_str() != agent {
        ("agent", end.agent.as_str(), agent)
    } else if end.operation.as_str() != operation {
        ("operation", end.operation.as_str(), operation)
    } else {
        return Ok(());
    };
    let error = format!("request {} was started with the {field} {known:?}, not {given:?}", end.request_id);
    Err(refused(Reason::Conflict, field, error))
}

fn end_unknown(end: &RequestEnd, ended: Option<&EndedRequest>) -> Outcome {
    let id = &end.request_id;
    let error = match ended {
        Some(_) => format!("request {id} ended already"),
        None => format!("no open request {id}; send its request_start first"),
    };
    Outcome::new(Status::NotFound).with_error("request_id", error)
}

fn refused(reason: Reason, field: &'static str, error: String) -> Fault {
    Fault::Rejected(Rejection::of_field(reason, field, error))
}

fn time_of(nanos: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}
