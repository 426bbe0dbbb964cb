"""Compare two runs of a notebook: their inputs, their code, and their results."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from champion.runner import cache_lookup
from champion.runner.cache_lookup import pairs
from champion.runner.run_detail import Cell, RunDetail

_IDENTITY = {
    "notebook": cache_lookup.NOTEBOOK_HASH,
    "code": cache_lookup.CODE_VERSION,
    "python": "champion.python",
    "lock": "champion.lock_hash",
}


@dataclass(frozen=True, slots=True)
class RunDiff:
    """Pairs of (first, second) by name; None if one of the two has no value.

    `cells` is a unified diff of the sources, `shown` of the displayed output.
    """

    outcome: tuple[str | None, str | None]
    parameters: Mapping[str, tuple[str | None, str | None]]
    inputs: Mapping[str, tuple[str | None, str | None]]
    identity: Mapping[str, tuple[str | None, str | None]]
    packages: Mapping[str, tuple[str | None, str | None]]
    cells: str
    outputs: Mapping[str, tuple[str | None, str | None]]
    metrics: Mapping[str, tuple[float | None, float | None]]
    values: Mapping[str, tuple[Any, Any]]
    shown: str

    @property
    def is_empty(self) -> bool:
        """Whether both runs are the same in inputs, code and results; times are ignored."""
        found = (self.parameters, self.inputs, self.identity, self.packages, self.cells, self.outputs, self.values)
        return self.outcome[0] == self.outcome[1] and not any((*found, self.metrics, self.shown))


def between(first: RunDetail, second: RunDetail) -> RunDiff:
    """Return the differences of two runs, without their times."""
    one, two = first.run, second.run
    tags = [{name: run.tags.get(tag) for name, tag in _IDENTITY.items()} for run in (one, two)]
    return RunDiff(
        outcome=(one.outcome, two.outcome),
        parameters=pairs(one.parameters, two.parameters),
        inputs=pairs(first.inputs, second.inputs),
        identity={**pairs(*tags), **_code(first, second)},
        packages=pairs(first.packages, second.packages),
        cells=_diff([cell.source for cell in first.cells], [cell.source for cell in second.cells], first, second),
        outputs=pairs(first.outputs, second.outputs),
        metrics=pairs(_measured(one.metrics), _measured(two.metrics)),
        values=pairs(first.values, second.values),
        shown=_diff(_shown(first.cells), _shown(second.cells), first, second),
    )


def _code(first: RunDetail, second: RunDetail) -> dict[str, tuple[str, str]]:
    """Return the files that both runs used and that differ; a run that failed early used fewer files."""
    if first.code is None and second.code is None:
        one, two = first.run.tags.get(cache_lookup.CODE), second.run.tags.get(cache_lookup.CODE)
        return {"code_hash": (one, two)} if one and two and one != two else {}
    changed = pairs(first.code or {}, second.code or {})
    return {name: both for name, both in changed.items() if None not in both}


def _measured(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name not in {"run_seconds", "cell_seconds"}}


def _shown(cells: tuple[Cell, ...]) -> list[str]:
    return [f"# cell {cell.number} {cell.title}".rstrip() + f"\n{cell.shown}" for cell in cells if cell.shown]


def _diff(one: list[str], two: list[str], first: RunDetail, second: RunDetail) -> str:
    texts = "\n\n".join(one).splitlines(), "\n\n".join(two).splitlines()
    return "\n".join(difflib.unified_diff(*texts, first.run.run_id[:8], second.run.run_id[:8], lineterm="", n=1))
