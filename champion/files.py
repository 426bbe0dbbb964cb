"""Files that are whole or absent: write aside, flush to disk, rename; in an object store, put."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from champion.objects import ObjectPath

_FILE, _FOLDER = 0o640, 0o750  # the owner's to write, the group's to read
_PRIVATE = 0o600


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it becomes `path` in one step, on failure nothing is left.

    A reader of `path` sees the old file or the new one, also after a crash or a power cut. What is `shared` may be read
    by its group, and by nobody else, whatever the umask.
    """
    with aside(path, shared=shared) as temporary:
        yield temporary
        if shared and not isinstance(path, ObjectPath):
            temporary.chmod(_FILE)
        commit(temporary, path)


@contextmanager
def aside(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write what `commit` then brings to `path`; without that nothing is left.

    `shared` folders are made so that the group of the folder above can enter them.
    """
    if isinstance(path, ObjectPath):
        with TemporaryDirectory(prefix="champion-") as folder:
            yield Path(folder) / path.name
        return
    if shared:
        _make_shared(path.parent)
    else:
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


def write_bytes(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write `content` to `path` in one step; what is `shared` may be read by its group."""
    if isinstance(path, ObjectPath):
        path.write_bytes(content)
        return
    with replacing(path, shared=shared) as temporary:
        temporary.write_bytes(content)


def write_private(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step; nobody but its owner may read it, at no instant and whatever the umask."""
    with aside(path) as temporary:
        temporary.unlink(missing_ok=True)  # left by one that was killed and had this number
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        commit(temporary, path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep_left(folder: Path) -> None:
    """Remove each `NAME` in a folder whose `NAME.lock` nobody holds any more, and that lock."""
    for lock in folder.glob("*.lock"):
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Timeout:
            continue  # its holder lives


def _make_shared(folder: Path) -> None:
    """Make a folder and those above it that are missing; a set-group-ID of the one they lie in is handed on."""
    if folder.is_dir():
        return
    _make_shared(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(_FOLDER | (folder.parent.stat().st_mode & stat.S_ISGID))


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, safely to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
