"""Paths in an object store, `s3://bucket/prefix`, with the methods of `Path` that the lake uses.

An object is written completely or not at all, there are no folders, and a rename is a copy and a deletion. The local
disk is never used: other methods of `Path`, and functions that need a local file, raise LakeError.

Credentials and endpoint are the standard variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
`AWS_ENDPOINT_URL`, and `AWS_ALLOW_HTTP=true` if the endpoint has no TLS. Polars and MLflow read the same variables.
"""

from __future__ import annotations

import fnmatch
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typing_extensions import override

from champion.errors import LakeError, UsageError

if TYPE_CHECKING:
    from obstore.store import S3Store

GUARDS: ContextVar[tuple[Callable[[], None], ...]] = ContextVar("GUARDS", default=())
"""Functions called before each write or removal; that of a writer that lost its lock raises."""

SLOWEST = timedelta(seconds=25)  # one request with all its retries, but for the upload of a data file
_SECONDS = 8  # of one request
_SMALL = 1_000_000  # bytes: manifests and locks, whose requests must not outlast a lock


@contextmanager
def _request(path: ObjectPath, *, changes: bool = False, size: int = 0) -> Iterator[S3Store]:
    """Yield the client for a request; the guards are called before a request that changes the store.

    A request that uploads `size` bytes has more time, so that a slow connection can send a year of bars.

    Errors of the store become a LakeError of one line; a missing object is FileNotFoundError, as on disk.
    """
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError  # noqa: PLC0415 - slow to import

    for guard in GUARDS.get() if changes else ():
        guard()
    try:
        variables = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
        yield _client(path.bucket, variables, _SECONDS + _upload_seconds(size))
    except (FileNotFoundError, AlreadyExistsError, PreconditionError):
        raise
    except BaseError as error:
        text = " ".join(str(error).split("Debug source")[0].split())[:300]
        raise LakeError(
            f"{path}: the object store refused or did not answer: {text}. Check that the bucket exists, and the AWS_ "
            "variables: endpoint, region and keys"
        ) from error


@lru_cache(maxsize=16)
def _client(bucket: str, variables: tuple[tuple[str, str], ...], seconds: int) -> S3Store:
    """Return a client for the variables that obstore reads: a change of these needs a new one."""
    from obstore.store import S3Store  # noqa: PLC0415

    plain = dict(variables).get("AWS_ALLOW_HTTP", "").lower() in {"true", "1"}
    return S3Store(
        bucket,
        client_options={
            "allow_http": plain, "timeout": timedelta(seconds=seconds), "connect_timeout": timedelta(seconds=4),
        },
        retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=2 * seconds)},
    )  # fmt: skip


def _upload_seconds(size: int) -> int:
    """Return the seconds that `size` bytes take at 50 kB/s, as a power of two: few clients serve all sizes."""
    return 1 << (size // 50_000).bit_length() if size >= _SMALL else 0


@dataclass(frozen=True, slots=True)
class Stat:
    """The size of an object, and numbers that change with its content."""

    st_size: int
    st_ino: int
    st_mtime_ns: int
    etag: str


class ObjectPath(PurePosixPath):
    """A path in an object store; `str` is its URI.

    Code that is typed for `Path` receives it through `typing.cast`.
    """

    __slots__ = ()

    @override
    def __str__(self) -> str:
        text = super().__str__()
        return f"s3:/{text}" if text.startswith("/") else text

    @override
    def __fspath__(self) -> str:
        raise LakeError(f"{self} is in an object store, and this needs a folder; keep the lake in a folder for it")

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(Path, name):
            return os.fspath(self)  # raises
        raise AttributeError(name)

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.parts[1]

    @property
    def key(self) -> str:
        """The object's name in its bucket."""
        return "/".join(self.parts[2:])

    def read_bytes(self) -> bytes:
        """Return the content of the object."""
        with _request(self) as store:
            return bytes(store.get(self.key).bytes())

    def write_bytes(self, data: bytes) -> int:
        """Replace the object by `data`."""
        with _request(self, changes=True) as store:
            store.put(self.key, bytes(data))
        return len(data)

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Open the object for reading; each read of the stream requests its range of bytes."""
        if mode != "rb":
            raise LakeError(f"{self} cannot be opened for {mode!r}: objects are only opened for reading")
        return io.BufferedReader(_Reader(self), 1 << 20)

    def is_dir(self) -> bool:
        """Return False: an object store has names, not folders."""
        return False

    def stat(self) -> Stat:
        """Return the size and the version of the object."""
        with _request(self) as store:
            about = store.head(self.key)
        etag = str(about["e_tag"])
        return Stat(about["size"], hash(etag), int(about["last_modified"].timestamp() * 1e9), etag)

    def exists(self) -> bool:
        """Return whether the object exists, or one below it."""
        return self.is_file() or any(True for _ in listed(self))

    def is_file(self) -> bool:
        """Return whether the object exists."""
        with suppress(FileNotFoundError):
            self.stat()
            return True
        return False

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object."""
        if not missing_ok:
            self.stat()
        with _request(self, changes=True) as store:
            store.delete(self.key)

    def rename(self, target: ObjectPath) -> None:
        """Copy the object, then remove it: a process killed in between leaves both."""
        with _request(self, changes=True) as store:
            store.copy(self.key, target.key)
            store.delete(self.key)

    def put(self, file: Path, storage_class: str | None = None) -> None:
        """Upload a local file, in this storage class or else the store's default."""
        with _request(self, changes=True, size=file.stat().st_size) as store:
            if storage_class is None:
                store.put(self.key, file)
            else:  # in one request, so that the object's tag is the MD5 of its content
                store.put(self.key, file, attributes={"Storage-Class": storage_class}, use_multipart=False)

    def create(self, content: bytes) -> str | None:
        """Write a new object and return its tag; None if it exists already."""
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        with suppress(AlreadyExistsError), _request(self) as store:
            return store.put(self.key, content, mode="create")["e_tag"]
        return None

    def exchange(self, tag: str, content: bytes) -> str | None:
        """Replace the object that has this tag and return the new tag; None if it changed or is gone."""
        from obstore.exceptions import PreconditionError  # noqa: PLC0415

        with suppress(PreconditionError, FileNotFoundError), _request(self) as store:
            return store.put(self.key, content, mode={"e_tag": tag})["e_tag"]
        return None


class _Reader(io.RawIOBase):
    """An object as a stream: each read requests its range of bytes."""

    def __init__(self, path: ObjectPath) -> None:
        self._path, self._at, self._size = path, 0, path.stat().st_size

    @override
    def readable(self) -> bool:
        return True

    seekable = readable

    @override
    def tell(self) -> int:
        return self._at

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    @override
    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        with _request(self._path) as store:
            content = store.get_range(self._path.key, start=self._at, end=end)
        buffer[: len(content)] = bytes(content)
        self._at += len(content)
        return len(content)


def path(uri: str) -> ObjectPath:
    """Parse `s3://bucket/prefix`.

    Raises:
        UsageError: the scheme is not s3, or there is no bucket.

    >>> path("s3://market/lake") / "raw"
    ObjectPath('s3://market/lake/raw')
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{uri!r} is not a path in an object store; write s3://bucket/prefix")
    return ObjectPath(f"/{parts.netloc}/{parts.path.strip('/')}")


def listed(folder: ObjectPath) -> Iterator[ObjectPath]:
    """Yield all objects below `folder`, a thousand per request."""
    with _request(folder) as store:
        for chunk in store.list(f"{folder.key}/" if folder.key else None):
            for found in chunk:
                yield ObjectPath(f"/{folder.bucket}/{found['path']}")


def matching(folder: ObjectPath, pattern: str) -> Iterator[ObjectPath]:
    """Yield the objects below `folder` that match `pattern`; `**` matches any number of levels, also none."""
    depth = len(folder.parts)
    wanted = pattern.split("/")
    return (found for found in listed(folder) if _fits(found.parts[depth:], wanted))


def url(paths: Sequence[ObjectPath]) -> str:
    """Return the URL of objects in one bucket in ClickHouse's syntax: several names are listed in braces.

    Raises:
        UsageError: the prefix contains a character that is a wildcard for ClickHouse.
    """
    region = os.environ.get("AWS_REGION", "us-east-1")
    endpoint = os.environ.get("AWS_ENDPOINT_URL", f"https://s3.{region}.amazonaws.com").rstrip("/")
    if wild := sorted({letter for found in paths for letter in found.key} & set("{}*?[]'\\")):
        raise UsageError(f"{paths[0]}: the lake's prefix contains {' '.join(wild)}; choose one without")
    keys = [found.key for found in paths]
    if len(keys) == 1:
        return f"{endpoint}/{paths[0].bucket}/{keys[0]}"
    shared = os.path.commonpath(keys)
    rest = ",".join(os.path.relpath(key, shared) for key in keys)
    return f"{endpoint}/{paths[0].bucket}/{shared}/{{{rest}}}"


def _fits(parts: tuple[str, ...], wanted: list[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return len(wanted) == 1 or any(_fits(parts[skip:], wanted[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])
