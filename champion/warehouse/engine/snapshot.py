"""Snapshots of the embedded engine's folder: hard links to its files, which ClickHouse never changes in place.

1. A writer holds the writer's lock. It publishes a snapshot before it opens the folder, and removes it at the end.
2. A reader copies the folder if there is no writer, otherwise the published snapshot. It never waits for a writer.
3. A published snapshot without a writer means that a writer was killed, perhaps between the two steps of a swap, when
   ClickHouse shows old and new rows together. Readers then use the snapshot, and the next writer restores it.
4. A reader holds a lock beside its copy; copies without a lock holder are deleted.
5. Each commit writes a new version, by which a reader notices that its open copy is out of date.

Everything under `snapshots/` is created and deleted under one lock, which is held for milliseconds.
"""

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from champion.base.atomic_files import Lock, make_folder, remove_unlocked, write_bytes
from champion.errors import WarehouseError

_ENGINE_LOCK = "status"  # the engine's lock file: a copy would look like a running engine
_NO_HARD_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Copy:
    """A reader's copy of the warehouse, and its version."""

    folder: Path
    version: str


def version(path: Path) -> str:
    """Return a text that changes with every commit to `path`, and if another folder replaces it."""
    try:
        return f"{path.stat().st_ino} {_version(path).read_text(encoding='ascii')}"
    except FileNotFoundError:
        return ""


def writer_lock(path: Path) -> Path:
    """Return the lock file of writers of `path`."""
    return path.with_name(f"{path.name}.lock")


@contextmanager
def publish(path: Path, wait: float) -> Iterator[None]:
    """Publish the current state of `path` for readers until the block ends. The caller holds the writer's lock.

    If a writer was killed, `path` is first restored to its state before that writer.
    """
    folder = _folder(path)
    public = folder / "published"
    with _locked(folder, wait):
        if public.is_dir():
            _discard(folder, path)
            public.rename(path)
        _sweep(folder)
        copying = folder / "publishing"
        _discard(folder, copying)
        _copy(path, copying)
        copying.rename(public)
    try:
        yield
    finally:
        with _locked(folder, wait):
            # First, so that readers check again if this process is killed in between.
            write_bytes(_version(path), uuid.uuid4().hex.encode())
            _discard(folder, public)


@contextmanager
def copy_for_reader(path: Path, wait: float) -> Iterator[Copy]:
    """Yield a copy of the last committed state of `path`, an empty folder if there is none, and delete it afterwards.

    Raises:
        WarehouseError: there was no consistent state within `wait` seconds.
    """
    folder = _folder(path)
    copy = folder / uuid.uuid4().hex
    held = Lock(copy.with_suffix(".lock"), thread_local=False)  # another thread may release it
    deadline = time.monotonic() + wait
    while (taken := _take(path, folder, copy, held, wait)) is None:
        if time.monotonic() > deadline:
            raise WarehouseError(f"no snapshot of {path} could be taken within {wait:g} s; is its writer stuck?")
        time.sleep(_PAUSE)
    try:
        yield Copy(copy, taken)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
        held.release()
        Path(held.lock_file).unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Remove the folder. The caller holds the writer's lock and has published a snapshot."""
    _discard(_folder(path), path)


def restore(path: Path) -> None:
    """Replace the folder by the published snapshot, for a writer that failed."""
    discard(path)
    _copy(_folder(path) / "published", path)


def _take(path: Path, folder: Path, copy: Path, held: Lock, wait: float) -> str | None:
    """Create the copy and return its version; None while a writer starts or ends."""
    with _locked(folder, wait):
        _sweep(folder)
        held.acquire()
        found, public = version(path), folder / "published"
        if public.is_dir():  # a writer is active, or was killed
            _copy(public, copy)
            return found
        try:
            with Lock(writer_lock(path), timeout=0):
                _copy(path, copy)
        except Timeout:
            held.release()
            return None
    return found


def _sweep(folder: Path) -> None:
    for discarded in folder.glob("discarded-*"):
        shutil.rmtree(discarded, ignore_errors=True)
    remove_unlocked(folder)


def _discard(folder: Path, path: Path) -> None:
    """Rename and delete a folder, so that a half-deleted folder is not mistaken for a complete one."""
    if path.is_dir():
        doomed = folder / f"discarded-{uuid.uuid4().hex}"
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    if source.is_dir():
        _copy_entries(os.fspath(source), os.fspath(target), skip=_ENGINE_LOCK)


def _copy_entries(source: str, target: str, skip: str = "") -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            copied = f"{target}/{entry.name}"
            if entry.name == skip:
                continue
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), copied)  # noqa: PTH115, PTH211 - thousands of paths
            elif entry.is_dir():
                os.mkdir(copied)  # noqa: PTH102
                _copy_entries(entry.path, copied)
            else:
                _link(entry.path, copied)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        shutil.copy2(source, target)


def _folder(path: Path) -> Path:
    return path.with_name("snapshots")


def _version(path: Path) -> Path:
    return path.with_name(f"{path.name}.version")


@contextmanager
def _locked(folder: Path, wait: float) -> Iterator[None]:
    make_folder(folder)
    try:
        held = Lock(folder / "guard").acquire(timeout=wait)
    except Timeout as error:
        raise WarehouseError(f"{folder} is still locked after {wait:g} s; try again") from error
    with held:
        yield
