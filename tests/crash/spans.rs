//! The account of spans: each must arrive, and once, but for those that were under way when something was killed.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

/// The spans that the collector got.
#[derive(Debug, Default)]
pub struct Arrived {
    /// By trace and span, the requests that brought it.
    spans: BTreeMap<(u128, u64), Vec<usize>>,
    /// The connection that each request came over.
    requests: Vec<usize>,
}

impl Arrived {
    pub fn request(&mut self, connection: usize, request: &ExportTraceServiceRequest) {
        let number = self.requests.len();
        self.requests.push(connection);
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
    /// twice but where a request was cut off, of which there were so many.
    pub fn faults(&self, expected: &BTreeSet<u128>, told: &BTreeMap<u128, u64>, cuts: usize) -> Vec<String> {
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
        faults.extend(self.repeats(cuts));
        faults
    }

    /// What came twice and should not have.
    ///
    /// A bridge has one request in flight, and makes another connection only where that one had no answer: a process or
    /// the collector ended. So one of two requests with the same span is the last over its connection: mostly the earlier
    /// one, but a busy collector may look at what a killed process wrote when the next one has begun. And there are no
    /// more such requests than requests that were cut off.
    fn repeats(&self, cuts: usize) -> Vec<String> {
        let mut last = BTreeMap::new();
        for (number, over) in self.requests.iter().enumerate() {
            last.insert(over, number);
        }
        let is_last = |number: usize| last[&self.requests[number]] == number;
        let (mut faults, mut again) = (Vec::new(), BTreeSet::<usize>::new());
        for ((trace, _), requests) in self.spans.iter().filter(|(_, requests)| requests.len() > 1) {
            again.extend(&requests[1..]);
            if !requests.windows(2).all(|pair| is_last(pair[0]) || is_last(pair[1])) {
                let over: Vec<usize> = requests.iter().map(|number| self.requests[*number]).collect();
                faults.push(format!(
                    "the span of trace {trace:x} came with the requests {requests:?} over the connections {over:?}, none \
                     of which was cut off there"
                ));
            }
        }
        if again.len() > cuts {
            faults.push(format!("{} requests repeat spans, and only {cuts} may have been cut off", again.len()));
        }
        faults
    }
}

/// A request of these spans, whose traces have the same numbers.
#[cfg(test)]
fn request(spans: std::ops::Range<u64>) -> ExportTraceServiceRequest {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    let spans = spans.map(|number| Span {
        trace_id: u128::from(number).to_be_bytes().to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

/// The account itself tells what may happen from what may not.
#[test]
fn only_what_was_cut_off_may_come_again() {
    // Each request: the connection that it came over, and its spans.
    let repeats = |requests: &[(usize, std::ops::Range<u64>)], cuts| {
        let mut arrived = Arrived::default();
        requests.iter().for_each(|(over, spans)| arrived.request(*over, &request(spans.clone())));
        arrived.repeats(cuts).len()
    };
    assert_eq!(repeats(&[(1, 1..3), (1, 3..5), (2, 5..7)], 0), 0, "nothing came again");
    assert_eq!(repeats(&[(1, 1..3), (1, 3..5), (2, 3..7)], 1), 0, "the last over its connection");
    assert_eq!(repeats(&[(1, 1..3), (2, 3..7), (1, 3..5), (2, 7..9)], 1), 0, "the same, looked at late");
    assert_eq!(repeats(&[(1, 1..3), (1, 3..5), (2, 3..7)], 0), 1, "nothing was cut off");
    assert_eq!(repeats(&[(1, 1..2), (2, 1..2), (3, 1..2)], 1), 1, "more than was cut off");
    assert_eq!(repeats(&[(1, 1..2), (1, 1..2), (1, 2..3)], 9), 1, "over one connection");
    assert_eq!(repeats(&[(1, 1..2), (1, 2..3), (2, 1..2), (2, 3..4)], 9), 1, "over another, and both went on");
}
