"""Start, find and stop servers of a workspace, which listen on loopback and are recorded by PID and start."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from champion.base import isolation, loopback, process_identity, workspace_homes
from champion.base.atomic_files import write_bytes
from champion.base.file_modes import PRIVATE_FILE, private_folder
from champion.base.strict_json import parse_json
from champion.errors import ServiceError
from champion.settings import Settings

HOST = "127.0.0.1"
START_SECONDS = 600  # for hangs only: a server that dies ends the wait immediately
_LOG_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started: its process (PID and process token, as PIDs are reused) and its port; 0 means none.

    `home` is the workspace it was started for. `folder` identifies that folder: the id stays when the folder is moved,
    and a copy has another one.
    """

    pid: int
    born: str | float  # a time of day in records of earlier versions, which matches no process
    port: int
    home: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        """Refuse invalid process ids and ports."""
        if not 0 < self.pid < 2**31 or not 0 <= self.port < 2**16:
            raise ValueError(f"process {self.pid} on port {self.port}")

    @property
    def url(self) -> str:
        """The URL of its pages."""
        return f"http://{HOST}:{self.port}"

    @property
    def api(self) -> str:
        """The value for PREFECT_API_URL."""
        return f"{self.url}/api"

    @property
    def alive(self) -> bool:
        """Whether the process that was started still runs."""
        return process_identity.process_token(self.pid) == self.born

    @property
    def listens(self) -> bool:
        """Whether this server, and not another process, listens on its port."""
        try:
            processes = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
            connections = [one for process in processes for one in process.net_connections()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        return self.port in {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}


def start(settings: Settings, name: str, command: Sequence[str], variables: Mapping[str, str], port: int = 0) -> Server:
    """Start a server in a new session and record it; it may not answer yet."""
    private_folder(settings.services)
    path = log(settings, name)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))  # an older log is overwritten: logs stay below twice the limit
    path.touch(PRIVATE_FILE)
    with path.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=isolation.environment({**variables, **loopback.without_proxy(variables)}),
            cwd=settings.services,  # an owned folder: nothing in the current directory is read
            umask=0o077,
            start_new_session=True,
        )
    born = process_identity.process_token(process.pid) or ""
    server = Server(process.pid, born, port, str(settings.home), workspace_homes.identity(settings.home))
    write_bytes(_record(settings, name), json.dumps(asdict(server)).encode())
    return server


def wait(settings: Settings, name: str, server: Server, healthy: Callable[[], bool]) -> None:
    """Wait until the server is healthy.

    Raises:
        ServiceError: it ended, or did not answer within `START_SECONDS`. It is stopped; the message contains its log.
    """
    deadline = time.monotonic() + START_SECONDS
    while not (healthy() and (server.listens or not server.port)):
        if not server.alive or time.monotonic() > deadline:
            stop(settings, name)
            raise ServiceError(f"{name} did not start{log_end(settings, name)}")
        time.sleep(0.2)


def recorded(settings: Settings, name: str) -> Server | None:
    """Return the server last started under a name for this workspace, whether or not it still runs.

    A copy of a workspace contains records of the original's servers, which are ignored.

    Raises:
        ServiceError: its record is damaged.
    """
    record = _record(settings, name)
    try:
        server = parse_json(Server, record.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ServiceError(
            f"{record} is not the record of a server ({error}); stop the server if it runs, and remove the file"
        ) from error
    return server if _is_ours(settings, server) else None


def stop(settings: Settings, name: str) -> bool:
    """Stop a server and its child processes; return False if none was running."""
    if (server := recorded(settings, name)) is None or not server.alive:
        return False
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    _record(settings, name).unlink(missing_ok=True)  # first, so that watchers know that the stop is intended
    os.killpg(server.pid, signal.SIGTERM)
    _, remaining = psutil.wait_procs(processes, timeout=15)
    for process in remaining:
        process.kill()
    return True


def answers(url: str) -> bool:
    """Return whether a GET request to the URL returns status 200."""
    try:
        # A healthy server on a busy machine may need several seconds.
        answer = httpx.get(url, timeout=10, trust_env=not is_local(url))
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def is_local(url: str) -> bool:
    """Return whether a URL is on this machine, so that no proxy applies.

    >>> is_local("http://127.0.0.1:4200/api"), is_local("https://prefect.example/api")
    (True, False)
    """
    return urlsplit(url).hostname in loopback.HOSTS


def port(requested: int | None, setting: str) -> int:
    """Return the requested port, or a free one.

    Raises:
        ServiceError: another process listens on the requested port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just released counts as free
        try:
            probe.bind((HOST, requested or 0))
        except OSError as error:
            raise ServiceError(
                f"port {requested} is in use: free it, or set {setting} to another port or to none"
            ) from error
        return int(probe.getsockname()[1])


def log(settings: Settings, name: str) -> Path:
    """Return the log file of a server."""
    return settings.services / f"{name}.log"


def log_end(settings: Settings, name: str) -> str:
    """Return the end of a server's log, for an error message."""
    path = log(settings, name)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-3:] if path.exists() else []
    return f"; see {path}" + (f": {' | '.join(lines)[-500:]}" if lines else "")


def _is_ours(settings: Settings, server: Server) -> bool:
    """Return whether a recorded server was started for this workspace, possibly before it was moved."""
    if server.folder:
        return server.folder == workspace_homes.identity(settings.home)
    # A record of an earlier version does not say it: the server's own environment names its workspace.
    environment = process_identity.environment(server.pid) if server.alive else {}
    names = ("CHAMPION_HOME", "PREFECT_HOME", "MLFLOW_BACKEND_STORE_URI")
    stated = [environment.get(name, "").removeprefix("sqlite:///") for name in names]
    return not server.alive or any(f"{place}/".startswith(f"{settings.home}/") for place in stated)


def _record(settings: Settings, name: str) -> Path:
    return settings.services / f"{name}.json"
