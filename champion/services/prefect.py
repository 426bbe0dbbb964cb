"""Run one local Prefect server per workspace, with a login; a flow starts it if necessary and leaves it running.

Prefect's own ephemeral server costs every command about 20 seconds and often misses its start limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from champion.base import isolation, prefect_sources
from champion.base.atomic_files import Lock
from champion.base.file_modes import PRIVATE_FILE, private_folder
from champion.errors import ServiceError
from champion.security import prefect_login
from champion.services import encryption, managed_process
from champion.services.managed_process import Server
from champion.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

NAME = "prefect"
_BUSY_SECONDS = 120  # a running server is replaced only after this time without an answer


def environment(settings: Settings, api: str) -> dict[str, str]:
    """Return the variables that a process needs, before it imports prefect, to use this workspace's server.

    A local server that does not answer for 15 seconds has ended; a remote one may come back.
    """
    retries = {"PREFECT_CLIENT_MAX_RETRIES": "3"} if settings.prefect_api_url is None else {}
    found = find_spec("prefect")
    package = Path(found.origin).parent if found and found.origin else settings.prefect_home
    return {
        # No telemetry, no implicit choices.
        "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",  # these pages contact amplitude.com in spite of the line above
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_CLI_PROMPT": "false",
        **retries,
        "PREFECT_HOME": str(settings.prefect_home),
        # The files of Prefect's configuration are set explicitly, because a logging file can name code to run.
        "PREFECT_PROFILES_PATH": str(settings.prefect_home / "profiles.toml"),
        "PREFECT_LOGGING_CONFIG_PATH": str(package / "logging" / "logging.yml"),
        "PREFECT_API_URL": api,
        **({prefect_login.CLIENT: login} if (login := prefect_login.current_login(settings)) else {}),
    }


def choose(settings: Settings, api: str) -> None:
    """Make this process use a server, whatever files the current folder has. Call it before prefect is imported."""
    os.environ.update(environment(settings, api))
    prefect_sources.ignore_current_directory(private_folder(settings.prefect_home))


@contextmanager
def client(settings: Settings, api: str) -> Iterator[SyncPrefectClient]:
    """Yield a client of a server, chosen for this process before prefect is imported."""
    choose(settings, api)
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - after its settings are chosen

    with get_client(sync_client=True) as connected:
        yield connected


def ensure(settings: Settings, note: Callable[[str], None] = lambda _: None) -> str:
    """Return the API URL of a healthy server; start one if there is none.

    Raises:
        ServiceError: the configured server does not answer, a local one did not start (the message names the log), or
            one requires another login.
    """
    if settings.prefect_api_url:
        if not _healthy(settings.prefect_api_url):
            raise ServiceError(f"no Prefect server answers at {settings.prefect_api_url} (CHAMPION_PREFECT_API_URL)")
        if prefect_login.pair(settings) and not _accepts_login(settings, settings.prefect_api_url):
            ours = prefect_login.place(settings) or prefect_login.CLIENT
            raise ServiceError(
                f"the Prefect server at {settings.prefect_api_url} requires another login than that of {ours}"
            )
        return settings.prefect_api_url
    private_folder(settings.prefect_home)
    with Lock(settings.prefect_home / "server.lock", timeout=managed_process.START_SECONDS * 2, mode=PRIVATE_FILE):
        server = _recorded_server(settings)
        if server is None:
            stop(settings)  # one that runs but does not answer would compete for the database
            note("starting the workspace's Prefect server")
            return _start(settings).api
        if not _accepts_login(settings, server.api):  # otherwise each client would fail with another error
            ours = prefect_login.place(settings) or "the workspace, which has no login any more"
            raise ServiceError(
                f"the Prefect server at {server.api} was started with another login than that of {ours}: "
                "`champion stop`, and run this again"
            )
        return server.api


def running(settings: Settings) -> Server | None:
    """Return the workspace's server if it runs and answers."""
    server = managed_process.recorded(settings, NAME)
    return server if server and server.alive and _healthy(server.api) and server.listens else None


def stop(settings: Settings) -> bool:
    """Stop the workspace's server and its child processes; return False if none was running."""
    return managed_process.stop(settings, NAME)


def _recorded_server(settings: Settings) -> Server | None:
    """Return the running server; None if there is none, or its workspace folder was moved away."""
    recorded = managed_process.recorded(settings, NAME)
    if recorded is not None and recorded.home not in {"", str(settings.home)}:
        return None
    deadline = time.monotonic() + _BUSY_SECONDS  # an answer may take long on a busy machine
    while (server := managed_process.recorded(settings, NAME)) and server.alive and time.monotonic() < deadline:
        if _healthy(server.api) and server.listens:
            return server
        time.sleep(0.5)
    return None


def _accepts_login(settings: Settings, api: str) -> bool:
    """Return whether a server accepts our login; servers of older versions accept any."""
    try:
        answer = httpx.get(
            f"{api}/admin/version",
            auth=prefect_login.pair(settings),
            timeout=_BUSY_SECONDS,
            trust_env=not managed_process.is_local(api),
        )
    except httpx.HTTPError:
        return True  # it answered just now, so the login is not the problem
    return answer.status_code != httpx.codes.UNAUTHORIZED


def _start(settings: Settings) -> Server:
    port = managed_process.port(settings.prefect_port, "CHAMPION_PREFECT_PORT")
    api = f"http://{managed_process.HOST}:{port}/api"
    # Created first, so that `environment` includes it.
    login = {"PREFECT_SERVER_API_AUTH_STRING": prefect_login.ensure_login(settings)}
    variables = {**os.environ, **environment(settings, api), **_retention(settings), **login}
    variables |= {"PREFECT_UI_API_URL": api, **encryption.environment(settings)}
    if url := settings.prefect_database:  # SQLite in the home without
        variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = url
    arguments = ("server", "start", "--host", managed_process.HOST, "--port", str(port))
    command = isolation.command("champion.services.prefect_server", *arguments)
    server = managed_process.start(settings, NAME, command, variables, port)
    managed_process.wait(settings, NAME, server, lambda: _healthy(server.api))
    return server


def _retention(settings: Settings) -> dict[str, str]:
    """Return the variables with which the server deletes flow runs, logs and artifacts after `settings.prefect_days`.

    By default it deletes events after 7 days.
    """
    return {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(settings.prefect_days * 86_400),
    }


def _healthy(api: str) -> bool:
    return managed_process.answers(f"{api}/health")
