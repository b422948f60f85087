//! Events of every type, made by chance, each with what it comes to.
//!
//! A workload's series are its own, except for the ones without labels: so the order of what other workloads send does
//! not matter, and gauges have a last value.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::dice::Dice;
use super::ledger::{EMIT, GEN_AI, Ledger, MCP, MCP_SESSION, REQUEST, SESSION, SKILL, TOKENS, parts, whole};

/// How far back the first event lies, so that none comes from the future.
const AGE_MS: i64 = 3_600_000;
/// As many may be open at once.
const OPEN: usize = 40;

/// An event to send.
#[derive(Debug, Clone)]
pub struct Event {
    pub json: Value,
    /// The trace of the span that it belongs to, where there is one.
    pub trace: Option<u128>,
    /// It must be rejected.
    pub invalid: bool,
}

impl Event {
    pub fn is_search(&self) -> bool {
        self.json["event_type"] == "search_call"
    }
}

#[derive(Debug, Clone)]
struct Open {
    id: String,
    component: String,
    start_ms: i64,
    trace: u128,
    /// Told of MCP at its start.
    mcp: bool,
}

/// Makes events, and keeps their account.
#[derive(Debug)]
pub struct Workload {
    name: String,
    dice: Dice,
    clock_ms: i64,
    number: u64,
    sessions: Vec<Open>,
    requests: Vec<Open>,
    pub ledger: Ledger,
}

impl Workload {
    /// One whose labels begin with `name`.
    pub fn new(name: &str, seed: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock_ms = i64::try_from(now.as_millis()).unwrap() - AGE_MS;
        let (sessions, requests) = (Vec::new(), Vec::new());
        let dice = Dice::new(seed);
        Self { name: name.to_owned(), dice, clock_ms, number: 0, sessions, requests, ledger: Ledger::default() }
    }

    /// The next event, whose account is kept from now on.
    pub fn event(&mut self) -> Event {
        self.clock_ms += 1;
        let number = self.dice.below(100);
        let (mut json, trace) = match number {
            0..7 => self.session_start(),
            7..14 if !self.sessions.is_empty() => self.session_end(),
            14..16 if !self.sessions.is_empty() => (self.heartbeat(), None),
            16 => (self.quality(), None),
            17..26 => (self.emission(), None),
            26..40 => self.operation(),
            40..50 => self.llm_call(),
            50..60 => (self.skill(), None),
            60..62 => (self.completion_rate(), None),
            62..64 => (self.anomaly(), None),
            64 => (self.report(), None),
            65..74 => (self.breaker_call(), None),
            74..77 => (self.breaker_state(), None),
            77..82 => self.request(),
            82..86 => self.request_start(),
            86..90 if !self.requests.is_empty() => self.request_end(),
            90..93 => (self.search(), None),
            93..95 => (self.execution(), None),
            95..97 => (self.cache(), None),
            97..99 => (self.retry(), None),
            _ => return self.invalid(),
        };
        // Ends and starts that tell their time are known again without an id too.
        let repeatable = ["session_end", "request_start", "request_end"].iter().any(|kind| json["event_type"] == *kind);
        if json.get("event_id").is_none() && !(repeatable && self.dice.once_in(2)) {
            json["event_id"] = self.dice.uuid().into();
        }
        if json.get("timestamp").is_none() {
            json["timestamp"] = time(self.clock_ms).into();
        }
        if let Some(trace) = trace {
            json["traceparent"] = format!("00-{trace:032x}-{:016x}-01", trace as u64 | 1 << 63).into();
        }
        Event { json, trace, invalid: false }
    }

    /// One of so many names.
    fn named(&mut self, what: &str, of: u64) -> String {
        format!("{}-{what}{}", self.name, self.dice.below(of))
    }

    fn trace(&mut self) -> Option<u128> {
        self.number += 1;
        let name = self.name.bytes().fold(0, |all: u64, byte| all << 8 | u64::from(byte));
        Some(u128::from(name) << 64 | u128::from(self.number))
    }

    /// The trace of a span that is over.
    fn span(&mut self) -> Option<u128> {
        let trace = self.trace();
        self.ledger.spans.extend(trace);
        trace
    }

    fn error(&mut self) -> Option<&'static str> {
        self.dice.once_in(5).then(|| self.dice.one_of(&["timeout", "refused"]))
    }

    /// A length in microseconds, of any size, sometimes as long as a bucket's bound says.
    fn micros(&mut self) -> u64 {
        if self.dice.once_in(8) {
            return self.dice.one_of(&[0, 1_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000]);
        }
        let most = self.dice.one_of(&[1_000, 20_000, 400_000, 8_000_000]);
        self.dice.below(most)
    }

    fn emitted(&mut self, component: &str, event_type: &str, error: Option<&str>, micros: Option<u64>) {
        let labels = [("component_name", component), ("event_type", event_type)];
        match error {
            None => self.ledger.count("mcp_event_emit_success_total", &labels, 1),
            Some(error) => {
                let labels = [labels[0], labels[1], ("error_type", error)];
                self.ledger.count("mcp_event_emit_failure_total", &labels, 1);
            }
        }
        let name = "mcp_event_emit_duration_seconds";
        match micros {
            Some(micros) => self.ledger.observe(name, EMIT, &labels, parts(micros, 1_000_000)),
            None => self.ledger.observe_unknown(name, &labels),
        }
    }

    fn session_start(&mut self) -> (Value, Option<u128>) {
        if self.sessions.len() >= OPEN {
            return self.session_end();
        }
        let (component, event_id, mcp) = (self.named("c", 2), self.dice.uuid(), self.dice.once_in(2));
        let start_ms = self.clock_ms;
        let second = jiff::Timestamp::from_millisecond(start_ms).unwrap().strftime("%Y%m%d-%H%M%S").to_string();
        let trace = self.trace();
        let id = format!("{component}-{second}-{}", &event_id[..8]);
        self.sessions.push(Open { id, component: component.clone(), start_ms, trace: trace.unwrap(), mcp });

        let labels = [("component_name", &*component)];
        self.ledger.count("session_start_total", &[labels[0], ("shell_type", "Shell")], 1);
        for status in ["success", "error"] {
            self.ledger.count("session_end_total", &[labels[0], ("status", status)], 0);
        }
        self.ledger.count("active_sessions", &labels, 1);
        self.emitted(&component, "session_start", None, None);
        let mut event = json!({"event_type": "session_start", "event_version": "1.0", "event_id": event_id,
            "component_name": component, "shell_type": "Shell", "timestamp": time(start_ms), "pid": 4711,
            "user": {"username": "user", "home": "/home/user"}, "hostname": "desk-1",
            "environment": {"platform": "Linux-6.8", "cwd": "/home/user/src"}});
        if mcp {
            event["protocol_version"] = "2025-11-25".into();
            event["transport"] = "stdio".into();
        }
        (event, trace)
    }

    fn session_end(&mut self) -> (Value, Option<u128>) {
        let index = self.dice.below(self.sessions.len() as u64) as usize;
        let Open { id, component, start_ms, trace, mcp } = self.sessions.swap_remove(index);
        let took = self.dice.one_of(&[7_000, 60_000, 61_007, 299_999, 3_600_000, 5_000_123, 30_000_001]);
        let failed = self.dice.once_in(4);
        let status = if failed { "error" } else { "success" };
        let labels = [("component_name", &*component)];
        self.ledger.count("session_end_total", &[labels[0], ("status", status)], 1);
        self.ledger.count("active_sessions", &labels, -1);
        self.ledger.observe("session_duration_seconds", SESSION, &labels, parts(took, 1000));
        if mcp {
            let labels = [
                labels[0],
                ("mcp_protocol_version", "2025-11-25"),
                ("network_transport", "pipe"),
                ("error_type", if failed { "_OTHER" } else { "" }),
            ];
            self.ledger.observe("mcp_server_session_duration_seconds", MCP_SESSION, &labels, parts(took, 1000));
        }
        self.emitted(&component, "session_end", None, None);
        self.ledger.spans.insert(trace);
        let end = time(start_ms + took as i64);
        (json!({"event_type": "session_end", "session_id": id, "status": status, "timestamp": end}), Some(trace))
    }

    fn heartbeat(&mut self) -> Value {
        let index = self.dice.below(self.sessions.len() as u64) as usize;
        json!({"event_type": "session_heartbeat", "session_id": self.sessions[index].id})
    }

    fn quality(&mut self) -> Value {
        let (component, score) = (self.named("c", 2), self.dice.below(1001) as f64 / 10.0);
        self.ledger.set("session_quality_score", &[("component_name", &component)], score);
        json!({"event_type": "session_quality", "component_name": component, "quality_score": score})
    }

    fn emission(&mut self) -> Value {
        let (component, kind, error, micros) = (self.named("c", 2), self.named("e", 2), self.error(), self.micros());
        self.emitted(&component, &kind, error, Some(micros));
        json!({"event_type": "mcp_event", "component_name": component, "emitted_type": kind,
            "duration_seconds": seconds(micros), "error_type": error})
    }

    fn operation(&mut self) -> (Value, Option<u128>) {
        let (component, error, micros) = (self.named("c", 2), self.error(), self.micros());
        let tool = self.dice.once_in(2).then_some("search");
        let method = if tool.is_some() { "tools/call" } else { "tools/list" };
        let (direction, name) = match self.dice.once_in(4) {
            true => ("to_client", "mcp_client_operation_duration_seconds"),
            false => ("to_server", "mcp_server_operation_duration_seconds"),
        };
        let labels = [
            ("component_name", &*component),
            ("mcp_method_name", method),
            ("gen_ai_tool_name", tool.unwrap_or_default()),
            ("error_type", error.unwrap_or_default()),
            ("network_transport", "tcp"),
        ];
        self.ledger.observe(name, MCP, &labels, parts(micros, 1_000_000));
        self.emitted(&component, method, error, Some(micros));
        let event = json!({"event_type": "mcp_operation", "component_name": component, "method": method,
            "tool_name": tool, "direction": direction, "duration_seconds": seconds(micros), "error_type": error,
            "transport": "http"});
        (event, self.span())
    }

    fn llm_call(&mut self) -> (Value, Option<u128>) {
        let (model, error, micros, first) = (self.named("m", 2), self.error(), self.micros(), self.micros());
        let (input, output) = (self.dice.below(70_000), self.dice.below(500));
        self.ledger.count("mcp_hub_llm_api_calls_total", &[("provider", "openai"), ("model", &model)], 1);
        let labels =
            [("gen_ai_operation_name", "chat"), ("gen_ai_provider_name", "openai"), ("gen_ai_request_model", &*model)];
        let failed = [&labels[..], &[("error_type", error.unwrap_or_default())]].concat();
        self.ledger.observe("gen_ai_client_operation_duration_seconds", GEN_AI, &failed, parts(micros, 1_000_000));
        let name = "gen_ai_client_operation_time_to_first_chunk_seconds";
        self.ledger.observe(name, GEN_AI, &labels, parts(first, 1_000_000));
        for (kind, tokens) in [("input", input), ("output", output)] {
            let labels = [&labels[..], &[("gen_ai_token_type", kind)]].concat();
            self.ledger.observe("gen_ai_client_token_usage", TOKENS, &labels, whole(tokens));
        }
        let event = json!({"event_type": "llm_call", "provider": "openai", "model": model, "error_type": error,
            "duration_seconds": seconds(micros), "time_to_first_token_seconds": seconds(first),
            "input_tokens": input, "output_tokens": output,
            "session_id": self.sessions.first().map(|session| session.id.clone())});
        (event, self.span())
    }

    fn skill(&mut self) -> Value {
        let (skill, micros, completed) = (self.named("s", 2), self.micros(), !self.dice.once_in(3));
        let phase = self.dice.once_in(2).then_some("plan");
        let labels = [("skill_name", &*skill), ("workflow_phase", phase.unwrap_or("unknown"))];
        let done = if completed { "true" } else { "false" };
        self.ledger.count("skill_invocations_total", &[labels[0], labels[1], ("completed", done)], 1);
        self.ledger.observe("skill_duration_seconds", SKILL, &labels, parts(micros, 1_000_000));
        self.ledger.invoked(&skill, completed);
        json!({"event_type": "skill_invocation", "skill_name": skill, "workflow_phase": phase, "completed": completed,
            "duration_seconds": seconds(micros)})
    }

    fn completion_rate(&mut self) -> Value {
        let (skill, rate) = (self.named("r", 2), self.dice.below(1001) as f64 / 1000.0);
        self.ledger.set("skill_completion_rate", &[("skill_name", &skill)], rate);
        json!({"event_type": "skill_completion_rate", "skill_name": skill, "rate": rate})
    }

    fn anomaly(&mut self) -> Value {
        let (skill, kind) = (self.named("s", 2), self.dice.one_of(&["drop", "spike"]));
        self.ledger.count("anomalies_detected_total", &[("anomaly_type", kind), ("skill_name", &skill)], 1);
        json!({"event_type": "anomaly", "skill_name": skill, "anomaly_type": kind})
    }

    fn report(&mut self) -> Value {
        let (host, count) = (self.named("h", 2), self.dice.below(9));
        self.ledger.host(&host, count);
        json!({"event_type": "active_sessions", "count": count, "host": host})
    }

    fn breaker_call(&mut self) -> Value {
        let (component, micros, success) = (self.named("b", 2), self.micros(), !self.dice.once_in(3));
        self.ledger.call(&component, parts(micros, 1_000_000), success);
        json!({"event_type": "circuit_breaker_call", "component": component, "latency_seconds": seconds(micros),
            "success": success})
    }

    fn breaker_state(&mut self) -> Value {
        let (component, state) = (self.named("b", 2), self.dice.one_of(&["closed", "open", "half_open"]));
        let now = self.clock_ms;
        let breaker = self.ledger.breaker(&component);
        breaker.state = state;
        if state == "open" {
            breaker.opened.get_or_insert(now);
        }
        let recovered = (state == "closed").then(|| breaker.opened.take()).flatten();
        if let Some(opened) = recovered {
            let took = parts((now - opened) as u64, 1000);
            let labels = [("component", &*component)];
            self.ledger.observe("circuit_breaker_recovery_seconds", SESSION, &labels, took);
        }
        json!({"event_type": "circuit_breaker_state", "component": component, "state": state})
    }

    fn request_ends(&mut self, agent: &str, error: Option<&str>, took: u64) {
        let labels = [("agent", agent), ("operation", "plan")];
        match error {
            None => self.ledger.count("mcp_hub_requests_success_total", &labels, 1),
            Some(error) => {
                let labels = [labels[0], labels[1], ("error_type", error)];
                self.ledger.count("mcp_hub_requests_failed_total", &labels, 1);
            }
        }
        self.ledger.observe("mcp_hub_request_duration_seconds", REQUEST, &labels, took);
    }

    fn request(&mut self) -> (Value, Option<u128>) {
        let (agent, error, micros) = (self.named("a", 2), self.error(), self.micros());
        self.ledger.count("mcp_hub_requests_total", &[("agent", &agent), ("operation", "plan")], 1);
        self.request_ends(&agent, error, parts(micros, 1_000_000));
        let event = json!({"event_type": "request", "agent": agent, "operation": "plan",
            "duration_seconds": seconds(micros), "error_type": error});
        (event, self.span())
    }

    fn request_start(&mut self) -> (Value, Option<u128>) {
        if self.requests.len() >= OPEN {
            return self.request_end();
        }
        let (agent, id, trace) = (self.named("a", 2), self.dice.uuid(), self.trace());
        self.ledger.count("mcp_hub_requests_total", &[("agent", &agent), ("operation", "plan")], 1);
        self.ledger.count("mcp_hub_active_operations", &[("agent", &agent)], 1);
        let (start_ms, trace_id) = (self.clock_ms, trace.unwrap());
        let open = Open { id: id.clone(), component: agent.clone(), start_ms, trace: trace_id, mcp: false };
        self.requests.push(open);
        (json!({"event_type": "request_start", "request_id": id, "agent": agent, "operation": "plan"}), trace)
    }

    fn request_end(&mut self) -> (Value, Option<u128>) {
        let index = self.dice.below(self.requests.len() as u64) as usize;
        let Open { id, component: agent, start_ms, trace, .. } = self.requests.swap_remove(index);
        let (error, took) = (self.error(), self.micros() / 1000);
        self.ledger.count("mcp_hub_active_operations", &[("agent", &agent)], -1);
        self.request_ends(&agent, error, parts(took, 1000));
        self.ledger.spans.insert(trace);
        let event = json!({"event_type": "request_end", "request_id": id, "agent": agent, "operation": "plan",
            "error_type": error, "timestamp": time(start_ms + took as i64)});
        (event, Some(trace))
    }

    fn search(&mut self) -> Value {
        self.ledger.count("mcp_hub_search_api_calls_total", &[], 1);
        json!({"event_type": "search_call"})
    }

    fn execution(&mut self) -> Value {
        let status = self.dice.one_of(&["success", "failure"]);
        self.ledger.count("mcp_hub_code_executions_total", &[("status", status)], 1);
        json!({"event_type": "code_execution", "status": status})
    }

    fn cache(&mut self) -> Value {
        let (cache, hit) = (self.named("k", 2), self.dice.once_in(2));
        for (name, by) in [("mcp_hub_cache_hits_total", hit), ("mcp_hub_cache_misses_total", !hit)] {
            self.ledger.count(name, &[("cache_type", &cache)], i64::from(by));
        }
        json!({"event_type": "cache_access", "cache_type": cache, "hit": hit})
    }

    fn retry(&mut self) -> Value {
        let (service, attempt, exhausted) = (self.named("v", 2), self.dice.below(12) + 1, self.dice.once_in(4));
        let label = if attempt < 10 { attempt.to_string() } else { "10+".to_owned() };
        self.ledger.count("mcp_hub_retries_total", &[("service", &service), ("attempt", &label)], 1);
        if exhausted {
            self.ledger.count("mcp_hub_retries_exhausted_total", &[("service", &service)], 1);
        }
        json!({"event_type": "retry", "service": service, "attempt": attempt, "exhausted": exhausted})
    }

    fn invalid(&mut self) -> Event {
        let (component, event_id) = (self.named("c", 2), self.dice.uuid());
        let json = json!({"event_type": "mcp_event", "event_id": event_id, "component_name": component,
            "emitted_type": "x", "duration_seconds": -1.0});
        Event { json, trace: None, invalid: true }
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).unwrap().to_string()
}
