"""Runs one notebook under supervision and records it: what happened is what the supervisor saw, as one MLflow run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from champion.errors import NotebookError
from champion.runner import cache_lookup, identity, kernel_env, notebook as notebooks, record
from champion.runner.outcome import CellError, Execution, Outcome, Verdict, stopped
from champion.runner.parameters import check, defaults
from champion.runner.process_control import Terminated, sigterm_as_exception
from champion.runner.record import repair
from champion.security import redaction
from champion.tracking import experiments

if TYPE_CHECKING:
    from champion.runner.engine import Job, Progress
    from champion.settings import Settings
    from champion.tracking.run_spool import SpooledRun

__all__ = ["CellError", "Execution", "Outcome", "Terminated", "repair", "run_notebook"]


def run_notebook(  # noqa: PLR0913 - one call is the whole interface
    settings: Settings,
    name_or_path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    inputs: Mapping[str, str] | None = None,
    outputs: Callable[[], Mapping[str, str]] | None = None,
    experiment: str | None = None,
    parent_run_id: str | None = None,
    force: bool = False,
    tags: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
    cell_timeout: int | None = None,
    timeout: int | None = None,
    memory: int | None = None,
    raise_on_failure: bool = True,
) -> Execution:
    """Return how a notebook ran with these parameters, after everything about it is recorded.

    `inputs` and `outputs` are digests of the datasets it reads and writes, by name; outputs are asked for before and
    after. With inputs given, a run that succeeded before with the same notebook, parameters, environment and inputs is
    not repeated, if the code it used is unchanged and its outputs still are what it wrote, unless `force`. A notebook
    whose parameters cell computes something, as `date.today()`, is repeated until that is given. Why it ran is in
    `reason`. Without `experiment` it is recorded in the one of its name.

    `on_progress` gets cells done, cells in all, and the heading at work. `cell_timeout` is in seconds, by default the
    setting `notebook_timeout`; `timeout` is for the whole notebook; `memory` is what its kernel may hold in MiB, by
    default the setting `notebook_memory`. Where MLflow does not answer, the run is kept beside the lake, `run_id` is
    its name there, and the next command records it.

    Raises:
        ParameterError: the parameters do not fit; no kernel was started and nothing recorded.
        UsageError: a tag, a name or an input is too long or not UTF-8; nothing was started.
        NotebookError: there is no such notebook of Python; or it failed, timed out or died, unless `raise_on_failure`
            is False.
        ServiceError: nothing can be written beside the lake.
        Terminated: this process got a SIGTERM, which is recorded as cancelled.
    """
    notebook = notebooks.find(name_or_path)
    values = check(notebook.parameters, parameters or {}, notebook.name)
    effective = defaults(notebook.parameters) | values
    who = identity.identify(notebook.digest, effective, inputs or {})
    experiment = experiment or experiments.of_notebook(notebook.name)
    repair(settings)
    reason = "as was asked, whatever was done before" if force else cache_lookup.UNDECLARED
    if computed := notebook.computed(values):
        reason = reason if force else f"because only a run knows {', '.join(computed)}: its value is computed"
    elif inputs is not None and not force:
        asked = cache_lookup.Asked(effective, inputs, kernel_env.own_folders(notebook))
        found = cache_lookup.decide(settings, experiment, notebook.name, who, asked, outputs)
        if found.repeated is not None:
            return record.skipped(settings, found.repeated, found.reason)
        reason = found.reason
    entry = record.open_execution(
        settings,
        experiment,
        notebook,
        who,
        parameters=effective,
        inputs=inputs or {},
        tags={**(tags or {}), record.REASON: reason},
        parent=parent_run_id,
    )
    limits = (cell_timeout or settings.notebook_timeout, timeout, memory or settings.notebook_memory)
    execution = _supervised(settings, notebook, entry, values, limits, on_progress, outputs)
    if raise_on_failure and execution.outcome is not Outcome.SUCCEEDED:
        raise NotebookError(_message(execution))
    return execution


def _supervised(
    settings: Settings,
    notebook: notebooks.Notebook,
    entry: SpooledRun,
    values: Mapping[str, Any],
    limits: tuple[int, int | None, int | None],
    on_progress: Progress | None,
    outputs: Callable[[], Mapping[str, str]] | None,
) -> Execution:
    began = time.monotonic()
    try:
        with sigterm_as_exception():
            verdict = _execute(_job(settings, notebook, entry, values, limits, on_progress))
            record.keep_code(settings, notebook, entry)
            written = outputs() if outputs and verdict.outcome is Outcome.SUCCEEDED else None
    except BaseException as stop:  # noqa: BLE001 - whatever it is, the record says so before it goes on
        verdict, written = stopped(stop, time.monotonic() - began), None
    execution = record.close_execution(settings, entry, verdict, written)
    if verdict.raised is not None:
        raise verdict.raised
    return execution


def _execute(job: Job) -> Verdict:
    from champion.runner import engine  # noqa: PLC0415 - papermill and jupyter_client take seconds to import

    return engine.execute(job)


def _job(
    settings: Settings,
    notebook: notebooks.Notebook,
    entry: SpooledRun,
    values: Mapping[str, Any],
    limits: tuple[int, int | None, int | None],
    on_progress: Progress | None,
) -> Job:
    from champion.runner import engine  # noqa: PLC0415

    return engine.Job(
        execution=entry.id,
        source=notebook.path,
        parameters=values,
        target=record.executed_path(entry),
        log=record.log_path(entry),
        workdir=record.work_folder(entry),
        environment=kernel_env.of_kernel(
            settings,
            notebook,
            execution=entry.id,
            run_id=entry.run_id,
            result=record.result_folder(entry),
            private=record.private_folder(entry),
        ),
        cell_timeout=limits[0],
        timeout=limits[1],
        memory=limits[2],
        on_progress=on_progress,
        secrets=redaction.secrets(os.environ, settings),
    )


def _message(execution: Execution) -> str:
    return (
        f"notebook {execution.notebook} {execution.outcome.value.replace('_', ' ')} {execution.error}. "
        f"Saved as {execution.saved}, MLflow run {execution.run_id}"
    )
