//! The keys of skills and of the search for anomalies.

use std::time::Duration;

use super::own::LONGEST;
use crate::config::codec::{BOOL, COUNT, Codec, DURATION, NUMBER, Wrong, quote};
use crate::config::key::{Table, section, value};
use crate::config::model::{Anomalies, Skills};

const DAY: u64 = 86_400_000;
const MINUTE: u64 = 60_000;

pub(super) static SKILLS: Table<Skills> = Table::<Skills>::new(&[
    value!(
        "retention",
        DURATION.within(DAY, LONGEST),
        |s| s.retention,
        "How long invocations and anomalies are remembered."
    ),
    value!(
        "max_invocations",
        COUNT.within(1, 100_000_000),
        |s| s.max_invocations,
        "The most invocations that are kept one by one; the oldest go first, and totals do not need them."
    ),
    value!(
        "max_skills",
        COUNT.within(1, 100_000),
        |s| s.max_skills,
        "The most skills that are summarised and watched; further ones are only counted."
    ),
    value!(
        "refresh_interval",
        DURATION.within(1000, DAY),
        |s| s.refresh_interval,
        "How often completion rates are worked out anew."
    ),
    section!("anomalies", ANOMALIES, |s| s.anomalies, "The search for anomalies (docs/anomalies.md)."),
]);

static ANOMALIES: Table<Anomalies> = Table::<Anomalies>::new(&[
    value!("enabled", BOOL, |a| a.enabled, "Whether anomalies are searched for."),
    value!("interval", DURATION.within(1000, DAY), |a| a.interval, "From one search to the next."),
    value!("window", SLOTS.within(5 * MINUTE, 7 * DAY), |a| a.window, "The recent time that is judged."),
    value!(
        "baseline",
        DURATION.within(10 * MINUTE, 90 * DAY),
        |a| a.baseline,
        "The time before it that it is judged against, in whole windows; best one cycle of what repeats, or several."
    ),
    value!("threshold", THRESHOLD, |a| a.threshold, "How far from the usual an anomaly is, in standard deviations."),
    value!("min_samples", COUNT.within(1, 1_000_000), |a| a.min_samples, "The fewest invocations of a window."),
    value!("min_windows", COUNT.within(2, 10_000), |a| a.min_windows, "The fewest windows of a baseline."),
    value!(
        "cooldown",
        DURATION.within(1000, LONGEST),
        |a| a.cooldown,
        "An anomaly that was not found for so long is over: the next is a new one."
    ),
]);

/// A duration in the steps in which invocations are counted.
const SLOTS: Codec<Duration> = Codec {
    parse: |text| {
        let duration = (DURATION.parse)(text)?;
        if duration.as_millis().is_multiple_of(u128::from(5 * MINUTE)) {
            Ok(duration)
        } else {
            let problem = format!("{} is not a multiple of 5m", quote(text));
            Err(Wrong::value(problem, "such as 30m, 1h or 2h"))
        }
    },
    ..DURATION
};

const THRESHOLD: Codec<f64> = Codec {
    help: "a number above 0, up to 100, such as 2.0",
    parse: |text| {
        let number = (NUMBER.parse)(text)?;
        if number > 0.0 && number <= 100.0 { Ok(number) } else { Err(Wrong::Type) }
    },
    what: "a threshold",
    ..NUMBER
};
