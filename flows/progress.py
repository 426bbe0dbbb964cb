"""Where a flow shows how far it is: nowhere on a server, a bar where the command line set one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from champion.pipeline.estimate import Estimate
from champion.pipeline.progress import Progress, silent

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
