"""What runs say of themselves, kept beside the lake until MLflow has it: a store that is down loses nothing.

1. `begin` writes an entry, `<home>/runs/<id>/begun.json`, and opens the run in MLflow where MLflow answers.
2. `end` writes how it ended, then delivers the entry: files, metrics and outcome go to MLflow, the entry goes away.
3. `deliver` does the same later for what MLflow did not take; every step of it may be repeated.

Room for the end is taken at the beginning, so that a full disk does not silence what filled it.
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

_NAME_LENGTH = 500  # characters that MLflow takes for an experiment
_BEGUN, _ENDED, _ARTIFACTS = "begun.json", "ended.json", "artifacts"
_RESERVED = 128 * 1024  # bytes
_PATIENCE = 300
_SAID = 300
_log = logging.getLogger("champion.tracking")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SpooledRun:
    """A run as it began; `run_id` is MLflow's, once it has one. Times are UTC."""

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
        """Its name in the journal."""
        return self.folder.name

    @property
    def known_as(self) -> str:
        """MLflow's id of the run, or the journal's until there is one: both are found by `runs.find`."""
        return self.run_id or self.id

    @property
    def artifacts(self) -> Path:
        """The folder whose files become the run's artifacts."""
        return self.folder / _ARTIFACTS


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended; `series` are metrics by step (a number as text), `note` is for whoever wrote it."""

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
    """Return a new run's entry, opened in MLflow too where it answers; `parent` is what another is `known_as`.

    Raises:
        UsageError: a tag, a parameter or the experiment's name is too long, a text is not UTF-8, or Champion does not
            take the tracking URI.
        ServiceError: the entry cannot be written, so nothing could be said of the run.
    """
    if not is_unicode([experiment, name, parent or "", dict(inputs or {})]):
        raise UsageError(f"run {name!a} in {experiment!a}: a name or input is not UTF-8: convert it")
    if len(experiment) > _NAME_LENGTH:
        raise UsageError(
            f"the name of the experiment has {len(experiment)} characters, at most {_NAME_LENGTH} fit: shorten it"
        )
    now = datetime.now(UTC)  # a run takes real time, also where the clock is frozen for what it writes
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
        raise ServiceError(f"no run can be noted down in {settings.runs}: {MachineError.of(error)}") from error
    return _opened(settings, entry) or entry


def end(settings: Settings, entry: SpooledRun, how: End, *, deliver_now: bool = True) -> str | None:
    """Write down how a run ended; return MLflow's id of it once MLflow has all, or None where it is delivered later."""
    text = json.dumps(asdict(replace(how, at=how.at or datetime.now(UTC).isoformat())), sort_keys=True).encode()
    with (entry.folder / _ENDED).open("r+b") as stream:  # in place: the room for it is there
        stream.write(text.ljust(_RESERVED))
        stream.flush()
        os.fsync(stream.fileno())
    return _delivered(settings, entry) if deliver_now else None


def answers(settings: Settings) -> bool:
    """Return whether MLflow answers."""
    return connectivity.unreachable(settings) is None


def deliver(settings: Settings) -> list[str]:
    """Return MLflow's ids of the runs it took now: those that ended while it did not answer."""
    waiting = [entry for entry in entries(settings) if ended(entry)]
    if not waiting or not answers(settings):
        return []  # asked once, not for each of them
    found = [(entry, _delivered(settings, entry)) for entry in waiting]
    return [run_id for _, run_id in found if run_id]


def entries(settings: Settings) -> list[SpooledRun]:
    """Return what is in the journal, oldest first: runs at work, runs to be delivered, runs whose process died."""
    found = [_read(folder) for folder in sorted(settings.runs.glob("*-*")) if folder.is_dir()]
    return [entry for entry in found if entry is not None]


def ended(entry: SpooledRun) -> End | None:
    """Return how a run ended, or None where nobody wrote it down whole."""
    try:
        return parse_json(End, (entry.folder / _ENDED).read_bytes())
    except (OSError, ValueError):
        return None


def abandoned(entry: SpooledRun) -> bool:
    """Return whether nobody will write down how a run ended: its process is gone."""
    return ended(entry) is None and runs.supervisor_is_gone(entry.tags)


@contextmanager
def held(settings: Settings, entry: SpooledRun) -> Iterator[SpooledRun | None]:
    """Hold an entry against other processes and yield it as it is now: None where it was delivered meanwhile."""
    lock = settings.runs / f"{entry.id}.lock"
    with atomic_files.Lock(lock, timeout=_PATIENCE):
        try:
            yield _read(entry.folder)
        finally:
            lock.unlink(missing_ok=True)  # who waited for it finds the entry gone, or done


def _opened(settings: Settings, entry: SpooledRun, *, tried_before: bool = False) -> SpooledRun | None:
    """Return the entry with its run in MLflow, or None where MLflow does not take it now."""
    return (
        entry if entry.run_id else _attempt(settings, entry, lambda: _open(settings, entry, tried_before=tried_before))
    )


def _open(settings: Settings, entry: SpooledRun, *, tried_before: bool) -> SpooledRun | None:
    with held(settings, entry) as now:
        if now is None or now.run_id:
            return now
        run_id = _earlier(settings, now) if tried_before else None
        run_id = run_id or runs.open_run(
            settings,
            now.experiment,
            now.name,
            tags={**now.tags, runs.ENTRY: now.id, runs.HOME: str(settings.home)},  # it may have moved since
            parent=_parent(settings, now.parent),
            started=datetime.fromisoformat(now.started),
        )
        runs.log(settings, run_id, parameters=now.parameters)
        runs.log_datasets(settings, run_id, now.inputs, "input")
        opened = replace(now, run_id=run_id)
        _write(opened)
        return opened


def _delivered(settings: Settings, entry: SpooledRun) -> str | None:
    """Return MLflow's id of a run that ended, after all of it is there and the entry gone; None where it stays."""
    opened = _opened(settings, entry, tried_before=True)
    return None if opened is None else _attempt(settings, opened, lambda: _close(settings, opened))


def _close(settings: Settings, entry: SpooledRun) -> str | None:
    with held(settings, entry) as now:
        how = ended(now) if now else None
        if now is None or how is None or now.run_id is None:
            return entry.run_id  # another process was quicker
        moment = datetime.fromisoformat(how.at)
        runs.log_files(settings, now.run_id, now.artifacts)
        runs.log_datasets(settings, now.run_id, how.outputs, "output")
        series = {name: {int(step): value for step, value in steps.items()} for name, steps in how.series.items()}
        runs.close_run(settings, now.run_id, how.outcome, how.metrics, how.tags, series=series, ended=moment)
        shutil.rmtree(now.folder)
        return now.run_id


def _attempt(settings: Settings, entry: SpooledRun, action: Callable[[], Result]) -> Result | None:
    """Let what MLflow cannot take now wait in the journal, and say so; wrong settings are no matter of waiting."""
    reason = connectivity.unreachable(settings)
    if reason is None:
        try:
            return action()
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - stores and artifact stores raise what they like; nothing is lost
            reason = str(error)
    said = " ".join(reason.split())[:_SAID]
    _log.warning("MLflow does not take the run of %s now (%s): the next command delivers it", entry.name, said)
    return None


def _parent(settings: Settings, parent: str | None) -> str | None:
    """Return MLflow's id of a parent that may itself have begun while MLflow did not answer."""
    if parent is None or "-" not in parent:
        return parent
    entry = _read(settings.runs / parent)
    if entry is None:
        found = runs.find_runs(settings, tags={runs.ENTRY: parent}, limit=1)
        return found[0].run_id if found else None
    opened = _opened(settings, entry, tried_before=True)
    if opened is None:
        raise ServiceError(f"its parent {entry.name} is not there yet")
    return opened.run_id


def _earlier(settings: Settings, entry: SpooledRun) -> str | None:
    """Return the run that an attempt opened before it was cut off."""
    found = runs.find_runs(settings, [entry.experiment], tags={runs.ENTRY: entry.id}, limit=1)
    return found[0].run_id if found else None


def _read(folder: Path) -> SpooledRun | None:
    try:
        said = clean(json.loads((folder / _BEGUN).read_bytes()))  # 0.2.0 took text that is not UTF-8
        return parse_json(
            SpooledRun, json.dumps(parse_json(dict[str, Any], json.dumps(said)) | {"folder": str(folder)})
        )
    except (OSError, ValueError, RecursionError):
        return None  # killed before it was written: nothing had begun


def _write(entry: SpooledRun) -> None:
    content = {name: value for name, value in asdict(entry).items() if name != "folder"}
    atomic_files.write_bytes(entry.folder / _BEGUN, json.dumps(content, indent=1, sort_keys=True).encode())
