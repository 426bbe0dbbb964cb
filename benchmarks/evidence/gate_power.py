"""How often does the gate promote a search that holds one model with skill?

`.venv/bin/python benchmarks/evidence/gate_power.py --results FILE [--searches 100] [--minutes 110]` runs searches of
200 trials on simulated markets, 2 and 6 years long, with charges off. Own returns revert: the expected own return of a
session is minus `signal` times the mean of the last five. One trial ranks by minus the return of the last five
sessions, the others are random combinations of inputs without this one. A search counts if the gate passes the trial
with skill after the search, at the level of 2.5%. Its Sharpe ratio of daily active returns is printed beside, because a
year has few independent sessions: no gate that keeps its level finds weak skill in two years. Results are appended to
FILE, so that a stopped run continues.
"""

import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import meter
from benchmarks.evidence import gate_error_rate, gate_worlds
from champion.modeling import multiplicity

SIGNALS, YEARS = (0.05, 0.1, 0.2), (2, 6)
PAST = 0  # the input that is the return of the last five sessions


@dataclass(frozen=True, slots=True)
class Found:
    """One search: its signal, whether the trial with skill passed, its Sharpe ratio and the one that it needed."""

    signal: float
    years: int
    seed: int
    promoted: bool
    sharpe: float
    needed: float


def search(signal: float, years: int, seed: int) -> Found:
    """Run a search with one skilled trial, and judge this trial."""
    rng = np.random.default_rng((seed, years, round(1000 * signal)))
    sessions = years * gate_error_rate.YEAR + gate_worlds.LONGEST + gate_worlds.EVERY
    market = gate_worlds.martingales(rng, sessions, signal)
    weights = rng.standard_normal((gate_worlds.TRIALS, len(market.inputs)), dtype=np.float32)
    weights[:, PAST] = 0.0
    weights[0] = 0.0
    weights[0, PAST] = -1.0
    daily, wider = gate_worlds.active_returns(rng, market, np.tensordot(weights, market.inputs, axes=1))
    block = multiplicity.block_length(len(daily), gate_worlds.EVERY)
    found = multiplicity.bootstrap(daily, block, gate_error_rate.DRAWS, wider)
    luck = multiplicity.judge(found, 0, level=gate_error_rate.LEVEL)
    return Found(signal, years, seed, luck.passed, round(luck.sharpe, 3), round(luck.sharpe_needed, 3))


def table(found: list[Found]) -> list[str]:
    """Return the shares as a Markdown table, a row per signal and length."""
    groups = defaultdict[tuple[int, float], list[Found]](list)
    for one in found:
        groups[one.years, one.signal].append(one)
    lines = ["| years | signal | searches | promoted | 95% interval | Sharpe ratio | needed |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for (years, signal), part in sorted(groups.items()):
        count = sum(one.promoted for one in part)
        low, high = gate_error_rate.interval(count, len(part))
        ratios = (np.median([one.sharpe for one in part]), np.median([one.needed for one in part]))
        share = f"{count / len(part):.0%} | {low:.0%} to {high:.0%} | {ratios[0]:.2f} | {ratios[1]:.2f}"
        lines.append(f"| {years} | {signal:g} | {len(part)} | {share} |")
    return lines


def main() -> None:
    given = meter.arguments(__doc__, searches=100, minutes=110.0, results=Path)
    found = [Found(**one) for one in meter.read_lines(given.results)]
    done = {(one.signal, one.years, one.seed) for one in found}
    until = time.monotonic() + given.minutes * 60
    wanted = [(signal, years, seed) for seed in range(given.searches) for years in YEARS for signal in SIGNALS]
    for signal, years, seed in [each for each in wanted if each not in done]:
        if time.monotonic() > until:
            print("the time is over: run it again with the same --results")
            break
        found.append(search(signal, years, seed))
        meter.append_line(given.results, asdict(found[-1]))
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
