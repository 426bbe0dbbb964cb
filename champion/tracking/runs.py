"""Open, fill, close and find MLflow runs, with few calls to the store."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psutil

from champion.base import atomic_files, clock, process_identity, workspace_homes
from champion.base.strict_json import Kind, is_unicode, parse_json
from champion.errors import ServiceError, UsageError
from champion.tracking import store

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

    from champion.settings import Settings

OUTCOME, USER = "champion.outcome", "mlflow.user"
ENTRY, HOME = "champion.entry", "champion.home"  # the run's id in the spool of a workspace, and that workspace
PID, PID_STARTED, HOST = "champion.pid", "champion.pid_started", "champion.host"  # the process that must close the run
_STATUS = {"succeeded": "FINISHED", "cancelled": "KILLED", "killed": "KILLED"}  # all other outcomes: FAILED
_METRICS, _PARAMETERS, _TAGS = 1000, 100, 100  # MLflow's limits for one batch
_TAG_LENGTH, _PARAMETER_LENGTH = 8000, 6000  # beyond them MLflow truncates silently
_PAGE = 1000  # runs per call
_OTHER = re.compile(r"[^\w .,:;/+=@-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run; times are UTC, `outcome` is Champion's if there is one, `experiment` is an id."""

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
    experiment: str = ""


def open_run(
    settings: Settings,
    experiment: str,
    name: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    parent: str | None = None,
    started: datetime | None = None,
) -> str:
    """Create a run with status RUNNING and return its id; `parent` nests it, `started` is now by default.

    Raises:
        UsageError: a tag is longer than 8,000 characters or a parameter than 6,000.
    """
    client = store.prepare(settings)
    everything = supervisor() | checked_tags(tags or {}) | ({"mlflow.parentRunId": parent} if parent else {})
    checked, at = checked_parameters(parameters or {}), _milliseconds(started) if started else None
    run = client.create_run(store.experiment_id(settings, experiment), at, tags=everything, run_name=name)
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
    series: Mapping[str, Mapping[int, float]] | None = None,
    at: datetime | None = None,
) -> None:
    """Add metrics, parameters and tags to a run in as few calls as MLflow's batch limits allow.

    `series` are metrics of several steps. All values have the time `at`, by default now: logging the same values for
    the same time again changes nothing.
    """
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - mlflow takes seconds to import

    moment = _milliseconds(at or clock.now())
    entries = [Metric(name, float(value), moment, 0) for name, value in (metrics or {}).items()]
    for name, values in (series or {}).items():
        entries += [Metric(name, float(value), moment, step) for step, value in values.items()]
    given = [Param(name, value) for name, value in checked_parameters(parameters or {}).items()]
    labels = [RunTag(name, value) for name, value in checked_tags(tags or {}).items()]
    client = store.prepare(settings)
    while entries or given or labels:
        client.log_batch(run_id, entries[:_METRICS], given[:_PARAMETERS], labels[:_TAGS])
        entries, given, labels = entries[_METRICS:], given[_PARAMETERS:], labels[_TAGS:]


def rename(settings: Settings, run_id: str, name: str) -> None:
    """Give a run another name in MLflow's tables; its tags and files keep theirs."""
    store.prepare(settings).update_run(run_id, name=name)


def log_files(settings: Settings, run_id: str, folder: Path, into: str | None = None) -> None:
    """Copy all files of `folder` to the run's artifacts, below `into`."""
    client = store.prepare(settings)
    client.log_artifacts(run_id, str(folder), into)
    flush_local(client.get_run(run_id).info.artifact_uri)


def flush_local(location: str) -> None:
    """Flush artifacts in a local folder to disk; MLflow itself only copies them."""
    folder = workspace_homes.local(location)
    if folder is not None and folder.is_dir():
        atomic_files.flush_tree(folder)


def log_datasets(settings: Settings, run_id: str, digests: Mapping[str, str], context: str) -> None:
    """Show datasets by name and digest on a run's page; `context` is 'input' or 'output'.

    MLflow keeps 36 characters of a digest; the run's tags and files have the full one.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415

    label = [InputTag("mlflow.data.context", context)]
    found = []
    for name, digest in digests.items():
        whole = json.dumps({"digest": digest})
        found.append(DatasetInput(Dataset(name, digest[:36] or "none", "champion", whole), label))
    if found:
        store.prepare(settings).log_inputs(run_id, found)


def read_file(settings: Settings, run_id: str, artifact: str) -> bytes | None:
    """Return the content of an artifact, or None if the run has no such file."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    with TemporaryDirectory(prefix="champion-") as folder:  # MLflow copies local files too, and leaves the copies
        try:
            return Path(store.prepare(settings).download_artifacts(run_id, artifact, folder)).read_bytes()
        except (MlflowException, OSError):
            return None


def artifact_sizes(settings: Settings, run_id: str, folders: Sequence[str]) -> dict[str, int]:
    """Return the files directly in some folders of a run's artifacts, with their sizes in bytes."""
    client = store.prepare(settings)
    entries = [entry for folder in folders for entry in client.list_artifacts(run_id, folder)]
    return {entry.path: int(entry.file_size or 0) for entry in entries if not entry.is_dir}


def remove_files(settings: Settings, run_id: str, names: Sequence[str]) -> None:
    """Remove files of a run's artifacts; missing files are ignored."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: PLC0415

    repository = get_artifact_repository(store.prepare(settings).get_run(run_id).info.artifact_uri)
    for name in names:
        repository.delete_artifacts(name)  # type: ignore[no-untyped-call]


def digests(settings: Settings, run: Run, which: str) -> dict[str, str]:
    """Return the digests by dataset that a run recorded, in its tag `which` or, if they are long, in a file.

    Raises:
        ServiceError: MLflow's record of them is damaged.
    """
    tag, file = run.tags.get(which, "{}"), f"{which.rpartition('.')[2]}.json"
    if tag.startswith("{"):
        return record(run, which, dict[str, str], tag)
    return record(run, file, dict[str, str], read_file(settings, run.run_id, file) or b"{}")


def record(run: Run, where: str, kind: type[Kind], content: bytes | str) -> Kind:
    """Return the content of a run's tag or file as a `kind`.

    Raises:
        ServiceError: it was not written by Champion.
    """
    try:
        return parse_json(kind, content)
    except ValueError as error:
        message = f"{where} of run {run.run_id} is damaged ({error}): delete the run in MLflow, and run it again"
        raise ServiceError(message) from error


def close_run(
    settings: Settings,
    run_id: str,
    outcome: str,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    *,
    series: Mapping[str, Mapping[int, float]] | None = None,
    ended: datetime | None = None,
) -> None:
    """End a run: 'succeeded' is FINISHED, 'cancelled' and 'killed' are KILLED, every other outcome is FAILED."""
    log(settings, run_id, metrics=metrics, tags={**(tags or {}), OUTCOME: outcome}, series=series, at=ended)
    at = _milliseconds(ended) if ended else None
    store.prepare(settings).set_terminated(run_id, _STATUS.get(outcome, "FAILED"), at)


def get(settings: Settings, run_id: str) -> Run:
    """Return one run."""
    return _read(store.prepare(settings).get_run(run_id))


def known(settings: Settings, run_id: str) -> Run | None:
    """Return one run, None if MLflow has no such id: a version may name a run that was deleted permanently."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode  # noqa: PLC0415

    try:
        return get(settings, run_id) if run_id else None
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        return None


def find(settings: Settings, which: str) -> Run:
    """Return the run of an id, of the beginning of an id, or of the id it had in the spool.

    Raises:
        UsageError: there is no such run, or more than one.
    """
    client = store.prepare(settings)
    experiments = [found.experiment_id for found in client.search_experiments()]
    for condition in (f"tags.`{ENTRY}` {_equals(which)}", f"attributes.run_id LIKE '{_OTHER.sub('_', which)}%'"):
        found = client.search_runs(experiments, condition, max_results=5) if experiments else []
        found = [run for run in found if which in {run.info.run_id[: len(which)], run.data.tags.get(ENTRY)}]
        if len(found) == 1:
            return _read(found[0])
        if found:
            several = ", ".join(f"{run.info.run_id} ({run.info.run_name})" for run in found)
            raise UsageError(f"run {which!r} is not one but {several}: write more of its id")
    raise UsageError(f"there is no run {which!r}: `champion notebook list` shows the recorded runs")


def series(settings: Settings, run_id: str, metric: str) -> dict[int, float]:
    """Return a metric of several steps, by step."""
    return {point.step: point.value for point in store.prepare(settings).get_metric_history(run_id, metric)}


def find_runs(
    settings: Settings,
    experiments: Sequence[str] | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    status: str | None = None,
    between: tuple[datetime, datetime] | None = None,
    limit: int | None = 100,
) -> list[Run]:
    """Return runs, newest first, of the named experiments or of all, with all `tags` and the `status`.

    At most `limit` runs are returned; None returns all.

    `between` limits the start times: from the first time on, before the second.
    """
    client = store.prepare(settings)
    known = {found.name: found.experiment_id for found in client.search_experiments()}
    wanted = [known[name] for name in experiments if name in known] if experiments is not None else list(known.values())
    if not wanted:
        return []
    conditions = [f"tags.`{name}` {_equals(value)}" for name, value in (tags or {}).items()]
    conditions += [f"attributes.status {_equals(status)}"] if status else []
    for moment, comparison in zip(between or (), (">=", "<"), strict=False):
        conditions.append(f"attributes.start_time {comparison} {_milliseconds(moment)}")
    order, most = ["attributes.start_time DESC"], min(_PAGE, limit or _PAGE)
    search = partial(client.search_runs, wanted, " and ".join(conditions), max_results=most, order_by=order)
    matching, page = list[Run](), search()
    while True:
        found = map(_read, page)
        matching += [run for run in found if all(run.tags.get(name) == value for name, value in (tags or {}).items())]
        if not page.token or (limit is not None and len(matching) >= limit):
            return matching[:limit]
        page = search(page_token=page.token)


def orphans(settings: Settings) -> list[Run]:
    """Return the runs with status RUNNING whose supervisor, a process of this machine, has ended."""
    return [run for run in find_runs(settings, status="RUNNING", limit=1000) if supervisor_is_gone(run.tags)]


def location(run: Run, artifact: str) -> str:
    """Return the location of an artifact: a local path if the store is local, otherwise its URI."""
    base = urlsplit(run.artifacts)
    if base.scheme in {"file", ""}:
        return str(Path(unquote(base.path)) / artifact)
    return f"{run.artifacts.rstrip('/')}/{artifact}"


def supervisor() -> dict[str, str]:
    """Return the tags of this process, which must close the run, and of its user."""
    return {
        PID: str(os.getpid()),
        PID_STARTED: str(process_identity.process_token()),
        HOST: socket.gethostname(),
        USER: psutil.Process().username(),
    }


def supervisor_is_gone(tags: Mapping[str, str]) -> bool:
    """Return whether the process that must close a run, if on this machine, has ended."""
    is_here = tags.get(HOST) == socket.gethostname() and PID in tags
    return is_here and process_identity.process_token(int(tags[PID])) != tags[PID_STARTED]


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


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
        experiment=run.info.experiment_id,
    )


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags, after checking that MLflow does not truncate them.

    Raises:
        UsageError: one is too long, or contains text that is not UTF-8.
    """
    for name, value in tags.items():
        _require_storable(f"tag {name!r}", [name, value], value, _TAG_LENGTH, "log it as a file")
    return dict(tags)


def checked_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as text, after checking that MLflow does not truncate them.

    Raises:
        UsageError: one is too long, or contains text that is not UTF-8.
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    for name, text in texts.items():
        given = [name, parameters[name]]
        _require_storable(f"parameter {name!r}", given, text, _PARAMETER_LENGTH, "pass a file's name")
    return texts


def _require_storable(what: str, given: list[Any], text: str, most: int, remedy: str) -> None:
    if not is_unicode(given):
        raise UsageError(f"{what} is {ascii(given)[:100]}, which is not UTF-8: convert it")
    if len(text) > most:
        raise UsageError(f"{what} has {len(text)} characters, at most {most} fit: {remedy}")


def _equals(value: str) -> str:
    r"""Return the comparison with a value in MLflow's search language, which has no escaped quotes.

    A value with other than plain characters becomes a pattern that matches it; the caller compares the results.

    >>> _equals("training"), _equals("it's")
    ("= 'training'", "LIKE 'it_s'")
    """
    return f"LIKE '{_OTHER.sub('_', value)}'" if _OTHER.search(value) else f"= '{value}'"
