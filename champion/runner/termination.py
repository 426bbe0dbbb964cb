"""SIGTERM as an exception: who is asked to end gets to end its kernel and to say that it was cancelled."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(SystemExit):
    """This process was asked to end; its exit code is the one a shell gives to that."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "the process that ran the notebook got a SIGTERM"


@contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM raise `Terminated` inside, unless somebody, as Prefect does, answers it already."""
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if mine:
        signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(*_: object) -> None:
    raise Terminated
