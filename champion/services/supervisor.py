"""Run server, worker and pages together: start them in order, watch them, and stop them together.

The worker is a Prefect worker on the workspace's pool, which runs scheduled flows, each in a separate process.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import httpx
from filelock import Timeout

from champion.base import isolation
from champion.base.atomic_files import Lock
from champion.base.file_modes import PRIVATE_FILE, private_folder
from champion.errors import ServiceError
from champion.security import prefect_login
from champion.services import deployments, managed_process, mlflow, prefect
from champion.settings import Settings

_WORKER = "worker"
NAMES = (_WORKER, mlflow.NAME, prefect.NAME)
"""In stopping order: first the worker, last the server with the database."""
_HEALTH_EVERY = 15  # checks between two health requests
_MOST_FAILURES = 4  # failed health requests in a row


@dataclass(frozen=True, slots=True)
class ServedPages:
    """The URLs of the pages; None for pages of another server."""

    prefect: str
    mlflow: str | None

    @property
    def health(self) -> tuple[str, ...]:
        """URLs that return status 200 while the servers are healthy."""
        return (f"{self.prefect}/api/health", *([f"{self.mlflow}/health"] if self.mlflow else []))


def serve(settings: Settings, note: Callable[[str], None], tell: Callable[[ServedPages], None]) -> None:
    """Start all servers, call `tell` once they are healthy, watch them until Ctrl-C or SIGTERM, then stop them.

    Raises:
        ServiceError: this workspace is served already, or a process did not start or ended by itself.
    """
    private_folder(settings.services)
    lock = Lock(settings.services / "serve.lock", timeout=0, mode=PRIVATE_FILE)
    try:
        lock.acquire()
    except Timeout as error:
        raise ServiceError(f"{settings.home} is served already: use that server, or stop it first") from error
    try:
        with quiet_interrupts():
            served = _start_all(settings, note)
            tell(served)
            watch(settings, NAMES, served.health)
    finally:
        stop(settings)
        lock.release()


@contextmanager
def quiet_interrupts() -> Iterator[None]:
    """End the block quietly on Ctrl-C and SIGTERM; further signals are ignored after it.

    Only for the last part of a command, because the signals stay ignored.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)


def _start_all(settings: Settings, note: Callable[[str], None]) -> ServedPages:
    for name in (_WORKER, mlflow.NAME):
        managed_process.stop(settings, name)  # left by a killed process
    pages = None
    if mlflow.is_local(settings):
        note("starting MLflow's pages")
        pages = mlflow.start(settings)
    api = prefect.ensure(settings, note)
    note("deploying prefect.yaml")
    deployments.deploy(settings, api)
    note("starting the worker")
    name = f"champion {settings.home.name}"  # it takes work from every queue once it is online
    command = isolation.command("prefect", "worker", "start", "--type", "process")
    command += ["--pool", settings.work_pool, "--name", name, "--install-policy", "never"]
    variables = {**os.environ, **prefect.environment(settings, api), "CHAMPION_HOME": str(settings.home)}
    worker = managed_process.start(settings, _WORKER, command, variables)
    managed_process.wait(settings, _WORKER, worker, lambda: _is_online(settings, api, name))
    if pages is not None:
        managed_process.wait(settings, mlflow.NAME, pages, partial(managed_process.answers, f"{pages.url}/health"))
    return ServedPages(api.removesuffix("/api"), pages.url if pages else None)


def _is_online(settings: Settings, api: str, worker: str) -> bool:
    """Return whether the server receives heartbeats of the worker."""
    try:
        answer = httpx.post(
            f"{api}/work_pools/{settings.work_pool}/workers/filter",
            json={"workers": {"status": {"any_": ["ONLINE"]}}},
            timeout=5,
            auth=prefect_login.pair(settings),
            trust_env=not managed_process.is_local(api),
        )
        return answer.is_success and any(one["name"] == worker for one in answer.json())
    except httpx.HTTPError:
        return False


def watch(settings: Settings, names: Sequence[str], health: Sequence[str]) -> None:
    """Check until Ctrl-C, SIGTERM or `champion stop` that the named servers run and the URLs answer.

    Raises:
        ServiceError: one of them ended, or no longer answers.
    """
    failures, checks = 0, 0
    started = [name for name in names if managed_process.recorded(settings, name)]
    while True:
        time.sleep(1)
        checks += 1
        for name in started:
            server = managed_process.recorded(settings, name)
            if server is None:
                return  # `champion stop` has stopped it
            if not server.alive:
                raise ServiceError(
                    f"{name} ended by itself, so all servers are stopped{managed_process.log_end(settings, name)}"
                )
        if checks % _HEALTH_EVERY == 0:
            failures = 0 if all(map(managed_process.answers, health)) else failures + 1
            if failures == _MOST_FAILURES:
                raise ServiceError(
                    f"not all of {', '.join(health)} have answered for a minute: all servers are stopped"
                )


def stop(settings: Settings) -> list[str]:
    """Stop the workspace's running servers and return their names."""
    return [name for name in NAMES if managed_process.stop(settings, name)]
