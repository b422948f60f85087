//! Any sequence of starts, ends and whole requests gives the totals of a simple model, and no negative gauge.

use std::collections::{BTreeMap, BTreeSet};

use mcp_otel_bridge::Bridge;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::events::send;
use crate::support::samples::Samples;

#[derive(Debug, Clone)]
enum Step {
    Start { id: u8, agent: u8, second: u8 },
    End { id: u8, agent: u8, second: u8, failed: bool },
    Whole { agent: u8, failed: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4u8, 0..2u8, 0..60u8).prop_map(|(id, agent, second)| Step::Start { id, agent, second }),
        4 => (0..4u8, 0..2u8, 0..60u8, any::<bool>())
            .prop_map(|(id, agent, second, failed)| Step::End { id, agent, second, failed }),
        1 => (0..2u8, any::<bool>()).prop_map(|(agent, failed)| Step::Whole { agent, failed }),
    ]
}

fn time(second: u8) -> String {
    format!("2026-02-06T12:00:{second:02}Z")
}

impl Step {
    fn event(&self) -> Value {
        let mut event = match self {
            Self::Start { id, agent, second } => json!({
                "event_type": "request_start", "request_id": format!("r{id}"), "agent": format!("a{agent}"),
                "operation": "o", "timestamp": time(*second),
            }),
            Self::End { id, agent, second, .. } => json!({
                "event_type": "request_end", "request_id": format!("r{id}"), "agent": format!("a{agent}"),
                "operation": "o", "timestamp": time(*second),
            }),
            Self::Whole { agent, .. } => json!({
                "event_type": "request", "agent": format!("a{agent}"), "operation": "o", "duration_seconds": 1,
            }),
        };
        if let Self::End { failed: true, .. } | Self::Whole { failed: true, .. } = self {
            event["error_type"] = "e".into();
        }
        event
    }
}

#[derive(Debug, Default)]
struct Model {
    /// The agent and the second of each open request.
    open: BTreeMap<u8, (u8, u8)>,
    /// Id, agent, and seconds of start and end of those that ended.
    ended: BTreeSet<(u8, u8, u8, u8)>,
    /// By agent: started, succeeded, failed, the number and the sum of durations.
    totals: BTreeMap<u8, [u64; 5]>,
}

impl Model {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Start { id, agent, second } => {
                let repeated = self.ended.iter().any(|known| (known.0, known.1, known.2) == (id, agent, second));
                if !self.open.contains_key(&id) && !repeated {
                    self.open.insert(id, (agent, second));
                    self.totals.entry(agent).or_default()[0] += 1;
                }
            }
            Step::End { id, agent, second, failed } => {
                let Some(&(by, since)) = self.open.get(&id) else { return };
                let repeated = self.ended.iter().any(|known| (known.0, known.3) == (id, second));
                if by != agent || second < since && repeated {
                    return;
                }
                self.open.remove(&id);
                self.ended.insert((id, agent, since, second));
                let totals = self.totals.entry(agent).or_default();
                totals[if failed { 2 } else { 1 }] += 1;
                if second >= since {
                    totals[3] += 1;
                    totals[4] += u64::from(second - since);
                }
            }
            Step::Whole { agent, failed } => {
                let totals = self.totals.entry(agent).or_default();
                totals[0] += 1;
                totals[if failed { 2 } else { 1 }] += 1;
                totals[3] += 1;
                totals[4] += 1;
            }
        }
    }

    fn check(&self, samples: &Samples) {
        for (agent, totals) in &self.totals {
            let labels = format!("{{agent=\"a{agent}\",operation=\"o\"}}");
            let keys = [
                format!("mcp_hub_requests_total{labels}"),
                format!("mcp_hub_requests_success_total{labels}"),
                format!("mcp_hub_requests_failed_total{{agent=\"a{agent}\",operation=\"o\",error_type=\"e\"}}"),
                format!("mcp_hub_request_duration_seconds_count{labels}"),
                format!("mcp_hub_request_duration_seconds_sum{labels}"),
            ];
            for (key, expected) in keys.iter().zip(totals) {
                assert_eq!(samples.find(key).unwrap_or(0.0), *expected as f64, "{key}");
            }
        }
        for agent in 0..2 {
            let open = self.open.values().filter(|(by, _)| *by == agent).count();
            let active = samples.find(&format!("mcp_hub_active_operations{{agent=\"a{agent}\"}}")).unwrap_or(0.0);
            assert_eq!(active, open as f64, "the active operations of a{agent}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_gives_the_totals_of_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let bridge = Bridge::builder().build().unwrap();
        let mut model = Model::default();
        for step in &steps {
            send(&bridge, step.event());
            model.take(step);
            let samples = Samples::of(&bridge);
            for (key, value) in samples.named(&["mcp_hub_active_operations"]) {
                prop_assert!(value >= 0.0, "{key} is {value} after {step:?}");
            }
        }
        model.check(&Samples::of(&bridge));
    }
}
