"""What a notebook run leaves in MLflow: opened before the kernel starts, closed after it ended, whatever happened."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from champion import report
from champion.runner import notebook as notebooks
from champion.runner.outcome import Execution, Outcome, Verdict
from champion.tracking import runs

if TYPE_CHECKING:
    from champion.runner.identity import Identity
    from champion.runner.notebook import Notebook
    from champion.settings import Settings

NOTEBOOK, KEY = "champion.notebook", "champion.execution_key"
_INPUTS, _OUTPUTS, _ERROR = "champion.inputs", "champion.outputs", "champion.error"
_TAG_LENGTH = 8000  # a longer mapping is in the artifacts, its tag says so
_ERROR_LENGTH = 2000
_PATIENCE = 120


def open_execution(
    settings: Settings,
    experiment: str,
    notebook: Notebook,
    identity: Identity,
    *,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    tags: Mapping[str, str],
    parent: str | None,
) -> str:
    """Return the id of the run, and have its folder ready."""
    own = {
        NOTEBOOK: notebook.name,
        KEY: identity.key,
        "champion.notebook_hash": identity.notebook,
        "champion.code_version": identity.code_version,
        "champion.code_hash": identity.code,
        "champion.environment_hash": identity.environment,
        _INPUTS: _short(inputs),
        "mlflow.source.type": "NOTEBOOK",
        "mlflow.source.name": notebook.path.name,
    }
    run_id = runs.open_run(
        settings, experiment, notebook.name, parameters=parameters, tags={**tags, **own}, parent=parent
    )
    for folder in (work_folder(settings, run_id), result_folder(settings, run_id), _notebook_folder(settings, run_id)):
        folder.mkdir(parents=True)
    _write_json(_artifacts(settings, run_id) / "inputs.json", dict(inputs))
    return run_id


def close_execution(
    settings: Settings, run_id: str, verdict: Verdict, outputs: Mapping[str, str] | None = None
) -> Execution:
    """Return the execution once its notebook, HTML, cell times, results and outcome are recorded."""
    run = runs.get(settings, run_id)
    artifacts, name = _artifacts(settings, run_id), run.tags[NOTEBOOK]
    result = report.read(result_folder(settings, run_id))
    written = dict(outputs) if outputs is not None else result.get("outputs", {})
    try:
        if executed_path(settings, run_id, name).exists():
            _finish_notebook(settings, run_id, verdict, run.parameters)
        _write_json(artifacts / "outputs.json", written)
        _drop_empty(log_path(settings, run_id))
        runs.log_files(settings, run_id, artifacts)
    except BaseException:  # a run that could not be recorded has not succeeded
        runs.close_run(settings, run_id, Outcome.FAILED.value, tags={_ERROR: "its record could not be written"})
        raise
    tags = {_OUTPUTS: _short(written)} | ({_ERROR: str(verdict.error)[:_ERROR_LENGTH]} if verdict.error else {})
    metrics = {**result.get("metrics", {}), "run_seconds": verdict.seconds}
    runs.close_run(settings, run_id, verdict.outcome.value, metrics, tags)
    shutil.rmtree(_folder(settings, run_id))
    return _execution(run, verdict, result)


def find_succeeded(
    settings: Settings, experiment: str, key: str, outputs: Mapping[str, str] | None
) -> Execution | None:
    """Return the newest run of this key that succeeded, as skipped, unless its outputs are no longer what it wrote."""
    known = {KEY: key, runs.OUTCOME: Outcome.SUCCEEDED.value}
    for run in runs.find_runs(settings, [experiment], tags=known, status="FINISHED", limit=1):
        if outputs is None or run.tags.get(_OUTPUTS) == _short(outputs):
            published = runs.read_file(settings, run.run_id, f"result/{report.RESULT}")
            return _execution(run, Verdict(Outcome.SKIPPED, 0.0), json.loads(published) if published else {})
    return None


def repair(settings: Settings) -> list[str]:
    """Return the runs whose supervisor was killed, now closed as killed, with what they had saved until then."""
    if not runs.orphans(settings):
        return []
    repaired = []
    with FileLock(settings.home / "repair.lock", timeout=_PATIENCE):  # several notebooks may start at once
        for run in runs.orphans(settings):
            _close_orphan(settings, run)
            repaired.append(run.run_id)
    return repaired


def _close_orphan(settings: Settings, run: runs.Run) -> None:
    verdict = Verdict(Outcome.KILLED, 0.0)
    if NOTEBOOK in run.tags and _folder(settings, run.run_id).exists():
        close_execution(settings, run.run_id, verdict)
    else:
        runs.close_run(settings, run.run_id, verdict.outcome.value)


def executed_path(settings: Settings, run_id: str, name: str) -> Path:
    """Return where the notebook is saved while it runs."""
    return _notebook_folder(settings, run_id) / f"{name}.ipynb"


def log_path(settings: Settings, run_id: str) -> Path:
    """Return where the kernel's own standard output and error go."""
    return _artifacts(settings, run_id) / "kernel.log"


def work_folder(settings: Settings, run_id: str) -> Path:
    """Return the kernel's working directory: empty, its own, and gone afterwards."""
    return _folder(settings, run_id) / "work"


def result_folder(settings: Settings, run_id: str) -> Path:
    """Return where the notebook publishes."""
    return _artifacts(settings, run_id) / "result"


def _finish_notebook(settings: Settings, run_id: str, verdict: Verdict, parameters: Mapping[str, Any]) -> None:
    from champion.runner import page  # noqa: PLC0415 - nbconvert takes a second to import

    path = next(_notebook_folder(settings, run_id).glob("*.ipynb"))
    _write_json(_artifacts(settings, run_id) / "cells.json", notebooks.stamp(path, run_id, verdict))
    path.with_suffix(".html").write_text(page.render(path, run_id, verdict, parameters), encoding="utf-8")


def _execution(run: runs.Run, verdict: Verdict, result: Mapping[str, Any]) -> Execution:
    name = run.tags[NOTEBOOK]
    return Execution(
        run_id=run.run_id,
        outcome=verdict.outcome,
        notebook=name,
        execution_key=run.tags[KEY],
        seconds=verdict.seconds,
        error=verdict.error,
        saved=runs.location(run, f"notebook/{name}.ipynb"),
        html=runs.location(run, f"notebook/{name}.html"),
        result=result,
    )


def _folder(settings: Settings, run_id: str) -> Path:
    return settings.runs / run_id


def _artifacts(settings: Settings, run_id: str) -> Path:
    return _folder(settings, run_id) / "artifacts"


def _notebook_folder(settings: Settings, run_id: str) -> Path:
    return _artifacts(settings, run_id) / "notebook"


def _short(digests: Mapping[str, str]) -> str:
    """Return digests as a tag: JSON, or where that is too long its own hash, the JSON being in the artifacts."""
    text = json.dumps(dict(digests), sort_keys=True)
    if len(text) <= _TAG_LENGTH:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()} of {len(digests)} digests, see the artifacts"


def _drop_empty(path: Path) -> None:
    if path.exists() and path.stat().st_size == 0:
        path.unlink()


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
