//! A bridge that can be killed and started again over the same directory, and the calls that were sent to it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collector::Collector;
use crate::peers::bridge::{Bridge, Options};
pub(crate) use crate::peers::until;

/// A collector, and a directory that bridges take turns in.
pub(crate) struct Yard {
    pub(crate) collector: Collector,
    pub(crate) bridge: Option<Bridge>,
    variables: Vec<(&'static str, &'static str)>,
    dir: TempDir,
}

impl Yard {
    /// With a collector that is away, and a bridge.
    pub(crate) fn in_an_outage(variables: &[(&'static str, &'static str)]) -> Self {
        let mut yard = Self::new(variables);
        yard.collector.kill();
        yard.start();
        yard
    }

    /// With a collector that is there, and no bridge yet.
    pub(crate) fn new(variables: &[(&'static str, &'static str)]) -> Self {
        let (collector, dir) = (Collector::start(), tempfile::tempdir().unwrap());
        Self { collector, bridge: None, variables: variables.to_vec(), dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn start(&mut self) {
        let options = Bridge::options().push_to_url(&self.collector.endpoint()).data_dir(self.dir.path());
        let with = |options: Options, (name, value): &(&str, &str)| options.variable(name, value);
        self.bridge = Some(self.variables.iter().fold(options, with).start());
    }

    pub(crate) fn bridge(&self) -> &Bridge {
        self.bridge.as_ref().unwrap()
    }

    /// Kills the bridge at once and starts another.
    pub(crate) fn kill_and_start(&mut self) {
        self.kill();
        self.start();
    }

    pub(crate) fn kill(&mut self) {
        self.bridge.take().unwrap().process.kill();
    }

    /// Sends so many calls, acknowledged; gives the ids of their spans.
    pub(crate) fn call(&self, calls: usize) -> Vec<String> {
        let events: Vec<Value> = (0..calls).map(|_| call()).collect();
        let mut ids = Vec::with_capacity(calls);
        for events in events.chunks(500) {
            let answer = self.bridge().send(events);
            let results = answer["results"].as_array().unwrap();
            ids.extend(
                results.iter().map(|one| one["traceparent"].as_str().unwrap().split('-').nth(2).unwrap().to_owned()),
            );
        }
        ids
    }

    /// The ids of the spans that the collector took, in order.
    pub(crate) fn taken(&self) -> Vec<String> {
        let spans = self.collector.seen(|seen| seen.all_spans());
        spans.iter().map(|span| span.span_id.iter().map(|byte| format!("{byte:02x}")).collect()).collect()
    }

    pub(crate) fn book(&self) -> Book {
        Book::of(&self.bridge().samples())
    }

    /// Waits until nothing waits, and looks into the book once more.
    pub(crate) fn drained(&self) -> Book {
        until("the outbox of spans to be empty", || {
            let book = self.book();
            (book.waiting("spans") == 0.0).then_some(book)
        })
    }
}

/// Whatever a test was about, the books are balanced in the end.
impl Drop for Yard {
    fn drop(&mut self) {
        if let (Some(bridge), false) = (&self.bridge, std::thread::panicking()) {
            bridge.samples();
        }
    }
}

fn call() -> Value {
    json!({
        "event_type": "llm_call", "provider": "p", "model": "m", "duration_seconds": 0.25, "input_tokens": 3,
        "event_id": uuid::Uuid::new_v4().to_string(),
    })
}

/// What one scrape tells of the push.
#[derive(Debug)]
pub(crate) struct Book(BTreeMap<String, f64>);

impl Book {
    fn of(samples: &BTreeMap<String, f64>) -> Self {
        let of_push = |name: &str| name.starts_with("bridge_push_") || name.starts_with("bridge_outbox_");
        Self(samples.iter().filter(|(name, _)| of_push(name)).map(|(n, v)| (n.clone(), *v)).collect())
    }

    pub(crate) fn items(&self, signal: &str, outcome: &str) -> f64 {
        self.get(&format!("bridge_push_items_total{{signal=\"{signal}\",outcome=\"{outcome}\"}}"))
    }

    pub(crate) fn requests(&self, signal: &str, outcome: &str) -> f64 {
        self.get(&format!("bridge_push_requests_total{{signal=\"{signal}\",outcome=\"{outcome}\"}}"))
    }

    pub(crate) fn waiting(&self, signal: &str) -> f64 {
        self.get(&format!("bridge_outbox_items{{signal=\"{signal}\"}}"))
    }

    pub(crate) fn bytes(&self, signal: &str) -> f64 {
        self.get(&format!("bridge_outbox_size_bytes{{signal=\"{signal}\"}}"))
    }

    fn get(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or(0.0)
    }
}
