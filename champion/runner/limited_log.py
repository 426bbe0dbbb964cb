"""A kernel's own standard output and error in a file of limited size: what is beyond is read and dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

_LIMIT = 1024 * 1024  # bytes
_PIECE = 64 * 1024
_NOTICE = b"\n[output cut here: this log keeps 1 MiB]\n"
_LAST_SECONDS = 5.0


@contextmanager
def limited_log(path: Path, limit: int = _LIMIT) -> Iterator[int]:
    """Yield a file descriptor for a process to write to; its first `limit` bytes are in the file afterwards."""
    reading, writing = os.pipe()
    thread = Thread(target=_copy, args=(reading, path, limit), name="kernel log", daemon=True)
    thread.start()
    try:
        yield writing
    finally:
        os.close(writing)
        thread.join(_LAST_SECONDS)  # a process outside the kernel's group may hold the other end longer


def _copy(reading: int, path: Path, limit: int) -> None:
    room = limit
    with os.fdopen(reading, "rb", buffering=0) as source, path.open("wb", buffering=0) as target:
        while piece := source.read(_PIECE):
            if room <= 0:
                continue
            kept = piece[:room]
            room -= len(piece)
            if room <= 0:
                kept = kept[: kept.rfind(b"\n") + 1] + _NOTICE  # at the end of a line: half a secret is not masked
            with suppress(OSError):  # the disk is full: the kernel goes on
                target.write(kept)
