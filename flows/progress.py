"""Where a flow shows how far it is: nowhere on a server, a bar where the command line set one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from champion.pipeline.progress import Progress, silent

_progress: ContextVar[Progress] = ContextVar("progress", default=silent)


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
