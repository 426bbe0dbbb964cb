"""Files that are whole or absent: write aside, flush to disk, rename; in an object store, put."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from champion.objects import ObjectPath


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it becomes `path` in one step, on failure nothing is left.

    A reader of `path` sees the old file or the new one, also after a crash or a power cut.
    """
    with aside(path) as temporary:
        yield temporary
        commit(temporary, path)


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write what `commit` then brings to `path`; without that nothing is left."""
    if isinstance(path, ObjectPath):
        with TemporaryDirectory(prefix="champion-") as folder:
            yield Path(folder) / path.name
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def commit(temporary: Path, path: Path) -> None:
    """Make a file written `aside` the one at `path`, in one step."""
    if isinstance(path, ObjectPath):
        path.put(temporary)
        return
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step."""
    if isinstance(path, ObjectPath):
        path.write_bytes(content)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, safely to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
