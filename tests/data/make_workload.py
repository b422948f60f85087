#!/usr/bin/env python3
"""Writes workload.ndjson: events of every type, as a machine with all four systems reports them, in three parts.

`metadata.part` tells the part: `warm_up` leaves something in every series, `quiet` is a good day, and in `storm` so much
fails that every alert has its reason. The same seed gives the same file. What it must come to is not known here:
count_workload.py works that out.
"""

import json
import random
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

PARTS = ["warm_up", "quiet", "storm"]
FIRST = datetime(2026, 3, 2, 8, 0, tzinfo=timezone.utc)
COMPONENTS = [
    ("mahavishnu", "MahavishnuShell"), ("session-buddy", "SessionBuddyShell"), ("crackerjack", "CrackerjackShell"),
]
SKILLS = ["pytest-run", "ruff-check", "mypy-check"]
PHASES = ["setup", "execution", None]
REQUESTS = [("research", "search"), ("research", "summarize"), ("coder", "execute")]
MODELS = [("openai", "gpt-5"), ("anthropic", "claude-sonnet-4-5"), ("nebius", "llama-3.1-70b")]
METHODS = [("tools/call", "search_notes"), ("tools/call", "run_tests"), ("tools/list", None), ("ping", None)]

rng = random.Random(20260302)


def event_id():
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def seconds(low, high):
    """A duration with at most six digits of a fraction."""
    return round(rng.uniform(low, high), rng.choice([1, 3, 6]))


class Writer:
    """The events so far, and the clock of the machine that reports them."""

    def __init__(self):
        self.lines = []
        self.part = None
        self.now = FIRST
        self.sessions = []
        self.requests = []

    def add(self, event_type, when=None, **fields):
        """One event, a moment later than the one before unless its time is given; fields of None are left out."""
        self.now += timedelta(milliseconds=rng.randrange(50, 900))
        event = {"event_type": event_type, "timestamp": text_of(when or self.now)}
        event |= {name: value for name, value in fields.items() if value is not None}
        event["metadata"] = {"part": self.part}
        self.lines.append(event)
        return event

    def again(self):
        """The newest event once more, under its id."""
        self.lines[-1]["event_id"] = self.lines[-1].get("event_id") or event_id()
        self.lines.append(dict(self.lines[-1]))

    def start(self, component, shell, began):
        id = event_id()
        person = rng.choice(["user", "operator"])
        mcp = rng.random() < 0.6
        self.add(
            "session_start", began, event_version="1.0", event_id=id, component_name=component, shell_type=shell,
            pid=rng.randrange(300, 40_000), user={"username": person, "home": f"/home/{person}"}, hostname="desk-1",
            environment={"python_version": "3.13.0", "platform": "Linux-6.8.0-x86_64", "cwd": f"/home/{person}/src"},
            quality_score=rng.choice([None, 61, 72.5]), protocol_version="2025-11-25" if mcp else None,
            transport=rng.choice(["stdio", "http"]) if mcp else None)
        short = f"{component}-{began.strftime('%Y%m%d-%H%M%S')}"
        self.sessions.append((f"{short}-{id[:8]}", short, began))
        return self.sessions[-1]


def text_of(moment):
    digits = moment.strftime("%f")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{digits}Z" if moment.microsecond else "Z")


def sessions(out, durations, failing, left_open):
    """Sessions of such lengths of each component, one of each component in a status of its own at a time."""
    for number, length in enumerate(durations):
        for component, shell in COMPONENTS:
            began = out.now - timedelta(days=rng.randrange(1, 4), seconds=rng.randrange(4000))
            id, short, _ = out.start(component, shell, began)
            if rng.random() < 0.5:
                out.add("session_heartbeat", session_id=id)
            stretch = timedelta(seconds=length * rng.uniform(0.9, 1.1)) if number % 3 else timedelta(seconds=length)
            status = "error" if number in failing else rng.choice([None, "success"])
            end = out.add("session_end", began + stretch, session_id=rng.choice([id, short]), status=status,
                          quality_score=rng.choice([None, None, 88]))
            if number == 0:
                out.lines.append(dict(end))
    for component, shell in COMPONENTS[:left_open]:
        out.start(component, shell, out.now)
    for component, _ in COMPONENTS:
        out.add("session_quality", component_name=component, quality_score=rng.choice([0, 40.25, 85.5, 100]))


def emissions(out, count):
    for number in range(count):
        component = COMPONENTS[number % 3][0]
        failed = number % 5 == 4
        out.add("mcp_event", component_name=component, emitted_type=["tool_list", "tool_call"][number % 2],
                duration_seconds=rng.choice([0.005, seconds(0.0005, 0.2), seconds(0.5, 12)]),
                error_type=["ConnectionError", "TimeoutError"][number % 2] if failed else None)
    for host in ("desk-1", "desk-2", None):
        out.add("active_sessions", count=rng.randrange(0, 9), host=host)


def skills(out, count):
    for number in range(count):
        name, phase = SKILLS[number % 3], PHASES[number // 3 % 3]
        session = rng.choice(out.sessions)[0] if number % 4 else None
        out.add("skill_invocation", skill_name=name, workflow_phase=phase, completed=rng.random() < 0.8,
                duration_seconds=None if number % 7 == 3 else rng.choice([0.5, seconds(0.05, 4), seconds(5, 400)]),
                session_id=session, workflow_path="setup/execution" if phase else None)
    out.again()
    for name in SKILLS:
        out.add("skill_completion_rate", skill_name=name, rate=rng.choice([0, 1, round(rng.random(), 3)]))


def anomalies(out, rounds):
    """Twelve skills, each with more than the one before it."""
    for number in range(12):
        kinds = ["drop", "spike", "pattern_shift", "performance_drop"]
        for _ in range(rounds * number // 2 + 1):
            out.add("anomaly", skill_name=(SKILLS + [f"skill-{letter}" for letter in "defghijkl"])[number],
                    anomaly_type=rng.choice(kinds), deviation_score=rng.choice([None, -3.5, 2.25]))


def breakers(out, storm):
    for number in range(24):
        for component in ("payments", "search_api", "GET_/v1/items"):
            bad = storm and component != "search_api"
            out.add("circuit_breaker_call", component=component, success=number % 23 != 7 and not (bad and number % 2),
                    latency_seconds=seconds(2, 40) if bad else rng.choice([0.25, seconds(0.001, 0.4)]))
    states = ["open", "half_open", "open"] if storm else ["open", "half_open", "closed"]
    for state in states:
        out.now += timedelta(seconds=rng.randrange(30, 4000))
        out.add("circuit_breaker_state", component="payments", state=state)
    out.add("circuit_breaker_state", component="search_api", state="half_open" if storm else "closed")
    if out.part == "storm":
        # Reported open and closed again, and never called.
        out.add("circuit_breaker_state", component="idle", state="open")
        out.now += timedelta(seconds=47)
        out.add("circuit_breaker_state", component="idle", state="closed")


def requests(out, storm):
    def fails(number):
        return number % 16 == 3 or (storm and number % 3 == 0)

    for number in range(20):
        for agent, operation in REQUESTS:
            slow = storm and agent == "coder"
            took = seconds(31, 200) if slow else rng.choice([0.5, 2.5, seconds(0.01, 9)])
            error = rng.choice(["timeout", "rate_limit"]) if fails(number) else None
            if number % 2:
                out.add("request", agent=agent, operation=operation, duration_seconds=took, error_type=error)
                continue
            id, began = f"r-{out.part}-{number}-{operation}", out.now
            out.add("request_start", began, request_id=id, agent=agent, operation=operation)
            out.add("request_end", began + timedelta(seconds=took), request_id=id, agent=agent, operation=operation,
                    error_type=error)
    for agent, operation in REQUESTS[: PARTS.index(out.part) + 1]:
        out.add("request_start", request_id=f"open-{out.part}-{operation}", agent=agent, operation=operation)
    out.again()
    out.add("request_end", request_id=f"never-started-{out.part}", agent="coder", operation="execute")


def models(out, count):
    for number in range(count):
        provider, model = MODELS[number % 3]
        whole = number % 6 != 5
        out.add("llm_call", provider=provider, model=model, operation=[None, "chat", "embeddings"][number // 3 % 3],
                duration_seconds=seconds(0.02, 90) if whole else None,
                input_tokens=rng.choice([0, 1, 16, rng.randrange(20, 90_000)]) if whole else None,
                output_tokens=rng.randrange(1, 5000) if number % 4 else None,
                time_to_first_token_seconds=seconds(0.01, 3) if number % 3 == 0 else None,
                error_type="rate_limit" if number % 8 == 6 else None,
                session_id=rng.choice(out.sessions)[0] if number % 2 else None)


def uses(out, count):
    for number in range(count):
        if number % 3 == 0:
            out.add("search_call")
        out.add("code_execution", status="failure" if number % 5 == 2 else "success")
        out.add("cache_access", cache_type=["llm", "search"][number % 2], hit=rng.random() < 0.7)
        out.add("cache_access", cache_type="always", hit=True)
        out.add("retry", service=["llm_api", "search_api"][number % 2], attempt=number % 13 + 1,
                exhausted=[None, False, True][number % 3])


def operations(out, count):
    for number in range(count):
        method, tool = METHODS[number % 4]
        out.add("mcp_operation", component_name=COMPONENTS[number % 3][0], method=method, tool_name=tool,
                direction="to_client" if number % 6 == 5 else "to_server", duration_seconds=seconds(0.004, 30),
                error_type="tool_error" if number % 7 == 2 else None, transport=["stdio", "http"][number // 4 % 2],
                protocol_version=[None, "2025-11-25"][number // 2 % 2],
                session_id=rng.choice(out.sessions)[1] if number % 3 else None)


def refused(out):
    """One event of many a type that is not what it must be."""
    out.add("no_such_type")
    out.add("session_quality", component_name="two words", quality_score=1)
    out.add("mcp_event", component_name="mahavishnu", emitted_type="tool_list", duration_seconds=-1)
    out.add("skill_invocation", skill_name="pytest-run", completed="yes")
    out.add("skill_completion_rate", skill_name="pytest-run", rate=1.01)
    out.add("anomaly", skill_name="pytest-run")
    out.add("active_sessions", count=-1)
    out.add("circuit_breaker_call", component="payments", latency_seconds=0.5)
    out.add("circuit_breaker_state", component="payments", state="ajar")
    out.add("request", agent="coder", operation="", duration_seconds=1)
    out.add("request_start", agent="coder", operation="execute")
    out.add("llm_call", provider="openai", model="gpt-5", input_tokens=1.5)
    out.add("code_execution", status="maybe")
    out.add("cache_access", cache_type="llm")
    out.add("retry", service="llm_api", attempt=0)
    out.add("mcp_operation", component_name="mahavishnu", method="ping", direction="sideways", duration_seconds=1,
            transport="stdio")


def main():
    out = Writer()
    for part in PARTS:
        out.part, storm = part, part == "storm"
        out.now += timedelta(hours=1)
        if part == "warm_up":
            sessions(out, [30, 60, 32_400, 45], failing=[3], left_open=1)
        elif part == "quiet":
            sessions(out, [10, 299, 300, 1234.5, 7200, 9000, 59], failing=[6], left_open=2)
        else:
            sessions(out, [61, 2000, 14_400, 20_000, 40_000], failing=[0, 2, 3], left_open=1)
        emissions(out, 30)
        skills(out, 27)
        anomalies(out, 2 if storm else 1)
        breakers(out, storm)
        requests(out, storm)
        models(out, 24)
        uses(out, 13)
        operations(out, 24)
    refused(out)
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "workload.ndjson"
    lines = [json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in out.lines]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
