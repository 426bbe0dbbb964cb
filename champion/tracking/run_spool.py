"""Spool runs beside the lake until MLflow has them, so that nothing is lost while the store is unavailable.

1. `begin` writes an entry, `<home>/runs/<id>/begun.json`, and opens the run in MLflow if that answers.
2. `end` writes the outcome and delivers the entry: files, metrics and outcome go to MLflow, the entry is removed in one
   step. Who changes an entry of another process holds its lock.
3. `deliver` does so later for entries that MLflow did not accept; every step of it can be repeated.

Disk space for the end of a run is reserved at its beginning, so that it can be recorded on a full disk.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from champion.base import atomic_files, file_modes
from champion.base.strict_json import is_unicode, parse_json
from champion.errors import MachineError, ServiceError, UsageError
from champion.kernel.output_limit import clean
from champion.tracking import connectivity, runs

if TYPE_CHECKING:
    from champion.settings import Settings

_NAME_LENGTH = 500  # longest name of an experiment in MLflow, in characters
_BEGUN, _ENDED = "begun.json", "ended.json"
_DELIVERED = ".delivered"  # suffix of the folder of an entry that MLflow has, while it is removed
_RESERVED = 128 * 1024  # bytes
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SpooledRun:
    """A run at its start; `run_id` is MLflow's, once it has one. Times are UTC."""

    folder: Path
    experiment: str
    name: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    inputs: Mapping[str, str]
    parent: str | None
    started: str
    run_id: str | None = None

    @property
    def id(self) -> str:
        """Its name in the spool."""
        return self.folder.name

    @property
    def known_as(self) -> str:
        """MLflow's id of the run, until then the id in the spool; `runs.find` finds both."""
        return self.run_id or self.id

    @property
    def artifacts(self) -> Path:
        """The folder whose files become the run's artifacts."""
        return self.folder / "artifacts"


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended; `series` are metrics by step (a number as text), `note` is private to the writer."""

    outcome: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    series: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    note: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""


def begin(
    settings: Settings,
    experiment: str,
    name: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    parent: str | None = None,
) -> SpooledRun:
    """Create the entry of a new run, open the run in MLflow if that answers, and return the entry.

    `parent` is the `known_as` of another run.

    Raises:
        UsageError: a tag, a parameter or the experiment's name is too long, a text is not UTF-8, or the tracking URI is
            not supported.
        ServiceError: the entry cannot be written, so the run could not be recorded.
    """
    if not is_unicode([experiment, name, parent or "", dict(inputs or {})]):
        raise UsageError(f"run {name!a} in {experiment!a}: a name or input is not UTF-8: convert it")
    if len(experiment) > _NAME_LENGTH:
        raise UsageError(
            f"the name of the experiment has {len(experiment)} characters, at most {_NAME_LENGTH} fit: shorten it"
        )
    now = datetime.now(UTC)  # real time, even if the clock is frozen
    entry = SpooledRun(
        folder=settings.runs / f"{now:%Y%m%dT%H%M%S}-{token_hex(4)}",
        experiment=experiment,
        name=name,
        parameters=runs.checked_parameters(parameters or {}),
        tags=runs.checked_tags(tags or {}) | {runs.HOME: str(settings.home)} | runs.supervisor(),
        inputs=dict(inputs or {}),
        parent=parent,
        started=now.isoformat(),
    )
    try:
        file_modes.workspace_folder(settings.home)
        atomic_files.make_folder(entry.artifacts)
        (entry.folder / _ENDED).write_bytes(b" " * _RESERVED)
        _write(entry)
    except OSError as error:
        shutil.rmtree(entry.folder, ignore_errors=True)
        raise ServiceError(f"no run can be recorded in {settings.runs}: {MachineError.of(error)}") from error
    return _open(settings, entry) or entry


def end(settings: Settings, entry: SpooledRun, ending: End, *, deliver_now: bool = True) -> str | None:
    """Record how a run ended. Return MLflow's id once MLflow has everything, or None if it is delivered later."""
    text = json.dumps(asdict(replace(ending, at=ending.at or datetime.now(UTC).isoformat())), sort_keys=True).encode()
    with (entry.folder / _ENDED).open("r+b") as stream:  # in place, in the reserved space
        stream.write(text.ljust(_RESERVED))
        stream.flush()
        os.fsync(stream.fileno())
    return _deliver(settings, entry) if deliver_now else None


def answers(settings: Settings) -> bool:
    """Return whether MLflow answers."""
    return connectivity.unreachable(settings) is None


def deliver(settings: Settings) -> list[str]:
    """Deliver the runs that ended while MLflow did not answer, and return their ids."""
    for left in settings.runs.glob(f"*{_DELIVERED}"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    waiting = [entry for entry in entries(settings) if ended(entry)]
    if not waiting or not answers(settings):
        return []  # checked once for all
    return [run_id for entry in waiting if (run_id := _deliver(settings, entry))]


def entries(settings: Settings) -> list[SpooledRun]:
    """Return the entries of the spool, oldest first: running, ended, and abandoned runs."""
    folders = [path for path in sorted(settings.runs.glob("*-*")) if path.suffix != _DELIVERED and path.is_dir()]
    found = [_read(folder) for folder in folders]
    return [entry for entry in found if entry is not None]


def ended(entry: SpooledRun) -> End | None:
    """Return how a run ended, or None if that is not recorded completely."""
    try:
        return parse_json(End, (entry.folder / _ENDED).read_bytes())
    except (OSError, ValueError):
        return None


def abandoned(entry: SpooledRun) -> bool:
    """Return whether a run's process ended without recording the end of the run; False once the entry is removed."""
    # In this order: an entry that another process removes in between had an end that is gone with it.
    return ended(entry) is None and (entry.folder / _BEGUN).exists() and runs.supervisor_is_gone(entry.tags)


@contextmanager
def locked(settings: Settings, entry: SpooledRun) -> Iterator[SpooledRun | None]:
    """Lock an entry and yield its current state: None if it was delivered meanwhile."""
    lock = settings.runs / f"{entry.id}.lock"
    with atomic_files.Lock(lock, timeout=300):
        try:
            yield _read(entry.folder)
        finally:
            lock.unlink(missing_ok=True)  # a process that waited for it reads the entry again


def _open(settings: Settings, entry: SpooledRun, *, tried_before: bool = False) -> SpooledRun | None:
    """Return the entry with its run in MLflow, or None if MLflow does not accept it now."""
    return entry if entry.run_id else _attempt(settings, entry, lambda: _create(settings, entry, tried_before))


def _create(settings: Settings, entry: SpooledRun, tried_before: bool) -> SpooledRun | None:
    with locked(settings, entry) as now:
        if now is None or now.run_id:
            return now
        # An interrupted attempt may have opened the run.
        earlier = runs.find_runs(settings, [now.experiment], tags={runs.ENTRY: now.id}, limit=1) if tried_before else []
        if earlier:
            run_id = earlier[0].run_id
        else:
            parent, started = _parent(settings, now.parent), datetime.fromisoformat(now.started)
            tags = {**now.tags, runs.ENTRY: now.id, runs.HOME: str(settings.home)}  # it may have moved since
            run_id = runs.open_run(settings, now.experiment, now.name, tags=tags, parent=parent, started=started)
        runs.log(settings, run_id, parameters=now.parameters)
        runs.log_datasets(settings, run_id, now.inputs, "input")
        opened = replace(now, run_id=run_id)
        _write(opened)
        return opened


def _deliver(settings: Settings, entry: SpooledRun) -> str | None:
    """Deliver a run that ended and remove its entry. Return MLflow's id, or None if the entry stays."""
    opened = _open(settings, entry, tried_before=True)
    return None if opened is None else _attempt(settings, opened, lambda: _close(settings, opened))


def _close(settings: Settings, entry: SpooledRun) -> str | None:
    with locked(settings, entry) as now:
        ending = ended(now) if now else None
        if now is None or ending is None or now.run_id is None:
            return entry.run_id  # another process has delivered it
        moment = datetime.fromisoformat(ending.at)
        runs.log_files(settings, now.run_id, now.artifacts)
        runs.log_datasets(settings, now.run_id, ending.outputs, "output")
        series = {name: {int(step): value for step, value in steps.items()} for name, steps in ending.series.items()}
        runs.close_run(settings, now.run_id, ending.outcome, ending.metrics, ending.tags, series=series, ended=moment)
        # In one step: no process finds an entry whose files are partly gone, also not after a kill.
        gone = now.folder.rename(now.folder.with_name(f"{now.id}{_DELIVERED}"))
        shutil.rmtree(gone, ignore_errors=True)  # another process may remove it too
        return now.run_id


def _attempt(settings: Settings, entry: SpooledRun, action: Callable[[], Result]) -> Result | None:
    """Run an action on MLflow. If it fails, log that the entry stays in the spool; a UsageError is raised."""
    reason = connectivity.unreachable(settings)
    if reason is None:
        try:
            return action()
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - stores raise any error; the entry stays
            reason = str(error)
    reason = " ".join(reason.split())[:300]
    logging.getLogger("champion.tracking").warning(
        "MLflow does not accept the run of %s now (%s): the next command delivers it", entry.name, reason
    )
    return None


def _parent(settings: Settings, parent: str | None) -> str | None:
    """Return MLflow's id of a parent, which may have started while MLflow did not answer."""
    if parent is None or "-" not in parent:
        return parent
    entry = _read(settings.runs / parent)
    if entry is None:
        found = runs.find_runs(settings, tags={runs.ENTRY: parent}, limit=1)
        return found[0].run_id if found else None
    if (opened := _open(settings, entry, tried_before=True)) is None:
        raise ServiceError(f"its parent {entry.name} is not there yet")
    return opened.run_id


def _read(folder: Path) -> SpooledRun | None:
    try:
        content = clean(json.loads((folder / _BEGUN).read_bytes()))  # 0.2.0 accepted text that is not UTF-8
        return parse_json(SpooledRun, json.dumps({**content, "folder": str(folder)}))
    except (OSError, ValueError, TypeError, RecursionError):
        return None  # the process was killed before the run started


def _write(entry: SpooledRun) -> None:
    content = {name: value for name, value in asdict(entry).items() if name != "folder"}
    atomic_files.write_bytes(entry.folder / _BEGUN, json.dumps(content, indent=1, sort_keys=True).encode())
