#!/usr/bin/env python3
"""Works out what the events of workload.ndjson must come to after each of its parts, and writes it as JSON.

It counts from the words of the documentation, goes on from count_sessions.py where sessions are concerned, and shares
no code with the bridge or with make_workload.py. Durations are exact fractions, each rounded down to a multiple of
2^-20 s.
"""

import json
import re
import statistics
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import count_sessions
from count_sessions import NAME, nanoseconds, need, number, text

EMIT = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
SKILL = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300]
REQUEST = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
CALL = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
RECOVERY = [60, 300, 900, 1800, 3600, 7200, 14400, 28800]
GEN_AI = [round(0.01 * 2**power, 2) for power in range(14)]
TOKENS = [4**power for power in range(14)]
MCP = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]
MCP_SESSION = [*MCP, 900, 3600, 14400, 28800, 86400]
STATES = ["closed", "open", "half_open"]
TRANSPORTS = {"stdio": "pipe", "http": "tcp"}
WINDOW = 1000

FIELDS = count_sessions.FIELDS | {
    "mcp_event": {"component_name", "emitted_type", "duration_seconds", "error_type"},
    "skill_invocation": {
        "skill_name", "workflow_phase", "completed", "duration_seconds", "session_id", "workflow_path",
    },
    "skill_completion_rate": {"skill_name", "rate"},
    "anomaly": {"skill_name", "anomaly_type", "deviation_score"},
    "circuit_breaker_call": {"component", "latency_seconds", "success"},
    "circuit_breaker_state": {"component", "state"},
    "request": {"agent", "operation", "duration_seconds", "error_type"},
    "request_start": {"request_id", "agent", "operation"},
    "request_end": {"request_id", "agent", "operation", "error_type"},
    "llm_call": {
        "provider", "model", "operation", "duration_seconds", "input_tokens", "output_tokens",
        "time_to_first_token_seconds", "error_type", "session_id",
    },
    "search_call": set(),
    "code_execution": {"status"},
    "cache_access": {"cache_type", "hit"},
    "retry": {"service", "attempt", "exhausted"},
    "mcp_operation": {
        "component_name", "method", "tool_name", "direction", "duration_seconds", "error_type", "protocol_version",
        "transport", "session_id",
    },
}

LABEL, LABEL_OPTIONAL = (lambda event, key: text(event, key, 128)), (lambda event, key: text(event, key, 128, True))
ID, ID_OPTIONAL = (lambda event, key: text(event, key, 256)), (lambda event, key: text(event, key, 256, True))


def component(event, key):
    need(isinstance(event.get(key), str) and NAME.fullmatch(event[key]))


def ranged(low, high, optional=False, whole=False):
    def check(event, key):
        if optional and event.get(key) is None:
            return
        value = number(event.get(key), low, high)
        need(isinstance(value, int) or not whole)

    return check


def one_of(*choices):
    return lambda event, key: need(event.get(key) in choices)


SECONDS, SECONDS_OPTIONAL = ranged(0, 1e9), ranged(0, 1e9, optional=True)
COUNT_OPTIONAL = ranged(0, 2**53, optional=True, whole=True)
TRUTH = one_of(True, False)
RULES = {
    "mcp_event": {"component_name": component, "emitted_type": LABEL, "duration_seconds": SECONDS,
                  "error_type": LABEL_OPTIONAL},
    "skill_invocation": {"skill_name": LABEL, "workflow_phase": LABEL_OPTIONAL, "completed": TRUTH,
                         "duration_seconds": SECONDS_OPTIONAL, "session_id": ID_OPTIONAL},
    "skill_completion_rate": {"skill_name": LABEL, "rate": ranged(0, 1)},
    "anomaly": {"skill_name": LABEL, "anomaly_type": LABEL},
    "circuit_breaker_call": {"component": LABEL, "latency_seconds": SECONDS, "success": TRUTH},
    "circuit_breaker_state": {"component": LABEL, "state": one_of(*STATES)},
    "request": {"agent": LABEL, "operation": LABEL, "duration_seconds": SECONDS, "error_type": LABEL_OPTIONAL},
    "request_start": {"request_id": ID, "agent": LABEL, "operation": LABEL},
    "request_end": {"request_id": ID, "agent": LABEL, "operation": LABEL, "error_type": LABEL_OPTIONAL},
    "llm_call": {"provider": LABEL, "model": LABEL, "operation": LABEL_OPTIONAL, "duration_seconds": SECONDS_OPTIONAL,
                 "input_tokens": COUNT_OPTIONAL, "output_tokens": COUNT_OPTIONAL,
                 "time_to_first_token_seconds": SECONDS_OPTIONAL, "error_type": LABEL_OPTIONAL,
                 "session_id": ID_OPTIONAL},
    "code_execution": {"status": one_of("success", "failure")},
    "cache_access": {"cache_type": LABEL, "hit": TRUTH},
    "retry": {"service": LABEL, "attempt": ranged(1, 2**32 - 1, whole=True), "exhausted": one_of(None, True, False)},
    "mcp_operation": {"component_name": component, "method": LABEL, "tool_name": LABEL_OPTIONAL,
                      "direction": one_of("to_server", "to_client"), "duration_seconds": SECONDS,
                      "error_type": LABEL_OPTIONAL, "protocol_version": LABEL_OPTIONAL,
                      "transport": one_of(*TRANSPORTS), "session_id": ID_OPTIONAL},
}


def check(event):
    kind = count_sessions.check(event)
    for key, rule in RULES.get(kind, {}).items():
        rule(event, key)
    return kind


def parts_of(seconds):
    return Fraction(int(Fraction(seconds) * 2**20), 2**20)


def series(name, **labels):
    """A series' name as it is printed; a label without a value is left out."""
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items() if value is not None)
    return f"{name}{{{inside}}}" if inside else name


class Workload(count_sessions.Count):
    """Counts events of every type."""

    check = staticmethod(check)
    fields = FIELDS

    def __init__(self):
        super().__init__()
        self.observed = defaultdict(list)
        self.gauges = {}
        self.told = {}
        self.breakers = {}
        self.requests = {}

    def count(self, name, amount=1, **labels):
        self.samples[series(name, **labels)] += amount

    def observe(self, name, bounds, value, **labels):
        self.observed[name, tuple(bounds), tuple(labels.items())].append(value)

    def session_start(self, event):
        id = f"{event['component_name']}-{count_sessions.short_time(nanoseconds(event['timestamp']))}"
        self.told[f"{id}-{event['event_id'][:8]}"] = event.get("protocol_version"), event.get("transport")
        return super().session_start(event)

    def session_end(self, event):
        before = dict(self.active)
        status = super().session_end(event)
        # A session that told of MCP at its start, by the names of OpenTelemetry's conventions.
        for id in before.keys() - self.active.keys():
            version, transport = self.told[id]
            took = nanoseconds(event["timestamp"]) - before[id][0]
            if took >= 0 and (version or transport):
                self.observe(
                    "mcp_server_session_duration_seconds", MCP_SESSION, Fraction(took * 2**20 // 10**9, 2**20),
                    component_name=before[id][2], mcp_protocol_version=version,
                    network_transport=TRANSPORTS.get(transport),
                    error_type="_OTHER" if event.get("status") == "error" else None)
        return status

    def emission(self, component_name, event_type, took, error):
        labels = {"component_name": component_name, "event_type": event_type}
        if error is None:
            self.count("mcp_event_emit_success_total", **labels)
        else:
            self.count("mcp_event_emit_failure_total", **labels, error_type=error)
        self.observe("mcp_event_emit_duration_seconds", EMIT, took, **labels)

    def mcp_event(self, event):
        took = parts_of(event["duration_seconds"])
        self.emission(event["component_name"], event["emitted_type"], took, event.get("error_type"))
        return "recorded"

    def skill_invocation(self, event):
        labels = {"skill_name": event["skill_name"], "workflow_phase": event.get("workflow_phase", "unknown")}
        self.count("skill_invocations_total", **labels, completed=str(event["completed"]).lower())
        if event.get("duration_seconds") is not None:
            self.observe("skill_duration_seconds", SKILL, parts_of(event["duration_seconds"]), **labels)
        return "recorded"

    def skill_completion_rate(self, event):
        self.gauges[series("skill_completion_rate", skill_name=event["skill_name"])] = event["rate"]
        return "recorded"

    def anomaly(self, event):
        labels = {"anomaly_type": event["anomaly_type"], "skill_name": event["skill_name"]}
        self.count("anomalies_detected_total", **labels)
        return "recorded"

    def breaker(self, component):
        for name in ("calls_total", "calls_success", "calls_failed"):
            self.count(f"circuit_breaker_{name}", 0, component=component)
        return self.breakers.setdefault(component, {"calls": [], "state": "closed", "opened": None})

    def circuit_breaker_call(self, event):
        component, success = event["component"], event["success"]
        latency = parts_of(event["latency_seconds"])
        self.breaker(component)["calls"].append((latency, success))
        self.count("circuit_breaker_calls_total", component=component)
        self.count(f"circuit_breaker_calls_{'success' if success else 'failed'}", component=component)
        self.observe("circuit_breaker_call_duration_seconds", CALL, latency, component=component)
        return "recorded"

    def circuit_breaker_state(self, event):
        breaker, now = self.breaker(event["component"]), nanoseconds(event["timestamp"])
        breaker["state"] = event["state"]
        if event["state"] == "open" and breaker["opened"] is None:
            breaker["opened"] = now
        if event["state"] == "closed" and breaker["opened"] is not None:
            took = Fraction((now - breaker["opened"]) * 2**20 // 10**9, 2**20)
            self.observe("circuit_breaker_recovery_seconds", RECOVERY, took, component=event["component"])
            breaker["opened"] = None
        return "recorded"

    def verdict(self, labels, error):
        if error is None:
            self.count("mcp_hub_requests_success_total", **labels)
        else:
            self.count("mcp_hub_requests_failed_total", **labels, error_type=error)

    def request(self, event):
        labels = {"agent": event["agent"], "operation": event["operation"]}
        self.count("mcp_hub_requests_total", **labels)
        self.verdict(labels, event.get("error_type"))
        self.observe("mcp_hub_request_duration_seconds", REQUEST, parts_of(event["duration_seconds"]), **labels)
        return "recorded"

    def request_start(self, event):
        need(event["request_id"] not in self.requests)
        self.requests[event["request_id"]] = nanoseconds(event["timestamp"])
        self.count("mcp_hub_requests_total", agent=event["agent"], operation=event["operation"])
        self.count("mcp_hub_active_operations", agent=event["agent"])
        return "recorded"

    def request_end(self, event):
        start = self.requests.pop(event["request_id"], None)
        if start is None:
            return "not_found"
        labels = {"agent": event["agent"], "operation": event["operation"]}
        self.verdict(labels, event.get("error_type"))
        self.count("mcp_hub_active_operations", -1, agent=event["agent"])
        took = Fraction((nanoseconds(event["timestamp"]) - start) * 2**20 // 10**9, 2**20)
        self.observe("mcp_hub_request_duration_seconds", REQUEST, took, **labels)
        return "recorded"

    def llm_call(self, event):
        self.count("mcp_hub_llm_api_calls_total", provider=event["provider"], model=event["model"])
        labels = {
            "gen_ai_operation_name": event.get("operation", "chat"),
            "gen_ai_provider_name": event["provider"],
            "gen_ai_request_model": event["model"],
        }
        took, first = event.get("duration_seconds"), event.get("time_to_first_token_seconds")
        if took is not None:
            name = "gen_ai_client_operation_duration_seconds"
            self.observe(name, GEN_AI, parts_of(took), **labels, error_type=event.get("error_type"))
        for kind in ("input", "output"):
            tokens = event.get(f"{kind}_tokens")
            if tokens is not None:
                self.observe("gen_ai_client_token_usage", TOKENS, Fraction(tokens), **labels, gen_ai_token_type=kind)
        if first is not None:
            self.observe("gen_ai_client_operation_time_to_first_chunk_seconds", GEN_AI, parts_of(first), **labels)
        return "recorded"

    def search_call(self, _):
        self.count("mcp_hub_search_api_calls_total")
        return "recorded"

    def code_execution(self, event):
        self.count("mcp_hub_code_executions_total", status=event["status"])
        return "recorded"

    def cache_access(self, event):
        for name, amount in (("hits", event["hit"]), ("misses", not event["hit"])):
            self.count(f"mcp_hub_cache_{name}_total", int(amount), cache_type=event["cache_type"])
        return "recorded"

    def retry(self, event):
        attempt = str(event["attempt"]) if event["attempt"] < 10 else "10+"
        self.count("mcp_hub_retries_total", service=event["service"], attempt=attempt)
        if event.get("exhausted"):
            self.count("mcp_hub_retries_exhausted_total", service=event["service"])
        return "recorded"

    def mcp_operation(self, event):
        took = parts_of(event["duration_seconds"])
        side = "server" if event["direction"] == "to_server" else "client"
        self.observe(
            f"mcp_{side}_operation_duration_seconds", MCP, took, component_name=event["component_name"],
            mcp_method_name=event["method"], gen_ai_tool_name=event.get("tool_name"),
            error_type=event.get("error_type"), mcp_protocol_version=event.get("protocol_version"),
            network_transport=TRANSPORTS[event["transport"]])
        self.emission(event["component_name"], event["method"], took, event.get("error_type"))
        return "recorded"

    def result(self):
        result = super().result()
        samples = result["samples"] | self.gauges
        for (name, bounds, labels), values in self.observed.items():
            labels = dict(labels)
            for bound in bounds:
                within = sum(1 for value in values if value <= Fraction(bound))
                samples[series(f"{name}_bucket", **labels, le=repr(float(bound)))] = within
            samples[series(f"{name}_bucket", **labels, le="+Inf")] = len(values)
            samples[series(f"{name}_count", **labels)] = len(values)
            samples[series(f"{name}_sum", **labels)] = float(sum(values))
        for component, breaker in self.breakers.items():
            calls, latencies = breaker["calls"], [float(latency) for latency, _ in breaker["calls"][-WINDOW:]]
            failed = sum(1 for _, success in calls if not success)
            name = "circuit_breaker_failure_rate"
            samples[series(name, component=component)] = failed / len(calls) * 100 if calls else 0
            for state in STATES:
                current = int(state == breaker["state"])
                samples[series("circuit_breaker_state", component=component, state=state)] = current
            if latencies:
                percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
                for quantile, percent in (("0.5", 50), ("0.95", 95), ("0.99", 99)):
                    labels = {"component": component, "quantile": quantile}
                    samples[series("circuit_breaker_latency_seconds", **labels)] = percentiles[percent - 1]
                mean = statistics.fmean(latencies)
                samples[series("circuit_breaker_latency_seconds_avg", component=component)] = mean
        return result | {"rejected": len(result["rejected"])} | packed(samples)


def packed(samples):
    """Samples with those of each histogram together: its sum, then its buckets from the lowest to the infinite one."""
    histograms = defaultdict(list)
    for key in [key for key in samples if "_bucket{" in key]:
        of, bound = key.replace("_bucket{", "{").removesuffix('"}').split(',le="')
        histograms[of + "}"].append((float(bound), samples.pop(key)))
    for key, buckets in histograms.items():
        name, brace, labels = key.partition("{")
        counts = [count for _, count in sorted(buckets)]
        assert samples.pop(f"{name}_count{brace}{labels}") == counts[-1]
        histograms[key] = [samples.pop(f"{name}_sum{brace}{labels}"), *counts]
    return {"samples": dict(sorted(samples.items())), "histograms": dict(sorted(histograms.items()))}


def write(results):
    """As JSON, a sample a line."""
    bounds = {
        "session_duration_seconds": RECOVERY,
        "mcp_event_emit_duration_seconds": EMIT,
        "skill_duration_seconds": SKILL,
        "circuit_breaker_call_duration_seconds": CALL,
        "circuit_breaker_recovery_seconds": RECOVERY,
        "mcp_hub_request_duration_seconds": REQUEST,
        "gen_ai_client_operation_duration_seconds": GEN_AI,
        "gen_ai_client_token_usage": TOKENS,
        "gen_ai_client_operation_time_to_first_chunk_seconds": GEN_AI,
        "mcp_server_operation_duration_seconds": MCP,
        "mcp_client_operation_duration_seconds": MCP,
        "mcp_server_session_duration_seconds": MCP_SESSION,
    }
    text = json.dumps({"bounds": bounds, "parts": results}, indent=0)
    # Lists of numbers each on a line of their own.
    print(re.sub(r"\[[^][{}]*\]", lambda numbers: " ".join(numbers[0].split()), text))


def main():
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "workload.ndjson"
    workload, results, part = Workload(), {}, None
    for index, line in enumerate(source.read_text(encoding="utf-8").splitlines()):
        now = json.loads(line)["metadata"]["part"]
        if part not in (None, now):
            results[part] = workload.result()
        part = now
        workload.take(index, line)
    results[part] = workload.result()
    write(results)


if __name__ == "__main__":
    main()
