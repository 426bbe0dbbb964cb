"""Feature sets, built one after the other, or side by side: each by one worker of Dask.

A set is what can be spread: it has its own dataset, its own lock and its own run, and needs no other's. Within a set a
session's partition holds all instruments, and building one writes more than it computes, so parts of a set would meet
again in one place, where most of the work is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from prefect import flow, task

from champion.lake import Lake
from champion.pipeline.models import notebook_data
from champion.runner import Execution
from champion.settings import Settings
from flows import policy, steps


def build_sets(
    sets: Sequence[str], span: tuple[date, date], *, parent: str, force: bool = False
) -> dict[str, dict[str, Any]]:
    """Return outcome and counts of each set, built where it is missing or was made from other bars or actions."""
    settings = Settings()
    if settings.task_runner == "threads" or len(sets) < 2:  # noqa: PLR2004 - one alone needs no company
        return {name: _account(build_set(name, span, parent=parent, force=force)) for name in sets}
    spread = build_feature_sets.with_options(task_runner=policy.chosen(settings))
    return spread(list(sets), *span, parent=parent, force=force)


@flow(name="build_feature_sets", flow_run_name="feature sets {start} to {end}")
def build_feature_sets(
    sets: list[str], start: date, end: date, *, parent: str, force: bool = False
) -> dict[str, dict[str, Any]]:
    """Build feature sets, as many at once as there are workers, and return outcome and counts of each.

    Raises:
        NotebookError: the first that did not succeed; the others are built.
    """
    found = {name: build_one.submit(name, start, end, parent=parent, force=force) for name in sets}
    for future in found.values():
        future.wait()
    return {name: future.result() for name, future in found.items()}


@task(name="build_feature_set", task_run_name="build {name}, {start} to {end}")
def build_one(name: str, start: date, end: date, *, parent: str, force: bool = False) -> dict[str, Any]:
    """Build one set where this runs."""
    return _account(build_set(name, (start, end), parent=parent, force=force))


def build_set(name: str, span: tuple[date, date], *, parent: str, force: bool = False) -> Execution:
    """Build one feature set, where it is missing or was made from other bars or actions."""
    start, end = span
    data = notebook_data.of_features(Lake(Settings().lake), name, start, end)
    return steps.notebook(
        "features",
        {"start": start.isoformat(), "end": end.isoformat(), "feature_set": name},
        parent=parent,
        inputs=data.inputs,
        writes=data.writes,
        span=data.span,
        force=force,
    )


def counts(execution: Execution) -> dict[str, int]:
    """Return what a run counted; its statistics of each feature are in MLflow."""
    return {name: int(value) for name, value in execution.metrics.items() if not name.startswith("feature_")}


def _account(execution: Execution) -> dict[str, Any]:
    return {"outcome": execution.outcome.value, **counts(execution)}
