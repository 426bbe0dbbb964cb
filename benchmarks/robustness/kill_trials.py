"""Kill the writer of the trial ledger at random instants and run it again; compare the ledger with an undisturbed one.

`.venv/bin/python benchmarks/robustness/kill_trials.py --work FOLDER [--kills N] [--looks N] [--seed N] [--json PATH]`
writes looks, each an intent, a series and a result, in a process that is killed at a random instant of a random look.
The kernel kills it by a timer that the process sets itself, with a signal that has no handler: nothing is cleaned up,
as with SIGKILL, and a busy machine does not miss the instant. The next process repeats the last looks and goes on.
After each kill the chain of the ledger must be intact, and no count may shrink. When all looks of a round are written,
lines and series must equal those of a ledger without a kill. Finished rounds are kept in FOLDER, so a run that was
stopped goes on from there. Reading the ledger takes time in proportion to its lines: few looks a round make a kill
cheap.
"""

import json
import multiprocessing
import random
import shutil
import signal
import time
from collections import Counter
from datetime import date, timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import meter
from champion.modeling.universe import UNIVERSES
from champion.pipeline.models import looks, recipes, trials
from champion.settings import Settings
from champion.tracking.trials import grouping, ledger

FIRST, SESSIONS = date(2024, 1, 1), 250
LOOKS = 4  # new ones after which a writer is killed at the latest
_PACE = 0.02  # seconds of a look, until the first is measured
PRELOADED = [
    *("numpy", "polars", "pyarrow.parquet", "champion.settings", "champion.lake", "champion.features.custom"),
    *("champion.modeling.universe", "champion.portfolio.simulator", "champion.tracking.trials.ledger"),
]
"""Imported once. Modules that load a contract are not: Polars then has a thread, and a fork of it waits for ever."""
BACK = 3  # looks that the next writer repeats


def main() -> None:
    given = meter.arguments(__doc__, work=Path, kills=1000, looks=40, seed=1, json=Path)
    meter.forget_workspace()
    given.work.mkdir(parents=True, exist_ok=True)
    undisturbed = Settings(home=given.work / "undisturbed")
    write(undisturbed, 0, given.looks)
    expected = content(undisturbed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    kept = given.work / "rounds.json"
    rounds: list[dict[str, int]] = json.loads(kept.read_text()) if kept.exists() else []
    while sum(one["kills"] for one in rounds) < given.kills:
        home = Settings(home=given.work / "round")
        shutil.rmtree(home.home, ignore_errors=True)
        started = time.monotonic()
        found = one_round(context, home, given.looks, random.Random(f"{given.seed} {len(rounds)}"))  # noqa: S311 - instants
        seconds = round(time.monotonic() - started)
        rounds.append({**found, "equal": int(content(home) == expected), "seconds": seconds})
        kept.write_text(json.dumps(rounds))
        print(f"round {len(rounds)}: {rounds[-1]}", flush=True)
    total = Counter[str]()
    for one in rounds:
        total.update(one)
    report = {"rounds": len(rounds), "looks a round": given.looks, **total}
    for name, value in report.items():
        print(f"{name:<24}{value:>8,}")
    meter.write_json(given.json, report)


def one_round(context: ForkServerContext, settings: Settings, count: int, instants: random.Random) -> dict[str, int]:
    """Return what kills left behind in one ledger: kills, unterminated lines, intents without result."""
    left = Counter[str](kills=0, unterminated=0, intents=0, series=0)
    written, total = 0, 0
    while written < count:
        last = max(written - BACK, 0) + instants.randrange(BACK + LOOKS)
        given = (str(settings.home), max(written - BACK, 0), count, last, instants.uniform(0, 1.3))
        process = context.Process(target=work, args=given)
        process.start()
        process.join()
        assert process.exitcode in {0, -signal.SIGALRM}, process.exitcode  # noqa: S101 - what is tested
        left["kills"] += process.exitcode != 0
        path = settings.home / "trials.jsonl"
        left["unterminated"] += path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
        lines = ledger.read(settings)
        results = sum(one.kind == "result" for one in lines)
        left["intents"] += len(lines) - 2 * results
        files = len(list((settings.home / "trials").glob("*.parquet"))) if results else 0
        left["series"] += max(files - results, 0)
        counted = len(grouping.trials(lines))
        assert counted >= total, f"the count fell from {total} to {counted}"  # noqa: S101 - what is tested
        written, total = results, counted
    return dict(left)


def work(home: str, start: int, count: int, last: int, share: float) -> None:
    """Write looks from `start` on; die in the look `last`, or just after it, after this share of a look's time."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    pace = _PACE
    for number in range(start, count):
        if number == last:
            signal.setitimer(signal.ITIMER_REAL, max(share * pace, 1e-6))
        began = time.monotonic()
        write(Settings(home=Path(home)), number, number + 1)
        pace = time.monotonic() - began


def write(settings: Settings, start: int, count: int) -> None:
    """Write looks from `start` to `count`: expressions of many windows on three universes."""
    universes = list(UNIVERSES)[:3]
    for number in range(start, count):
        recipe = recipes.of_factor("v1", f"input_{number}", universe=universes[number % 3], horizon=5, lag=1)
        days = [FIRST + timedelta(days=day) for day in range(SESSIONS)]
        values = np.random.default_rng(number).normal(size=SESSIONS) / 100
        active = pl.DataFrame({"trade_date": days, "active": values})
        scores = active.select("trade_date", instrument_id=pl.lit("NSE:A"), score="active")
        look = looks.begin(settings, recipe, window=(days[0], days[-1]), data={}, source="tear sheet")
        look.complete(scores, active)


def content(settings: Settings) -> tuple[list[str], list[str]]:
    """Return the facts of the lines and the names of the series, which are digests of their content."""
    facts = [json.dumps(one.facts, sort_keys=True) for one in ledger.read(settings)]
    counted = trials.count(settings)
    assert counted.total == counted.with_series, "a series is lost"  # noqa: S101 - what is tested
    return facts, sorted(path.name for path in (settings.home / "trials").glob("*.parquet"))


if __name__ == "__main__":
    main()
