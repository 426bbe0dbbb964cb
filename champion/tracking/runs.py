"""MLflow runs opened, filled, closed and found; each is one call to the store, however many metrics it carries."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psutil

from champion import clock
from champion.errors import UsageError
from champion.tracking import store

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

    from champion.settings import Settings

OUTCOME = "champion.outcome"
PID, PID_STARTED, HOST = "champion.pid", "champion.pid_started", "champion.host"  # who must close the run
_STATUS = {"succeeded": "FINISHED", "cancelled": "KILLED", "killed": "KILLED"}  # every other outcome: FAILED
_METRICS, _PARAMETERS, _TAGS = 1000, 100, 100  # MLflow's limits for one batch
_TAG_LENGTH, _PARAMETER_LENGTH = 8000, 6000  # beyond them MLflow truncates silently


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run; times are UTC, `outcome` is Champion's word where there is one."""

    run_id: str
    name: str
    status: str
    outcome: str | None
    started: datetime
    ended: datetime | None
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifacts: str


def open_run(
    settings: Settings,
    experiment: str,
    name: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    parent: str | None = None,
) -> str:
    """Return the id of a new run, its status RUNNING; `parent` nests it.

    Raises:
        UsageError: a tag is longer than 8,000 characters or a parameter than 6,000.
    """
    client = store.prepare(settings)
    everything = _checked_tags(tags or {}) | _supervisor() | ({"mlflow.parentRunId": parent} if parent else {})
    checked = _checked_parameters(parameters or {})
    run = client.create_run(store.experiment_id(settings, experiment), tags=everything, run_name=name)
    run_id: str = run.info.run_id
    log(settings, run_id, parameters=checked)
    return run_id


def log(
    settings: Settings,
    run_id: str,
    *,
    metrics: Mapping[str, float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Add metrics, parameters and tags to a run in as few calls as MLflow's batch limits allow."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - mlflow takes seconds to import

    now = round(clock.now().timestamp() * 1000)
    entries = [Metric(name, float(value), now, 0) for name, value in (metrics or {}).items()]
    given = [Param(name, value) for name, value in _checked_parameters(parameters or {}).items()]
    labels = [RunTag(name, value) for name, value in _checked_tags(tags or {}).items()]
    client = store.prepare(settings)
    while entries or given or labels:
        client.log_batch(run_id, entries[:_METRICS], given[:_PARAMETERS], labels[:_TAGS])
        entries, given, labels = entries[_METRICS:], given[_PARAMETERS:], labels[_TAGS:]


def log_files(settings: Settings, run_id: str, folder: Path, into: str | None = None) -> None:
    """Copy all files of `folder` to the run's artifacts, below `into`."""
    store.prepare(settings).log_artifacts(run_id, str(folder), into)


def read_file(settings: Settings, run_id: str, artifact: str) -> bytes | None:
    """Return one artifact's content, or None where the run has no such file."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        return Path(store.prepare(settings).download_artifacts(run_id, artifact)).read_bytes()
    except (MlflowException, OSError):
        return None


def close_run(
    settings: Settings,
    run_id: str,
    outcome: str,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """End a run: 'succeeded' is FINISHED, 'cancelled' and 'killed' are KILLED, every other outcome is FAILED."""
    log(settings, run_id, metrics=metrics, tags={**(tags or {}), OUTCOME: outcome})
    store.prepare(settings).set_terminated(run_id, _STATUS.get(outcome, "FAILED"))


def get(settings: Settings, run_id: str) -> Run:
    """Return one run."""
    return _read(store.prepare(settings).get_run(run_id))


def find_runs(
    settings: Settings,
    experiments: Sequence[str] | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    status: str | None = None,
    limit: int = 100,
) -> list[Run]:
    """Return the newest runs first; of all experiments where none is named, with all `tags` and the `status`."""
    client = store.prepare(settings)
    known = {found.name: found.experiment_id for found in client.search_experiments()}
    wanted = [known[name] for name in experiments if name in known] if experiments is not None else list(known.values())
    if not wanted:
        return []
    conditions = [f"tags.`{name}` = '{_plain(value)}'" for name, value in (tags or {}).items()]
    conditions += [f"attributes.status = '{_plain(status)}'"] if status else []
    order = ["attributes.start_time DESC"]
    found_runs = client.search_runs(wanted, " and ".join(conditions), max_results=limit, order_by=order)
    return [_read(run) for run in found_runs]


def orphans(settings: Settings) -> list[Run]:
    """Return the runs still called RUNNING whose supervisor, a process of this machine, is gone."""
    return [run for run in find_runs(settings, status="RUNNING", limit=1000) if _supervisor_is_gone(run.tags)]


def location(run: Run, artifact: str) -> str:
    """Return where an artifact is: a path on this machine where the store is local, else its URI."""
    base = urlsplit(run.artifacts)
    if base.scheme in {"file", ""}:
        return str(Path(unquote(base.path)) / artifact)
    return f"{run.artifacts.rstrip('/')}/{artifact}"


def _supervisor() -> dict[str, str]:
    return {PID: str(os.getpid()), PID_STARTED: str(psutil.Process().create_time()), HOST: socket.gethostname()}


def _supervisor_is_gone(tags: Mapping[str, str]) -> bool:
    if tags.get(HOST) != socket.gethostname() or PID not in tags:
        return False
    try:
        process = psutil.Process(int(tags[PID]))
        return bool(str(process.create_time()) != tags[PID_STARTED] or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _read(run: MlflowRun) -> Run:
    ended = run.info.end_time
    return Run(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        status=run.info.status,
        outcome=run.data.tags.get(OUTCOME),
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        ended=datetime.fromtimestamp(ended / 1000, UTC) if ended else None,
        parameters=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
        artifacts=run.info.artifact_uri or "",
    )


def _checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    for name, value in tags.items():
        if len(value) > _TAG_LENGTH:
            raise UsageError(f"tag {name!r} has {len(value)} characters, at most {_TAG_LENGTH} fit: log it as a file")
    return dict(tags)


def _checked_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    for name, text in texts.items():
        if len(text) > _PARAMETER_LENGTH:
            raise UsageError(
                f"parameter {name!r} has {len(text)} characters, at most {_PARAMETER_LENGTH} fit: pass a file's name"
            )
    return texts


def _plain(value: str) -> str:
    if "'" in value:
        raise UsageError(f"cannot search for {value!r}: leave out the quote")
    return value
