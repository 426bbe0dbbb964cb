"""Progress of a notebook at the terminal and in Prefect: a progress artifact, and a log line for each heading."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from champion.base.progress import Estimate, Progress, silent

_EVERY = 1.0  # seconds: each report to Prefect is a request


class NotebookProgress:
    """A progress callback for one notebook, called with cells done, all cells, and the current heading.

    After one failure, progress reporting to Prefect is switched off: a server that does not answer costs a minute.
    """

    def __init__(self, notebook: str, terminal: Progress) -> None:
        self._notebook, self._terminal = notebook, terminal
        self._artifact: Any = None
        self._reported_at = 0.0
        self._heading = ""
        self._is_off = False

    def __call__(self, done: int, total: int, heading: str) -> None:
        """Report to the terminal always, and to Prefect at most once a second and at the end."""
        self._terminal(done, total, heading)
        if self._is_off or (done < total and time.monotonic() - self._reported_at < _EVERY):
            return
        self._reported_at = time.monotonic()
        try:
            self._report(100.0 * done / total, heading)
        except Exception:  # noqa: BLE001 - failed progress reports do not change a notebook's outcome
            self._is_off = True
            get_run_logger().debug("Prefect did not accept the progress of %s", self._notebook, exc_info=True)

    def _report(self, percent: float, heading: str) -> None:
        if heading and heading != self._heading:
            self._heading = heading
            get_run_logger().info("%s: %s", self._notebook, heading)
        if self._artifact is None:
            key = f"notebook-{self._notebook.replace('_', '-').lower()}"
            self._artifact = create_progress_artifact(percent, key=key, description=f"cells of {self._notebook}")
        else:
            update_progress_artifact(self._artifact, percent)


_progress: ContextVar[Progress] = ContextVar("progress", default=silent)
_estimate: ContextVar[Estimate | None] = ContextVar("estimate", default=None)


def current() -> Progress:
    """Return the progress callback of the running flow."""
    return _progress.get()


@contextmanager
def report_to(progress: Progress) -> Iterator[None]:
    """Report the progress of flows in this context to `progress`."""
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


@contextmanager
def estimated(estimate: Estimate) -> Iterator[None]:
    """Count the stages in this context towards an estimate of the whole."""
    token = _estimate.set(estimate)
    try:
        yield
    finally:
        _estimate.reset(token)


@contextmanager
def stage(name: str, *, finishes: bool = True) -> Iterator[None]:
    """Report progress in this context as that of one stage, which is done at the end; without `estimated`, as it is.

    Without `finishes`, the stage only begins here, for example in another thread: see `finish`.
    """
    estimate = _estimate.get()
    if estimate is None:
        yield
        return
    with report_to(estimate.stage(name)):
        yield
    if finishes:
        estimate.finish(name)


def finish(name: str) -> None:
    """Count a stage as done."""
    if (estimate := _estimate.get()) is not None:
        estimate.finish(name)
