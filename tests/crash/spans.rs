//! The account of spans: each must arrive, and once, but for those that were under way when something was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

/// The spans that the collector got.
#[derive(Debug, Default)]
pub struct Arrived {
    /// By trace and span, the requests that brought it.
    spans: BTreeMap<(u128, u64), Vec<usize>>,
    requests: Vec<Came>,
}

/// When a request came, and over the connection from where.
#[derive(Debug, Clone, Copy)]
pub struct Came {
    pub at: Instant,
    pub over: Option<SocketAddr>,
}

impl Arrived {
    pub fn request(&mut self, came: Came, request: &ExportTraceServiceRequest) {
        let number = self.requests.len();
        self.requests.push(came);
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
    /// twice but for the last request over a connection.
    ///
    /// A bridge has one request in flight, and makes another connection only where that one had no answer: a process or
    /// the collector ended, or it took too long. When a request came does not tell as much: a busy collector may look at
    /// what a killed process wrote when the next one has begun. The starts of the processes serve to tell of a fault.
    pub fn faults(&self, expected: &BTreeSet<u128>, told: &BTreeMap<u128, u64>, starts: &[Instant]) -> Vec<String> {
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
        // A port may be used again later, but not by what sends the same once more.
        let cut = |request: usize, again: usize| {
            let over = self.requests[request].over;
            self.requests[request + 1..=again].iter().all(|later| later.over != over)
        };
        for ((trace, _), requests) in self.spans.iter().filter(|(_, requests)| requests.len() > 1) {
            if !requests.windows(2).all(|pair| cut(pair[0], pair[1])) {
                // How long after the start of its process each came.
                let after = |request: &usize| {
                    let start = starts.iter().filter(|start| **start <= self.requests[*request].at).max();
                    start.map(|start| self.requests[*request].at - *start)
                };
                let after: Vec<_> = requests.iter().map(after).collect();
                faults.push(format!(
                    "the span of trace {trace:x} came with the requests {requests:?}, {after:?} after starts, over one connection: nothing was cut that is why"
                ));
            }
        }
        faults
    }
}
