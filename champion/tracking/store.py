"""Prepare the MLflow store of a workspace once: create tables, place artifacts, switch off telemetry.

Processes that open a new database concurrently fail in MLflow's migrations, so the migrations run once, under a lock. A
marker file records the database and the MLflow version for which they ran.
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

from champion.base import atomic_files, file_modes, loopback, workspace_homes
from champion.errors import ServiceError, UsageError
from champion.security.redaction import redact
from champion.tracking import experiments, relocation

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from champion.settings import Settings


_SERVERS = frozenset({"http", "https"})
_POOL = "MLFLOW_SQLALCHEMYSTORE_POOLCLASS"
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"  # MLflow has no public name for it; tests/base/test_homes.py checks it


def prepare(settings: Settings) -> MlflowClient:
    """Return a client of the workspace's store, which is prepared on first use.

    Raises:
        UsageError: the tracking URI is a relative path or plain http to another machine, or its server refuses our
            login.
        ServiceError: the store cannot be prepared.
    """
    if urlsplit(settings.tracking).hostname in loopback.HOSTS:
        loopback.bypass_proxies()
    os.environ.update({**settings.tracking_login, **environment(settings)})  # MLflow reads them with every request
    return _client(checked(settings.tracking), settings.home, artifact_root(settings))


def settle(settings: Settings) -> None:
    """Update the locations of a SQLite store after the workspace was moved, without MLflow.

    `prepare` does so, too. This is for callers that start a process which opens the store itself.

    Raises:
        ServiceError: the store cannot be read or written.
    """
    _relocate(settings.tracking, settings.home, artifact_root(settings))


def _relocate(uri: str, home: Path, root: str) -> None:
    if is_sqlite(uri):
        relocation.relocate(home, root, sqlite_file(uri))


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which MLflow, even without Champion, puts artifacts into the workspace.

    Otherwise the artifacts of an experiment without a location would be in the process's current directory.
    """
    return {} if urlsplit(settings.tracking).scheme in _SERVERS else {_ARTIFACT_ROOT: artifact_root(settings)}


def artifact_root(settings: Settings) -> str:
    """Return the location of artifacts of experiments without their own location, unless a server decides."""
    return settings.artifacts_uri.rstrip("/") if settings.artifacts_uri else settings.artifacts.as_uri()


def experiment_id(settings: Settings, name: str) -> str:
    """Return the id of the experiment `name`, which is created with its own artifact folder if it is new."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - mlflow takes seconds to import

    client = prepare(settings)
    if (found := client.get_experiment_by_name(name)) is None:
        try:
            return client.create_experiment(name, artifact_location=_artifact_location(settings, name))
        except MlflowException:  # another process created it meanwhile
            if (found := client.get_experiment_by_name(name)) is None:
                raise
    # In SQLite the locations of former folders were changed already. A store behind a server is shared with others.
    location = found.artifact_location
    now = workspace_homes.moved(location, workspace_homes.former(settings.home), settings.home)
    if now != location:
        raise UsageError(
            f"experiment {found.name!r} keeps its artifacts in {location}, where this workspace was before, and "
            f"{without_password(settings.tracking)} may be in use from there. Set CHAMPION_HOME back, or change the "
            f"experiment's artifact_location to {now} in that database"
        )
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


@cache
def _client(uri: str, home: Path, root: str) -> MlflowClient:
    is_local = urlsplit(uri).scheme not in _SERVERS
    for variable in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(variable, "true")  # MLflow reads them on import, and ignores '1'
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if is_local:
        _relocate(uri, home, root)
        workspace_homes.remember(home)  # before `_migrate` replaces the marker, which may name the former home
        _migrate(uri, home / "mlflow", root)
    from mlflow import MlflowClient  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    try:
        if not is_local:
            client.search_experiments(max_results=1)
    except MlflowException as error:
        if error.error_code not in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
            raise
        raise UsageError(
            f"the MLflow server {uri} refuses access ({error.error_code}): put USER:PASSWORD@ of one of its users "
            "before the host in CHAMPION_TRACKING_URI, with / ? # @ : in them as %2F %3F %23 %40 %3A"
        ) from None
    return client


def _migrate(uri: str, folder: Path, root: str) -> None:
    file_modes.private_folder(folder)  # earlier versions left it open
    if _is_prepared(uri, folder):
        return
    with atomic_files.Lock(folder / "prepared.lock", timeout=180, mode=file_modes.PRIVATE_FILE):
        if not _is_prepared(uri, folder):
            _upgrade(uri)
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

            SqlAlchemyStore(uri, root)  # type: ignore[no-untyped-call]  # it creates the experiment `Default` below root
            atomic_files.write_bytes(folder / "prepared", _marker(uri, folder).encode())


def _marker(uri: str, folder: Path) -> str:
    """Return the content of the marker for a prepared store; for the workspace's own file without its folder."""
    is_own = sqlite_file(uri) == folder / "mlflow.db"
    return f"{'mlflow.db' if is_own else without_password(uri)} mlflow {version('mlflow')}\n"


def _is_prepared(uri: str, folder: Path) -> bool:
    """Return whether the store is prepared; versions before 0.3.0 wrote the folder of the file to the marker, too.

    Raises:
        ServiceError: the store was prepared and is now missing or empty: a new one would hide the loss.
    """
    marker, expected, file = folder / "prepared", _marker(uri, folder), sqlite_file(uri)
    content = marker.read_text(encoding="utf-8") if marker.exists() else ""
    is_former = file == folder / "mlflow.db" and workspace_homes.of_marker(content) is not None
    # SQLite takes an empty file for a new database.
    is_lost = is_sqlite(uri) and not (file.exists() and file.stat().st_size > 0)
    if is_lost and (is_former or content == expected):
        raise ServiceError(
            f"the tracking store {file} is missing or empty: restore it, or delete {marker} to start with an empty one"
        )
    is_same = content == expected or (is_former and content.endswith(expected.removeprefix("mlflow.db")))
    return is_same and not is_lost


def _upgrade(uri: str) -> None:
    from mlflow.db import upgrade  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    if is_sqlite(uri):
        atomic_files.make_folder(sqlite_file(uri).parent)
        sqlite_file(uri).touch(file_modes.PRIVATE_FILE)  # before SQLite creates it with the umask
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it logs each migration
    try:
        with _alone(uri), _without_pool():
            upgrade.main([uri], standalone_mode=False)  # `mlflow db upgrade`, in this process
    except (MlflowException, SQLAlchemyError) as error:
        raise ServiceError(
            f"the tracking store {without_password(uri)} could not be prepared: {error}. "
            "Check CHAMPION_TRACKING_URI, the disk, and that no older MLflow is using the database"
        ) from error


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Hold a lock of PostgreSQL: workspaces on several machines may prepare a new database at the same time."""
    if not urlsplit(uri).scheme.startswith("postgresql"):
        yield
        return
    from sqlalchemy import NullPool, create_engine, text  # noqa: PLC0415

    # The key is any number that no other program locks in this database.
    with create_engine(uri, poolclass=NullPool).connect() as connection:  # closing releases the lock
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": 5_065_731_184})
        yield


@contextmanager
def _without_pool() -> Iterator[None]:
    """Let MLflow close each connection after its use: `mlflow db upgrade` never closes those of its pool."""
    chosen = os.environ.get(_POOL)
    os.environ[_POOL] = "NullPool"
    try:
        yield
    finally:
        os.environ.pop(_POOL)
        if chosen is not None:
            os.environ[_POOL] = chosen


def is_gone(settings: Settings) -> bool:
    """Return whether the store is a SQLite file that does not exist; asking does not create it."""
    return is_sqlite(settings.tracking) and not sqlite_file(settings.tracking).exists()


def checked(uri: str) -> str:
    """Return the tracking URI if Champion supports it.

    Raises:
        UsageError: it is a relative path, a folder, or plain http to another machine.
    """
    parts = urlsplit(uri)
    if parts.scheme == "http" and parts.hostname not in loopback.HOSTS:
        raise UsageError(
            f"tracking URI {without_password(uri)}: plain http is for this machine only; use https:// or a tunnel"
        )
    if is_sqlite(uri) and not sqlite_file(uri).is_absolute():
        raise UsageError(f"tracking URI {without_password(uri)} is relative: write sqlite:/// and an absolute path")
    if not parts.scheme or parts.scheme == "file":
        raise UsageError(
            f"tracking URI {without_password(uri)!r} names a folder, which MLflow 3 no longer supports: use "
            "sqlite:///, postgresql:// or https://"
        )
    return uri


def is_sqlite(uri: str) -> bool:
    """Return whether a tracking URI names a SQLite file."""
    return urlsplit(uri).scheme == "sqlite"


def sqlite_file(uri: str) -> Path:
    """Return the file of a SQLite URI."""
    return Path(uri.removeprefix("sqlite:///"))


def without_password(uri: str) -> str:
    """Return a URI for display, without its password."""
    return redact(uri, ())


def _artifact_location(settings: Settings, name: str) -> str | None:
    """Return the folder of an experiment in this workspace, or None if a server decides."""
    if urlsplit(settings.tracking).scheme in _SERVERS:
        return None
    if settings.artifacts_uri is not None:
        return f"{artifact_root(settings)}/{name}"
    return (settings.artifacts / name).as_uri()


_WORKFLOW = "workflowType=machine_learning"


def experiments_page(base: str) -> str:
    """Return the URL of the list of experiments.

    >>> experiments_page("http://127.0.0.1:5000/")
    'http://127.0.0.1:5000/#/experiments?workflowType=machine_learning'
    """
    return f"{base.rstrip('/')}/#/experiments?{_WORKFLOW}"


def training_page(settings: Settings, base: str) -> str:
    """Return the URL of the table of training runs, or that of all experiments if there is none or no answer."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        found = prepare(settings).get_experiment_by_name(experiments.TRAINING)
    except (MlflowException, ServiceError, UsageError):  # the pages may answer again when a person opens them
        found = None
    return experiment_page(base, found.experiment_id) if found else experiments_page(base)


def experiment_page(base: str, experiment: str) -> str:
    """Return the URL of the list of runs of an experiment, named by its id.

    >>> experiment_page("http://127.0.0.1:5000", "3")
    'http://127.0.0.1:5000/#/experiments/3/runs?workflowType=machine_learning'
    """
    return f"{base.rstrip('/')}/#/experiments/{experiment}/runs?{_WORKFLOW}"


def run_page(base: str, experiment: str, run_id: str) -> str:
    """Return the URL of one run.

    >>> run_page("http://127.0.0.1:5000", "3", "5f0c")
    'http://127.0.0.1:5000/#/experiments/3/runs/5f0c?workflowType=machine_learning'
    """
    return f"{base.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}?{_WORKFLOW}"
