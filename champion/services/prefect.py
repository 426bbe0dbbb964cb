"""One local Prefect server a workspace: flows find it, or start it and leave it for the next command.

Prefect's own ephemeral server costs every command some twenty seconds and often misses its start limit.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from filelock import FileLock

from champion.errors import ServiceError
from champion.services import local
from champion.services.local import Server
from champion.settings import Settings

NAME = "prefect"
_BUSY_SECONDS = 30
_QUIET = {  # nothing leaves the machine, nothing is guessed
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_CLI_PROMPT": "false",
}


def environment(settings: Settings, api: str) -> dict[str, str]:
    """Return the variables a process needs, before it imports prefect, to use this workspace's server."""
    return {
        **_QUIET,
        "PREFECT_HOME": str(settings.prefect_home),
        "PREFECT_API_URL": api,
        **_login(settings, "PREFECT_API_AUTH_STRING"),
    }


def ensure(settings: Settings, note: Callable[[str], None] = lambda _: None) -> str:
    """Return the API URL of a healthy server, started if there was none.

    Raises:
        ServiceError: the configured server does not answer, or a local one did not start; it names the log.
    """
    if settings.prefect_api_url:
        if not _healthy(settings.prefect_api_url):
            raise ServiceError(f"no Prefect server answers at {settings.prefect_api_url} (CHAMPION_PREFECT_API_URL)")
        return settings.prefect_api_url
    settings.prefect_home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.prefect_home / "server.lock", timeout=local.START_SECONDS * 2):
        server = running(settings) or _patiently(settings)
        if server is None:
            stop(settings)  # one that is alive but does not answer would fight the new one for its database
            note("starting the workspace's Prefect server")
            server = _start(settings)
        return server.api


def running(settings: Settings) -> Server | None:
    """Return the workspace's server if it is alive and answers."""
    server = local.recorded(settings, NAME)
    return server if server and server.alive and _healthy(server.api) else None


def stop(settings: Settings) -> bool:
    """Stop the workspace's server with all it started; return False where none was running."""
    return local.stop(settings, NAME)


def _patiently(settings: Settings) -> Server | None:
    """Return the recorded server once it answers: on a busy machine a living one may take its time."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while (server := local.recorded(settings, NAME)) and server.alive and time.monotonic() < deadline:
        if _healthy(server.api):
            return server
        time.sleep(0.5)
    return None


def _start(settings: Settings) -> Server:
    port = local.port(settings.prefect_port, "CHAMPION_PREFECT_PORT")
    api = f"http://{local.HOST}:{port}/api"
    variables = {**os.environ, **environment(settings, api), **_database(settings), "PREFECT_UI_API_URL": api}
    variables |= _login(settings, "PREFECT_SERVER_API_AUTH_STRING")
    command = [sys.executable, "-m", "champion.startup", "prefect", "server", "start"]
    command += ["--host", local.HOST, "--port", str(port)]
    server = local.start(settings, NAME, command, variables, port)
    local.wait(settings, NAME, server, lambda: _healthy(server.api))
    return server


def _database(settings: Settings) -> dict[str, str]:
    """Return where the server keeps its books; nothing for SQLite in the home."""
    url = settings.prefect_database
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url} if url else {}


def _login(settings: Settings, variable: str) -> dict[str, str]:
    return {} if settings.prefect_login is None else {variable: settings.prefect_login.get_secret_value()}


def _healthy(api: str) -> bool:
    return local.answers(f"{api}/health")
