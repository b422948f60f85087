//! LLM calls, each of which leaves a span for the collector.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::support::collector::Collector;
use crate::support::traced::hex;

/// So many calls from number `first` on, as one body.
pub fn calls(first: u32, count: u32) -> String {
    let call = |number: u32| {
        json!({"event_type": "llm_call", "provider": "p", "model": "m", "duration_seconds": 0.25,
            "event_id": format!("{number:08x}-0000-4000-8000-000000000000")})
    };
    Value::from_iter((first..first + count).map(call)).to_string()
}

/// The ids of the spans of calls that were taken.
pub fn spans(answer: &Answer) -> Vec<String> {
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(answer["accepted"], results.len(), "{answer}");
    results.iter().map(|one| one["traceparent"].as_str().unwrap().split('-').nth(2).unwrap().to_owned()).collect()
}

/// The ids of the spans that the collector took, in order.
pub fn arrived(collector: &Collector) -> Vec<String> {
    collector.seen(|seen| seen.all_spans().iter().map(|span| hex(&span.span_id)).collect())
}
