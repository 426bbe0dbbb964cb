"""The two kinds of place for a lake: a folder on this machine, or a prefix in an object store.

`of(path)` returns the operations that differ between them, so no other module needs to distinguish the kinds of path.
Both kinds of path read, list and remove single files themselves.
"""

import glob
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from champion.base import atomic_files, object_path
from champion.lake import object_lock

T = TypeVar("T")
R = TypeVar("R")

MANIFEST_MODE = 0o640
_ROOT_MODE = 0o750
_LOCKS = ".locks"
_THREADS = 32


class Backend:
    """The operations that a lake needs besides the methods of its paths, here on a folder."""

    table_function = "file"
    """ClickHouse's table function for its files."""
    is_remote = False
    """Each operation is a request over the network, and the store verifies its own bytes."""
    overwrites = True
    """A new revision replaces the file of the old one; otherwise it gets another name beside it."""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return the results in the order of the items; requests over the network run in parallel."""
        return [function(item) for item in items]

    def find(self, folder: Path, pattern: str) -> Iterator[str]:
        """Yield the matching paths below `folder`, relative to it; see `layout.present`."""
        if not pattern.startswith("**"):
            return glob.iglob(pattern, root_dir=folder, include_hidden=True)  # noqa: PTH207 - see `layout.present`
        wanted = pattern.removeprefix("**").removeprefix("/") or "*"
        return (
            os.path.join(below, name)  # noqa: PTH118 - thousands of paths
            for place, folders, files in os.walk(folder)
            for below in (os.path.relpath(place, folder),)
            for name in (*folders, *files)
            if fnmatchcase(name, wanted)
        )

    @contextmanager
    def locked(self, root: Path, name: str) -> Iterator[None]:
        """Hold the lock `name` of a lake: one writer at a time, also across processes."""
        if not root.exists():
            atomic_files.make_folder(root)
            root.chmod(_ROOT_MODE)
        atomic_files.make_folder(root / _LOCKS)
        with atomic_files.Lock(root / _LOCKS / f"{name}.lock"):
            yield

    @contextmanager
    def scratch_folder(self, building: Path) -> Iterator[Path]:
        """Yield an empty local folder, below `building` if the lake is local, and remove it at the end."""
        building.mkdir(exist_ok=True)
        atomic_files.remove_unlocked(building)  # folders of builds that were killed
        folder = building / token_hex(8)
        with atomic_files.Lock(folder.with_suffix(".lock")) as lock:
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                Path(lock.lock_file).unlink(missing_ok=True)

    def temporary_file(self, path: Path) -> AbstractContextManager[Path]:
        """Yield a temporary local file, for `commit` to move to `path`; otherwise it is removed."""
        return atomic_files.temporary_file(path, shared=True)

    def commit(self, temporary: Path, path: Path, storage_class: str | None = None) -> None:
        """Replace the file at `path` by a complete file in one step."""
        del storage_class
        atomic_files.commit(temporary, path)

    def create(self, path: Path, content: bytes) -> bool:
        """Write a new file in one step; return False if `path` exists."""
        with self.temporary_file(path) as temporary:
            temporary.write_bytes(content)
            temporary.chmod(MANIFEST_MODE)
            atomic_files.flush(temporary)
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            atomic_files.flush(path.parent)
        return True

    def rename(self, path: Path, target: Path) -> None:
        """Rename a file, durably."""
        path.rename(target)
        atomic_files.flush(path.parent)

    def remove_empty(self, folder: Path, top: Path) -> None:
        """Remove `folder` and its parents below `top`, as long as they are empty."""
        while folder != top and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def md5(self, path: Path) -> str | None:
        """Return the MD5 that the store keeps of an object uploaded in one request; None without one."""
        del path
        return None

    def clickhouse_path(self, paths: Sequence[Path], links: Path) -> str:
        """Return one path or URL by which ClickHouse reads these files; `links` is a folder to create for it."""
        # Links under plain names: in a path of the user's, braces and stars would be wildcards.
        links.mkdir(parents=True)
        for number, path in enumerate(paths):
            os.symlink(os.path.abspath(path), f"{links}/{number:05d}.parquet")  # noqa: PTH100, PTH211 - thousands
        return f"{links / '*.parquet'}"


class _ObjectStore(Backend):
    """Its paths are `ObjectPath`s."""

    table_function, is_remote, overwrites = "s3", True, False

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(function, items))

    def find(self, folder: Any, pattern: str) -> Iterator[str]:
        return (path.relative_to(folder).as_posix() for path in object_path.matching(folder, pattern))

    @contextmanager
    def locked(self, root: Any, name: str) -> Iterator[None]:
        with object_lock.held(root / _LOCKS / f"{name}.lock"):
            yield

    @contextmanager
    def scratch_folder(self, building: Path) -> Iterator[Path]:
        del building
        with TemporaryDirectory(prefix="champion-") as folder:
            yield Path(folder)

    @contextmanager
    def temporary_file(self, path: Path) -> Iterator[Path]:
        with self.scratch_folder(path) as folder:
            yield folder / path.name

    def commit(self, temporary: Path, path: Any, storage_class: str | None = None) -> None:
        path.put(temporary, storage_class)

    def create(self, path: Any, content: bytes) -> bool:
        return path.create(content) is not None

    def rename(self, path: Path, target: Path) -> None:
        path.rename(target)

    def remove_empty(self, folder: Path, top: Path) -> None:
        """Do nothing: a store has no folders."""

    def md5(self, path: Any) -> str | None:
        return str(path.stat().etag.strip('"'))

    def clickhouse_path(self, paths: Sequence[Any], links: Path) -> str:
        del links
        return object_path.url(paths)


_FOLDER, _OBJECT_STORE = Backend(), _ObjectStore()


def of(path: PurePath) -> Backend:
    """Return the operations for a lake's root, or for any path in it.

    >>> of(Path("lake")).table_function, of(object_path.path("s3://market/lake")).table_function
    ('file', 's3')
    """
    return _OBJECT_STORE if isinstance(path, object_path.ObjectPath) else _FOLDER


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary local file that replaces `path` in one step, unless an error occurs; its group can read it."""
    place = of(path)
    with place.temporary_file(path) as temporary:
        yield temporary
        temporary.chmod(MANIFEST_MODE)
        place.commit(temporary, path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step; its group can read it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
