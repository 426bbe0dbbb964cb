"""Run one notebook under supervision and record it as one MLflow run, with the outcome that the supervisor observed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from champion.errors import NotebookError
from champion.runner import cache_lookup, identity, kernel_env, notebook as notebooks, record
from champion.runner.outcome import CellError, Execution, Outcome, stopped
from champion.runner.parameters import check, defaults
from champion.runner.process_control import Terminated, sigterm_as_exception
from champion.runner.record import repair
from champion.security import redaction
from champion.tracking import experiments, runs

if TYPE_CHECKING:
    from champion.runner.engine import Progress
    from champion.settings import Settings
    from champion.tracking.run_spool import SpooledRun

__all__ = ["CellError", "Execution", "NotebookRequest", "Outcome", "Terminated", "repair", "run_notebook"]


@dataclass(frozen=True, slots=True)
class NotebookRequest:
    """Which notebook to run, with which parameters, data and limits.

    - `notebook`: name of a notebook of Champion or of the workspace, or the path of a file.
    - `inputs`, `outputs`: digests of the datasets it reads and writes, by name. `outputs` is called before and after
      the run. Without `inputs` the notebook always runs.
    - `experiment`: the MLflow experiment; by default the experiment with the notebook's name.
    - `force`: run even if the same run succeeded before.
    - `on_progress`: gets the number of cells done, the number of cells, and the heading of the current cell.
    - `cell_timeout`, `timeout`: seconds for one cell (by default the setting `notebook_timeout`) and for the notebook.
    - `memory`: MiB the kernel may hold, by default the setting `notebook_memory`.
    - `raise_on_failure`: raise `NotebookError` unless the notebook succeeds.
    """

    notebook: str | Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] | None = None
    outputs: Callable[[], Mapping[str, str]] | None = None
    experiment: str | None = None
    parent_run_id: str | None = None
    force: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    on_progress: Progress | None = None
    cell_timeout: int | None = None
    timeout: int | None = None
    memory: int | None = None
    raise_on_failure: bool = True


def run_notebook(settings: Settings, request: NotebookRequest) -> Execution:
    """Run a notebook and return how it ended, after everything about it is recorded.

    If the request names inputs, an earlier successful run with the same notebook, parameters, environment and inputs is
    reused, provided that the code it used and its outputs are unchanged. A notebook whose parameters cell computes a
    value, such as `date.today()`, runs again unless that parameter is given. `reason` of the result says why the
    notebook ran. If MLflow does not answer, the run is kept beside the lake, `run_id` is its name there, and the next
    command records it.

    Raises:
        ParameterError: the parameters do not fit; no kernel was started and nothing recorded.
        UsageError: a tag, a name or an input is too long or not UTF-8; nothing was started.
        NotebookError: there is no such Python notebook; or it failed, timed out or died, unless `raise_on_failure`
            is False.
        ServiceError: nothing can be written beside the lake.
        Terminated: this process received SIGTERM; the run is recorded as cancelled.
    """
    notebook = notebooks.find(request.notebook, settings.notebooks)
    given = check(notebook.parameters, request.parameters, notebook.name)
    effective = defaults(notebook.parameters) | given
    inputs = request.inputs or {}
    key = identity.identify(notebook.digest, effective, inputs)
    experiment = request.experiment or experiments.of_notebook(notebook.name)
    repair(settings)
    if request.force:
        reason = "because it was forced"
    elif computed := notebook.computed(given):
        reason = f"because the value of {', '.join(computed)} is computed by the notebook"
    elif request.inputs is None:
        reason = "because its inputs are not declared: they may have changed"
    else:
        stored = runs.checked_parameters(effective)
        now = cache_lookup.Facts(notebook.name, key.notebook, key.environment, stored, inputs)
        folders = kernel_env.own_folders(notebook)
        earlier, reason = cache_lookup.decide(settings, experiment, key.key, now, folders, request.outputs)
        if earlier is not None:
            return record.skipped(settings, earlier, reason)
    entry = record.open_execution(
        settings, request, notebook, key, experiment=experiment, parameters=effective, reason=reason
    )
    execution = _supervised(settings, request, notebook, entry, given)
    if request.raise_on_failure and execution.outcome is not Outcome.SUCCEEDED:
        raise NotebookError(
            f"notebook {execution.notebook} {execution.outcome.value.replace('_', ' ')} {execution.error}. "
            f"Saved as {execution.saved}, MLflow run {execution.run_id}"
        )
    return execution


def _supervised(
    settings: Settings,
    request: NotebookRequest,
    notebook: notebooks.Notebook,
    entry: SpooledRun,
    given: Mapping[str, Any],
) -> Execution:
    began = time.monotonic()
    written = None
    try:
        with sigterm_as_exception():
            from champion.runner import engine  # noqa: PLC0415 - papermill and jupyter_client take seconds to import

            result, private = record.result_folder(entry), record.private_folder(entry)
            environment = kernel_env.of_kernel(
                settings, notebook, execution=entry.id, run_id=entry.run_id, result=result, private=private
            )
            job = engine.Job(
                execution=entry.id,
                source=notebook.path,
                parameters=given,
                target=record.executed_path(entry),
                log=record.log_path(entry),
                workdir=record.work_folder(entry),
                environment=environment,
                cell_timeout=request.cell_timeout or settings.notebook_timeout,
                timeout=request.timeout,
                memory=request.memory or settings.notebook_memory,
                on_progress=request.on_progress,
                secrets=redaction.secrets(os.environ, settings),
            )
            verdict = engine.execute(job)
            record.keep_code(settings, notebook, entry)
            if request.outputs and verdict.outcome is Outcome.SUCCEEDED:
                written = request.outputs()
    except BaseException as stop:  # noqa: BLE001 - recorded first, then raised again below
        verdict, written = stopped(stop, time.monotonic() - began), None
    execution = record.close_execution(settings, entry, verdict, written)
    if verdict.raised is not None:
        raise verdict.raised
    return execution
