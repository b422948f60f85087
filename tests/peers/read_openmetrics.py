#!/usr/bin/env python3
"""Reads an exposition with prometheus_client's parsers and prints it as JSON.

    target/peers/venv/bin/python tests/peers/read_openmetrics.py openmetrics < exposition
    target/peers/venv/bin/python tests/peers/read_openmetrics.py text < exposition

`openmetrics` is the strict OpenMetrics parser, `text` that of the classic text
format. Printed is a list of families:

    [{"name", "type", "unit", "help",
      "samples": [{"name", "labels", "value", "timestamp",
                   "exemplar": null | {"labels", "value", "timestamp"}}]}]

Timestamps are in seconds, or null. A number that JSON does not have is a string:
"NaN", "+Inf" or "-Inf". What cannot be read ends with exit 1 and the parser's
words on stderr; wrong arguments end with exit 2.

A series that is there twice is refused with `openmetrics` (the parser alone would
drop the second one without a word) and printed twice with `text`.

What the parsers do to names: a counter's family is named without `_total`, its
samples with it, and the text parser puts `_total` on the samples of a counter that
has none. So `text` does not show whether a counter's `_total` was on the wire.
"""

import json
import math
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

PARSERS = {
    "openmetrics": openmetrics_parser.text_string_to_metric_families,
    "text": parser.text_string_to_metric_families,
}


def number(value):
    """A number as JSON has it; the parsers' timestamps become seconds."""
    if value is None:
        return None
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return value


def exemplar(found):
    if found is None:
        return None
    return {
        "labels": found.labels,
        "value": number(found.value),
        "timestamp": number(found.timestamp),
    }


def sample(found):
    return {
        "name": found.name,
        "labels": found.labels,
        "value": number(found.value),
        "timestamp": number(found.timestamp),
        "exemplar": exemplar(found.exemplar),
    }


def family(found):
    return {
        "name": found.name,
        "type": found.type,
        "unit": found.unit,
        "help": found.documentation,
        "samples": [sample(one) for one in found.samples],
    }


def nothing_dropped(text, families):
    """The OpenMetrics parser keeps quiet about a series that is there twice, and
    drops the second one; that is seen by counting."""
    lines = sum(1 for line in text.split("\n") if line and not line.startswith("#"))
    samples = sum(len(one["samples"]) for one in families)
    if lines != samples:
        raise ValueError(
            f"{lines} lines with samples, of which the parser kept {samples}:"
            " a series is there more than once"
        )


def main(arguments):
    if len(arguments) != 1 or arguments[0] not in PARSERS:
        print("usage: read_openmetrics.py openmetrics|text < exposition", file=sys.stderr)
        return 2
    parse = PARSERS[arguments[0]]
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
        families = [family(found) for found in parse(text)]
        if arguments[0] == "openmetrics":
            nothing_dropped(text, families)
    # The parsers raise ValueError for most of what they refuse, and now and then
    # an IndexError or a KeyError for what they did not expect.
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    json.dump(families, sys.stdout, allow_nan=False)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
