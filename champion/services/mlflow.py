"""MLflow's pages on a local store: one process, no job runner, on loopback only, protected by the workspace's login."""

import os

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
    """Return whether the store is a database that this workspace opens itself, not an MLflow server."""
    return not settings.tracking.startswith("http")


def address(settings: Settings) -> str | None:
    """Return the URL of MLflow's pages, or None if they were never started.

    It is the URL of the tracking server, of the server that this workspace runs, or of the port in the settings. It
    contains no password.

    >>> address(Settings(home="/tmp/none", tracking_uri="http://me:secret@mlflow:5000"))
    'http://mlflow:5000'
    """
    if not is_local(settings):
        return settings.tracking.rstrip("/")
    server = managed_process.recorded(settings, NAME)
    if server is not None and server.alive:
        return server.url
    return f"http://{managed_process.HOST}:{settings.mlflow_port}" if settings.mlflow_port else None


def start(settings: Settings) -> Server:
    """Start the server on a prepared store and return it; it answers some seconds later.

    The store's URL is passed in the environment, because it may contain a password, and command lines are public. The
    login is created before, in `mlflow/login`.

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
    """Return a sentence about the login of the pages, which never contains the login itself."""
    place = prefect_login.mlflow_path(settings).relative_to(settings.home)
    return f"MLflow's page asks once for user and password: they are in {place}, as user:password"
