"""One local Prefect server a workspace: flows find it, or start it and leave it for the next command.

Prefect's own ephemeral server costs every command some twenty seconds and often misses its start limit.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
from filelock import FileLock

from champion.errors import ServiceError, UsageError
from champion.files import write_bytes
from champion.settings import Settings

_START_SECONDS = 120
_BUSY_SECONDS = 30
_HOST = "127.0.0.1"
_POSTGRESQL = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_QUIET = {  # nothing leaves the machine, nothing is guessed
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_CLI_PROMPT": "false",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server this workspace started: its process (by pid and birth, as pids are reused) and its port."""

    pid: int
    born: float
    port: int

    @property
    def url(self) -> str:
        """The page people open."""
        return f"http://{_HOST}:{self.port}"

    @property
    def api(self) -> str:
        """What PREFECT_API_URL should be."""
        return f"{self.url}/api"


def environment(settings: Settings, api: str) -> dict[str, str]:
    """Return the variables a process needs, before it imports prefect, to use this workspace's server."""
    return {**_QUIET, "PREFECT_HOME": str(settings.prefect_home), "PREFECT_API_URL": api}


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
    with FileLock(settings.prefect_home / "server.lock", timeout=_START_SECONDS * 2):
        server = running(settings) or _patiently(settings)
        if server is None:
            stop(settings)  # one that is alive but does not answer would fight the new one for its database
            note("starting the workspace's Prefect server")
            server = _start(settings)
        return server.api


def running(settings: Settings) -> Server | None:
    """Return the workspace's server if it is alive and answers."""
    server = _recorded(settings)
    return server if server and _alive(server) and _healthy(server.api) else None


def _patiently(settings: Settings) -> Server | None:
    """Return the recorded server once it answers: on a busy machine a living one may take its time."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while (server := _recorded(settings)) and _alive(server) and time.monotonic() < deadline:
        if _healthy(server.api):
            return server
        time.sleep(0.5)
    return None


def stop(settings: Settings) -> bool:
    """Stop the workspace's server with all it started; return False where none was running."""
    server = _recorded(settings)
    if server is None or not _alive(server):
        return False
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    os.killpg(server.pid, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(family, timeout=10)
    for process in stubborn:
        process.kill()
    _record(settings).unlink(missing_ok=True)
    return True


def _start(settings: Settings) -> Server:
    port = _free_port()
    log = settings.prefect_home / "server.log"
    api = f"http://{_HOST}:{port}/api"
    variables = {**os.environ, **environment(settings, api), **_database(settings), "PREFECT_UI_API_URL": api}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", _HOST, "--port", str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables, start_new_session=True
        )
    server = Server(process.pid, psutil.Process(process.pid).create_time(), port)
    write_bytes(_record(settings), json.dumps(asdict(server)).encode())
    deadline = time.monotonic() + _START_SECONDS
    while not _healthy(server.api):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise ServiceError(f"the Prefect server did not start; see {log}")
        time.sleep(0.2)
    return server


def _database(settings: Settings) -> dict[str, str]:
    """Return where the server keeps its books, with the driver that Prefect needs; nothing for SQLite in the home."""
    if settings.prefect_database_url is None:
        return {}
    scheme, _, rest = settings.prefect_database_url.get_secret_value().partition("://")
    if scheme not in _POSTGRESQL:
        raise UsageError(
            f"CHAMPION_PREFECT_DATABASE_URL is of {scheme!r}; write postgresql://user:password@host:5432/database"
        )
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{rest}"}


def _record(settings: Settings) -> Path:
    return settings.prefect_home / "server.json"


def _recorded(settings: Settings) -> Server | None:
    record = _record(settings)
    return Server(**json.loads(record.read_bytes())) if record.exists() else None


def _alive(server: Server) -> bool:
    try:
        return bool(abs(psutil.Process(server.pid).create_time() - server.born) < 1)
    except psutil.NoSuchProcess:
        return False


def _healthy(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
