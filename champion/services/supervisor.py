"""Server, worker and pages as one: they come up in order, are watched, and go down together."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from filelock import Timeout

from champion.base.atomic_files import Lock
from champion.base.file_modes import PRIVATE_FILE, private_folder
from champion.errors import ServiceError
from champion.services import deployments, managed_process, mlflow, prefect, worker
from champion.settings import Settings

NAMES = (worker.NAME, mlflow.NAME, prefect.NAME)
"""In the order in which they stop: first who takes work, last who keeps the books."""
_LOOK_SECONDS = 1.0
_BEAT = 15  # looks between two questions for health
_PATIENCE = 4  # such questions in a row without an answer


@dataclass(frozen=True, slots=True)
class ServedPages:
    """Where the pages are; None where somebody else keeps them."""

    prefect: str
    mlflow: str | None

    @property
    def health(self) -> tuple[str, ...]:
        """What answers 200 while all is well."""
        return (f"{self.prefect}/api/health", *([f"{self.mlflow}/health"] if self.mlflow else []))


def serve(settings: Settings, note: Callable[[str], None], tell: Callable[[ServedPages], None]) -> None:
    """Bring all up, `tell` where the pages are once all are healthy, and watch until Ctrl-C or SIGTERM; then stop all.

    Raises:
        ServiceError: this workspace is being served already, something did not start, or ended by itself.
    """
    private_folder(settings.services)
    lock = Lock(settings.services / "serve.lock", timeout=0, mode=PRIVATE_FILE)
    try:
        lock.acquire()
    except Timeout as error:
        raise ServiceError(f"{settings.home} is being served already: use that, or stop it first") from error
    try:
        with stoppable():
            served = _bring_up(settings, note)
            tell(served)
            watch(settings, NAMES, served.health)
    finally:
        stop(settings)
        lock.release()


@contextmanager
def stoppable() -> Iterator[None]:
    """Have SIGTERM end the block as Ctrl-C does, and either end it quietly; a second one does not disturb what follows.

    For the last thing a command does: its signals stay ignored.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)


def _bring_up(settings: Settings, note: Callable[[str], None]) -> ServedPages:
    for name in (worker.NAME, mlflow.NAME):
        managed_process.stop(settings, name)  # left by one that was killed
    pages = None
    if mlflow.is_local(settings):
        note("starting MLflow's pages")
        pages = mlflow.begin(settings)
    api = prefect.ensure(settings, note)
    note("deploying prefect.yaml")
    deployments.deploy(settings, api)
    note("starting the worker")
    hand = worker.begin(settings, api)
    managed_process.wait(settings, worker.NAME, hand, lambda: worker.online(settings, api))
    if pages is not None:
        found = pages
        managed_process.wait(settings, mlflow.NAME, found, lambda: mlflow.healthy(found))
    return ServedPages(api.removesuffix("/api"), pages.url if pages else None)


def watch(settings: Settings, names: Sequence[str], health: Sequence[str]) -> None:
    """Look, until Ctrl-C, SIGTERM or `champion stop`, whether the named servers live and the URLs answer.

    Raises:
        ServiceError: one of them ended, or does not answer any more.
    """
    silent, looks = 0, 0
    started = [name for name in names if managed_process.recorded(settings, name)]
    while True:
        time.sleep(_LOOK_SECONDS)
        looks += 1
        for name in started:
            server = managed_process.recorded(settings, name)
            if server is None:
                return  # `champion stop` has stopped it
            if not server.alive:
                raise ServiceError(
                    f"{name} ended by itself, so all are stopped{managed_process.last_words(settings, name)}"
                )
        if looks % _BEAT == 0:
            silent = 0 if all(map(managed_process.answers, health)) else silent + 1
            if silent == _PATIENCE:
                raise ServiceError(f"not all of {', '.join(health)} have answered for a minute: all are stopped")


def stop(settings: Settings) -> list[str]:
    """Stop whatever of the workspace runs and return the names of what did."""
    return [name for name in NAMES if managed_process.stop(settings, name)]
