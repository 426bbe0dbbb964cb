"""Kills a backfill at random instants and runs it again: is the lake the undisturbed one, and what did readers see?

python benchmarks/robustness/kill.py [--rounds N] [--start DATE] [--end DATE] [--instruments N] [--seed N] [--json PATH]

On the archive in the folder CHAMPION_NSE, else on a simulated one. Each round has a workspace of its own: a process
backfills the later half of the dates and then all of them, and is killed (SIGKILL) after a time drawn uniformly over
what that takes undisturbed; then the whole range is backfilled again and each file compared with those of a workspace
that was filled once, in one go. Two other processes read the round's workspace all along.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import Array, c_int
from dataclasses import asdict, dataclass, field
from datetime import date
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

from benchmarks.backfill import STAGES, backfill, contents, twice
from benchmarks.robustness import witness
from benchmarks.robustness.witness import READS, Counts, Testimony, count, enter, watch
from champion.settings import Settings
from champion.simulate import publish

NSE = "CHAMPION_NSE"
READERS = 2
EPOCH = "1735689600"  # the clock stands still: files fetched in two workspaces are fetched at the same time


@dataclass
class Report:
    """What came of all rounds; `different` names the first few files that were not the undisturbed ones."""

    archive: str
    undisturbed_seconds: float
    hits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    rounds: int = 0
    equal: int = 0
    different: list[str] = field(default_factory=list)
    testimonies: list[Testimony] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Trial:
    """The archive, the range of dates, and the folder in which each workspace has its own."""

    archive: str
    start: date
    end: date
    homes: Path

    def settings(self, name: str | int) -> Settings:
        """Return the settings of one workspace."""
        return Settings(home=self.homes / str(name), archive=self.archive)


@dataclass(frozen=True)
class Watch:
    """The readers: which turn they are to read, and which each of them reads."""

    turn: c_int
    at: Array[c_int]


def main() -> None:
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("CHAMPION_")]:
        del os.environ[name]  # nothing may reach a real workspace
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    with tempfile.TemporaryDirectory(prefix="champion-kill-") as scratch:
        archive = arguments.archive or _simulate(Path(scratch), arguments)
        trial = Trial(str(archive), arguments.start, arguments.end, Path(scratch) / "homes")
        report = run(trial, arguments.rounds, random.Random(arguments.seed))  # noqa: S311 - instants, not secrets
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=1))


def run(trial: Trial, rounds: int, rng: random.Random) -> Report:
    """Return what came of killing and repeating `rounds` backfills."""
    began = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    undisturbed = trial.settings("undisturbed")
    backfill(undisturbed, trial.start, trial.end)
    enter(undisturbed.home)
    expected = {kind: count(kind, trial.start, trial.end) for kind in READS}
    wanted = contents(undisturbed)
    seconds, _ = _disturb(context, trial.settings("timed"), trial, None)
    report = Report(_described(trial, expected), seconds)
    with _watching(context, trial, expected, report) as readers:
        for number in range(rounds):
            readers.turn.value = number
            _, stage = _disturb(context, trial.settings(number), trial, rng.uniform(0, seconds))
            report.hits[stage] += 1
            backfill(trial.settings(number), trial.start, trial.end)
            _compare(number, contents(trial.settings(number)), wanted, report)
            for left in range(min(readers.at)):
                shutil.rmtree(trial.homes / str(left), ignore_errors=True)
    report.seconds = time.perf_counter() - began
    return report


def _disturb(context: SpawnContext, settings: Settings, trial: Trial, instant: float | None) -> tuple[float, str]:
    """Backfill in a process of its own, killed after `instant` seconds; return how long it ran, and its last stage."""
    begun, stage = context.Event(), context.RawValue(c_int, 0)
    worker = context.Process(target=twice, args=(settings, trial.start, trial.end, begun, stage), daemon=True)
    worker.start()
    begun.wait()
    since = time.perf_counter()
    worker.join(instant)
    worker.kill()
    worker.join()
    if worker.exitcode not in {0, -signal.SIGKILL}:
        raise RuntimeError(f"the backfill in {settings.home} ended with {worker.exitcode} in {STAGES[stage.value]}")
    return time.perf_counter() - since, STAGES[stage.value]


@contextmanager
def _watching(context: SpawnContext, trial: Trial, expected: Counts, report: Report) -> Iterator[Watch]:
    """Let readers read until the block ends; what they saw goes into the report."""
    stop, told = context.Event(), context.SimpleQueue()
    readers = Watch(context.RawValue(c_int, 0), context.RawArray(c_int, READERS))
    processes = [
        context.Process(
            target=watch, args=(trial.homes, readers.turn, readers.at, number, expected, stop, told), daemon=True
        )
        for number in range(READERS)
    ]
    for process in processes:
        process.start()
    yield readers
    stop.set()
    report.testimonies = [told.get() for _ in processes]
    for process in processes:
        process.join()


def _compare(number: int, found: dict[str, str], wanted: dict[str, str], report: Report) -> None:
    other = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    report.rounds += 1
    report.equal += not other
    report.different += [f"round {number}: {name}" for name in other[: witness.SHOWN]]


def _described(trial: Trial, expected: Counts) -> str:
    rows = sum(rows for rows, _ in expected["bars"].values())
    return f"{len(expected['bars'])} sessions from {trial.start} to {trial.end}, {rows:,} bars"


def show(report: Report) -> None:
    """Print the report as a table."""
    reads = Counter[str]()
    for seen in report.testimonies:
        reads.update(seen.reads)
    failures = [failure for seen in report.testimonies for failure in seen.failures]
    rows: list[tuple[str, Any]] = [
        ("archive", report.archive),
        ("undisturbed", f"{report.undisturbed_seconds:.1f} s"),
        ("rounds", f"{report.rounds} in {report.seconds:.0f} s"),
        ("killed in", ", ".join(f"{stage} {report.hits[stage]}" for stage in STAGES if report.hits[stage])),
        ("lakes equal", f"{report.equal} of {report.rounds}"),
        ("reads", f"{reads.total():,}: " + ", ".join(f"{kind} {reads[kind]:,}" for kind in READS)),
        ("sessions read", f"{sum(s.whole for s in report.testimonies):,} whole"),
        ("", f"{sum(s.absent for s in report.testimonies):,} not there yet"),
        ("reads that failed", len(failures)),
        *(("", line) for line in (*report.different, *failures)[: 2 * witness.SHOWN]),
    ]
    for name, value in rows:
        print(f"{name:<18} {value}")


def _simulate(scratch: Path, arguments: argparse.Namespace) -> Path:
    found = publish(scratch / "archive", instruments=arguments.instruments, start=arguments.start, end=arguments.end)
    return found.root


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--start", type=date.fromisoformat, default=date(2024, 6, 3), help="first date")
    parser.add_argument("--end", type=date.fromisoformat, default=date(2024, 8, 9), help="last date, included")
    parser.add_argument("--instruments", type=int, default=60, help="of a simulated archive")
    parser.add_argument("--seed", type=int, default=1, help="of the instants")
    parser.add_argument("--json", type=Path, help="write the report there too")
    parser.set_defaults(archive=os.environ.get(NSE))
    return parser.parse_args()


if __name__ == "__main__":
    main()
