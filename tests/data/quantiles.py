"""Latencies and what Python's statistics module says of them, as JSON on standard output.

    python3 tests/data/quantiles.py > tests/data/quantiles.json

Latencies are whole numbers of 2^-20 s. What is expected is of the last `window` of them, in seconds: every whole
percentile from 1 to 99 by statistics.quantiles(method="inclusive"), and the mean. Floats are written as strings, so that
a reader gets them to the last bit.
"""

import json
import random
import statistics

PARTS = 1 << 20


def case(name, window, samples):
    seconds = [sample / PARTS for sample in samples[-window:]]
    return {
        "name": name,
        "window": window,
        "samples": samples,
        "percentiles": [repr(q) for q in statistics.quantiles(seconds, n=100, method="inclusive")],
        "mean": repr(statistics.fmean(seconds)),
        "min": repr(min(seconds)),
        "max": repr(max(seconds)),
    }


def main():
    rng = random.Random(20261120)
    uniform = lambda count, most: [rng.randrange(most) for _ in range(count)]
    tail = lambda count: [int(rng.random() ** 8 * 30 * PARTS) for _ in range(count)]
    cases = [
        case("two", 1000, [PARTS // 4, PARTS]),
        case("ties", 1000, [5, 5, 5, 1, 1, 9]),
        case("a hundred and one", 1000, uniform(101, PARTS)),
        case("as many as the window holds", 1000, uniform(1000, 10 * PARTS)),
        case("more than the window holds", 1000, tail(1500)),
        case("a small window", 7, tail(300)),
        case("the longest latencies", 1000, [10**9 * PARTS - number for number in uniform(200, 10**9)]),
    ]
    print(json.dumps({"cases": cases}, separators=(",", ":")))


main()
