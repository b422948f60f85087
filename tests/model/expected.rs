//! The model: what each event is, and what it comes to, a few lines for each type.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::step::{Kind, Step};

const STATES: [&str; 3] = ["closed", "open", "half_open"];

#[derive(Debug, Clone)]
struct Session {
    id: String,
    component: String,
    start: usize,
    /// When it ended.
    end: Option<usize>,
}

#[derive(Debug, Clone, Default)]
struct Breaker {
    latencies: Vec<f64>,
    failed: usize,
    state: usize,
    opened: Option<usize>,
}

/// All that was taken so far.
#[derive(Debug, Clone, Default)]
pub struct Model {
    totals: BTreeMap<String, f64>,
    sessions: Vec<Session>,
    hosts: BTreeMap<Option<usize>, usize>,
    /// Agent and operation, the start, and whether it goes on.
    requests: Vec<(String, String, usize, bool)>,
    breakers: BTreeMap<String, Breaker>,
    last: Option<Value>,
    /// The ids of the last events that are told of by a span each, in their order.
    spans: Vec<String>,
    /// The event at hand is.
    has_span: bool,
}

/// The moment so many seconds after the first one.
fn time(second: usize) -> String {
    format!("2026-02-06T{:02}:{:02}:{:02}Z", 12 + second / 3600, second / 60 % 60, second % 60)
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A length in seconds that a double holds exactly.
fn length(number: usize) -> f64 {
    number as f64 / 4.0
}

impl Model {
    fn add(&mut self, name: &str, pairs: &[(&str, &str)], value: f64) {
        let key = if pairs.is_empty() { name.to_owned() } else { name.to_owned() + &labels(pairs) };
        *self.totals.entry(key).or_default() += value;
    }

    fn set(&mut self, name: &str, pairs: &[(&str, &str)], value: f64) {
        self.totals.insert(name.to_owned() + &labels(pairs), value);
    }

    fn observe(&mut self, name: &str, pairs: &[(&str, &str)], value: f64) {
        self.add(&format!("{name}_count"), pairs, 1.0);
        self.add(&format!("{name}_sum"), pairs, value);
    }

    fn emitted(&mut self, component: &str, event_type: &str, error: Option<&str>, took: Option<f64>) {
        let pairs = [("component_name", component), ("event_type", event_type)];
        match error {
            None => self.add("mcp_event_emit_success_total", &pairs, 1.0),
            Some(error) => {
                let pairs = [pairs[0], pairs[1], ("error_type", error)];
                self.add("mcp_event_emit_failure_total", &pairs, 1.0);
            }
        }
        match took {
            Some(took) => self.observe("mcp_event_emit_duration_seconds", &pairs, took),
            None => self.add("mcp_event_emit_duration_seconds_count", &pairs, 1.0),
        }
    }

    fn request_ends(&mut self, agent: &str, operation: &str, failed: bool, took: Option<f64>) {
        let pairs = [("agent", agent), ("operation", operation)];
        if failed {
            self.add("mcp_hub_requests_failed_total", &[pairs[0], pairs[1], ("error_type", "e")], 1.0);
        } else {
            self.add("mcp_hub_requests_success_total", &pairs, 1.0);
        }
        if let Some(took) = took {
            self.observe("mcp_hub_request_duration_seconds", &pairs, took);
        }
    }

    /// The event of a step, once the model has taken it; `None` where there is nothing yet that it could be about.
    pub fn take(&mut self, step: Step, tick: usize) -> Option<Value> {
        if matches!(step.kind, Kind::Again) {
            return self.last.clone();
        }
        self.has_span = false;
        let mut event = self.take_new(step, tick)?;
        let id = format!("{tick:08x}-0000-4000-8000-000000000000");
        if self.has_span {
            self.spans.push(id.clone());
        }
        event["event_id"] = id.into();
        if event.get("timestamp").is_none() {
            event["timestamp"] = time(tick).into();
        }
        self.last = Some(event.clone());
        Some(event)
    }

    /// The ids of the events that are told of by spans, since the last time.
    pub fn take_spans(&mut self) -> Vec<String> {
        std::mem::take(&mut self.spans)
    }

    fn take_new(&mut self, step: Step, tick: usize) -> Option<Value> {
        let Step { name, other, number, flag, .. } = step;
        let (named, other_named) = (format!("n{name}"), format!("o{other}"));
        let (error, failed) = (flag.then_some("e"), flag);
        Some(match step.kind {
            Kind::SessionStart => {
                self.add("session_start_total", &[("component_name", &named), ("shell_type", &other_named)], 1.0);
                for status in ["success", "error"] {
                    self.add("session_end_total", &[("component_name", &named), ("status", status)], 0.0);
                }
                self.emitted(&named, "session_start", None, None);
                let clock = time(tick).replace([':', '-'], "").replace('T', "-");
                let id = format!("{named}-{}-{tick:08x}", clock.trim_end_matches('Z'));
                self.sessions.push(Session { id, component: named.clone(), start: tick, end: None });
                json!({"event_type": "session_start", "event_version": "1.0", "component_name": named,
                    "shell_type": other_named, "pid": 1, "user": {"username": "u", "home": "/"}, "hostname": "h",
                    "environment": {"platform": "p", "cwd": "/"}})
            }
            Kind::SessionEnd => {
                let index = number % self.sessions.len().max(1);
                let mut session = self.sessions.get(index)?.clone();
                // Some end before they have started; some are ended twice, some of them at the very same time.
                let end = if other == 2 { session.end.unwrap_or(tick) } else { tick };
                let end = if other == 1 && session.start > 0 { session.start - 1 } else { end };
                let component = session.component.clone();
                if session.end.is_none() {
                    self.has_span = true;
                    let status = if failed { "error" } else { "success" };
                    self.add("session_end_total", &[("component_name", &component), ("status", status)], 1.0);
                    if end >= session.start {
                        let took = (end - session.start) as f64;
                        self.observe("session_duration_seconds", &[("component_name", &component)], took);
                    }
                    self.emitted(&component, "session_end", None, None);
                    session.end = Some(end);
                    self.sessions[index] = session.clone();
                } else if session.end != Some(end) {
                    self.emitted(&component, "session_end", Some("SessionNotFound"), None);
                }
                json!({"event_type": "session_end", "session_id": session.id, "timestamp": time(end),
                    "status": if failed { "error" } else { "success" }})
            }
            Kind::Heartbeat => {
                let known = self.sessions.get(number).map(|session| session.id.clone());
                json!({"event_type": "session_heartbeat", "session_id": known.unwrap_or("nobody".to_owned())})
            }
            Kind::Quality => {
                self.set("session_quality_score", &[("component_name", &named)], number as f64 * 8.5);
                json!({"event_type": "session_quality", "component_name": named, "quality_score": number as f64 * 8.5})
            }
            Kind::Emission => {
                self.emitted(&named, &other_named, error, Some(length(number)));
                json!({"event_type": "mcp_event", "component_name": named, "emitted_type": other_named,
                    "duration_seconds": length(number), "error_type": error})
            }
            Kind::Skill => {
                let phase = (other > 0).then_some(other_named.as_str());
                let pairs = [("skill_name", named.as_str()), ("workflow_phase", phase.unwrap_or("unknown"))];
                let completed = if flag { "true" } else { "false" };
                self.add("skill_invocations_total", &[pairs[0], pairs[1], ("completed", completed)], 1.0);
                let took = (number > 2).then_some(length(number));
                if let Some(took) = took {
                    self.observe("skill_duration_seconds", &pairs, took);
                }
                json!({"event_type": "skill_invocation", "skill_name": named, "workflow_phase": phase,
                    "completed": flag, "duration_seconds": took})
            }
            Kind::CompletionRate => {
                let rate = number as f64 / 11.0;
                self.set("skill_completion_rate", &[("skill_name", &named)], rate);
                json!({"event_type": "skill_completion_rate", "skill_name": named, "rate": rate})
            }
            Kind::Anomaly => {
                self.add("anomalies_detected_total", &[("anomaly_type", &other_named), ("skill_name", &named)], 1.0);
                json!({"event_type": "anomaly", "skill_name": named, "anomaly_type": other_named,
                    "deviation_score": -2.5})
            }
            Kind::ActiveSessions => {
                let host = flag.then_some(name);
                self.hosts.insert(host, number);
                json!({"event_type": "active_sessions", "count": number, "host": host.map(|_| named)})
            }
            Kind::BreakerCall => {
                let breaker = self.breakers.entry(named.clone()).or_default();
                breaker.latencies.push(length(number));
                breaker.failed += usize::from(failed);
                self.observe("circuit_breaker_call_duration_seconds", &[("component", &named)], length(number));
                json!({"event_type": "circuit_breaker_call", "component": named, "latency_seconds": length(number),
                    "success": !failed})
            }
            Kind::BreakerState => {
                let breaker = self.breakers.entry(named.clone()).or_default();
                breaker.state = other;
                match STATES[other] {
                    "open" => _ = breaker.opened.get_or_insert(tick),
                    "closed" => {
                        if let Some(opened) = breaker.opened.take() {
                            let took = (tick - opened) as f64;
                            self.observe("circuit_breaker_recovery_seconds", &[("component", &named)], took);
                        }
                    }
                    _ => {}
                }
                json!({"event_type": "circuit_breaker_state", "component": named, "state": STATES[other]})
            }
            Kind::Request => {
                self.has_span = true;
                self.add("mcp_hub_requests_total", &[("agent", &named), ("operation", &other_named)], 1.0);
                self.request_ends(&named, &other_named, failed, Some(length(number)));
                json!({"event_type": "request", "agent": named, "operation": other_named,
                    "duration_seconds": length(number), "error_type": error})
            }
            Kind::RequestStart => {
                self.add("mcp_hub_requests_total", &[("agent", &named), ("operation", &other_named)], 1.0);
                self.add("mcp_hub_active_operations", &[("agent", &named)], 1.0);
                self.requests.push((named.clone(), other_named.clone(), tick, true));
                let id = (self.requests.len() - 1).to_string();
                json!({"event_type": "request_start", "request_id": id, "agent": named, "operation": other_named})
            }
            Kind::RequestEnd => {
                let index = number % self.requests.len().max(1);
                let (agent, operation, start, open) = self.requests.get(index)?.clone();
                if open {
                    self.has_span = true;
                    self.add("mcp_hub_active_operations", &[("agent", &agent)], -1.0);
                    self.request_ends(&agent, &operation, failed, Some((tick - start) as f64));
                    self.requests[index].3 = false;
                }
                json!({"event_type": "request_end", "request_id": index.to_string(), "agent": agent,
                    "operation": operation, "error_type": error})
            }
            Kind::LlmCall => {
                self.has_span = true;
                self.add("mcp_hub_llm_api_calls_total", &[("provider", &named), ("model", &other_named)], 1.0);
                let pairs = [
                    ("gen_ai_operation_name", "chat"),
                    ("gen_ai_provider_name", &*named),
                    ("gen_ai_request_model", &*other_named),
                ];
                let ended = [&pairs[..], error.map(|error| ("error_type", error)).as_slice()].concat();
                self.observe("gen_ai_client_operation_duration_seconds", &ended, length(number));
                let input = [&pairs[..], &[("gen_ai_token_type", "input")]].concat();
                self.observe("gen_ai_client_token_usage", &input, number as f64);
                json!({"event_type": "llm_call", "provider": named, "model": other_named, "error_type": error,
                    "duration_seconds": length(number), "input_tokens": number})
            }
            Kind::SearchCall => {
                self.add("mcp_hub_search_api_calls_total", &[], 1.0);
                json!({"event_type": "search_call"})
            }
            Kind::Execution => {
                let status = if failed { "failure" } else { "success" };
                self.add("mcp_hub_code_executions_total", &[("status", status)], 1.0);
                json!({"event_type": "code_execution", "status": status})
            }
            Kind::Cache => {
                for (family, counts) in [("hits", flag), ("misses", !flag)] {
                    let value = f64::from(u8::from(counts));
                    self.add(&format!("mcp_hub_cache_{family}_total"), &[("cache_type", &named)], value);
                }
                json!({"event_type": "cache_access", "cache_type": named, "hit": flag})
            }
            Kind::Retry => {
                let attempt = if number < 9 { (number + 1).to_string() } else { "10+".to_owned() };
                self.add("mcp_hub_retries_total", &[("service", &named), ("attempt", &attempt)], 1.0);
                if flag {
                    self.add("mcp_hub_retries_exhausted_total", &[("service", &named)], 1.0);
                }
                json!({"event_type": "retry", "service": named, "attempt": number + 1, "exhausted": flag})
            }
            Kind::Operation => {
                self.has_span = true;
                let side = if number.is_multiple_of(2) { "server" } else { "client" };
                let error = error.map(|error| ("error_type", error));
                let pairs = [
                    &[("component_name", &*named), ("mcp_method_name", &*other_named)],
                    error.as_slice(),
                    &[("network_transport", "pipe")],
                ]
                .concat();
                self.observe(&format!("mcp_{side}_operation_duration_seconds"), &pairs, length(number));
                self.emitted(&named, &other_named, error.map(|(_, error)| error), Some(length(number)));
                json!({"event_type": "mcp_operation", "component_name": named, "method": other_named,
                    "direction": if number.is_multiple_of(2) { "to_server" } else { "to_client" }, "transport": "stdio",
                    "duration_seconds": length(number), "error_type": error.map(|(_, error)| error)})
            }
            Kind::Again => return None,
        })
    }

    /// Everything that must be shown.
    pub fn samples(&self) -> BTreeMap<String, f64> {
        let mut shown = Self { totals: self.totals.clone(), ..Self::default() };
        let components: BTreeSet<&str> = self.sessions.iter().map(|session| session.component.as_str()).collect();
        let active = |of: &str| self.sessions.iter().filter(|one| one.end.is_none() && one.component == of).count();
        for component in components {
            shown.set("active_sessions", &[("component_name", component)], active(component) as f64);
        }
        let open = self.sessions.iter().filter(|session| session.end.is_none()).count();
        shown.add("active_sessions_total", &[], (open + self.hosts.values().sum::<usize>()) as f64);
        for (component, breaker) in &self.breakers {
            let pairs = [("component", component.as_str())];
            let (calls, failed) = (breaker.latencies.len() as f64, breaker.failed as f64);
            shown.set("circuit_breaker_calls_total", &pairs, calls);
            shown.set("circuit_breaker_calls_success", &pairs, calls - failed);
            shown.set("circuit_breaker_calls_failed", &pairs, failed);
            shown.set("circuit_breaker_failure_rate", &pairs, failed / calls.max(1.0) * 100.0);
            for (index, state) in STATES.iter().enumerate() {
                let value = f64::from(u8::from(index == breaker.state));
                shown.set("circuit_breaker_state", &[pairs[0], ("state", state)], value);
            }
            let mut sorted = breaker.latencies.clone();
            sorted.sort_by(f64::total_cmp);
            let Some(last) = sorted.len().checked_sub(1) else { continue };
            shown.set("circuit_breaker_latency_seconds_avg", &pairs, sorted.iter().sum::<f64>() / calls);
            for (quantile, percent) in [("0.5", 50), ("0.95", 95), ("0.99", 99)] {
                let (at, part) = (percent * last / 100, (percent * last % 100) as f64 / 100.0);
                let value = sorted[at] + (sorted[(at + 1).min(last)] - sorted[at]) * part;
                shown.set("circuit_breaker_latency_seconds", &[pairs[0], ("quantile", quantile)], value);
            }
        }
        shown.totals
    }
}
