//! The guard of a request: its verdicts, what becomes of it without one, and its span.

use mcp_otel_bridge::Bridge;
use opentelemetry::trace::TracerProvider as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{ACTIVE, COUNT, REQUESTS, SUCCESS, failed};
use crate::support::collector::Collector;
use crate::support::events::until;
use crate::support::samples::Samples;
use crate::support::traced::{attributes, builder, hex, spans};

fn bridge() -> Bridge {
    Bridge::builder().build().unwrap()
}

fn ended(bridge: &Bridge, requests: f64) -> Samples {
    until("the requests have ended", || Samples::of(bridge).find(COUNT) == Some(requests));
    Samples::of(bridge)
}

#[test]
fn a_guard_opens_a_request_and_its_verdict_ends_it() {
    let bridge = bridge();
    let request = bridge.request("planner", "plan");
    until("the request is open", || Samples::of(&bridge).find(ACTIVE) == Some(1.0));
    request.succeed();
    bridge.request("planner", "plan").fail("refused");
    let samples = ended(&bridge, 2.0);
    assert_eq!((samples.get(REQUESTS), samples.get(ACTIVE)), (2.0, 0.0));
    assert_eq!((samples.get(SUCCESS), samples.get(&failed("refused"))), (1.0, 1.0));
}

#[test]
fn a_guard_without_a_verdict_is_cancelled() {
    let bridge = bridge();
    drop(bridge.request("planner", "plan"));
    let samples = ended(&bridge, 1.0);
    assert_eq!((samples.get(&failed("cancelled")), samples.find(SUCCESS), samples.get(ACTIVE)), (1.0, None, 0.0));
}

#[test]
fn a_panic_fails_the_request() {
    let bridge = bridge();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _request = bridge.request("planner", "plan");
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(ended(&bridge, 1.0).get(&failed("panic")), 1.0);
}

#[tokio::test]
async fn a_future_that_is_dropped_cancels_its_request() {
    let bridge = bridge();
    let handled = async {
        let request = bridge.request("planner", "plan");
        std::future::pending::<()>().await;
        request.succeed();
    };
    assert!(tokio::time::timeout(std::time::Duration::from_millis(10), handled).await.is_err());
    let samples = tokio::task::spawn_blocking(move || ended(&bridge, 1.0)).await.unwrap();
    assert_eq!(samples.get(&failed("cancelled")), 1.0);
}

#[test]
fn names_that_cannot_be_labels_are_changed_not_lost() {
    let bridge = bridge();
    bridge.request("two\nlines", "").succeed();
    let key = "mcp_hub_requests_success_total{agent=\"two_lines\",operation=\"_\"}";
    until("the request has ended", || Samples::of(&bridge).find(key) == Some(1.0));
}

#[test]
fn a_whole_request_can_be_told_too() {
    let bridge = bridge();
    bridge.request_event("planner", "plan", 0.25, None).unwrap();
    bridge.request_event("planner", "plan", 0.25, Some("refused")).unwrap();
    let samples = Samples::of(&bridge);
    assert_eq!((samples.get(REQUESTS), samples.get(SUCCESS), samples.get(&failed("refused"))), (2.0, 1.0, 1.0));
}

#[test]
fn without_a_layer_the_bridge_makes_the_span() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    bridge.request("planner", "plan").fail("refused");
    let samples = ended(&bridge, 1.0);
    let spans = spans(&bridge, &collector);
    let span = spans.one("plan planner");
    assert_eq!(attributes(span)["error_type"], "\"refused\"");
    let exemplars = samples.exemplars_of("mcp_hub_request_duration_seconds");
    assert_eq!(exemplars[0].span_id, hex(&span.span_id));
}

#[test]
fn with_a_layer_the_guard_s_own_span_is_the_one() {
    let collector = Collector::start();
    let bridge = builder(&collector).build().unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(bridge.tracer_provider().tracer("test"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let request = bridge.request("planner", "plan");
        request.span().in_scope(|| tracing::info_span!("inside")).in_scope(|| ());
        request.fail("refused");
    });
    let samples = ended(&bridge, 1.0);
    let spans = spans(&bridge, &collector);
    let span = spans.one("plan planner");
    let attributes = attributes_of_layer(span);
    assert_eq!(attributes("agent"), Some("planner".to_owned()));
    assert_eq!(attributes("error_type"), Some("refused".to_owned()));
    assert_eq!(spans.one("inside").parent_span_id, span.span_id);
    let exemplars = samples.exemplars_of("mcp_hub_request_duration_seconds");
    assert_eq!(exemplars[0].span_id, hex(&span.span_id));
}

/// The layer adds attributes of its own, of other types than the bridge's.
fn attributes_of_layer(span: &opentelemetry_proto::tonic::trace::v1::Span) -> impl Fn(&str) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    move |key| {
        let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()?;
        match value {
            Value::StringValue(text) => Some(text.clone()),
            _ => None,
        }
    }
}
