"""Runs one notebook under supervision and records it: what happened is what the supervisor saw, as one MLflow run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from champion.errors import NotebookError
from champion.runner import identity, notebook as notebooks, record, surroundings
from champion.runner.outcome import CellError, Execution, Outcome, Verdict
from champion.runner.parameters import check, defaults
from champion.runner.record import repair

if TYPE_CHECKING:
    from champion.runner.engine import Progress
    from champion.settings import Settings

__all__ = ["CellError", "Execution", "Outcome", "repair", "run_notebook"]


def run_notebook(  # noqa: PLR0913 - one call is the whole interface
    settings: Settings,
    name_or_path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    inputs: Mapping[str, str] | None = None,
    outputs: Callable[[], Mapping[str, str]] | None = None,
    experiment: str = "notebooks",
    parent_run_id: str | None = None,
    force: bool = False,
    tags: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
    cell_timeout: int | None = None,
    raise_on_failure: bool = True,
) -> Execution:
    """Return how a notebook ran with these parameters, after everything about it is recorded.

    `inputs` and `outputs` are digests of the datasets it reads and writes, by name; outputs are asked for before and
    after. With inputs given, a run that succeeded before with the same notebook, parameters, code, environment and
    inputs, and whose outputs still are what it wrote, is not repeated unless `force`. `on_progress` gets cells done,
    cells in all, and the heading at work. `cell_timeout` is in seconds, by default the setting `notebook_timeout`.

    Raises:
        ParameterError: the parameters do not fit; no kernel was started and nothing recorded.
        NotebookError: there is no such notebook; or it failed, timed out or died, unless `raise_on_failure` is False.
    """
    notebook = notebooks.find(name_or_path)
    values = check(notebook.parameters, parameters or {}, notebook.name)
    effective = defaults(notebook.parameters) | values
    who = identity.identify(notebook.digest, effective, inputs or {})
    repair(settings)
    if not force and inputs is not None:  # undeclared inputs may have changed
        earlier = record.find_succeeded(settings, experiment, who.key, outputs() if outputs else None)
        if earlier is not None:
            return earlier
    run_id = record.open_execution(
        settings,
        experiment,
        notebook,
        who,
        parameters=effective,
        inputs=inputs or {},
        tags=tags or {},
        parent=parent_run_id,
    )
    began = time.monotonic()
    try:
        verdict = _execute(settings, notebook, run_id, values, on_progress, cell_timeout)
        written = outputs() if outputs and verdict.outcome is Outcome.SUCCEEDED else None
    except BaseException as stop:  # whatever it is, the record says so before it goes on
        record.close_execution(settings, run_id, _stopped(stop, time.monotonic() - began))
        raise
    execution = record.close_execution(settings, run_id, verdict, written)
    if raise_on_failure and execution.outcome is not Outcome.SUCCEEDED:
        raise NotebookError(_message(execution))
    return execution


def _execute(
    settings: Settings,
    notebook: notebooks.Notebook,
    run_id: str,
    values: Mapping[str, Any],
    on_progress: Progress | None,
    cell_timeout: int | None,
) -> Verdict:
    from champion.runner import engine  # noqa: PLC0415 - papermill and jupyter_client take seconds to import

    job = engine.Job(
        source=notebook.path,
        parameters=values,
        target=record.executed_path(settings, run_id, notebook.name),
        log=record.log_path(settings, run_id),
        workdir=record.work_folder(settings, run_id),
        environment=surroundings.of_kernel(settings, run_id, record.result_folder(settings, run_id)),
        cell_timeout=cell_timeout or settings.notebook_timeout,
        on_progress=on_progress,
    )
    return engine.execute(job)


def _stopped(stop: BaseException, seconds: float) -> Verdict:
    outcome = Outcome.FAILED if isinstance(stop, Exception) else Outcome.CANCELLED
    return Verdict(outcome, seconds, CellError(None, type(stop).__name__, str(stop)))


def _message(execution: Execution) -> str:
    return (
        f"notebook {execution.notebook} {execution.outcome.value.replace('_', ' ')} {execution.error}. "
        f"Saved as {execution.saved}, MLflow run {execution.run_id}"
    )
