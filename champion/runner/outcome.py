"""The outcomes of a notebook run, and the result for its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast


class Outcome(StrEnum):
    """How a run ended, as the supervisor observed it, independent of the notebook file."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # a cell raised, or the disk was full
    TIMED_OUT = "timed_out"  # a cell or the notebook exceeded its time limit
    OUT_OF_MEMORY = "out_of_memory"  # above its limit or the system's, or a cell raised MemoryError
    DIED = "died"  # the kernel process ended: killed by a signal, or crashed
    CANCELLED = "cancelled"  # a user or the scheduler stopped it
    KILLED = "killed"  # the supervisor was killed; a later command closed the run
    SKIPPED = "skipped"  # the same run had succeeded before


@dataclass(frozen=True, slots=True)
class CellError:
    """The error that stopped a run: its name and value, and the cell (counted from 1, as saved; None before the first).

    `traceback` is Python's, as text; empty if the cell raised nothing.
    """

    cell: int | None
    name: str
    value: str
    traceback: str = ""

    def __str__(self) -> str:
        where = "before its first cell" if self.cell is None else f"in cell {self.cell}"
        return f"{where}: {self.name}: {self.value}" if self.value else f"{where}: {self.name}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an execution ended, how long it took, and what stopped it.

    `raised` is an exception from outside, such as Ctrl-C, to be raised again after the verdict is recorded.
    """

    outcome: Outcome
    seconds: float
    error: CellError | None = None
    raised: BaseException | None = None


def stopped(stop: BaseException, seconds: float, cell: int | None = None) -> Verdict:
    """Return the verdict for an exception from outside the notebook's cells."""
    outcome = Outcome.FAILED if isinstance(stop, Exception) else Outcome.CANCELLED
    return Verdict(outcome, seconds, CellError(cell, type(stop).__name__, str(stop)), stop)


@dataclass(frozen=True, slots=True)
class Execution:
    """One notebook run for its caller; if skipped, `run_id` and the files belong to the earlier run.

    `reason` is why it ran or was skipped: 'features.ipynb changed', 'input normalized_equity_ohlc changed'.
    """

    run_id: str
    outcome: Outcome
    notebook: str
    execution_key: str
    seconds: float
    error: CellError | None
    saved: str  # the executed notebook: a path, or a URI if artifacts are remote
    html: str
    reason: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics the notebook published."""
        return cast("Mapping[str, float]", self.result.get("metrics", {}))

    @property
    def values(self) -> Mapping[str, Any]:
        """The values the notebook published."""
        return cast("Mapping[str, Any]", self.result.get("values", {}))
