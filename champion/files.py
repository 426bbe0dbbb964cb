"""Files that are whole or absent: write aside, flush to disk, rename; in an object store, put."""

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

from champion.objects import ObjectPath

_FILE, _FOLDER = 0o640, 0o750  # the owner's to write, the group's to read
_PRIVATE = 0o600
_WRITTEN_BY_OWNER = 0o755  # the most that a new folder allows, whatever the umask
_WRITTEN_BY_ALL = 0o002


class Lock(FileLock):
    """A lock on a file that every process of the workspace takes in turn; released when its holder ends.

    An error of the file system, as that it has no locks (ENOLCK), names the file.
    """

    @override
    def _acquire(self) -> None:
        try:
            super()._acquire()
        except OSError as error:
            raise named(error, Path(self.lock_file)) from error


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
    make_folder(path.parent, shared=shared)
    # Two threads of a process may write the same file, and so may two machines whose processes have the same pid.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{token_hex(4)}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def commit(temporary: Path, path: Path) -> None:
    """Make a file written `aside` the one at `path`, in one step."""
    if isinstance(path, ObjectPath):
        path.put(temporary)
        return
    if (mode := stat.S_IMODE(temporary.stat().st_mode)) & _WRITTEN_BY_ALL:  # under umask 000, of a script or a notebook
        temporary.chmod(mode & ~_WRITTEN_BY_ALL)
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
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        commit(temporary, path)


def named(error: OSError, path: Path) -> OSError:
    """Return an error that names a file: as it is where it does so already, else of `path`.

    >>> print(named(OSError(37, "No locks available"), Path("/w/.lock")))
    [Errno 37] No locks available: '/w/.lock'
    """
    return error if error.filename is not None else OSError(error.errno, error.strerror, str(path))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep_left(folder: Path) -> None:
    """Remove each `NAME` in a folder whose `NAME.lock` nobody holds any more, and that lock."""
    for lock in folder.glob("*.lock"):
        try:
            with Lock(lock, timeout=0):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Timeout:
            continue  # its holder lives


def make_folder(folder: Path, *, shared: bool = False) -> None:
    """Make a folder and those above it that are missing, each on disk in the one above before this returns.

    Without that, a power cut may take a new folder away together with files in it that were flushed. A `shared` folder
    can be entered by its group; a set-group-ID of the one above is handed on. None is writable by others.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, shared=shared)
    folder.mkdir(_WRITTEN_BY_OWNER, exist_ok=True)
    if shared:
        folder.chmod(_FOLDER | (folder.parent.stat().st_mode & stat.S_ISGID))
    with suppress(PermissionError):  # a folder that may be written and entered, but not listed, cannot be flushed
        flush(folder.parent)


def flush_tree(folder: Path) -> None:
    """Bring a folder with all files and folders below it safely to disk; links are not followed."""
    for path, _, names in os.walk(folder):
        for name in names:
            file = Path(path) / name
            if not file.is_symlink():
                flush(file)
        flush(Path(path))


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, safely to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
