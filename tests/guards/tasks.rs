//! Many tasks at once lose nothing, and an application's own registry shows what the bridge shows.

use std::collections::BTreeMap;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::event::{Event, LlmCall, McpEvent, Seconds};

use crate::recorded;
use crate::support::samples::Samples;

const TASKS: usize = 64;
const EACH: usize = 50;

fn emitted(component: &str) -> Event {
    Event::new(McpEvent {
        component_name: component.parse().unwrap(),
        emitted_type: "x".parse().unwrap(),
        duration_seconds: Seconds::new(0.25).unwrap(),
        error_type: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_recording_into_one_series_and_into_many_lose_nothing() {
    let bridge = Bridge::builder().build().unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let bridge = bridge.clone();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    bridge.record_async(emitted("shared")).await.unwrap();
                    bridge.record_async(emitted(&format!("own-{task}"))).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let samples = Samples::of(&bridge);
    let labels = |component: &str| format!("{{component_name=\"{component}\",event_type=\"x\"}}");
    let all = (TASKS * EACH) as f64;
    assert_eq!(samples.get(&format!("mcp_event_emit_success_total{}", labels("shared"))), all);
    assert_eq!(samples.get(&format!("mcp_event_emit_duration_seconds_sum{}", labels("shared"))), all / 4.0);
    for task in 0..TASKS {
        let labels = labels(&format!("own-{task}"));
        assert_eq!(samples.get(&format!("mcp_event_emit_success_total{labels}")), EACH as f64);
        assert_eq!(samples.get(&format!("mcp_event_emit_duration_seconds_count{labels}")), EACH as f64);
    }
    assert_eq!(samples.get("bridge_events_accepted_total{source=\"library\"}"), 2.0 * all);
    assert_eq!(samples.total("bridge_events_rejected_total"), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guards_of_many_tasks_lose_nothing_and_every_session_ends() {
    let bridge = Bridge::builder().build().unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let bridge = bridge.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let session = bridge.session(&format!("own-{}", task % 8), "S");
                    let mut call = session.llm_call("p", "m");
                    call.input_tokens(2);
                    tokio::task::yield_now().await;
                    bridge.time_event("shared", "x").finish();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all = (TASKS * 5) as f64;
    let samples = recorded(&bridge, 4.0 * all);
    assert_eq!(samples.total("session_start_total"), all);
    assert_eq!(samples.total("session_end_total"), all);
    assert_eq!(samples.total("session_duration_seconds_count"), all);
    assert_eq!(samples.get("active_sessions_total"), 0.0);
    assert_eq!(samples.total("mcp_hub_llm_api_calls_total"), all);
    assert_eq!(samples.total("gen_ai_client_token_usage_sum"), 2.0 * all);
    assert_eq!(samples.total("mcp_event_emit_success_total{component_name=\"shared\""), all);
    assert_eq!(samples.total("mcp_event_emit_failure_total"), 0.0);
    assert_eq!(samples.total("bridge_event_warnings_total"), 0.0);
}

/// The values of an application's registry: counters, gauges, and histograms by their counts and sums.
fn gathered(registry: &prometheus::Registry) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for family in registry.gather() {
        for metric in family.get_metric() {
            let labels: Vec<String> = metric
                .get_label()
                .iter()
                .filter(|label| !label.name().starts_with("otel_scope"))
                .map(|label| format!("{}={:?}", label.name(), label.value()))
                .collect();
            let mut put = |suffix: &str, value: f64| {
                let key = format!("{}{suffix}{{{}}}", family.name(), labels.join(","));
                values.insert(key, value);
            };
            match family.get_field_type() {
                prometheus::proto::MetricType::COUNTER => put("", metric.get_counter().get_value()),
                prometheus::proto::MetricType::GAUGE => put("", metric.get_gauge().get_value()),
                _ => {
                    put("_count", metric.get_histogram().get_sample_count() as f64);
                    put("_sum", metric.get_histogram().get_sample_sum());
                }
            }
        }
    }
    values
}

#[test]
fn an_applications_registry_shows_the_same_values() {
    let registry = prometheus::Registry::new();
    let bridge = Bridge::builder().with_registry(registry.clone()).build().unwrap();
    bridge.session_start("a-b", "S").unwrap();
    bridge.session_quality("a-b", 72.5).unwrap();
    bridge.mcp_event("a-b", "x", 0.375, Some("Timeout")).unwrap();
    bridge.llm_call_event(LlmCall::new("p".parse().unwrap(), "m".parse().unwrap())).unwrap();
    let theirs = gathered(&registry);
    let sorted = |key: &str| {
        let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
        let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect();
        labels.sort_unstable();
        format!("{name}{{{}}}", labels.join(","))
    };
    let theirs: BTreeMap<String, f64> = theirs.iter().map(|(key, value)| (sorted(key), *value)).collect();
    let ours = Samples::of(&bridge);
    let names = ["session_", "active_", "mcp_", "bridge_events"];
    let ours = ours.named(&names).into_iter().filter(|(key, _)| !key.contains("_bucket"));
    let mut compared = 0;
    for (key, value) in ours {
        assert_eq!(theirs.get(&sorted(&key)), Some(&value), "{key} in {theirs:#?}");
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
    // One registry cannot hold two bridges.
    assert!(Bridge::builder().with_registry(registry).build().is_err());
}
