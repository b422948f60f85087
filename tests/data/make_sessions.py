#!/usr/bin/env python3
"""Writes sessions.ndjson: session events as Session-Buddy's event models serialise them, good and bad ones.

The same seed gives the same file. What the file must come to is not known here: count_sessions.py works that out.
"""

import json
import random
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

SESSIONS = 320
FIRST = datetime(2026, 3, 2, 6, 30, tzinfo=timezone.utc)
COMPONENTS = [
    ("notes-server", "NotesShell"),
    ("build_runner", "BuildShell"),
    ("code-review-agent", "ReviewShell"),
    ("search", "SearchShell"),
    ("data_pipeline-2", "PipelineShell"),
    ("session-buddy", "SessionBuddyShell"),
]
WEIGHTS = [4, 6, 3, 2, 1, 5]
PEOPLE = ["user", "usér", "agent", "operator"]
HOSTS = ["desk-1", "desk-2", "ci-runner"]
ZONES = [0, 0, 0, 120, -330, 60, 540]
BOUNDS = [60, 300, 900, 1800, 3600, 7200, 14400, 28800]

rng = random.Random(20260302)


def event_id():
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def text_of(moment, zone_minutes=0, digits=6):
    """RFC 3339, with so many digits of a fraction (more than six are made up of zeros)."""
    local = moment.astimezone(timezone(timedelta(minutes=zone_minutes)))
    text = local.strftime("%Y-%m-%dT%H:%M:%S")
    if digits:
        text += "." + (local.strftime("%f") + "000")[:digits]
    if zone_minutes == 0 and rng.random() < 0.5:
        return text + "Z"
    sign = "-" if zone_minutes < 0 else "+"
    hours, minutes = divmod(abs(zone_minutes), 60)
    return f"{text}{sign}{hours:02}:{minutes:02}"


def started(component, shell, moment, **more):
    person, host = rng.choice(PEOPLE), rng.choice(HOSTS)
    event = {
        "event_version": "1.0",
        "event_id": event_id(),
        "event_type": "session_start",
        "component_name": component,
        "shell_type": shell,
        "timestamp": text_of(moment, rng.choice(ZONES), rng.choice([0, 3, 6, 9])),
        "pid": rng.randrange(300, 4_000_000),
        "user": {"username": person, "home": f"/home/{person}"},
        "hostname": host,
        "environment": {
            "python_version": rng.choice(["3.11.9", "3.12.4", "3.13.0"]),
            "platform": "Linux-6.8.0-x86_64-with-glibc2.39",
            "cwd": f"/home/{person}/src/{component}",
        },
        "metadata": rng.choice([{}, {}, {"branch": "main"}, {"tags": ["a", {"deep": [None, 1.5]}]}]),
    }
    event.update(more)
    return event


def ended(session_id, moment, **more):
    event = {
        "event_type": "session_end",
        "session_id": session_id,
        "timestamp": text_of(moment, rng.choice(ZONES), rng.choice([3, 6, 6, 9])),
        "metadata": rng.choice([{}, {"exit_reason": "user_exit"}]),
    }
    event.update(more)
    return event


def ids_of(event, moment):
    """The short and the long form of the session's id."""
    short = f"{event['component_name']}-{moment.strftime('%Y%m%d-%H%M%S')}"
    return short, f"{short}-{event['event_id'][:8]}"


def a_length():
    kind = rng.random()
    if kind < 0.1:
        # On a bucket's bound, and a hair beside it.
        return timedelta(seconds=rng.choice(BOUNDS), microseconds=rng.choice([0, 0, 1, -1]))
    return timedelta(microseconds=int(rng.lognormvariate(7.2, 1.5) * 1e6))


def bad_lines(moment):
    """Events that are at fault, each in its own way."""
    component, shell = COMPONENTS[1]

    def broken(**changes):
        event = started(component, shell, moment)
        for key, value in changes.items():
            if value is None:
                del event[key]
            else:
                event[key] = value
        return json.dumps(event)

    yield '{"event_type":"session_start","component_name":"build_runner"'
    yield "session_end search-20260302-070000"
    yield '["session_start"]'
    yield "null"
    yield broken(event_id=None)
    yield broken(timestamp=None)
    yield broken(component_name=None)
    yield broken(pid=None)
    yield broken(event_id="not-a-uuid")
    yield broken(event_id=event_id().replace("-", ""))
    yield broken(timestamp="2026-03-02 08:00:00+00:00")
    yield broken(timestamp="2026-03-02T08:00:00")
    yield broken(timestamp="2026-02-30T08:00:00Z")
    yield broken(event_version="2.0")
    yield broken(event_version=1.0)
    yield broken(component_name="build runner")
    yield broken(component_name="")
    yield broken(shell_type="x" * 129)
    yield broken(shell_type="Build\u0007Shell")
    yield broken(pid="12")
    yield broken(pid=-1)
    yield broken(quality_score=100.5)
    yield broken(quality_score="high")
    yield broken(user="user")
    yield broken(metadata=[1])
    yield broken(event_type="session_began")
    yield broken(event_type=None)
    yield json.dumps(ended("search-20260302-070000-0badcafe", moment, timestamp="yesterday"))
    yield json.dumps(ended("search-20260302-070000-0badcafe", moment, status="timeout"))
    yield json.dumps(ended(None, moment))
    yield json.dumps({"event_type": "session_end", "timestamp": text_of(moment)})
    yield json.dumps({"event_type": "session_quality", "component_name": "search", "quality_score": -1})


def made():
    """All events with the moments at which they are sent."""
    sent = []
    moment = FIRST
    for number in range(SESSIONS):
        component, shell = rng.choices(COMPONENTS, WEIGHTS)[0]
        moment += timedelta(microseconds=int(rng.expovariate(1 / 110) * 1e6))
        more = {}
        if rng.random() < 0.15:
            more["quality_score"] = rng.randrange(0, 1001) / 10
        if rng.random() < 0.02:
            more["git_branch"] = "main"
        if rng.random() < 0.1:
            more.update(protocol_version="2025-11-25", transport="stdio")
        starts = [(started(component, shell, moment, **more), moment)]
        if number % 16 == 5:
            # A second one in the same second: their short forms are one.
            twin = moment.replace(microsecond=max(moment.microsecond, 999_000))
            starts.append((started(component, shell, twin), twin))
        for event, start in starts:
            sent.append((start, event))
            if rng.random() < 0.04:
                sent.append((start + timedelta(seconds=rng.choice([0, 1, 90, 86_400])), event))
            short, long = ids_of(event, start)
            if rng.random() < 0.08:
                beat = {"event_type": "session_heartbeat", "session_id": rng.choice([short, long])}
                sent.append((start + timedelta(seconds=30), beat))
            if rng.random() < 0.07:
                continue
            end = start + a_length()
            if rng.random() < 0.02:
                end = start - timedelta(milliseconds=rng.randrange(1, 90_000))
            more = {}
            if rng.random() < 0.12:
                more["status"] = "error"
            elif rng.random() < 0.2:
                more["status"] = "success"
            if rng.random() < 0.15:
                more["quality_score"] = rng.randrange(0, 101)
            if rng.random() < 0.3:
                more["event_id"] = event_id()
            id = long if len(starts) > 1 and rng.random() < 0.5 else rng.choice([short, short, long])
            when = max(end, start + timedelta(seconds=1))
            event = ended(id, end, **more)
            sent.append((when, event))
            kind = rng.random()
            if kind < 0.03:
                sent.append((when + timedelta(seconds=5), event))
            elif kind < 0.05:
                # The same end, in other words: another zone, and the other form of the id.
                again = dict(event, session_id=long, timestamp=text_of(end, 120, 9))
                again.pop("event_id", None)
                sent.append((when + timedelta(seconds=5), again))
            elif kind < 0.07:
                later = end + timedelta(seconds=7)
                sent.append((when + timedelta(seconds=10), ended(long, later)))
    for number in range(12):
        at = FIRST + timedelta(minutes=37 * number + 11)
        component = rng.choice(COMPONENTS)[0]
        unknown = [
            f"{component}-{at.strftime('%Y%m%d-%H%M%S')}",
            f"{component}-{at.strftime('%Y%m%d-%H%M%S')}-{rng.getrandbits(32):08x}",
            f"session-{number}",
        ]
        sent.append((at, ended(unknown[number % 3], at)))
        score = rng.randrange(0, 10_001) / 100
        sent.append((at, {"event_type": "session_quality", "component_name": component, "quality_score": score}))
        report = {"event_type": "active_sessions", "count": rng.randrange(0, 9), "host": rng.choice(HOSTS)}
        sent.append((at, report))
    sent.append((FIRST, {"event_type": "active_sessions", "count": 3}))
    lines = [(when, json.dumps(event, ensure_ascii=False, separators=(",", ":"))) for when, event in sent]
    at = FIRST + timedelta(hours=1)
    for line in bad_lines(at):
        lines.append((rng.choice(sent)[0], line))
    # Sorting is stable: what is sent at one moment stays in order.
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sessions.ndjson"
    target.write_text("\n".join(made()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
