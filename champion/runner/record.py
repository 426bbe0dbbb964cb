"""Record a notebook run in the spool and in MLflow: opened before its kernel starts, closed however it ends."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from champion import report
from champion.base import atomic_files
from champion.runner import cache_lookup, code_identity, kernel_env, notebook as notebooks, process_control
from champion.runner.identity import Identity, lock_digest, packages
from champion.runner.outcome import CellError, Execution, Outcome, Verdict
from champion.security import redaction
from champion.tracking import run_spool, runs
from champion.tracking.run_spool import End, SpooledRun

if TYPE_CHECKING:
    from champion.runner import NotebookRequest
    from champion.runner.notebook import Notebook
    from champion.settings import Settings

ERROR, REASON = "champion.error", "champion.reason"
FILE = "champion.notebook_file"  # the name of its files, if it is not the notebook's name
_ERROR_LENGTH = 2000


def open_execution(
    settings: Settings,
    request: NotebookRequest,
    notebook: Notebook,
    identity: Identity,
    *,
    experiment: str,
    parameters: Mapping[str, Any],
    reason: str,
) -> SpooledRun:
    """Return the spooled entry of a new run, with its folders created."""
    inputs = request.inputs or {}
    tags = {
        **request.tags,
        REASON: reason,
        cache_lookup.NOTEBOOK: notebook.name,
        **({FILE: file} if (file := notebooks.file_name(notebook.name)) != notebook.name else {}),
        cache_lookup.KEY: identity.key,
        cache_lookup.NOTEBOOK_HASH: identity.notebook,
        cache_lookup.CODE_VERSION: identity.code_version,
        cache_lookup.ENVIRONMENT: identity.environment,
        "champion.lock_hash": lock_digest(),
        "champion.python": platform.python_version(),
        cache_lookup.INPUTS: cache_lookup.short(inputs),
        "mlflow.source.type": "NOTEBOOK",
        "mlflow.source.name": notebook.path.name,
    }
    recorded = {"parameters": parameters, "tags": tags, "inputs": inputs}
    entry = run_spool.begin(settings, experiment, notebook.name, **recorded, parent=request.parent_run_id)
    for folder in (work_folder(entry), result_folder(entry), _notebook_folder(entry), private_folder(entry)):
        folder.mkdir(parents=True)
    _write_json(entry.artifacts / "inputs.json", dict(inputs))
    machine = {"python": platform.python_version(), "platform": platform.platform()}
    _write_json(entry.artifacts / "environment.json", {**machine, "packages": packages()})
    return entry


def keep_code(settings: Settings, notebook: Notebook, entry: SpooledRun) -> None:
    """Store the code that a run's kernel used; without it the run is repeated when it is requested again."""
    folders = kernel_env.own_folders(notebook)
    used = code_identity.used(settings, kernel_env.code_record(private_folder(entry)), folders, notebook.sources)
    with suppress(OSError):  # a full disk is reported when the run is closed
        if used is not None:
            _write_json(entry.artifacts / code_identity.ARTIFACT, code_identity.to_json(used))


def close_execution(
    settings: Settings,
    entry: SpooledRun,
    verdict: Verdict,
    outputs: Mapping[str, str] | None = None,
    ended: datetime | None = None,
) -> Execution:
    """Record a run's notebook, HTML, cell times, results and outcome, and return the execution.

    A run whose record could not be written counts as failed. Records that MLflow does not accept stay in the spool.
    """
    _redact(settings, entry)
    written = _finished(entry, verdict, outputs)
    fault = written.fault
    if fault is not None and verdict.outcome is Outcome.SUCCEEDED:
        error = CellError(None, type(fault).__name__, f"its record could not be written: {fault}")
        verdict = Verdict(Outcome.FAILED, verdict.seconds, error)
    complete = not isinstance(fault, OSError)  # after a full disk, the next command tries once more
    end = _end(entry, verdict, written, complete=complete, ended=ended)
    run_id = run_spool.end(settings, entry, end, deliver_now=complete)
    return execution_of(runs.get(settings, run_id) if run_id else entry, verdict, written.result)


def repair(settings: Settings) -> list[str]:
    """Finish the runs of killed supervisors and deliver waiting runs; return the runs whose end MLflow now has.

    A run whose supervisor was killed is closed as killed, with its saved notebook, at the time of its last write, and
    its remaining processes are killed. Runs that ended while MLflow did not answer are delivered. Several processes may
    repair a workspace simultaneously: each run is closed by one of them.
    """
    for entry in run_spool.entries(settings):
        if run_spool.abandoned(entry) or _incomplete(entry):
            # Other processes may repair or deliver it now: who gets the lock later reads what the first one left. One
            # that holds it for so long is delivering the run.
            with suppress(Timeout), run_spool.locked(settings, entry) as now:
                if now is not None and run_spool.abandoned(now):
                    _close_abandoned(settings, now)
                elif now is not None and (end := _incomplete(now)):
                    _complete(settings, now, end)
    return run_spool.deliver(settings) + _close_orphans(settings)


def skipped(settings: Settings, run: runs.Run, reason: str) -> Execution:
    """Return an earlier run in place of a new one, with its published result."""
    published = runs.read_file(settings, run.run_id, f"result/{report.RESULT}")
    execution = execution_of(run, Verdict(Outcome.SKIPPED, 0.0), json.loads(published) if published else {})
    return replace(execution, reason=reason)


def execution_of(kept: SpooledRun | runs.Run, verdict: Verdict, result: Mapping[str, Any]) -> Execution:
    """Return a run for its caller, from MLflow or, if it does not answer, from the spool."""
    if isinstance(kept, SpooledRun):
        run_id, saved = kept.known_as, str(_notebook_folder(kept) / file_of(kept.tags))
    else:
        run_id, saved = kept.run_id, runs.location(kept, f"notebook/{file_of(kept.tags)}")
    return Execution(
        run_id=run_id,
        outcome=verdict.outcome,
        notebook=kept.tags[cache_lookup.NOTEBOOK],
        execution_key=kept.tags[cache_lookup.KEY],
        seconds=verdict.seconds,
        error=verdict.error,
        saved=f"{saved}.ipynb",
        html=f"{saved}.html",
        reason=kept.tags.get(REASON, ""),
        result=result,
    )


def _redact(settings: Settings, entry: SpooledRun) -> None:
    """Remove secrets from files that the kernel wrote; the notebook was redacted when it was saved."""
    known = redaction.secrets(os.environ, settings)
    with suppress(OSError):  # a full disk is reported when the record is written
        redaction.redact_file(log_path(entry), known)
        result = result_folder(entry) / report.RESULT
        if result.exists():
            published = json.loads(result.read_text(encoding="utf-8"))
            if (clean := redaction.redact_values(published, known)) != published:
                atomic_files.write_bytes(result, json.dumps(clean, indent=1, sort_keys=True).encode())


@dataclass(slots=True)
class _Written:
    """What a run left: the published result, the digests of its outputs, and the seconds of each cell.

    `fault` is the error of the record, if it could not be written.
    """

    outputs: dict[str, str]
    result: Mapping[str, Any] = field(default_factory=dict)
    cells: Mapping[str, float] = field(default_factory=dict)
    fault: Exception | None = None


def _finished(entry: SpooledRun, verdict: Verdict, outputs: Mapping[str, str] | None) -> _Written:
    """Write the record, and return what the run left."""
    written = _Written(dict(outputs or {}))
    try:
        written.result = report.read(result_folder(entry))
        if outputs is None:
            written.outputs = dict(written.result.get("outputs", {}))
        written.cells = _write_record(entry, verdict, written.outputs)
    except Exception as fault:  # noqa: BLE001 - the outcome is recorded in any case
        written.fault = fault
    return written


def _write_record(entry: SpooledRun, verdict: Verdict, written: Mapping[str, str]) -> dict[str, float]:
    cells: list[dict[str, Any]] = []
    path = executed_path(entry)
    if path.exists():
        from champion.runner import html_report  # noqa: PLC0415 - nbconvert takes a second to import

        cells = notebooks.stamp(path, entry.known_as, verdict)
        _write_json(entry.artifacts / "cells.json", cells)
        text = html_report.render(path, entry.known_as, verdict, entry.parameters, entry.tags.get(REASON, ""))
        path.with_suffix(".html").write_text(text, encoding="utf-8")
    if verdict.error and verdict.error.traceback:
        (entry.artifacts / "error.txt").write_text(verdict.error.traceback + "\n", encoding="utf-8")
    _write_json(entry.artifacts / "outputs.json", dict(written))
    if (log := log_path(entry)).exists() and log.stat().st_size == 0:
        log.unlink()
    return {str(cell["cell"]): cell["seconds"] for cell in cells if cell["seconds"] is not None}


def _end(entry: SpooledRun, verdict: Verdict, written: _Written, *, complete: bool, ended: datetime | None) -> End:
    published, code_file = result_folder(entry) / report.RESULT, entry.artifacts / code_identity.ARTIFACT
    digest = atomic_files.sha256(published) if published.is_file() else cache_lookup.NOTHING_PUBLISHED
    tags = {cache_lookup.OUTPUTS: cache_lookup.short(written.outputs), cache_lookup.PUBLISHED: digest}
    if code := code_identity.from_json(code_file.read_bytes()) if code_file.is_file() else None:
        tags[cache_lookup.CODE] = code.digest
    error_note = None
    if error := verdict.error:
        tags[ERROR] = str(error)[:_ERROR_LENGTH]
        error_note = {"cell": error.cell, "name": error.name, "value": error.value[:_ERROR_LENGTH]}
    return End(
        outcome=verdict.outcome.value,
        metrics={**written.result.get("metrics", {}), "run_seconds": verdict.seconds},
        tags=tags,
        outputs=written.outputs,
        series={"cell_seconds": written.cells},
        note={"complete": complete, "error": error_note},
        at=ended.isoformat() if ended else "",
    )


def _close_abandoned(settings: Settings, entry: SpooledRun) -> None:
    if cache_lookup.NOTEBOOK in entry.tags:
        process_control.kill_marked(entry.id)  # before its files are read: a kernel may outlive its supervisor a moment
    last = max(path.stat().st_mtime for path in [entry.folder, *entry.artifacts.rglob("*")])
    ended = datetime.fromtimestamp(last, UTC)
    run = runs.get(settings, entry.run_id) if entry.run_id and run_spool.answers(settings) else None
    # MLflow may have received an outcome meanwhile, as from a scheduler's cancellation.
    outcome = Outcome(run.outcome) if run is not None and run.outcome else Outcome.KILLED
    if cache_lookup.NOTEBOOK not in entry.tags:
        run_spool.end(settings, entry, End(outcome.value, at=ended.isoformat()), deliver_now=False)
        return
    seconds = max(0.0, (ended - datetime.fromisoformat(entry.started)).total_seconds())
    error = CellError(_running_cell(executed_path(entry)), "SupervisorKilled", "the supervisor was killed")
    verdict = Verdict(outcome, seconds, error)
    _redact(settings, entry)
    written = _finished(entry, verdict, None)
    run_spool.end(settings, entry, _end(entry, verdict, written, complete=True, ended=ended), deliver_now=False)


def _incomplete(entry: SpooledRun) -> End | None:
    """Return the end of a run whose files could not be written, None for any other run."""
    end = run_spool.ended(entry)
    return end if end is not None and not end.note.get("complete", True) else None


def _complete(settings: Settings, entry: SpooledRun, end: End) -> None:
    """Write the files that could not be written to a full disk; this is the last attempt."""
    error = end.note["error"]
    verdict = Verdict(Outcome(end.outcome), end.metrics["run_seconds"], CellError(**error) if error else None)
    written = _finished(entry, verdict, end.outputs)
    whole = replace(end, series={"cell_seconds": written.cells}, note={**end.note, "complete": True})
    run_spool.end(settings, entry, whole, deliver_now=False)


def _close_orphans(settings: Settings) -> list[str]:
    """Close the runs that MLflow has as running although their process ended and no spool entry is left."""
    if not run_spool.answers(settings):
        return []
    mine = [run for run in runs.orphans(settings) if run.tags.get(runs.HOME) in {None, str(settings.home)}]
    lost = [run.run_id for run in mine if not (settings.runs / run.tags.get(runs.ENTRY, "none")).exists()]
    # Another process may have delivered one since the search: it closes a run before the entry goes.
    still = [run_id for run_id in lost if (now := runs.known(settings, run_id)) and now.status == "RUNNING"]
    for run_id in still:
        runs.close_run(settings, run_id, Outcome.KILLED.value)
    return still


def _running_cell(path: Path) -> int | None:
    """Return the cell that was last saved as running, counted from 1."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else []
    status = [cell["metadata"].get("papermill", {}).get("status") for cell in cells]
    return status.index("running") + 1 if "running" in status else None


def executed_path(entry: SpooledRun) -> Path:
    """Return the file of the notebook while it runs."""
    return _notebook_folder(entry) / f"{file_of(entry.tags)}.ipynb"


def file_of(tags: Mapping[str, str]) -> str:
    """Return the name, without suffix, of the files of a run's executed notebook."""
    return tags.get(FILE, tags[cache_lookup.NOTEBOOK])


def log_path(entry: SpooledRun) -> Path:
    """Return the file of the kernel's own standard output and error."""
    return entry.artifacts / "kernel.log"


def work_folder(entry: SpooledRun) -> Path:
    """Return the kernel's working directory: initially empty, and deleted afterwards."""
    return entry.folder / "work"


def private_folder(entry: SpooledRun) -> Path:
    """Return the kernel's folder for IPython and Jupyter: initially empty, and deleted afterwards."""
    return entry.folder / "private"


def result_folder(entry: SpooledRun) -> Path:
    """Return the folder into which the notebook publishes."""
    return entry.artifacts / "result"


def _notebook_folder(entry: SpooledRun) -> Path:
    return entry.artifacts / "notebook"


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
