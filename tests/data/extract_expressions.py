#!/usr/bin/env python3
"""Writes expressions.json: every PromQL expression of the seed documents, where it stands, and how it is judged.

    python3 tests/data/extract_expressions.py DOCUMENT... > tests/data/expressions.json

The documents are no part of the project, what is found in them is. An expression is a query in a block of its own, an
"expr" of a dashboard, or the expr of an alert. Each other block is listed by what it is. It is an error if a block is
neither, if an alert or a dashboard's target has no expression, or if something like PromQL stands anywhere else.

Each expression is judged by `value`: it must give the value that is worked out from what was scraped; or by `cannot`: by
its own construction it gives something else than what its title says, and the right expression must give the value.
"""

import json
import re
import sys
from pathlib import Path

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
FENCE = re.compile(r"\s*```(\w*)\s*")
HEADING = re.compile(r"#+ +(.+)")
LABEL = re.compile(r"\*\*(.+?)\*\*:\s*")
SAMPLE = re.compile(NAME + r"(\{[^{}]*\})? [-+0-9.eE]+")
ALERT = re.compile(r"- alert: (\w+)\s*")
EXPR = re.compile(r"expr: (.+)")
# What only PromQL looks like: a function over a range or with its labels beside it, a selector compared, "expr".
HINT = re.compile(
    r"\b(?:i?rate|increase|histogram_quantile|topk|absent)\s*\("
    r"|\}\s*[=<>!]=?\s*\d|\w\[\d+[smhd]\]|\bexpr\b"
)
CODE = {"python": "a program", "bash": "commands", "toml": "a configuration"}

RATIO = "rate(mcp_hub_requests_failed_total[5m]) / rate(mcp_hub_requests_total[5m])"
RIGHT_RATIO = (
    "sum by (agent, operation) (rate(mcp_hub_requests_failed_total[5m]))"
    " / sum by (agent, operation) (rate(mcp_hub_requests_total[5m]))"
)
NO_MATCH = "only failures have the label error_type, so no series of one side matches one of the other"

# By document and expression: why it cannot give what its title says, and what does.
CANNOT = {
    ("003", 'circuit_breaker_failure_rate{job="mcp_server"}'): (
        "it is the share of calls that failed, not of those that succeeded",
        '100 - circuit_breaker_failure_rate{job="mcp_server"}',
    ),
    ("003", "circuit_breaker_latency_seconds * 1000"): (
        "it gives every quantile, not the 99th percentile alone",
        'circuit_breaker_latency_seconds{quantile="0.99"} * 1000',
    ),
    ("004", RATIO): (NO_MATCH, RIGHT_RATIO),
    ("004", RATIO + " > 0.1"): (NO_MATCH, RIGHT_RATIO + " > 0.1"),
    ("004", 'up{job="mcp-hub"} == 0'): (
        "a job that is gone has no series up at all",
        'up{job="mcp-hub"} == 0 or absent(up{job="mcp-hub"})',
    ),
}


class Unlisted(Exception):
    """Something that is neither extracted nor known to be something else."""


def blocks(text):
    """Each block with the heading above it, the bold label above it (if any), its language and its lines.

    What looks like PromQL outside of blocks is an error.
    """
    section, label, language, lines = "", None, None, []
    for line in text.splitlines():
        fence = FENCE.fullmatch(line)
        if fence and language is None:
            language, lines = fence[1], []
        elif fence:
            yield section, label, language, lines
            language = label = None
        elif language is not None:
            lines.append(line)
        elif HEADING.fullmatch(line):
            # Of a path, its last part.
            section, label = re.sub(r"(?<!\w)/\S*/|`", "", HEADING.fullmatch(line)[1]), None
        elif LABEL.fullmatch(line):
            label = LABEL.fullmatch(line)[1]
        elif HINT.search(line):
            raise Unlisted(f"under {section!r}: {line}")
    if language is not None:
        raise Unlisted(f"under {section!r}: a block that does not end")


def queries(label, lines):
    """The expressions of a block of PromQL, each under the comment above it."""
    title, parts = label, []
    for line in [*lines, ""]:
        text = line.strip()
        if text and not text.startswith("#"):
            parts.append(text)
        joined = " ".join(parts)
        if joined and joined.count("(") == joined.count(")") and (not text or text.startswith("#")):
            yield title, joined
            title, parts = label, []
        if text.startswith("#"):
            title = text.lstrip("# ")
    if parts:
        raise Unlisted(f"PromQL that does not end: {parts}")


def panels(value, title=None):
    """The expressions of a dashboard, each under its panel's title."""
    if isinstance(value, dict):
        title = value.get("title", title)
        if "expr" in value:
            yield title, value["expr"]
        for target in value.get("targets", []):
            if "expr" not in target:
                raise Unlisted(f"a target of {title!r} without an expression")
        for inner in value.values():
            yield from panels(inner, title)
    elif isinstance(value, list):
        for inner in value:
            yield from panels(inner, title)


def alerts(lines):
    """The expressions of alerts, each under its alert's name."""
    name = None
    for line in map(str.strip, lines):
        if ALERT.fullmatch(line):
            if name:
                raise Unlisted(f"the alert {name} without an expression")
            name = ALERT.fullmatch(line)[1]
        elif line.startswith("expr:"):
            if name is None or not EXPR.fullmatch(line):
                raise Unlisted(f"an expression of no alert: {line}")
            yield name, EXPR.fullmatch(line)[1]
            name = None
    if name:
        raise Unlisted(f"the alert {name} without an expression")


def read(label, language, lines):
    """What a block is, and the expressions in it: (what, None) or (kind, [(title, expression)])."""
    text = "\n".join(lines)
    written = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if language == "json":
        found = list(panels(json.loads(text)))
        return ("dashboard", found) if found else ("an answer", None)
    if language == "yaml":
        found = list(alerts(lines))
        if found or not HINT.search(text):
            return ("alert", found) if found else ("a configuration", None)
    if language in CODE and not HINT.search(text):
        return CODE[language], None
    if language in ("", "prometheus") and written and all(SAMPLE.fullmatch(line) for line in written):
        return "an exposition", None
    if language == "" and any(line.startswith("┌") for line in written) and not HINT.search(text):
        return "a drawing", None
    if language in ("", "prometheus", "promql") and all(re.match(rf"{NAME}\s*[({{]?|[)\d]", line) for line in written):
        return "query", list(queries(label, lines))
    raise Unlisted(f"a block of {language!r} that is neither PromQL nor anything known:\n{text}")


def extract(document, text):
    expressions, others = [], []
    for section, label, language, lines in blocks(text):
        what, found = read(label, language, lines)
        if found is None:
            others.append({"document": document, "section": section, "is": what})
            continue
        for title, expression in found:
            entry = {"document": document, "section": section, "title": title or section, "kind": what,
                     "expression": expression}
            known = CANNOT.get((document, expression))
            if known:
                entry |= {"judged": "cannot", "reason": known[0], "right": known[1]}
            else:
                entry |= {"judged": "value"}
            expressions.append(entry)
    return expressions, others


def lines_of(entries):
    return ",\n".join(" " + json.dumps(entry, ensure_ascii=False) for entry in entries)


def main():
    expressions, others = [], []
    for path in sorted(map(Path, sys.argv[1:]), key=lambda path: path.name):
        try:
            found = extract(path.name[:3], path.read_text(encoding="utf-8"))
        except Unlisted as unlisted:
            sys.exit(f"{path.name}: {unlisted}")
        expressions += found[0]
        others += found[1]
    used = {(entry["document"], entry["expression"]) for entry in expressions}
    if CANNOT.keys() - used:
        sys.exit(f"judged, but nowhere to be found: {CANNOT.keys() - used}")
    print(f'{{"expressions": [\n{lines_of(expressions)}\n],\n"other_blocks": [\n{lines_of(others)}\n]}}')


if __name__ == "__main__":
    main()
