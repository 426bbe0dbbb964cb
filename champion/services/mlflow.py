"""MLflow's pages on a local store: one process, no job runner, loopback only, behind the login of the workspace."""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

from champion.base import file_modes, isolation
from champion.security import prefect_login
from champion.services import managed_process, mlflow_server
from champion.services.managed_process import Server
from champion.settings import Settings
from champion.tracking import store

NAME = "mlflow"
_VARIABLES = {  # the default is eleven processes and 3.3 GB, some of which outlive the server
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def is_local(settings: Settings) -> bool:
    """Return whether the store is a database that this workspace opens itself, not somebody's server."""
    return not settings.tracking.startswith("http")


def address(settings: Settings) -> str | None:
    """Return where MLflow's pages are, or None where nobody started them.

    They are on the server that keeps the books, on the one that this workspace runs, or where its setting puts them.
    No password is in it.

    >>> address(Settings(home="/tmp/none", tracking_uri="http://me:secret@mlflow:5000"))
    'http://mlflow:5000'
    """
    if not is_local(settings):
        parts = urlsplit(settings.tracking)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
    server = managed_process.recorded(settings, NAME)
    if server is not None and server.alive:
        return server.url
    return f"http://{managed_process.HOST}:{settings.mlflow_port}" if settings.mlflow_port else None


def begin(settings: Settings) -> Server:
    """Return the server, started on a store whose tables are made; it answers some seconds later.

    The store's address goes through the environment: it may hold a password, and a command line is for all to see. The
    login is made before, in `mlflow/login`.

    Raises:
        ServiceError: the store cannot be prepared, or the port is taken.
    """
    file_modes.private_folder(settings.home / "mlflow")
    store.prepare(settings)
    prefect_login.ensure_mlflow_login(settings)
    port = managed_process.port(settings.mlflow_port, "CHAMPION_MLFLOW_PORT")
    variables = {**os.environ, **settings.environment(), **_VARIABLES, mlflow_server.PORT: str(port)}
    return managed_process.start(settings, NAME, isolation.command(mlflow_server.__name__), variables, port)


def login_hint(settings: Settings) -> str:
    """Return a sentence about the login of the pages; the login itself belongs into no output."""
    place = prefect_login.mlflow_path(settings).relative_to(settings.home)
    return f"MLflow's page asks once for user and password: {place} holds them as user:password"


def healthy(server: Server) -> bool:
    """Return whether it answers."""
    return managed_process.answers(f"{server.url}/health")
