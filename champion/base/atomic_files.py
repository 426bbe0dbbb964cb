"""Write files that are complete or absent: write a temporary file, flush it to disk, rename it."""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from filelock import FileLock, Timeout
from typing_extensions import override

_OTHERS_WRITE = 0o002


class Lock(FileLock):
    """A lock file that processes of the workspace hold in turn; it is released when its holder ends.

    An error of the file system, for example that it supports no locks (ENOLCK), names the file.
    """

    @override
    def _acquire(self) -> None:
        try:
            super()._acquire()
        except OSError as error:
            raise with_path(error, Path(self.lock_file)) from error


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it in one step; on an error it is removed.

    A reader of `path` sees the old file or the new one, also after a crash or a power cut. A `shared` file can be read
    by its group and by no other user, independent of the umask.
    """
    with temporary_file(path, shared=shared) as temporary:
        yield temporary
        if shared:
            temporary.chmod(0o640)  # the owner can write, the group can read
        commit(temporary, path)


@contextmanager
def temporary_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, for `commit` to rename; otherwise it is removed.

    With `shared` the group of the parent folder can enter new folders.
    """
    make_folder(path.parent, shared=shared)
    # Two threads of a process may write the same file, and so may two machines whose processes have the same PID.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{token_hex(4)}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def commit(temporary: Path, path: Path) -> None:
    """Flush a temporary file to disk and rename it to `path`."""
    if (mode := stat.S_IMODE(temporary.stat().st_mode)) & _OTHERS_WRITE:  # from umask 000 of a script or a notebook
        temporary.chmod(mode & ~_OTHERS_WRITE)
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def write_bytes(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write `content` to `path` in one step; its group can read a `shared` file."""
    with replacing(path, shared=shared) as temporary:
        temporary.write_bytes(content)


def write_private(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step; at no moment can other users read it, independent of the umask."""
    with temporary_file(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        commit(temporary, path)


def with_path(error: OSError, path: Path) -> OSError:
    """Return the error with the file name `path`, unless the error already has a file name.

    >>> print(with_path(OSError(37, "No locks available"), Path("/w/.lock")))
    [Errno 37] No locks available: '/w/.lock'
    """
    return error if error.filename is not None else OSError(error.errno, error.strerror, str(path))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_unlocked(folder: Path) -> None:
    """Remove each `NAME` in a folder whose lock file `NAME.lock` no process holds, and the lock file."""
    for lock in folder.glob("*.lock"):
        with suppress(Timeout), Lock(lock, timeout=0):  # a timeout: its holder still runs
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


def make_folder(folder: Path, *, shared: bool = False) -> None:
    """Create a folder and its missing parents, each flushed to disk in its parent before this returns.

    Otherwise a power cut may remove a new folder together with flushed files in it. The group can enter a `shared`
    folder, which inherits the set-group-ID bit of its parent. Other users can write none.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, shared=shared)
    folder.mkdir(0o755, exist_ok=True)  # the most that it allows, whatever the umask
    if shared:
        folder.chmod(0o750 | (folder.parent.stat().st_mode & stat.S_ISGID))
    with suppress(PermissionError):  # a folder that can be written and entered, but not listed, cannot be flushed
        flush(folder.parent)


def flush_tree(folder: Path) -> None:
    """Flush a folder with all files and folders below it to disk; links are not followed."""
    for path, _, names in os.walk(folder):
        for file in (Path(path, name) for name in names):
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
