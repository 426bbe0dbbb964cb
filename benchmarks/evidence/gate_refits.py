"""How often is a recipe without skill ever promoted, if it is fitted again each week and the gate is asked each time?

`.venv/bin/python -m benchmarks.evidence.gate_refits --results FILE [--trials 1000] [--refits 52] [--first 504]
[--level 0.025] [--draws 5000] [--minutes 110] [--alike 1.0 0.9 0.5 0.0]` takes the series of a trial without skill,
with heavy tails and clusters of volatility, two years long at first and a week longer at each refit. Refits are alike
by a correlation: 1 is one series that grows longer, 0 is another model each week. Each refit is judged beside the
earlier series of the trial at the level that `spent_level` leaves, as the gate does. A trial counts if any refit
passes: at most 33 of 1,000 may. Beside it is how many would pass if each refit were judged alone at the whole level,
and at the level of a first decision, by which the gate judged refits before. Results are appended to FILE, so that a
stopped run continues. The exit code is 1 if a rate is too high.
"""

import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import meter
from benchmarks.evidence import gate_error_rate, gate_worlds
from champion.modeling import multiplicity
from champion.modeling.luck.gate_luck import spent_level
from champion.modeling.multiplicity import Floats

ALIKE = (1.0, 0.9, 0.5, 0.0)
WEEK = 5


@dataclass(frozen=True, slots=True)
class Found:
    """One trial without skill: whether any refit passed as the gate judges it, alone at the whole level, and as before.

    `before` judges each refit alone at the level of a first decision.
    """

    alike: float
    refits: int
    first: int
    seed: int
    promoted: bool
    whole: bool
    before: bool


def series(rng: np.random.Generator, alike: float, refits: int, first: int) -> Floats:
    """Return the series of a trial's refits, a row per session and a column per refit; NaN after its last session."""
    sessions = first + WEEK * (refits - 1)
    calm = np.exp(0.5 * np.cumsum(rng.normal(size=sessions)) / np.sqrt(gate_error_rate.YEAR))
    same, returns = calm * rng.standard_t(4, sessions), np.full((sessions, refits), np.nan)
    for number in range(refits):
        until = first + WEEK * number
        fresh = calm[:until] * rng.standard_t(4, until)
        returns[:until, number] = np.sqrt(alike) * same[:until] + np.sqrt(1 - alike) * fresh
    return returns


def trial(alike: float, refits: int, first: int, seed: int, level: float, draws: int) -> Found:
    """Judge each refit of one trial without skill against the series up to then."""
    rng = np.random.default_rng((seed, refits, first, round(1000 * alike)))
    returns = series(rng, alike, refits, first)
    block = multiplicity.block_length(len(returns), gate_worlds.EVERY)
    found = multiplicity.bootstrap(returns, block, draws)
    largest = np.maximum.accumulate(found.drawn, axis=1)
    together, alone = (((each >= found.scores).sum(axis=0) + 1) / (draws + 1) for each in (largest, found.drawn))
    levels = [spent_level(level, 1, min(number, 1), number, number) for number in range(refits)]
    passes = (together <= levels, alone <= level, alone <= levels[0])
    return Found(alike, refits, first, seed, *(bool(each.any()) for each in passes))


def table(found: list[Found]) -> list[str]:
    """Return the rates as a Markdown table, a row per kind of refit."""
    groups = defaultdict[tuple[float, int, int], list[Found]](list)
    for one in found:
        groups[one.alike, one.refits, one.first].append(one)
    lines = [
        "| correlation | refits | first sessions | trials | ever promoted | 95% interval | as before | whole level |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for (alike, refits, first), part in sorted(groups.items(), reverse=True):
        count = sum(one.promoted for one in part)
        low, high = gate_error_rate.interval(count, len(part))
        former, whole = (sum(getattr(one, name) for one in part) / len(part) for name in ("before", "whole"))
        rate = f"{count} ({count / len(part):.1%}) | {low:.1%} to {high:.1%} | {former:.1%} | {whole:.1%}"
        lines.append(f"| {alike:g} | {refits} | {first} | {len(part):,} | {rate} |")
    return lines


def main() -> None:
    given = meter.arguments(
        __doc__, trials=1000, refits=52, first=504, level=gate_error_rate.LEVEL, draws=5_000, minutes=110.0,
        results=Path, alike=[*ALIKE],
    )  # fmt: skip
    found = [Found(**one) for one in meter.read_lines(given.results)]
    done = {(one.alike, one.refits, one.first, one.seed) for one in found}
    until = time.monotonic() + given.minutes * 60
    for seed in range(given.trials):
        for alike in given.alike:
            if (alike, given.refits, given.first, seed) in done:
                continue
            if time.monotonic() > until:
                print("the time is over: run it again with the same --results")
                print("\n".join(table(found)))
                return
            found.append(trial(alike, given.refits, given.first, seed, given.level, given.draws))
            meter.append_line(given.results, asdict(found[-1]))
    print("\n".join(table(found)))
    rates = {alike: [one.promoted for one in found if one.alike == alike] for alike in given.alike}
    most = gate_error_rate.MOST / gate_error_rate.LEVEL * given.level
    if wrong := [f"{alike:g}" for alike, each in rates.items() if sum(each) > most * len(each)]:
        sys.exit(f"too many trials are promoted with a correlation of {', '.join(wrong)}")


if __name__ == "__main__":
    main()
