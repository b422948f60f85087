//! The model of the push of spans: a line that spans join in order, and what the collector's own account says of it.

use std::collections::{BTreeSet, HashMap};

use mcp_otel_bridge::event::Outcome;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use tonic::Code;

use crate::act::TOO_LARGE;
use crate::support::collector::Got;

/// All spans that were ever filed.
#[derive(Debug, Default)]
pub struct Line {
    /// The place of each span in it.
    places: HashMap<[u8; 8], usize>,
    /// How many gave way, in the lives of the bridge that are over.
    pub dropped: usize,
    /// The requests of the lives that are over.
    pub earlier: usize,
    /// The requests, by their numbers, whose answers are known to the bridge, because nothing waited any more.
    known: BTreeSet<usize>,
}

/// What the requests that the collector got come to.
#[derive(Debug)]
pub struct Walk {
    /// For each span whether the collector took it or refused it for good.
    settled: Vec<bool>,
    /// How many of those only by the last request, whose answer the bridge may not know.
    uncertain: usize,
    /// How many of those may have given way to others, where there is no room for all, because the bridge did not know the
    /// answer and took them for waiting.
    pub doubtful: usize,
    /// What the bridge must have booked as taken and as rejected in this life.
    pub booked: (usize, usize),
}

/// A request, by the places of its spans.
#[derive(Debug, Clone)]
struct Request {
    places: Vec<usize>,
    over: usize,
    /// So many of it were taken and rejected, where it was answered for good.
    settles: Option<(usize, usize)>,
}

impl Line {
    /// The span of an event that was answered so joins.
    pub fn join(&mut self, answer: &Outcome) {
        let id = answer.traceparent.as_ref().unwrap().span_context().span_id().to_bytes();
        let place = self.places.len();
        assert_eq!(self.places.insert(id, place), None, "a span's id was given out twice");
    }

    /// Nothing waits any more after so many requests: the last one's answer has arrived.
    pub fn drained(&mut self, requests: usize) {
        self.known.extend(requests.checked_sub(1));
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    fn read(&self, got: &Got<ExportTraceServiceRequest>) -> Result<Request, TestCaseError> {
        let scopes = got.request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let mut places = Vec::new();
        for span in scopes.flat_map(|scope| &scope.spans) {
            let place = self.places.get(span.span_id.as_slice());
            prop_assert!(place.is_some(), "a span came that no acknowledged event has: {}", span.name);
            places.extend(place);
        }
        prop_assert!(!places.is_empty(), "a request without spans");
        prop_assert!(places.is_sorted_by(|one, other| one < other), "out of order in a request: {places:?}");
        let settles = match got.answer {
            Some(Ok(rejected)) => {
                let rejected = (rejected as usize).min(places.len());
                Some((places.len() - rejected, rejected))
            }
            Some(Err(Code::InvalidArgument)) => Some((0, places.len())),
            // There is no smaller part.
            Some(Err(TOO_LARGE)) if places.len() == 1 => Some((0, 1)),
            Some(Err(_)) | None => None,
        };
        Ok(Request { places, over: got.connection, settles })
    }

    /// Follows the requests in the order in which they came: each begins where the one before has left off, or repeats
    /// it where that was not answered, or its answer may be lost because the connection was.
    pub fn walk(&self, requests: &[Got<ExportTraceServiceRequest>], may_give_way: bool) -> Result<Walk, TestCaseError> {
        let mut walk = Walk { settled: vec![false; self.len()], uncertain: 0, doubtful: 0, booked: (0, 0) };
        let requests = requests.iter().map(|got| self.read(got)).collect::<Result<Vec<_>, _>>()?;
        for (number, request) in requests.iter().enumerate() {
            let next = requests.get(number + 1);
            let (first, last) = (request.places[0], request.places[request.places.len() - 1]);
            let repeated = next.is_some_and(|next| next.places[0] == first);
            let goes_on = next.is_none_or(|next| next.places[0] > last);
            let Some((taken, rejected)) = request.settles else {
                let in_order = next.is_none_or(|next| repeated || may_give_way && next.places[0] > first);
                prop_assert!(in_order, "{request:?} was not answered, and then came {next:?}");
                continue;
            };
            let known = self.known.contains(&number) || next.is_some_and(|next| next.over == request.over);
            // What comes again waited on, and only the answer to the next request may settle it.
            let again = next.filter(|_| !goes_on).map_or(usize::MAX, |next| next.places[0]);
            let in_order = goes_on || !known && (repeated || may_give_way && again > first);
            prop_assert!(in_order, "{request:?} was answered, and then came {next:?}");
            let mut new = 0;
            for place in request.places.iter().filter(|place| **place < again) {
                new += usize::from(!std::mem::replace(&mut walk.settled[*place], true));
            }
            if !known && may_give_way {
                walk.doubtful += new;
            }
            walk.uncertain = if next.is_none() && !known { new } else { 0 };
            if number >= self.earlier && goes_on {
                walk.booked.0 += taken;
                walk.booked.1 += rejected;
            }
        }
        Ok(walk)
    }

    /// How many may wait now, where so many gave way in all.
    pub fn may_wait(&self, walk: &Walk, dropped: usize) -> std::ops::RangeInclusive<usize> {
        let left = self.len().saturating_sub(dropped + walk.settled());
        left..=left + walk.uncertain.max(walk.doubtful)
    }
}

impl Walk {
    /// How many the collector took or refused for good.
    pub fn settled(&self) -> usize {
        self.settled.iter().filter(|settled| **settled).count()
    }
}
