//! Any sequence of valid events, of every type, gives the totals of a simple model; and no value is ever below zero.
//!
//! Buckets are left to the recorded workload, and repeated starts of one request to the hub's own model.

#![allow(clippy::unwrap_used)]

mod act;
mod crashes;
mod expected;
mod kills;
mod line;
#[path = "../support/load/mod.rs"]
mod load;
mod pushed;
mod run;
mod step;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use expected::Model;
use mcp_otel_bridge::event::{BodyForm, Status, parse_body};
use mcp_otel_bridge::{Bridge, Source};
use proptest::prelude::*;
use step::{Step, step};
use support::samples::Samples;

/// What the model says nothing of: the bridge and the machine, and times that handling took.
fn is_modelled(key: &str) -> bool {
    let handling = key.contains("event_type=\"session_start\"") || key.contains("event_type=\"session_end\"");
    let of_itself =
        ["bridge_", "target_info", "mcp_hub_app", "mcp_hub_cpu", "mcp_hub_mem", "mcp_hub_disk", "mcp_hub_up"];
    let unknown = of_itself.iter().any(|name| key.starts_with(name))
        || key.contains("_bucket{")
        || (handling && key.starts_with("mcp_event_emit_duration_seconds_sum"));
    !unknown
}

fn compare(samples: &Samples, expected: BTreeMap<String, f64>) -> Result<(), TestCaseError> {
    let found: BTreeMap<&String, f64> =
        samples.values.iter().filter(|(key, _)| is_modelled(key)).map(|(key, value)| (key, *value)).collect();
    for (key, value) in &expected {
        // Of quantiles and means the last bit is the division's.
        let near = found.get(key).is_some_and(|found| (found - value).abs() <= 1e-12 * value.abs());
        prop_assert!(near, "{key}: {:?} rather than {value}", found.get(key));
    }
    let more: Vec<_> = found.keys().filter(|key| !expected.contains_key(**key)).collect();
    prop_assert!(more.is_empty(), "nothing is known of {more:?}");
    Ok(())
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let bridge = Bridge::builder().build().unwrap();
    let mut model = Model::default();
    for (tick, step) in steps.iter().enumerate() {
        let Some(event) = model.take(*step, tick) else { continue };
        let body = parse_body(event.to_string().as_bytes(), BodyForm::Json).unwrap();
        let outcome = bridge.submit_blocking(Source::Library, body.events).unwrap().remove(0);
        prop_assert!(outcome.status != Status::Error, "{event}: {:?}", outcome.error);
        for (key, value) in Samples::of(&bridge).values {
            prop_assert!(value >= 0.0, "{key} is {value} after {event}");
        }
    }
    compare(&Samples::of(&bridge), model.samples())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_gives_the_totals_of_the_model(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps)?;
    }
}
