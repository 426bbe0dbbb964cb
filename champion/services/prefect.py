"""One local Prefect server a workspace, with a login: flows find it, or start it and leave it for the next command.

Prefect's own ephemeral server costs every command some twenty seconds and often misses its start limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import httpx

from champion.base import isolation, prefect_sources
from champion.base.atomic_files import Lock
from champion.base.file_modes import PRIVATE_FILE, private_folder
from champion.errors import ServiceError
from champion.security import prefect_login
from champion.services import encryption, managed_process
from champion.services.managed_process import Server
from champion.settings import Settings

NAME = "prefect"
_BUSY_SECONDS = 120  # a living server is replaced only after so long a silence
_QUIET = {  # nothing leaves the machine, nothing is guessed
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # those pages ask amplitude.com, whatever the line above says
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_CLI_PROMPT": "false",
}


def environment(settings: Settings, api: str) -> dict[str, str]:
    """Return the variables a process needs, before it imports prefect, to use this workspace's server.

    One on this machine that does not answer after a quarter of a minute has ended; one elsewhere may come back.
    """
    patience = {"PREFECT_CLIENT_MAX_RETRIES": "3"} if settings.prefect_api_url is None else {}
    return {
        **_QUIET,
        **patience,
        "PREFECT_HOME": str(settings.prefect_home),
        **_pinned(settings),
        "PREFECT_API_URL": api,
        **({prefect_login.CLIENT: login} if (login := prefect_login.current_login(settings)) else {}),
    }


def choose(settings: Settings, api: str) -> None:
    """Have this process use a server, whatever the current directory says; before anything imports prefect."""
    os.environ.update(environment(settings, api))
    prefect_sources.ignore_current_directory(private_folder(settings.prefect_home))


def ensure(settings: Settings, note: Callable[[str], None] = lambda _: None) -> str:
    """Return the API URL of a healthy server, started if there was none.

    Raises:
        ServiceError: the configured server does not answer, a local one did not start (it names the log), or one wants
            another login than ours.
    """
    if settings.prefect_api_url:
        if not _healthy(settings.prefect_api_url):
            raise ServiceError(f"no Prefect server answers at {settings.prefect_api_url} (CHAMPION_PREFECT_API_URL)")
        if prefect_login.pair(settings) and not _lets_in(settings, settings.prefect_api_url):
            ours = prefect_login.place(settings) or prefect_login.CLIENT
            raise ServiceError(f"the Prefect server at {settings.prefect_api_url} wants another login than {ours} says")
        return settings.prefect_api_url
    private_folder(settings.prefect_home)
    with Lock(settings.prefect_home / "server.lock", timeout=managed_process.START_SECONDS * 2, mode=PRIVATE_FILE):
        server = _found(settings)
        if server is None:
            stop(settings)  # one that is alive but does not answer would fight the new one for its database
            note("starting the workspace's Prefect server")
            return _start(settings).api
        if not _lets_in(settings, server.api):  # all that speaks to it would fail, each in words of its own
            ours = prefect_login.place(settings) or "the workspace, where none is kept any more"
            raise ServiceError(
                f"the Prefect server at {server.api} was started with another login than that of {ours}: "
                "`champion stop`, and run this again"
            )
        return server.api


def running(settings: Settings) -> Server | None:
    """Return the workspace's server if it is alive and answers."""
    server = managed_process.recorded(settings, NAME)
    return server if server and server.alive and _healthy(server.api) and server.listens else None


def stop(settings: Settings) -> bool:
    """Stop the workspace's server with all it started; return False where none was running."""
    return managed_process.stop(settings, NAME)


def _found(settings: Settings) -> Server | None:
    """Return the server that runs, None where there is none, or the folder it works in was moved away."""
    recorded = managed_process.recorded(settings, NAME)
    if recorded is not None and recorded.home not in {"", str(settings.home)}:
        return None
    return running(settings) or _patiently(settings)


def _patiently(settings: Settings) -> Server | None:
    """Return the recorded server once it answers: on a busy machine a living one may take its time."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while (server := managed_process.recorded(settings, NAME)) and server.alive and time.monotonic() < deadline:
        if _healthy(server.api) and server.listens:
            return server
        time.sleep(0.5)
    return None


def _lets_in(settings: Settings, api: str) -> bool:
    """Return whether a server takes our login; one of an older version asks for none and lets everybody in."""
    try:
        answer = httpx.get(
            f"{api}/admin/version",
            auth=prefect_login.pair(settings),
            timeout=_BUSY_SECONDS,
            trust_env=not managed_process.is_local(api),
        )
    except httpx.HTTPError:
        return True  # it answered just now: whatever is the matter, it is not the login
    return answer.status_code != httpx.codes.UNAUTHORIZED


def _start(settings: Settings) -> Server:
    port = managed_process.port(settings.prefect_port, "CHAMPION_PREFECT_PORT")
    api = f"http://{managed_process.HOST}:{port}/api"
    login = {
        "PREFECT_SERVER_API_AUTH_STRING": prefect_login.ensure_login(settings)
    }  # first, so that its own requests know it
    variables = {**os.environ, **environment(settings, api), **_database(settings), **_retention(settings), **login}
    variables |= {"PREFECT_UI_API_URL": api, **encryption.environment(settings)}
    served = ("server", "start", "--host", managed_process.HOST, "--port", str(port))
    command = isolation.command("champion.services.prefect_server", *served)
    server = managed_process.start(settings, NAME, command, variables, port)
    managed_process.wait(settings, NAME, server, lambda: _healthy(server.api))
    return server


def _retention(settings: Settings) -> dict[str, str]:
    """Return what makes the server delete flow runs, with their logs and artifacts, after `settings.prefect_days`.

    Events it deletes after 7 days by itself.
    """
    return {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(settings.prefect_days * 86_400),
    }


def _pinned(settings: Settings) -> dict[str, str]:
    """Return where Prefect reads its configuration: a logging file can name code to run."""
    found = find_spec("prefect")
    package = Path(found.origin).parent if found and found.origin else settings.prefect_home
    return {
        "PREFECT_PROFILES_PATH": str(settings.prefect_home / "profiles.toml"),
        "PREFECT_LOGGING_CONFIG_PATH": str(package / "logging" / "logging.yml"),
    }


def _database(settings: Settings) -> dict[str, str]:
    """Return where the server keeps its books; nothing for SQLite in the home."""
    url = settings.prefect_database
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url} if url else {}


def _healthy(api: str) -> bool:
    return managed_process.answers(f"{api}/health")
