"""The MLflow store of a workspace, prepared once: tables made, artifacts placed, telemetry off.

Several processes that meet on a fresh database fail in MLflow's migrations, so they run once, under a lock, and a
marker file says for which database and which MLflow version they are done.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock

from champion import files, loopback
from champion.errors import ServiceError, UsageError
from champion.masking import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from champion.settings import Settings

_PATIENCE = 180  # seconds another process may take to make the tables
_SERVERS = frozenset({"http", "https"})
_REFUSALS = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})
_MIGRATION_LOCK = 5_065_731_184  # any number that nobody else locks in this database


def prepare(settings: Settings) -> MlflowClient:
    """Return a client of the workspace's store, made ready on first use.

    Raises:
        UsageError: the tracking URI is a relative path, or plain http to another machine, or its server does not admit
            us.
        ServiceError: the store cannot be made ready.
    """
    os.environ.update(settings.tracking_login)  # MLflow reads them with every request
    if urlsplit(settings.tracking).hostname in loopback.HOSTS:
        loopback.bypass_proxies()
    return _client(checked(settings.tracking), settings.home)


def experiment_id(settings: Settings, name: str) -> str:
    """Return the id of the experiment `name`, made with its own artifact folder where it is new."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - mlflow takes seconds to import

    client = prepare(settings)
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=_artifact_location(settings, name))
        except MlflowException:  # another process made it in between
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


@cache
def _client(uri: str, home: Path) -> MlflowClient:
    for variable in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(variable, "true")  # MLflow reads them when it is imported, and ignores '1'
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if urlsplit(uri).scheme not in _SERVERS:
        _migrate(uri, home / "mlflow")
    from mlflow import MlflowClient  # noqa: PLC0415

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if urlsplit(uri).scheme in _SERVERS:
        _require_admission(client, uri)
    return client


def _require_admission(client: MlflowClient, uri: str) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        client.search_experiments(max_results=1)
    except MlflowException as error:
        if error.error_code not in _REFUSALS:
            raise
        raise UsageError(
            f"the MLflow server {uri} does not admit us ({error.error_code}): put USER:PASSWORD@ of somebody it knows "
            "before its host in CHAMPION_TRACKING_URI, with / ? # @ : in them as %2F %3F %23 %40 %3A"
        ) from None


def _migrate(uri: str, folder: Path) -> None:
    marker, wanted = folder / "prepared", f"{without_password(uri)} mlflow {version('mlflow')}\n"
    if _is_prepared(uri, marker, wanted):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "prepared.lock", timeout=_PATIENCE):
        if not _is_prepared(uri, marker, wanted):
            _require_no_loss(uri, marker, wanted)
            _upgrade(uri)
            files.write_bytes(marker, wanted.encode())


def _require_no_loss(uri: str, marker: Path, wanted: str) -> None:
    """Do nothing unless the store was made ready before and is gone: an empty one in its place would hide the loss."""
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        raise ServiceError(
            f"the tracking store {without_password(uri)} was here and is gone: bring it back, or delete {marker} to "
            "begin an empty one"
        )


def _upgrade(uri: str) -> None:
    from mlflow.db import upgrade  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    if urlsplit(uri).scheme == "sqlite":
        sqlite_file(uri).parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces each migration
    try:
        with _alone(uri):
            upgrade.main([uri], standalone_mode=False)  # `mlflow db upgrade`, in this process
    except (MlflowException, SQLAlchemyError) as error:
        raise ServiceError(
            f"the tracking store {without_password(uri)} could not be made ready: {error}. "
            "Check CHAMPION_TRACKING_URI, the disk, and that no older MLflow is using the database"
        ) from error


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Hold PostgreSQL's own lock: workspaces on several machines may meet on a fresh database."""
    if not urlsplit(uri).scheme.startswith("postgresql"):
        yield
        return
    from sqlalchemy import NullPool, create_engine, text  # noqa: PLC0415

    with create_engine(uri, poolclass=NullPool).connect() as connection:  # closing it gives the lock back
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        yield


def _is_prepared(uri: str, marker: Path, wanted: str) -> bool:
    if not marker.exists() or marker.read_text(encoding="utf-8") != wanted:
        return False
    return urlsplit(uri).scheme != "sqlite" or sqlite_file(uri).exists()


def checked(uri: str) -> str:
    """Return a tracking URI that Champion takes.

    Raises:
        UsageError: it is a relative path, a folder, or plain http to another machine.
    """
    parts = urlsplit(uri)
    if parts.scheme == "http" and parts.hostname not in loopback.HOSTS:
        raise UsageError(
            f"tracking URI {without_password(uri)}: plain http is for this machine only; use https:// or a tunnel"
        )
    if parts.scheme == "sqlite" and not sqlite_file(uri).is_absolute():
        raise UsageError(f"tracking URI {without_password(uri)} is relative: write sqlite:/// and an absolute path")
    if not parts.scheme or parts.scheme == "file":
        raise UsageError(
            f"tracking URI {without_password(uri)!r} names a folder, which MLflow 3 no longer supports: use "
            "sqlite:///, postgresql:// or https://"
        )
    return uri


def sqlite_file(uri: str) -> Path:
    """Return the file of a SQLite URI."""
    return Path(uri.removeprefix("sqlite:///"))


def without_password(uri: str) -> str:
    """Return a URI as it may be shown."""
    return masked(uri, ())


def _artifact_location(settings: Settings, name: str) -> str | None:
    """Return a folder of this workspace, or None where a server decides."""
    if urlsplit(settings.tracking).scheme in _SERVERS:
        return None
    if settings.artifacts_uri is not None:
        return f"{settings.artifacts_uri.rstrip('/')}/{name}"
    return (settings.artifacts / name).as_uri()
