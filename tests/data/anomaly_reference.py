#!/usr/bin/env python3
"""The reference of docs/anomalies.md: prints the scores of fixed inputs, by the formulas alone.

Run it and compare what it prints with anomaly_reference.json beside it. It needs nothing but Python's own modules;
the inputs that vary come from a generator of its own, so that every version of Python prints the same.
"""

import json
import math
import statistics
import sys

THRESHOLD, MIN_SAMPLES, MIN_WINDOWS = 2.0, 10, 6
BASELINE_WINDOWS = 24


class Noise:
    """A linear congruential generator (Numerical Recipes' constants)."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state / 2**32

    def poisson(self, mean):
        limit, product, count = math.exp(-mean), self.uniform(), 0
        while product > limit:
            product *= self.uniform()
            count += 1
        return count

    def binomial(self, n, p):
        return sum(self.uniform() < p for _ in range(n))


def window(invocations, completed, *phases):
    return {"invocations": invocations, "completed": completed, "phases": list(phases)}


def noisy(noise, mean, rate, mix):
    n = noise.poisson(mean)
    phases, left, weight = [], n, 1.0
    for share in mix[:-1]:
        phases.append(noise.binomial(left, share / weight))
        left -= phases[-1]
        weight -= share
    return window(n, noise.binomial(n, rate), *phases, left)


# --- the formulas -----------------------------------------------------------------------------------------------------


def mix_of(one, phases):
    counts = one["phases"] + [0] * (phases - len(one["phases"]))
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def variation(p, q):
    return sum(abs(a - b) for a, b in zip(p, q)) / 2


def scores(baseline, recent):
    n = recent["invocations"]
    result = {"drop": None, "spike": None, "pattern_shift": None}
    if n < MIN_SAMPLES:
        return result
    if len(baseline) >= MIN_WINDOWS:
        counts = [w["invocations"] for w in baseline]
        m = statistics.mean(counts)
        sigma = math.hypot(statistics.stdev(counts), max(math.sqrt(m), 0.05 * m, 1))
        result["spike"] = (n - m) / sigma
    full = [w for w in baseline if w["invocations"] >= MIN_SAMPLES]
    if len(full) < MIN_WINDOWS:
        return result

    rates = [w["completed"] / w["invocations"] for w in full]
    m = statistics.fmean(rates)
    p = (sum(w["completed"] for w in full) + 1) / (sum(w["invocations"] for w in full) + 2)
    sigma = math.hypot(statistics.stdev(rates), max(math.sqrt(p * (1 - p) / n), 1 / n, 0.02))
    result["drop"] = (recent["completed"] / n - m) / sigma

    phases = max(len(w["phases"]) for w in full + [recent])
    pooled = window(0, 0, *[sum(column) for column in zip(*(w["phases"] + [0] * (phases - len(w["phases"])) for w in full))])
    q = mix_of(pooled, phases)
    distances = [variation(mix_of(w, phases), q) for w in full]
    chance = sum(math.sqrt(2 * x * (1 - x) / (math.pi * n)) for x in q) / 2
    sigma = math.hypot(statistics.stdev(distances), max(chance, 1 / n, 0.02))
    result["pattern_shift"] = (variation(mix_of(recent, phases), q) - max(statistics.fmean(distances), chance)) / sigma
    return result


def kinds(score):
    found = [("drop", -1), ("spike", 1), ("pattern_shift", 1)]
    return [kind for kind, sign in found if score[kind] is not None and sign * score[kind] > THRESHOLD]


# --- single judgements ------------------------------------------------------------------------------------------------

usual = window(20, 18, 12, 8)
flawless = window(40, 40, 40)
varied = [window(18 + i % 5, 15 + i % 4, 10 + i % 3, 8 + i % 5 - i % 3) for i in range(24)]

JUDGEMENTS = {
    "steady": ([usual] * 24, usual),
    "steady and flawless": ([flawless] * 24, flawless),
    "drop": (varied, window(20, 6, 11, 9)),
    "drop from a flawless baseline": ([flawless] * 24, window(40, 34, 40)),
    "one failure after a flawless baseline": ([flawless] * 24, window(40, 39, 40)),
    "rise of the rate": (varied, window(20, 20, 11, 9)),
    "spike": (varied, window(64, 53, 35, 29)),
    "spike over zero variance": ([usual] * 24, window(40, 36, 24, 16)),
    "fall of the count": (varied, window(10, 8, 5, 5)),
    "pattern shift": (varied, window(20, 17, 2, 18)),
    "a phase never seen before": ([flawless] * 24, window(40, 40, 25, 15)),
    "a phase that went missing": ([usual] * 24, window(20, 18, 0, 20)),
    "all at once": (varied, window(80, 10, 0, 20, 60)),
    "large counts": ([window(100_000 + 37 * i, 99_000 + 36 * i, 60_000, 40_000 + 37 * i) for i in range(24)],
                     window(101_000, 96_000, 50_000, 51_000)),
    "too few now": (varied, window(9, 0, 0, 9)),
    "too few windows": (varied[:5], window(90, 0, 0, 90)),
    "sparse baseline": ([window(3, 3, 3)] * 24, window(30, 0, 0, 30)),
    "idle baseline": ([window(0, 0)] * 24, window(30, 30, 30)),
}

# --- weeks, hour by hour ----------------------------------------------------------------------------------------------


def daily(hour, base=5.0):
    """Quiet nights, busy days."""
    return base + 45.0 * max(0.0, math.sin((hour % 24 - 6) / 12 * math.pi))


def timelines():
    mix = [0.6, 0.3, 0.1]
    steady = Noise(1)
    yield "steady", [window(30, 27, 18, 9, 3) for _ in range(24 * 7)]
    yield "steady, Poisson", [noisy(steady, 30, 0.9, mix) for _ in range(24 * 7)]
    season = Noise(2)
    yield "daily season, exact", [window(n, n, n) for n in (round(daily(h)) for h in range(24 * 7))]
    yield "daily season, Poisson", [noisy(season, daily(h), 0.95, mix) for h in range(24 * 7)]
    weekend = Noise(3)
    yield "quiet weekends", [
        noisy(weekend, daily(h) if h // 24 % 7 < 5 else 2.0, 0.95, mix) for h in range(24 * 14)
    ]
    sparse = Noise(4)
    yield "sparse", [noisy(sparse, 1.5, 0.8, mix) for _ in range(24 * 7)]
    yield "sparse with a burst", [
        noisy(sparse, 40.0 if h == 100 else 1.5, 0.8, mix) for h in range(24 * 7)
    ]
    broken = Noise(5)
    yield "breaks at hour 100", [noisy(broken, 30, 0.9 if h < 100 else 0.3, mix) for h in range(24 * 7)]


def main():
    judgements = [
        {"name": name, "baseline": baseline, "recent": recent,
         "scores": scores(baseline, recent), "anomalies": kinds(scores(baseline, recent))}
        for name, (baseline, recent) in JUDGEMENTS.items()
    ]
    weeks = []
    for name, windows in timelines():
        found = []
        for hour in range(BASELINE_WINDOWS, len(windows)):
            baseline = windows[hour - BASELINE_WINDOWS:hour]
            found += [[hour, kind] for kind in kinds(scores(baseline, windows[hour]))]
        packed = [[w["invocations"], w["completed"], w["phases"]] for w in windows]
        weeks.append({"name": name, "windows": packed, "found": found})

    print("{")
    print(f' "rules": {{"threshold": {THRESHOLD}, "min_samples": {MIN_SAMPLES}, "min_windows": {MIN_WINDOWS},')
    print(f'  "baseline_windows": {BASELINE_WINDOWS}}},')
    print(' "judgements": [')
    print(",\n".join("  " + json.dumps(one) for one in judgements))
    print(' ],\n "weeks": [')
    print(",\n".join("  " + json.dumps(one) for one in weeks))
    print(" ]\n}")


# --- false alarms -----------------------------------------------------------------------------------------------------


def false_alarms(weeks=20):
    """How many anomalies a skill has a week that only chance changes: twelve judgements an hour, one hour of cool-down."""
    slots = 12
    for mean in (12, 30, 120):
        noise = Noise(mean)
        cells = [noisy(noise, mean / slots, 0.9, [0.6, 0.3, 0.1]) for _ in range(slots * 24 * (7 * weeks + 1))]

        def at(slot):
            part = cells[slot:slot + slots]
            phases = [sum(w["phases"][i] for w in part) for i in range(3)]
            return window(sum(w["invocations"] for w in part), sum(w["completed"] for w in part), *phases)

        last = {}
        counts = {}
        for slot in range(slots * BASELINE_WINDOWS, len(cells) - slots):
            baseline = [at(slot - slots * i) for i in range(BASELINE_WINDOWS, 0, -1)]
            score = scores(baseline, at(slot))
            for threshold in (2.0, 2.5, 3.0, 4.0):
                for kind, sign in (("drop", -1), ("spike", 1), ("pattern_shift", 1)):
                    if score[kind] is not None and sign * score[kind] > threshold:
                        key = threshold, kind
                        counts[key] = counts.get(key, 0) + (slot - last.get(key, -99) > slots)
                        last[key] = slot
        for (threshold, kind), count in sorted(counts.items()):
            print(f"{mean} an hour, threshold {threshold}, {kind}: {count / weeks:.2f} a week")


if __name__ == "__main__":
    false_alarms() if sys.argv[1:] == ["--false-alarms"] else main()
