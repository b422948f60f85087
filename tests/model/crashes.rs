//! Batches that are taken, batches that cannot be kept, kills, stops and outages in any order: what is shown is what was
//! taken, a restart changes none of it, and the collector gets all of it, once but for what was in flight.

use proptest::prelude::*;

use crate::act::{act, plan};
use crate::run::Run;

/// How many cases are tried where PROPTEST_CASES does not say it.
const CASES: u32 = 40;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_what_was_taken_is_shown_and_arrives_and_nothing_else(
        plan in plan(),
        acts in prop::collection::vec(act(), 1..12),
    ) {
        let mut run = Run::new(plan);
        for act in &acts {
            run.act(act)?;
        }
        run.finish()?;
    }
}
