"""How far a notebook is, told to the terminal and to its task run in Prefect: a progress artifact, a line a heading."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from champion.base.progress import Estimate, Progress, silent

_EVERY = 1.0  # seconds: each telling is a request


class Cells:
    """A progress callback for one notebook: cells done, cells in all, the heading at work.

    A server that does not answer costs a minute of the client's patience: it is told once that it is not told.
    """

    def __init__(self, notebook: str, also: Progress) -> None:
        self._notebook, self._also = notebook, also
        self._artifact: Any = None
        self._told_at = 0.0
        self._heading = ""
        self._deaf = False

    def __call__(self, done: int, total: int, heading: str) -> None:
        """Tell the terminal always, Prefect at most once a second and at the end."""
        self._also(done, total, heading)
        if self._deaf or (done < total and time.monotonic() - self._told_at < _EVERY):
            return
        self._told_at = time.monotonic()
        try:
            self._tell(100.0 * done / total, heading)
        except Exception:  # noqa: BLE001 - what a page shows does not decide how a notebook ends
            self._deaf = True
            get_run_logger().debug("Prefect did not take the progress of %s", self._notebook, exc_info=True)

    def _tell(self, percent: float, heading: str) -> None:
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
    """Return what the running flow should tell its progress."""
    return _progress.get()


@contextmanager
def shown_by(progress: Progress) -> Iterator[None]:
    """Have flows inside tell `progress`."""
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


@contextmanager
def estimated(estimate: Estimate) -> Iterator[None]:
    """Have the stages inside count towards the whole."""
    token = _estimate.set(estimate)
    try:
        yield
    finally:
        _estimate.reset(token)


@contextmanager
def stage(name: str, *, finishes: bool = True) -> Iterator[None]:
    """Show progress inside as that of a stage of the whole, done at the end; outside of `estimated`, as it is.

    A stage that is only begun here, as in another thread, does not finish here: see `finish`.
    """
    estimate = _estimate.get()
    if estimate is None:
        yield
        return
    with shown_by(estimate.stage(name)):
        yield
    if finishes:
        estimate.finish(name)


def finish(name: str) -> None:
    """Count a stage as done."""
    if (estimate := _estimate.get()) is not None:
        estimate.finish(name)
