"""The doctor's check of MLflow's files: the models of registered versions, and the artifacts of runs.

A SQLite store is read without MLflow. Files on a server are not checked.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from champion.base import atomic_files, workspace_homes
from champion.base.counting import quantity
from champion.pipeline.models.evaluate import OUT_OF_SAMPLE
from champion.pipeline.operations import databases
from champion.pipeline.operations.checks import Check, first
from champion.settings import Settings
from champion.tracking import anchor, registry, store

_NAME = "models"
_SHOWN = 3
_TRAIN = (
    "restore mlflow/artifacts from a backup; or `champion train --force` and `champion models promote VERSION --force "
    "--reason WHY`: the lost model cannot be trained again under its number"
)
_DELETE = "restore mlflow/artifacts from a backup, or delete the version on MLflow's pages: it cannot be champion again"
_VERSIONS = """
    select v.version, coalesce(v.storage_location, v.source), r.artifact_uri,
        (select value from model_version_tags t where t.name = v.name and t.version = v.version and t.key = ?)
    from model_versions v left join runs r on r.run_uuid = v.run_id
    where v.name = ? and v.current_stage != 'Deleted_Internal' order by v.version
"""
_RUNS = """
    select r.run_uuid, r.artifact_uri
    from runs r join tags t on t.run_uuid = r.run_uuid and t.key = 'champion.code_hash'
    where r.lifecycle_stage = 'active' and r.status = 'FINISHED' order by r.start_time desc
"""


class _Place:
    """Resolve locations in the store, also those that a moved workspace has not updated yet."""

    def __init__(self, settings: Settings) -> None:
        self._home, self._former = settings.home, workspace_homes.former(settings.home)

    def file(self, location: str | None, name: str) -> Path | None:
        """Return the file `name` below a location; None if the location is not in the file system."""
        path = workspace_homes.local(workspace_homes.moved(location, self._former, self._home)) if location else None
        return path / name if path else None

    def lacks(self, location: str | None, name: str) -> bool:
        """Whether the file `name` is missing at a local location."""
        path = self.file(location, name)
        return path is not None and not path.is_file()


def check(settings: Settings) -> Check:
    """Check that models, their out-of-sample scores, and the artifacts of runs are where MLflow's store says."""
    if urlsplit(settings.tracking).scheme != "sqlite":
        return Check(_NAME, "ok", "their files are on the server")
    if not (path := store.sqlite_file(settings.tracking)).exists():
        return Check(_NAME, "ok", "none yet")
    try:
        with databases.read_only(path) as database:
            versions = database.execute(_VERSIONS, (registry.DIGEST, registry.MODEL)).fetchall()
            runs = database.execute(_RUNS).fetchall()
    except sqlite3.Error as error:
        return Check(_NAME, "failed", f"{path} cannot be read: {error}", "restore mlflow/ from a backup")
    where = _Place(settings)
    if wrong := _versions_check(settings, where, versions):
        return wrong
    # Every supervised run has its code in its artifacts, and retention keeps it.
    if lost := [f"run {run_id}" for run_id, location in runs if where.lacks(location, "code.json")]:
        found = f"{quantity(len(lost), 'run has', 'runs have')} lost their artifacts: {first(_SHOWN, lost)}"
        remedy = "restore mlflow/artifacts from a backup; otherwise these runs are repeated on the next request"
        return Check(_NAME, "warning", found, remedy)
    return Check(_NAME, "ok", f"{quantity(len(versions), 'version')}, {quantity(len(runs), 'run')}, files as recorded")


def _versions_check(settings: Settings, where: _Place, versions: list[tuple[Any, ...]]) -> Check | None:
    """Return what is wrong with the files of versions, the champion's first; None if they are intact."""
    champion = anchor.alias(settings)
    by_version = {version[0]: list(_of_version(where, *version)) for version in versions}
    wrong = [reason for number in sorted(by_version, key=champion.__ne__) for reason in by_version[number]]
    if not wrong:
        return None
    if champion is not None and by_version.get(champion):
        return Check(_NAME, "failed", first(_SHOWN, wrong), _TRAIN)
    return Check(_NAME, "warning", first(_SHOWN, wrong), _DELETE)


def _of_version(where: _Place, number: int, location: str | None, run: str | None, digest: str | None) -> Iterator[str]:
    path = where.file(location, "model.skops")
    if path is not None and digest:  # a version of another tool has no digest
        if not path.is_file():
            yield f"version {number}: its model file {path} is missing"
        elif atomic_files.sha256(path) != digest:
            yield f"version {number}: its model file {path} is not the one that was registered"
    if digest and where.lacks(run, OUT_OF_SAMPLE):
        yield f"version {number}: its out-of-sample scores are missing"
