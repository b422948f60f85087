#!/usr/bin/env python3
"""Works out what the events of sessions.ndjson must come to, and writes it as JSON.

It counts from the words of the documentation and shares no code with the bridge or with make_sessions.py. Durations are
exact fractions, each rounded down to a multiple of 2^-20 s.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from datetime import date
from fractions import Fraction
from pathlib import Path

BOUNDS = ["60.0", "300.0", "900.0", "1800.0", "3600.0", "7200.0", "14400.0", "28800.0", "+Inf"]
KINDS = {
    "session_start", "session_end", "session_heartbeat", "session_quality", "mcp_event", "skill_invocation",
    "skill_completion_rate", "anomaly", "active_sessions", "circuit_breaker_call", "circuit_breaker_state", "request",
    "request_start", "request_end", "llm_call", "search_call", "code_execution", "cache_access", "retry",
    "mcp_operation",
}
FIELDS = {
    "session_start": {
        "component_name", "shell_type", "pid", "user", "hostname", "environment", "quality_score", "protocol_version",
        "transport",
    },
    "session_end": {"session_id", "status", "quality_score"},
    "session_heartbeat": {"session_id"},
    "session_quality": {"component_name", "quality_score"},
    "active_sessions": {"count", "host"},
}
COMMON = {"event_type", "event_version", "event_id", "timestamp", "traceparent", "metadata"}
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
SESSION_ID = re.compile(r"(.+)-\d{8}-\d{6}(?:-[0-9a-f]{8})?")
NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Bad(Exception):
    """The event is not what it must be."""


def need(true):
    if not true:
        raise Bad


def nanoseconds(text):
    """A timestamp as nanoseconds since 1970."""
    need(isinstance(text, str))
    match = TIME.fullmatch(text)
    need(match)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    need(hour < 24 and minute < 60 and second < 60)
    try:
        days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        raise Bad from None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    if match[8]:
        offset = int(match[9]) * 3600 + int(match[10]) * 60
        seconds += offset if match[8] == "-" else -offset
    return seconds * 10**9 + int((match[7] or "").ljust(9, "0"))


def short_time(nanos):
    """YYYYMMDD-HHMMSS in UTC."""
    seconds = nanos // 10**9
    day = date.fromordinal(date(1970, 1, 1).toordinal() + seconds // 86_400)
    clock = seconds % 86_400
    return f"{day.strftime('%Y%m%d')}-{clock // 3600:02}{clock // 60 % 60:02}{clock % 60:02}"


def text(event, key, most, optional=False):
    value = event.get(key)
    if value is None and optional:
        return None
    need(isinstance(value, str) and 1 <= len(value) <= most and value.isprintable())
    return value


def number(value, low, high):
    need(isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high)
    return value


def check(event):
    """Raises Bad unless the event is one that can be taken."""
    need(event.get("event_version", "1.0") == "1.0" and isinstance(event.get("event_version", "1.0"), str))
    kind = event.get("event_type")
    need(kind in KINDS)
    if event.get("event_id") is not None:
        need(isinstance(event["event_id"], str) and UUID.fullmatch(event["event_id"]))
    if event.get("timestamp") is not None:
        nanoseconds(event["timestamp"])
    need(isinstance(event.get("metadata", {}), dict))
    if kind in ("session_start", "session_quality"):
        need(isinstance(event.get("component_name"), str) and NAME.fullmatch(event["component_name"]))
    if kind in ("session_end", "session_heartbeat"):
        text(event, "session_id", 256)
    if kind == "session_quality" or event.get("quality_score") is not None:
        number(event.get("quality_score"), 0, 100)
    if kind == "session_start":
        need(all(event.get(key) is not None for key in ("event_version", "event_id", "timestamp")))
        text(event, "shell_type", 128)
        need(isinstance(number(event.get("pid"), 0, 2**32 - 1), int))
        need(isinstance(event.get("user"), dict) and isinstance(event.get("environment"), dict))
        text(event["user"], "username", 1024), text(event["user"], "home", 1024)
        text(event["environment"], "platform", 1024), text(event["environment"], "cwd", 1024)
        text(event, "hostname", 1024)
    if kind == "session_end":
        need(event.get("timestamp") is not None and event.get("status", "success") in ("success", "error"))
    if kind == "active_sessions":
        need(isinstance(number(event.get("count"), 0, 2**53), int))
    return kind


class Count:
    """All that was counted."""

    check = staticmethod(check)
    fields = FIELDS

    def __init__(self):
        self.samples = Counter()
        self.durations = defaultdict(list)
        self.quality = {}
        self.hosts = {}
        self.active = {}
        self.over = {}
        self.seen = set()
        self.statuses = Counter()
        self.warnings = Counter()
        self.accepted, self.duplicates, self.rejected = 0, 0, []

    def emitted(self, component, kind, error=None):
        labels = f'component_name="{component}",event_type="{kind}"'
        if error:
            self.samples[f'mcp_event_emit_failure_total{{{labels},error_type="{error}"}}'] += 1
        else:
            self.samples[f"mcp_event_emit_success_total{{{labels}}}"] += 1
        self.samples[f"mcp_event_emit_duration_seconds_count{{{labels}}}"] += 1

    def take(self, index, line):
        try:
            event = json.loads(line)
            need(isinstance(event, dict))
        except (ValueError, Bad):
            return self.reject(index, "_other")
        try:
            kind = self.check(event)
        except Bad:
            kind = event.get("event_type")
            if kind in ("session_start", "session_end"):
                self.emitted(self.component(event), kind, "ValidationError")
            return self.reject(index, kind if kind in KINDS else "_other")
        self.samples[f'bridge_events_received_total{{source="http",event_type="{kind}"}}'] += 1
        for _ in event.keys() - COMMON - self.fields[kind]:
            self.warnings["unknown_field"] += 1
        id = event.get("event_id")
        status = "seen" if id is not None and id.lower() in self.seen else getattr(self, kind)(event)
        if status == "seen":
            self.duplicates += 1
            return
        if id is not None:
            self.seen.add(id.lower())
        self.accepted += 1
        self.statuses[status] += 1

    def reject(self, index, kind):
        self.samples[f'bridge_events_received_total{{source="http",event_type="{kind}"}}'] += 1
        self.rejected.append(index)

    def component(self, event):
        name = event.get("component_name")
        if isinstance(name, str) and NAME.fullmatch(name):
            return name
        id = event.get("session_id")
        match = SESSION_ID.fullmatch(id) if isinstance(id, str) else None
        return match[1] if match and NAME.fullmatch(match[1]) else "unknown"

    def session_start(self, event):
        component, at = event["component_name"], nanoseconds(event["timestamp"])
        short = f"{component}-{short_time(at)}"
        long = f"{short}-{event['event_id'][:8].lower()}"
        need(long not in self.active)
        self.active[long] = (at, short, component)
        self.samples[f'session_start_total{{component_name="{component}",shell_type="{event["shell_type"]}"}}'] += 1
        for status in ("success", "error"):
            self.samples[f'session_end_total{{component_name="{component}",status="{status}"}}'] += 0
        self.score(component, event)
        self.emitted(component, "session_start")
        return "tracked"

    def session_end(self, event):
        id, at = event["session_id"], nanoseconds(event["timestamp"])
        # Whatever ended at that very time under that name has ended.
        if id not in self.active and at in self.over.get(id, ()):
            return "seen"
        fitting = [id] if id in self.active else [long for long, known in self.active.items() if known[1] == id]
        if not fitting:
            self.emitted(self.component(event), "session_end", "SessionNotFound")
            return "not_found"
        long = min(fitting, key=lambda long: self.active[long][0])
        start, short, component = self.active.pop(long)
        for name in (long, short):
            self.over.setdefault(name, set()).add(at)
        status = event.get("status", "success")
        self.samples[f'session_end_total{{component_name="{component}",status="{status}"}}'] += 1
        if at >= start:
            self.durations[component].append(Fraction((at - start) * 2**20 // 10**9, 2**20))
        else:
            self.warnings["clock_skew"] += 1
        self.score(component, event)
        self.emitted(component, "session_end")
        return "ended"

    def session_heartbeat(self, event):
        id = event["session_id"]
        known = id in self.active or any(short == id for _, short, _ in self.active.values())
        return "recorded" if known else "not_found"

    def session_quality(self, event):
        self.score(event["component_name"], event)
        return "recorded"

    def active_sessions(self, event):
        self.hosts[event.get("host")] = event["count"]
        return "recorded"

    def score(self, component, event):
        if event.get("quality_score") is not None:
            self.quality[component] = event["quality_score"]

    def result(self):
        samples = dict(self.samples)
        for component, durations in self.durations.items():
            labels = f'component_name="{component}"'
            for bound in BOUNDS:
                within = [one for one in durations if bound == "+Inf" or one <= Fraction(bound)]
                samples[f'session_duration_seconds_bucket{{{labels},le="{bound}"}}'] = len(within)
            samples[f"session_duration_seconds_count{{{labels}}}"] = len(durations)
            total = sum(durations)
            assert Fraction(float(total)) == total
            samples[f"session_duration_seconds_sum{{{labels}}}"] = float(total)
        for name in {key.split('"')[1] for key in samples if key.startswith("session_start_total")}:
            active = sum(1 for _, _, component in self.active.values() if component == name)
            samples[f'active_sessions{{component_name="{name}"}}'] = active
        samples["active_sessions_total"] = len(self.active) + sum(self.hosts.values())
        for component, score in self.quality.items():
            samples[f'session_quality_score{{component_name="{component}"}}'] = score
        samples['bridge_events_accepted_total{source="http"}'] = self.accepted
        samples['bridge_events_duplicate_total{source="http"}'] = self.duplicates
        for reason, count in self.warnings.items():
            samples[f'bridge_event_warnings_total{{reason="{reason}"}}'] = count
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "statuses": dict(sorted(self.statuses.items())),
            "warnings": dict(sorted(self.warnings.items())),
            "samples": dict(sorted(samples.items())),
        }


def main():
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sessions.ndjson"
    count = Count()
    for index, line in enumerate(source.read_text(encoding="utf-8").splitlines()):
        count.take(index, line)
    json.dump(count.result(), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
