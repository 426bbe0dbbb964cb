"""How often does the gate promote anything from a search without skill?

`.venv/bin/python benchmarks/evidence/gate_error_rate.py --results FILE --real WORKSPACE [--searches 1000] [--years 2]
[--minutes 110] [--worlds martingales permuted] [--cache FILE]` runs searches of 200 trials through the gate's own
functions, with charges off, in two worlds: arithmetic martingales, and real returns whose instruments are permuted
against the scores once a search. Scores are of five families; a fifth of the trials, and of the simulated shares,
starts late. A search counts if the gate passes anything at the level of 2.5% after the search. At most 33 of 1,000
searches may: a gate of 2.5% passes that in 95 of 100 cases, one of 5% hardly ever. In every tenth search each trial is
also judged when it is recorded, against those recorded so far: at the same level for each decision, and at the level
that `spent_level` leaves. Results are appended to FILE, so that a stopped run continues; `--minutes` ends a run in
time. The exit code is 1 if a rate is too high.
"""

import sys
import time
import zlib
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta

from benchmarks import meter
from benchmarks.evidence import gate_worlds
from champion.modeling import multiplicity
from champion.modeling.luck.gate_luck import spent_level

LEVEL, DRAWS, MOST = 0.025, 1_000, 0.033
ONE_BY_ONE = 10  # every tenth search
WORLDS = ("martingales", "permuted")
YEAR = 252


@dataclass(frozen=True, slots=True)
class Search:
    """One search: what it was, and whether anything passed: at its end, or when each trial was recorded.

    `each_level` judges each trial at the whole level, `spent` at what is left of it; None if they were not computed.
    """

    world: str
    family: str
    years: int
    seed: int
    promoted: bool
    each_level: bool | None
    spent: bool | None
    best: float
    needed: float


def search(world: str, family: str, years: int, seed: int, real: gate_worlds.Market | None) -> Search:
    """Run a search of trials without skill, and judge the best of it."""
    rng = np.random.default_rng((seed, years, zlib.crc32(f"{world} {family}".encode())))
    sessions = years * YEAR + gate_worlds.LONGEST + gate_worlds.EVERY
    if world == "permuted" and real is not None:
        market = gate_worlds.permuted(rng, real, sessions)
    else:
        market = gate_worlds.martingales(rng, sessions)
    daily, wider = gate_worlds.active_returns(rng, market, gate_worlds.FAMILIES[family](rng, market))
    block, often = multiplicity.block_length(len(daily), gate_worlds.EVERY), seed % ONE_BY_ONE == 0
    found = multiplicity.bootstrap(daily, block, multiplicity.DRAWS if often else DRAWS, wider)
    luck = multiplicity.judge(found, int(np.nanargmax(found.scores)), level=LEVEL)
    each, spent = _one_by_one(found) if often else (None, None)
    return Search(world, family, years, seed, luck.passed, each, spent, round(luck.score, 4), round(luck.critical, 4))


def _one_by_one(found: multiplicity.Maxima) -> tuple[bool, bool]:
    """Return whether any trial passes against the trials before it, at the whole level and at what is left of it."""
    scores, drawn = found.scores[found.judged], found.drawn[:, found.judged]
    rates = ((np.maximum.accumulate(drawn, axis=1) >= scores).sum(axis=0) + 1) / (len(drawn) + 1)
    levels = [spent_level(LEVEL, count + 1, count) for count in range(len(rates))]
    return bool((rates <= LEVEL).any()), bool((rates <= levels).any())


def interval(count: int, tried: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a rate (Clopper and Pearson)."""
    low = float(beta.ppf(0.025, count, tried - count + 1)) if count else 0.0
    return low, float(beta.ppf(0.975, count + 1, tried - count)) if count < tried else 1.0


def table(found: list[Search]) -> list[str]:
    """Return the rates as a Markdown table, a row per world, family and length."""
    lines = ["| world | scores | years | searches | promoted | rate | 95% interval | one by one | level spent |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for (world, family, years), part in sorted(_groups(found).items()):
        count, often = sum(one.promoted for one in part), [one for one in part if one.spent is not None]
        low, high = interval(count, len(part))
        each, spent = (
            f"{sum(getattr(one, name) for one in often)} of {len(often)}" for name in ("each_level", "spent")
        )
        rate = f"{count / len(part):.1%} | {low:.1%} to {high:.1%} | {each} | {spent}"
        lines.append(f"| {world} | {family} | {years} | {len(part):,} | {count} | {rate} |")
    return lines


def too_many(found: list[Search]) -> list[str]:
    """Return the worlds and families in which more searches promote something than a sound gate would."""
    return [
        f"{world}, {family}, {years} years"
        for (world, family, years), part in sorted(_groups(found).items())
        if sum(one.promoted for one in part) > MOST * len(part)
    ]


def _groups(found: list[Search]) -> dict[tuple[str, str, int], list[Search]]:
    """Return the searches by world, family and years."""
    groups = defaultdict[tuple[str, str, int], list[Search]](list)
    for one in found:
        groups[one.world, one.family, one.years].append(one)
    return groups


def main() -> None:
    given = meter.arguments(
        __doc__, searches=1000, years=2, minutes=110.0, real=Path, results=Path, cache=Path, worlds=[*WORLDS]
    )
    real = None
    if given.real or given.cache:
        real = gate_worlds.read_real(given.real, given.cache or Path("gate_returns.npz"))
    worlds = [name for name in given.worlds if name != "permuted" or real is not None]
    found = [Search(**one) for one in meter.read_lines(given.results)]
    done = {(one.world, one.family, one.years, one.seed) for one in found}
    until = time.monotonic() + given.minutes * 60
    for seed in range(given.searches):
        for world in worlds:
            for family in gate_worlds.FAMILIES:
                if (world, family, given.years, seed) in done:
                    continue
                if time.monotonic() > until:
                    print("the time is over: run it again with the same --results")
                    print("\n".join(table(found)))
                    return
                found.append(search(world, family, given.years, seed, real))
                meter.append_line(given.results, asdict(found[-1]))
    print("\n".join(table(found)))
    if wrong := too_many(found):
        sys.exit(f"too many searches promote something: {'; '.join(wrong)}")


if __name__ == "__main__":
    main()
