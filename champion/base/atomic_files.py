"""Write files atomically: to a temporary file, flushed to disk, then renamed; objects are put in one request."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout
from typing_extensions import override

from champion.base.object_path import ObjectPath

_FILE, _FOLDER = 0o640, 0o750  # writable by the owner, readable by the group
_PRIVATE = 0o600
_WRITTEN_BY_OWNER = 0o755  # upper bound for new folders, whatever the umask
_WRITTEN_BY_ALL = 0o002


class Lock(FileLock):
    """A lock file that the processes of a workspace take in turn. It is released when its holder ends.

    An error of the file system, for example without lock support (ENOLCK), names the file.
    """

    @override
    def _acquire(self) -> None:
        try:
            super()._acquire()
        except OSError as error:
            raise named(error, Path(self.lock_file)) from error


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`. On success it replaces `path` in one step, on failure it is deleted.

    A reader of `path` sees the old file or the new one, even after a crash or a power cut. If `shared`, the group may
    read the file and other accounts may not, whatever the umask.
    """
    with aside(path, shared=shared) as temporary:
        yield temporary
        if shared and not isinstance(path, ObjectPath):
            temporary.chmod(_FILE)
        commit(temporary, path)


@contextmanager
def aside(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary path for `commit`. Without a commit it is deleted.

    If `shared`, the group of the parent folder may enter new folders.
    """
    if isinstance(path, ObjectPath):
        with TemporaryDirectory(prefix="champion-") as folder:
            yield Path(folder) / path.name
        return
    make_folder(path.parent, shared=shared)
    # Two threads, or two machines with the same process id, may write the same file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{token_hex(4)}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def commit(temporary: Path, path: Path) -> None:
    """Move a file written `aside` to `path` in one step."""
    if isinstance(path, ObjectPath):
        path.put(temporary)
        return
    if (mode := stat.S_IMODE(temporary.stat().st_mode)) & _WRITTEN_BY_ALL:  # under umask 000, of a script or a notebook
        temporary.chmod(mode & ~_WRITTEN_BY_ALL)
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def write_bytes(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write `content` to `path` in one step. If `shared`, the group may read it."""
    if isinstance(path, ObjectPath):
        path.write_bytes(content)
        return
    with replacing(path, shared=shared) as temporary:
        temporary.write_bytes(content)


def write_private(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step. Only the owner can read it at any time, whatever the umask."""
    with aside(path) as temporary:
        temporary.unlink(missing_ok=True)  # left by a killed process with the same id
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        commit(temporary, path)


def named(error: OSError, path: Path) -> OSError:
    """Return an error that names a file: unchanged if it already does, otherwise with `path`.

    >>> print(named(OSError(37, "No locks available"), Path("/w/.lock")))
    [Errno 37] No locks available: '/w/.lock'
    """
    return error if error.filename is not None else OSError(error.errno, error.strerror, str(path))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep_left(folder: Path) -> None:
    """Remove each `NAME` in a folder whose `NAME.lock` is not held, and that lock."""
    for lock in folder.glob("*.lock"):
        try:
            with Lock(lock, timeout=0):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Timeout:
            continue  # still in use


def make_folder(folder: Path, *, shared: bool = False) -> None:
    """Create a folder with its missing parents, each flushed to disk in its parent before this returns.

    Otherwise a power cut may remove a new folder together with flushed files in it. The group may enter a `shared`
    folder, which inherits the set-group-ID bit of its parent. No folder is writable by others.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, shared=shared)
    folder.mkdir(_WRITTEN_BY_OWNER, exist_ok=True)
    if shared:
        folder.chmod(_FOLDER | (folder.parent.stat().st_mode & stat.S_ISGID))
    with suppress(PermissionError):  # a folder that cannot be listed cannot be flushed
        flush(folder.parent)


def flush_tree(folder: Path) -> None:
    """Flush a folder with all files and folders below it to disk; links are not followed."""
    for path, _, names in os.walk(folder):
        for name in names:
            file = Path(path) / name
            if not file.is_symlink():
                flush(file)
        flush(Path(path))


def flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
