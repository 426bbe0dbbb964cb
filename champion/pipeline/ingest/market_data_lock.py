"""A workspace lock between runs that change market data and runs that read it.

A run that changes bars, actions or names leaves features out of date until it has built them, and a run that trains or
scores in between would find no current features. So a run that changes market data excludes other changes, training and
scoring. The operating system releases the lock when the process ends, however it ends.
"""

import fcntl
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

from champion.base import clock
from champion.base.file_modes import workspace_folder
from champion.errors import LakeError
from champion.settings import Settings

Note = Callable[[str], None]
_WAIT = 4 * 3600.0  # seconds; a flow's own time limit ends sooner
_PAUSE, _REMIND = 0.2, 60.0


def changing(settings: Settings, note: Note = print, wait: float = _WAIT) -> AbstractContextManager[None]:
    """Return a context in which no other run of the workspace changes market data, trains or scores.

    While it waits, it calls `note` with a sentence.

    Raises:
        LakeError: another run still holds the lock after `wait` seconds.
    """
    return _hold(settings, fcntl.LOCK_EX, note, wait)


def reading(settings: Settings, note: Note = print, wait: float = _WAIT) -> AbstractContextManager[None]:
    """Return a context in which no other run of the workspace changes market data.

    Raises:
        LakeError: a run that changes it still holds the lock after `wait` seconds.
    """
    return _hold(settings, fcntl.LOCK_SH, note, wait)


@contextmanager
def _hold(settings: Settings, kind: int, note: Note, wait: float) -> Iterator[None]:
    path = settings.home / "market_data.lock"
    workspace_folder(settings.home)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        began, noted = time.monotonic(), -math.inf
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if (now := time.monotonic()) - began > wait:
                    raise LakeError(
                        f"another run of this workspace{_holder(file)} still uses its market data after {wait:g} s; "
                        "wait for it to end, or stop it, and run this again"
                    ) from None
                if now - noted > _REMIND:
                    note(f"waiting for another run of this workspace{_holder(file)} to finish with its market data")
                    noted = now
                time.sleep(_PAUSE)
        if kind == fcntl.LOCK_EX:
            holder = {"pid": os.getpid(), "command": " ".join(sys.argv)[:120], "since": clock.now().isoformat()}
            file.seek(0)
            file.truncate()
            file.write(json.dumps(holder).encode())
            file.flush()
        yield  # closing the file releases the lock


def _holder(file: BinaryIO) -> str:
    """Return the last run that changed market data, in words; runs that only read it are not recorded."""
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return f" (last changed by process {int(holder['pid'])}, {holder['command']}, since {holder['since']})"
    except (ValueError, KeyError, TypeError):
        return ""
