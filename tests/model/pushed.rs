//! The metrics that the collector took: the last totals, or all changes added up, are what the bridge shows.

use std::collections::BTreeMap;

use mcp_otel_bridge::config::Temporality;
use mcp_otel_bridge::telemetry::push::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use proptest::prelude::*;
use tonic::Code;

use crate::load::watch::{Shown, Watch, starts_anew};
use crate::support::collector::Got;

pub const SIGNALS: [Signal; 2] = [Signal::Metrics, Signal::Spans];

/// Holds what came against what is shown in the end, when all was taken.
pub fn check(
    came: &[Got<ExportMetricsServiceRequest>],
    temporality: Temporality,
    scrape: &str,
    refused: bool,
) -> Result<(), TestCaseError> {
    let shown = Shown::of_text(scrape);
    let taken = came.iter().filter(|got| got.taken);
    let pushed = match temporality {
        Temporality::Cumulative => {
            let mut watch = Watch::new("push");
            taken.for_each(|got| watch.look(Shown::of_push(&got.request)));
            // What a refused batch left at 0 is gone after a restart.
            let faults: Vec<_> = watch.faults.iter().filter(|fault| !(refused && fault.contains("is gone"))).collect();
            prop_assert!(faults.is_empty(), "{faults:#?}");
            watch.last().rising.clone()
        }
        // Nobody knows which changes the collector did not want.
        Temporality::Delta if came.iter().any(|got| refuses(got.answer)) => return Ok(()),
        Temporality::Delta => {
            let mut sums: BTreeMap<String, f64> = BTreeMap::new();
            let mut last = None;
            // What was in flight when the bridge was killed comes again, just so.
            for got in taken.filter(|got| last.replace(&got.request) != Some(&got.request)) {
                for (key, change) in Shown::of_push(&got.request).rising {
                    *sums.entry(key).or_default() += change;
                }
            }
            sums
        }
    };
    for (key, value) in shown.rising.iter().filter(|(key, _)| !starts_anew(key)) {
        let pushed = pushed.get(key).copied().unwrap_or(0.0);
        prop_assert_eq!(pushed, *value, "{}", key);
    }
    let more =
        pushed.iter().find(|(key, value)| **value != 0.0 && !starts_anew(key) && !shown.rising.contains_key(*key));
    prop_assert!(more.is_none(), "{more:?} was pushed and is not shown");
    Ok(())
}

/// Whether the collector refused some of it for good.
fn refuses(answer: Option<Result<u64, Code>>) -> bool {
    matches!(answer, Some(Ok(1..) | Err(Code::InvalidArgument)))
}
