"""Run server, worker and pages together: start them in order, watch them, and stop them together."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from filelock import Timeout

from champion.base.atomic_files import Lock
from champion.base.file_modes import PRIVATE_FILE, private_folder
from champion.errors import ServiceError
from champion.services import deployments, managed_process, mlflow, prefect, worker
from champion.settings import Settings

NAMES = (worker.NAME, mlflow.NAME, prefect.NAME)
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
    for name in (worker.NAME, mlflow.NAME):
        managed_process.stop(settings, name)  # left by a killed process
    pages = None
    if mlflow.is_local(settings):
        note("starting MLflow's pages")
        pages = mlflow.start(settings)
    api = prefect.ensure(settings, note)
    note("deploying prefect.yaml")
    deployments.deploy(settings, api)
    note("starting the worker")
    started = worker.start(settings, api)
    managed_process.wait(settings, worker.NAME, started, lambda: worker.online(settings, api))
    if pages is not None:
        managed_process.wait(settings, mlflow.NAME, pages, partial(mlflow.healthy, pages))
    return ServedPages(api.removesuffix("/api"), pages.url if pages else None)


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
