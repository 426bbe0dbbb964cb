"""A case: a fault, and the conditions that must hold after it and after the command is run again."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.robustness.faulty.look import SHOWN, Look, differences, halves, look
from benchmarks.robustness.faulty.workspace import Bench, Ended

_STAGES = ("ingest", "quality", "features", "scoring")
_AFTER = {"": "start, fetch", "ingest": "lists", "quality": "quality to features", "features": "warehouse load",
          "scoring": "scores loaded, report"}  # fmt: skip


@dataclass(frozen=True)
class Disturbed:
    """The effect of a fault: how and in which stage the command ended, processes left, files harmed."""

    ended: Ended
    place: str = ""
    left: Sequence[str] = ()
    harmed: Sequence[str] = ()


@dataclass(frozen=True)
class Case:
    """One fault: `disturb` runs the command under it and then removes it.

    `remedy` does what the error message asks for before the next run, and returns an exit code; the ledger then has
    more runs. `timeless` leaves times out of the comparison, because the clock of the case moves.
    """

    name: str
    group: str
    disturb: Callable[[Bench], Disturbed]
    detail: str = ""
    remedy: Callable[[Bench], int] | None = None
    baseline: str = "undisturbed"
    timeless: bool = False
    again: Callable[[Bench], Disturbed] = field(default=lambda bench: Disturbed(bench.run(bench.command)))


@dataclass(frozen=True)
class Result:
    """The outcome of a case: `halves` are neither old nor new after the fault, `different` remains after the rerun."""

    name: str
    group: str
    detail: str
    place: str
    code: int
    message: str
    left: Sequence[str]
    halves: Sequence[str]
    again: int
    again_message: str
    different: dict[str, list[str]]
    seconds: float
    remedied: int | None = None

    @property
    def equal(self) -> bool:
        """Whether the rerun succeeded and gave the undisturbed workspace."""
        return self.again == 0 and not self.different and not self.left and not self.halves


def daily(bench: Bench, *, command: Sequence[str] = (), prefix: Sequence[str] = (), **variables: str) -> Disturbed:
    """Run the command of the bench, or another one, with these variables; return how it ended."""
    return Disturbed(bench.run(command or bench.command, prefix=prefix, **variables), left=bench.left())


def judge(bench: Bench, case: Case) -> Result:
    """Run a case on a fresh copy of the workspace, read the workspace, run the command again, and compare."""
    before, after = bench.before(), undisturbed(bench, case)
    began = time.monotonic()
    bench.fresh()
    disturbed = case.disturb(bench)
    broken = [] if case.timeless else halves(look(bench.settings), before, after)
    broken = [name for name in broken if name not in disturbed.harmed]
    remedied = case.remedy(bench) if case.remedy else None
    bench.trace.unlink(missing_ok=True)
    again = case.again(bench).ended
    found = look(bench.settings, timeless=case.timeless)
    wrong = differences(found, after, more=case.remedy is not None)
    different = {place: names[:SHOWN] for place, names in wrong.items()}
    return Result(
        case.name, case.group, case.detail, disturbed.place, disturbed.ended.code, disturbed.ended.message,
        list(disturbed.left), broken[:SHOWN], again.code, again.message, different, time.monotonic() - began, remedied,
    )  # fmt: skip


def undisturbed(bench: Bench, case: Case) -> Look:
    """Return the undisturbed workspace after the last command of the case; kept in a file."""
    kept = bench.root / f"{case.baseline}.json"
    if not kept.exists():
        bench.fresh()
        ended = case.again(bench).ended
        if ended.code:
            raise RuntimeError(f"the undisturbed run: exit {ended.code}: {ended.message}")
        kept.write_text(look(bench.settings, timeless=case.timeless).written())
        kept.with_suffix(".seconds").write_text(f"{ended.seconds:.1f}")
        kept.with_suffix(".trace").write_text("\n".join(bench.commits()))
    return Look.read(kept.read_text())


def place(bench: Bench) -> str:
    """Return the stage of the flow: the running notebook, or the step after the last one that ended."""
    at_work, ended, books = "", "", bench.home / "mlflow" / "mlflow.db"
    for begun in sorted(bench.settings.runs.glob("*-*/begun.json")):
        name = str(json.loads(begun.read_bytes())["name"])
        if name in _STAGES:
            at_work = name
    if at_work or not books.exists():
        return at_work
    names: set[str] = {name for name, status in _today(books) if status == "FINISHED"}
    if any(name.startswith("daily") for name in names):
        return "after the end"
    for stage in _STAGES:
        ended = stage if stage in names else ended
    return _AFTER[ended]


def _today(file: Path) -> list[tuple[str, str]]:
    """Return name and status of the runs of the last flow of the day."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as books:
        since = books.execute("select max(start_time) from runs where name like 'daily%'").fetchone()[0]
        return list(books.execute("select name, status from runs where start_time >= ?", (since or 1 << 62,)))
