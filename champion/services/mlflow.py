"""MLflow's pages on a local store: one worker, no job runner, loopback only."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit, urlunsplit

from champion.services import local
from champion.services.local import Server
from champion.settings import Settings
from champion.tracking import store

NAME = "mlflow"
_VARIABLES = {  # the default is eleven processes and 3.3 GB, some of which outlive the server
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def is_local(settings: Settings) -> bool:
    """Tell whether the store is a database that this workspace opens itself, not somebody's server."""
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
    server = local.recorded(settings, NAME)
    if server is not None and server.alive:
        return server.url
    return f"http://{local.HOST}:{settings.mlflow_port}" if settings.mlflow_port else None


def begin(settings: Settings) -> Server:
    """Return the server, started on a store whose tables are made; it answers some seconds later.

    The store's address goes through the environment: it may hold a password, and a command line is for all to see.

    Raises:
        ServiceError: the store cannot be made ready, or the port is taken.
    """
    store.prepare(settings)
    port = local.port(settings.mlflow_port, "CHAMPION_MLFLOW_PORT")
    command = [sys.executable, "-m", "champion.startup", "mlflow", "server"]
    command += ["--workers", "1", "--host", local.HOST, "--port", str(port)]
    variables = {**os.environ, **_VARIABLES, "MLFLOW_BACKEND_STORE_URI": settings.tracking}
    return local.start(settings, NAME, command, variables, port)


def healthy(server: Server) -> bool:
    """Tell whether it answers."""
    return local.answers(f"{server.url}/health")
