//! The account of spans: each must arrive, and once, but for those that were under way when something was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

/// The spans that the collector got.
#[derive(Debug, Default)]
pub struct Arrived {
    /// By trace and span, the requests that brought it.
    spans: BTreeMap<(u128, u64), Vec<usize>>,
    /// When each request came.
    requests: Vec<Instant>,
}

impl Arrived {
    pub fn request(&mut self, at: Instant, request: &ExportTraceServiceRequest) {
        let number = self.requests.len();
        self.requests.push(at);
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        for span in scopes.flat_map(|scope| &scope.spans) {
            let trace = u128::from_be_bytes(span.trace_id[..].try_into().unwrap());
            let id = u64::from_be_bytes(span.span_id[..].try_into().unwrap());
            self.spans.entry((trace, id)).or_default().push(number);
        }
    }

    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// How many came more than once.
    pub fn repeated(&self) -> usize {
        self.spans.values().filter(|requests| requests.len() > 1).count()
    }

    /// What is wrong: one span for each of the traces that are expected, the span that the client was told, and none
    /// twice but for the last request before one of these moments, at which a process began anew.
    pub fn faults(&self, expected: &BTreeSet<u128>, told: &BTreeMap<u128, u64>, anew: &[Instant]) -> Vec<String> {
        let mut faults = Vec::new();
        let arrived: BTreeSet<u128> = self.spans.keys().map(|(trace, _)| *trace).collect();
        let missing: Vec<String> = expected.difference(&arrived).map(|trace| format!("{trace:x}")).collect();
        if !missing.is_empty() {
            let few = &missing[..missing.len().min(3)];
            faults.push(format!("{} of {} spans are missing, {few:?} among them", missing.len(), expected.len()));
        }
        for trace in arrived.difference(expected) {
            faults.push(format!("nobody knows of the span in trace {trace:x}"));
        }
        let mut traces = BTreeSet::new();
        for (trace, span) in self.spans.keys() {
            if !traces.insert(trace) {
                faults.push(format!("trace {trace:x} has two spans"));
            }
            if told.get(trace).is_some_and(|told| told != span) {
                faults.push(format!("the span of trace {trace:x} is {span:x}, and its client was told otherwise"));
            }
        }
        let last = |request: usize| {
            let next = self.requests.get(request + 1);
            anew.iter().any(|anew| self.requests[request] < *anew && next.is_none_or(|next| anew <= next))
        };
        for ((trace, _), requests) in self.spans.iter().filter(|(_, requests)| requests.len() > 1) {
            if !requests[..requests.len() - 1].iter().all(|request| last(*request)) {
                // How long after the start of its process each came.
                let after = |request: &usize| {
                    let start = anew.iter().filter(|anew| **anew <= self.requests[*request]).max();
                    start.map(|start| self.requests[*request] - *start)
                };
                let after: Vec<_> = requests.iter().map(after).collect();
                faults.push(format!(
                    "the span of trace {trace:x} came with the requests {requests:?}, {after:?} after starts: no kill is why"
                ));
            }
        }
        faults
    }
}
