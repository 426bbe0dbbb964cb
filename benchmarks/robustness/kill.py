"""Kill a backfill at random instants and run it again; compare the lake with an undisturbed one, and check all reads.

`.venv/bin/python benchmarks/robustness/kill.py [--rounds N] [--start DATE] [--end DATE] [--instruments N] [--seed N]
[--json PATH]` uses the archive in the folder CHAMPION_NSE, or a simulated one. Each round has an empty workspace: a
process backfills the later half of the dates and then all of them, and is killed (SIGKILL) after a random time within
the undisturbed duration. Then the whole range is backfilled again, and each file is compared with a workspace that was
filled once. Two other processes read the workspace of the round all the time.
"""

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
from dataclasses import dataclass, field
from datetime import date, timedelta
from multiprocessing.context import SpawnContext
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

from benchmarks import meter
from benchmarks.backfill import STAGES, backfill, contents
from benchmarks.robustness.witness import READS, SHOWN, Counts, Testimony, count, enter, watch
from champion.settings import Settings
from champion.simulate import publish

READERS = 2
EPOCH = "1735689600"  # a fixed clock: files of two workspaces have the same time of download


@dataclass
class Report:
    """The result of all rounds; `different` names the first files that differ from the undisturbed workspace."""

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
    """The archive, the range of dates, and the folder of the workspaces."""

    archive: str
    start: date
    end: date
    homes: Path

    def settings(self, name: str | int) -> Settings:
        """Return the settings of one workspace."""
        return Settings(home=self.homes / str(name), archive=self.archive)


def main() -> None:
    given = meter.arguments(
        __doc__, rounds=50, start=date(2024, 6, 3), end=date(2024, 8, 9), instruments=60, seed=1, json=Path
    )
    archive = os.environ.get(meter.NSE)
    meter.forget_workspace()
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    with tempfile.TemporaryDirectory(prefix="champion-kill-") as scratch:
        if not archive:
            simulated = Path(scratch) / "archive"
            archive = str(publish(simulated, instruments=given.instruments, start=given.start, end=given.end).root)
        trial = Trial(archive, given.start, given.end, Path(scratch) / "homes")
        report = run(trial, given.rounds, random.Random(given.seed))  # noqa: S311 - instants, not secrets
    show(report)
    meter.write_json(given.json, report)


def run(trial: Trial, rounds: int, rng: random.Random) -> Report:
    """Kill and repeat as many backfills; return the report."""
    began = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    undisturbed = trial.settings("undisturbed")
    backfill(undisturbed, trial.start, trial.end)
    enter(undisturbed.home)
    expected = {kind: count(kind, trial.start, trial.end) for kind in READS}
    wanted = contents(undisturbed)
    seconds, _ = _disturb(context, trial, "timed", None)
    bars = sum(rows for rows, _ in expected["bars"].values())
    archive = f"{len(expected['bars'])} sessions from {trial.start} to {trial.end}, {bars:,} bars"
    report = Report(archive, seconds, rounds=rounds)
    with _watching(context, trial, expected, report) as (turn, at):
        for number in range(rounds):
            turn.value = number
            _, stage = _disturb(context, trial, number, rng.uniform(0, seconds))
            report.hits[stage] += 1
            backfill(trial.settings(number), trial.start, trial.end)
            found = contents(trial.settings(number))
            other = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
            report.equal += not other
            report.different += [f"round {number}: {name}" for name in other[:SHOWN]]
            for left in range(min(at)):
                shutil.rmtree(trial.homes / str(left), ignore_errors=True)
    report.seconds = time.perf_counter() - began
    return report


def twice(trial: Trial, name: str | int, begun: Flag, stage: c_int) -> None:
    """Backfill the later half and then all dates, so that names, factors, findings and features are computed twice."""

    def reached(number: int) -> None:
        stage.value = number

    begun.set()
    for start in (trial.start + timedelta(days=(trial.end - trial.start).days // 2), trial.start):
        backfill(trial.settings(name), start, trial.end, reached)


def _disturb(context: SpawnContext, trial: Trial, name: str | int, instant: float | None) -> tuple[float, str]:
    """Backfill in another process and kill it after `instant` seconds; return its duration and its last stage."""
    begun, stage = context.Event(), context.RawValue(c_int, 0)
    worker = context.Process(target=twice, args=(trial, name, begun, stage), daemon=True)
    worker.start()
    begun.wait()
    since = time.perf_counter()
    worker.join(instant)
    worker.kill()
    worker.join()
    if worker.exitcode not in {0, -signal.SIGKILL}:
        raise RuntimeError(f"the backfill in {name} ended with {worker.exitcode} in {STAGES[stage.value]}")
    return time.perf_counter() - since, STAGES[stage.value]


@contextmanager
def _watching(
    context: SpawnContext, trial: Trial, expected: Counts, report: Report
) -> Iterator[tuple[c_int, Array[c_int]]]:
    """Let readers read until the block ends; yield the turn to read and the turn that each of them reads."""
    stop, seen = context.Event(), context.SimpleQueue()
    turn, at = context.RawValue(c_int, 0), context.RawArray(c_int, READERS)
    processes = [
        context.Process(target=watch, args=(trial.homes, turn, at, number, expected, stop, seen), daemon=True)
        for number in range(READERS)
    ]
    for process in processes:
        process.start()
    yield turn, at
    stop.set()
    report.testimonies = [seen.get() for _ in processes]
    for process in processes:
        process.join()


def show(report: Report) -> None:
    """Print the report as a table."""
    reads = Counter[str]()
    for seen in report.testimonies:
        reads.update(seen.reads)
    failures = [failure for seen in report.testimonies for failure in seen.failures]
    rows: list[tuple[str, object]] = [
        ("archive", report.archive),
        ("undisturbed", f"{report.undisturbed_seconds:.1f} s"),
        ("rounds", f"{report.rounds} in {report.seconds:.0f} s"),
        ("killed in", ", ".join(f"{stage} {report.hits[stage]}" for stage in STAGES if report.hits[stage])),
        ("lakes equal", f"{report.equal} of {report.rounds}"),
        ("reads", f"{reads.total():,}: " + ", ".join(f"{kind} {reads[kind]:,}" for kind in READS)),
        ("sessions read", f"{sum(s.whole for s in report.testimonies):,} complete"),
        ("", f"{sum(s.absent for s in report.testimonies):,} not there yet"),
        ("reads that failed", len(failures)),
        *(("", line) for line in (*report.different, *failures)[: 2 * SHOWN]),
    ]
    for name, value in rows:
        print(f"{name:<18} {value}")


if __name__ == "__main__":
    main()
