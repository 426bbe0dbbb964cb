"""Build feature sets one after the other, or in parallel, each in one Dask worker.

A set is the unit of parallel work: it has its own dataset, lock and run. Within a set, a session's partition holds all
instruments, and most of the time goes into writing it, so splitting a set would not help.
"""

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
    """Build the sets that are missing or outdated, and return outcome and counts of each set."""
    settings = Settings()
    if settings.task_runner == "threads" or len(sets) < 2:  # noqa: PLR2004 - one set has nothing to run beside it
        return {name: _summary(build_set(name, span, parent=parent, force=force)) for name in sets}
    parallel = build_feature_sets.with_options(task_runner=policy.task_runner(settings))
    return parallel(list(sets), *span, parent=parent, force=force)


@flow(name="build_feature_sets", flow_run_name="feature sets {start} to {end}")
def build_feature_sets(
    sets: list[str], start: date, end: date, *, parent: str, force: bool = False
) -> dict[str, dict[str, Any]]:
    """Build feature sets, one per worker in parallel, and return outcome and counts of each.

    Raises:
        NotebookError: that of the first set that failed; the others are built.
    """
    futures = {name: build_one.submit(name, start, end, parent=parent, force=force) for name in sets}
    for future in futures.values():
        future.wait()
    return {name: future.result() for name, future in futures.items()}


@task(name="build_feature_set", task_run_name="build {name}, {start} to {end}")
def build_one(name: str, start: date, end: date, *, parent: str, force: bool = False) -> dict[str, Any]:
    """Build one set in this worker."""
    return _summary(build_set(name, (start, end), parent=parent, force=force))


def build_set(name: str, span: tuple[date, date], *, parent: str, force: bool = False) -> Execution:
    """Build one feature set where it is missing or outdated."""
    data = notebook_data.of_features(Lake(Settings().lake), name, *span)
    parameters = {"start": span[0].isoformat(), "end": span[1].isoformat(), "feature_set": name}
    return steps.notebook("features", parameters, data, parent=parent, force=force)


def counts(execution: Execution) -> dict[str, int]:
    """Return the counts of a run, without its statistics of each feature."""
    return {name: int(value) for name, value in execution.metrics.items() if not name.startswith("feature_")}


def _summary(execution: Execution) -> dict[str, Any]:
    return {"outcome": execution.outcome.value, **counts(execution)}
