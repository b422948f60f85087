//! Sessions to send to a bridge, and what they must come to, worked out from the plan alone.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::bridge::Bridge;

/// A session to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The component.
    pub component: &'static str,
    /// The kind of shell.
    pub shell: &'static str,
    /// How long it takes.
    pub seconds: f64,
    /// How it ends; `None` where it goes on.
    pub end: Option<&'static str>,
}

/// A session that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What was planned.
    pub plan: Plan,
    /// The id that the bridge gave it.
    pub session_id: String,
    /// The trace of its span.
    pub trace_id: String,
    /// Its span.
    pub span_id: String,
    /// When it started, in nanoseconds since 1970.
    pub start_nanos: u64,
}

impl Sent {
    /// When it ended, in nanoseconds since 1970.
    pub fn end_nanos(&self) -> u64 {
        self.start_nanos + Duration::from_secs_f64(self.plan.seconds).as_nanos() as u64
    }
}

/// Sessions of one component that end so: their durations in seconds.
pub fn sessions(component: &'static str, shell: &'static str, end: &'static str, seconds: &[f64]) -> Vec<Plan> {
    seconds.iter().map(|&seconds| Plan { component, shell, seconds, end: Some(end) }).collect()
}

/// Sessions of one component that go on.
pub fn open_sessions(component: &'static str, shell: &'static str, count: usize) -> Vec<Plan> {
    vec![Plan { component, shell, seconds: 0.0, end: None }; count]
}

/// A `session_start`, complete, at that time in milliseconds since 1970.
pub fn start_event(component: &str, shell: &str, millis: u64) -> Value {
    json!({
        "event_type": "session_start",
        "event_version": "1.0",
        "event_id": uuid::Uuid::new_v4().to_string(),
        "component_name": component,
        "shell_type": shell,
        "timestamp": rfc3339(millis),
        "pid": 4711,
        "user": {"username": "user", "home": "/home/user"},
        "hostname": "host-1",
        "environment": {"python_version": "3.13.0", "platform": "Linux-6.5.0-x86_64", "cwd": "/home/user/work"},
    })
}

/// A `session_end` at that time in milliseconds since 1970.
pub fn end_event(session_id: &str, status: &str, millis: u64) -> Value {
    json!({
        "event_type": "session_end",
        "session_id": session_id,
        "status": status,
        "timestamp": rfc3339(millis),
    })
}

/// Sends the starts in one batch and the ends in another. All of them end now.
pub fn send(bridge: &Bridge, plans: &[Plan]) -> Vec<Sent> {
    let now = now_millis();
    let millis = |seconds: f64| (seconds * 1000.0).round() as u64;
    let starts: Vec<Value> =
        plans.iter().map(|plan| start_event(plan.component, plan.shell, now - millis(plan.seconds))).collect();
    let answer = bridge.send(&starts);
    assert_eq!(answer["accepted"], plans.len(), "{answer}");
    let sent: Vec<Sent> = plans
        .iter()
        .zip(answer["results"].as_array().unwrap())
        .map(|(plan, result)| {
            let parts: Vec<&str> = result["traceparent"].as_str().unwrap().split('-').collect();
            Sent {
                plan: *plan,
                session_id: result["session_id"].as_str().unwrap().to_owned(),
                trace_id: parts[1].to_owned(),
                span_id: parts[2].to_owned(),
                start_nanos: (now - millis(plan.seconds)) * 1_000_000,
            }
        })
        .collect();
    let ends: Vec<Value> =
        sent.iter().filter_map(|sent| Some(end_event(&sent.session_id, sent.plan.end?, now))).collect();
    let answer = bridge.send(&ends);
    assert_eq!(answer["accepted"], ends.len(), "{answer}");
    sent
}

/// What sessions come to.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// `session_start_total`, by component and shell type.
    pub starts: BTreeMap<(&'static str, &'static str), f64>,
    /// `session_end_total`, by component and status; both statuses of every component are there.
    pub ends: BTreeMap<(&'static str, &'static str), f64>,
    /// The durations of the sessions that ended, by component.
    pub durations: BTreeMap<&'static str, Vec<f64>>,
    /// `active_sessions`, by component.
    pub active: BTreeMap<&'static str, f64>,
}

impl Totals {
    /// What these come to.
    pub fn of(plans: &[Plan]) -> Self {
        let mut totals = Self::default();
        for plan in plans {
            *totals.starts.entry((plan.component, plan.shell)).or_default() += 1.0;
            for status in ["success", "error"] {
                let counts = f64::from(u8::from(plan.end == Some(status)));
                *totals.ends.entry((plan.component, status)).or_default() += counts;
            }
            *totals.active.entry(plan.component).or_default() += f64::from(u8::from(plan.end.is_none()));
            let durations = totals.durations.entry(plan.component).or_default();
            durations.extend(plan.end.map(|_| plan.seconds));
        }
        totals
    }

    /// How many sessions of a component took at most so long.
    pub fn at_most(&self, component: &str, bound: f64) -> f64 {
        self.durations[component].iter().filter(|seconds| **seconds <= bound).count() as f64
    }

    /// How long all ended sessions of a component took together.
    pub fn seconds(&self, component: &str) -> f64 {
        self.durations[component].iter().sum()
    }
}

/// The bounds of the buckets of `session_duration_seconds`, as the documentation has them.
pub const BOUNDS: [f64; 8] = [60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0];

/// Now, in milliseconds since 1970.
pub fn now_millis() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
}

fn rfc3339(millis: u64) -> String {
    jiff::Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap().to_string()
}
