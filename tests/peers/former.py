"""The calls of the four systems that docs/migrating.md comes from, as events: what its tables say, in Python.

Reads from stdin, as JSON, the page's `send` and the blocks that call the former systems, and runs them in this order.
"""

import contextlib
import datetime
import json
import sys
import uuid

START = datetime.datetime(2026, 2, 6, 12, 34, 56, tzinfo=datetime.timezone.utc)

plan = json.load(sys.stdin)
exec(compile(plan["send"], "send", "exec"))


def told(**event):
    answer = send(**event)  # noqa: F821 (the page's)
    assert answer["status"] in ("tracked", "ended", "recorded"), (event, answer)
    return answer


class Metrics:
    """What recorded sessions, skills and calls through circuit breakers."""

    def __init__(self):
        self.sessions = {}

    def record_session_start(self, component, shell):
        answer = told(
            event_type="session_start", event_version="1.0", event_id=str(uuid.uuid4()), timestamp=START.isoformat(),
            component_name=component, shell_type=shell, pid=1, hostname="host", user={"username": "me", "home": "/"},
            environment={"python_version": "3.13.0", "platform": "Linux", "cwd": "/"},
        )
        self.sessions[component] = answer["session_id"]

    def record_session_end(self, component, status, duration_seconds):
        end = START + datetime.timedelta(seconds=duration_seconds)
        told(event_type="session_end", session_id=self.sessions.pop(component), status=status,
             timestamp=end.isoformat())

    def record_invocation(self, skill_name, workflow_phase, completed, duration_seconds):
        told(event_type="skill_invocation", skill_name=skill_name, workflow_phase=workflow_phase,
             completed=completed, duration_seconds=duration_seconds)

    def record_anomaly(self, anomaly_type, skill_name):
        told(event_type="anomaly", anomaly_type=anomaly_type, skill_name=skill_name)

    def record_circuit_breaker_call(self, component, latency, success):
        told(event_type="circuit_breaker_call", component=component, latency_seconds=latency, success=success)

    def record_circuit_breaker_state(self, component, state):
        told(event_type="circuit_breaker_state", component=component, state=state)


@contextlib.contextmanager
def track_request(agent, operation):
    request = {"request_id": str(uuid.uuid4()), "agent": agent, "operation": operation}
    told(event_type="request_start", **request)
    yield
    told(event_type="request_end", **request)


def track_llm_call(provider, model):
    told(event_type="llm_call", provider=provider, model=model)


def track_retry(service, attempt, exhausted):
    told(event_type="retry", service=service, attempt=attempt, exhausted=exhausted)


metrics = exporter = Metrics()
elapsed = 0.125
for number, block in enumerate(plan["before"]):
    exec(compile(block, f"block {number}", "exec"))
