//! What events must come to: counts, buckets and sums in whole numbers, from the words of the documentation alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The parts of a second that durations are rounded down to.
const PARTS: u64 = 1 << 20;
/// The calls that a breaker's quantiles are of.
const WINDOW: usize = 1000;

pub const EMIT: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
pub const SESSION: &[f64] = &[60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0];
pub const SKILL: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];
pub const REQUEST: &[f64] = &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
pub const CALL: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
pub const GEN_AI: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
pub const TOKENS: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];
pub const MCP: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
pub const MCP_SESSION: &[f64] = &[
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0, 28800.0,
    86400.0,
];

/// The name of a sample: its labels sorted, so that it is the same from whatever it was read. Empty labels are absent.
pub fn key(name: &str, labels: &[(&str, &str)]) -> String {
    let mut labels: Vec<_> = labels.iter().filter(|(_, value)| !value.is_empty()).collect();
    labels.sort_unstable();
    let inside: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    if inside.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", inside.join(",")) }
}

/// A length in whole parts of a second, rounded down.
pub fn parts(length: u64, a_second: u64) -> u64 {
    u64::try_from(u128::from(length) * u128::from(PARTS) / u128::from(a_second)).unwrap()
}

/// A number that is observed as it is: tokens.
pub fn whole(number: u64) -> u64 {
    number * PARTS
}

/// A histogram's name and labels.
type Series = (&'static str, Vec<(&'static str, String)>);

#[derive(Debug, Clone)]
struct Histogram {
    bounds: &'static [f64],
    buckets: Vec<u64>,
    count: u64,
    parts: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Breaker {
    calls: u64,
    failed: u64,
    window: VecDeque<u64>,
    pub state: &'static str,
    /// When it opened, in milliseconds.
    pub opened: Option<i64>,
}

/// The account of one sender's events, or of several added up.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    counts: BTreeMap<String, i64>,
    levels: BTreeMap<String, f64>,
    histograms: BTreeMap<Series, Histogram>,
    breakers: BTreeMap<String, Breaker>,
    /// Completed and all invocations of a skill.
    skills: BTreeMap<String, (u64, u64)>,
    /// The last report of each host.
    hosts: BTreeMap<String, u64>,
    /// The traces of the spans that must arrive; each has one.
    pub spans: BTreeSet<u128>,
}

impl Ledger {
    pub fn count(&mut self, name: &str, labels: &[(&str, &str)], by: i64) {
        *self.counts.entry(key(name, labels)).or_default() += by;
    }

    pub fn set(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.levels.insert(key(name, labels), value);
    }

    pub fn observe(&mut self, name: &'static str, bounds: &'static [f64], labels: &[(&'static str, &str)], parts: u64) {
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        let empty = || Histogram { bounds, buckets: vec![0; bounds.len()], count: 0, parts: 0 };
        let histogram = self.histograms.entry((name, labels)).or_insert_with(empty);
        let value = parts as f64 / PARTS as f64;
        for (bucket, bound) in histogram.buckets.iter_mut().zip(bounds) {
            *bucket += u64::from(value <= *bound);
        }
        histogram.count += 1;
        histogram.parts += parts;
    }

    /// Something was observed that only the bridge knows: how long handling took.
    pub fn observe_unknown(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.count(&format!("{name}_count"), labels, 1);
        self.count(&format!("{name}_bucket"), &[labels, &[("le", "+Inf")]].concat(), 1);
    }

    pub fn breaker(&mut self, component: &str) -> &mut Breaker {
        let fresh = || Breaker { state: "closed", ..Breaker::default() };
        self.breakers.entry(component.to_owned()).or_insert_with(fresh)
    }

    pub fn call(&mut self, component: &str, parts: u64, success: bool) {
        self.observe("circuit_breaker_call_duration_seconds", CALL, &[("component", component)], parts);
        let breaker = self.breaker(component);
        breaker.calls += 1;
        breaker.failed += u64::from(!success);
        breaker.window.push_back(parts);
        if breaker.window.len() > WINDOW {
            breaker.window.pop_front();
        }
    }

    pub fn invoked(&mut self, skill: &str, completed: bool) {
        let (done, all) = self.skills.entry(skill.to_owned()).or_default();
        *done += u64::from(completed);
        *all += 1;
    }

    pub fn host(&mut self, host: &str, sessions: u64) {
        self.hosts.insert(host.to_owned(), sessions);
    }

    /// Adds the account of another sender, which has series of its own or counts into the same.
    pub fn add(&mut self, other: Self) {
        for (key, by) in other.counts {
            *self.counts.entry(key).or_default() += by;
        }
        for (key, theirs) in other.histograms {
            let Some(ours) = self.histograms.get_mut(&key) else {
                self.histograms.insert(key, theirs);
                continue;
            };
            ours.buckets.iter_mut().zip(&theirs.buckets).for_each(|(ours, theirs)| *ours += theirs);
            ours.count += theirs.count;
            ours.parts += theirs.parts;
        }
        self.levels.extend(other.levels);
        self.breakers.extend(other.breakers);
        self.skills.extend(other.skills);
        self.hosts.extend(other.hosts);
        self.spans.extend(other.spans);
    }

    /// Every sample that must be shown.
    pub fn samples(&self) -> BTreeMap<String, f64> {
        let mut shown: BTreeMap<String, f64> = self.levels.clone();
        shown.extend(self.counts.iter().map(|(key, count)| (key.clone(), *count as f64)));
        for ((name, labels), histogram) in &self.histograms {
            let labels: Vec<(&str, &str)> = labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
            let mut show = |suffix: &str, le: Option<&str>, value: f64| {
                let labels = [&labels[..], le.map(|le| ("le", le)).as_slice()].concat();
                shown.insert(key(&format!("{name}_{suffix}"), &labels), value);
            };
            for (bound, count) in histogram.bounds.iter().zip(&histogram.buckets) {
                show("bucket", Some(&format!("{bound:?}")), *count as f64);
            }
            show("bucket", Some("+Inf"), histogram.count as f64);
            show("count", None, histogram.count as f64);
            show("sum", None, histogram.parts as f64 / PARTS as f64);
        }
        for (component, breaker) in &self.breakers {
            show_breaker(&mut shown, component, breaker);
        }
        for (skill, (completed, all)) in &self.skills {
            shown.insert(key("skill_completion_rate", &[("skill_name", skill)]), *completed as f64 / *all as f64);
        }
        let active = shown.iter().filter(|(key, _)| key.starts_with("active_sessions{")).map(|(_, count)| count);
        let active = active.sum::<f64>() + self.hosts.values().sum::<u64>() as f64;
        shown.insert("active_sessions_total".to_owned(), active);
        shown
    }
}

fn show_breaker(shown: &mut BTreeMap<String, f64>, component: &str, breaker: &Breaker) {
    let mut show = |name: &str, label: Option<(&str, &str)>, value: f64| {
        let labels = [&[("component", component)], label.as_slice()].concat();
        shown.insert(key(&format!("circuit_breaker_{name}"), &labels), value);
    };
    show("calls_total", None, breaker.calls as f64);
    show("calls_success", None, (breaker.calls - breaker.failed) as f64);
    show("calls_failed", None, breaker.failed as f64);
    show("failure_rate", None, breaker.failed as f64 / breaker.calls.max(1) as f64 * 100.0);
    for state in ["closed", "open", "half_open"] {
        show("state", Some(("state", state)), f64::from(u8::from(state == breaker.state)));
    }
    let mut sorted: Vec<u64> = breaker.window.iter().copied().collect();
    sorted.sort_unstable();
    let Some(last) = sorted.len().checked_sub(1) else { return };
    let second = |parts: u64| parts as f64 / PARTS as f64;
    for (quantile, percent) in [("0.5", 50), ("0.95", 95), ("0.99", 99)] {
        let (at, part) = (percent * last / 100, (percent * last % 100) as u64);
        let between = sorted[at] * (100 - part) + sorted[(at + 1).min(last)] * part;
        show("latency_seconds", Some(("quantile", quantile)), second(between) / 100.0);
    }
    show("latency_seconds_avg", None, second(sorted.iter().sum()) / sorted.len() as f64);
}
