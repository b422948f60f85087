//! A program that traces everything, at every level: the push does not trace its own work, which would never end.
//!
//! A test of its own, because the subscriber is that of the whole process, the thread of the push among it.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use support::collector::Collector;
use support::traced::builder;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The name of the test's own thread.
const TEST: &str = "the_spans_of_the_push_itself_are_not_pushed";

#[test]
fn the_spans_of_the_push_itself_are_not_pushed() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let tracer = bridge.tracer_provider().tracer("everything");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    // The collector is in this process only for the test: what it does is none of the program's.
    let of_the_program = dynamic_filter_fn(|_, _| {
        let thread = std::thread::current();
        thread.name().is_some_and(|name| name.starts_with("mcp-otel-") || name == TEST)
    });
    tracing_subscriber::registry().with(layer.with_filter(of_the_program)).init();

    drop(bridge.session("my-server", "MyShell"));
    // Each flush makes work for the push, and so would make spans for the next one.
    for _ in 0..5 {
        bridge.flush(Duration::from_secs(10)).unwrap();
    }
    bridge.shutdown(Duration::from_secs(10)).unwrap();
    let spans = collector.seen(|seen| seen.all_spans());
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["session my-server"]);
}
