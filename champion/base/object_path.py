"""Paths in an object store: `s3://bucket/prefix`, as far as the lake uses paths, and nothing on this machine's disk.

An object is put whole or not at all, there are no folders, and nothing can be renamed. What a path here cannot do it
refuses: every call of pathlib or os that would touch the disk asks for `__fspath__` first.

Credentials and endpoint are the store's own variables: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
`AWS_ENDPOINT_URL`, and `AWS_ALLOW_HTTP=true` where the endpoint has no TLS. Polars and MLflow read the same.
"""

from __future__ import annotations

import fnmatch
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from typing_extensions import override

from champion.errors import LakeError, UsageError

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")
R = TypeVar("R")

GUARDS: ContextVar[tuple[Callable[[], None], ...]] = ContextVar("GUARDS", default=())
"""What is asked before anything is put or removed; a writer that lost its lock fails here."""

SLOWEST = timedelta(seconds=25)  # one request with all its repetitions
_REQUEST, _CONNECT, _REPETITIONS = timedelta(seconds=8), timedelta(seconds=4), timedelta(seconds=16)
_BUFFER = 1 << 20
_MESSAGE = 300
_AT_ONCE = 32
_WILD = frozenset("{}*?[]'\\")


@contextmanager
def _asked(place: Path) -> Iterator[None]:
    """Turn what the store refuses into a LakeError of one line; what is not there is FileNotFoundError, as on disk."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError  # noqa: PLC0415

    try:
        yield
    except (FileNotFoundError, AlreadyExistsError, PreconditionError):
        raise
    except BaseError as error:
        text = " ".join(str(error).split("Debug source")[0].split())[:_MESSAGE]
        raise LakeError(
            f"{place}: the object store refused or did not answer: {text}. Check that the bucket exists, and the AWS_ "
            "variables: endpoint, region and keys"
        ) from error


@dataclass(frozen=True, slots=True)
class Stat:
    """What `stat` tells of an object: its size, and a number that changes with its content."""

    st_size: int
    st_ino: int
    st_mtime_ns: int
    etag: str


class ObjectPath(PosixPath):
    """A place in an object store: `str` is its URI. Parts, parents and names are as of any other path."""

    __slots__ = ()

    @override
    def __str__(self) -> str:
        text = super().__str__()
        return f"s3:/{text}" if text.startswith("/") else text

    @override
    def __fspath__(self) -> str:
        raise LakeError(f"{self} is in an object store, and this needs a folder: it is not done there yet")

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.parts[1]

    @property
    def key(self) -> str:
        """The object's name in its bucket."""
        return "/".join(self.parts[2:])

    @override
    def read_bytes(self) -> bytes:
        import obstore  # noqa: PLC0415 - only lakes in an object store need it

        with _asked(self):
            return bytes(obstore.get(_store(self.bucket), self.key).bytes())

    @override
    def write_bytes(self, data: Any) -> int:
        import obstore  # noqa: PLC0415

        _ask_guards()
        with _asked(self):
            obstore.put(_store(self.bucket), self.key, bytes(data))
        return len(data)

    @override
    def open(self, mode: str = "rb", *_: Any, **__: Any) -> Any:
        if mode != "rb":
            raise LakeError(f"{self} cannot be opened for {mode!r}: an object is read, or put whole")
        return io.BufferedReader(_Reader(self), _BUFFER)

    @override
    def is_dir(self) -> bool:
        """Return False: an object store has names, not folders."""
        return False

    @override
    def stat(self, *, follow_symlinks: bool = True) -> Any:
        import obstore  # noqa: PLC0415

        with _asked(self):
            about = obstore.head(_store(self.bucket), self.key)
        etag = str(about["e_tag"])
        return Stat(about["size"], hash(etag), int(about["last_modified"].timestamp() * 1e9), etag)

    @override
    def exists(self) -> bool:
        """Tell whether there is such an object, or one below it."""
        return self.is_file() or any(True for _ in listed(self))

    @override
    def is_file(self) -> bool:
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    @override
    def unlink(self, missing_ok: bool = False) -> None:
        import obstore  # noqa: PLC0415

        if not missing_ok:
            self.stat()
        _ask_guards()
        with _asked(self):
            obstore.delete(_store(self.bucket), self.key)

    @override
    def rename(self, target: Any) -> ObjectPath:
        """Copy, then remove: killed in between there are both, which whoever renames must bear."""
        import obstore  # noqa: PLC0415

        _ask_guards()
        with _asked(self):
            obstore.copy(_store(self.bucket), self.key, target.key)
            obstore.delete(_store(self.bucket), self.key)
        return ObjectPath(target)

    def put(self, file: Path, storage_class: str | None = None) -> None:
        """Put a file of this machine here, whole, in a storage class of the store; its default where none is given."""
        import obstore  # noqa: PLC0415

        _ask_guards()
        with _asked(self):
            if storage_class is None:
                obstore.put(_store(self.bucket), self.key, file)
            else:  # in one request: its tag is then the MD5 of the content
                attributes = {"Storage-Class": storage_class}
                obstore.put(_store(self.bucket), self.key, file, attributes=attributes, use_multipart=False)

    def create(self, content: bytes) -> str | None:
        """Put `content` where there is nothing yet and return its tag; None where there is something."""
        import obstore  # noqa: PLC0415
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        try:
            with _asked(self):
                return obstore.put(_store(self.bucket), self.key, content, mode="create")["e_tag"]
        except AlreadyExistsError:
            return None

    def exchange(self, tag: str, content: bytes) -> str | None:
        """Put `content` in place of what has this tag and return its own; None where that is no longer there."""
        import obstore  # noqa: PLC0415
        from obstore.exceptions import PreconditionError  # noqa: PLC0415

        try:
            with _asked(self):
                return obstore.put(_store(self.bucket), self.key, content, mode={"e_tag": tag})["e_tag"]
        except (PreconditionError, FileNotFoundError):
            return None


class _Reader(io.RawIOBase):
    """An object as a stream: each read asks for just its range."""

    def __init__(self, path: ObjectPath) -> None:
        self._path, self._at, self._size = path, 0, path.stat().st_size

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._at

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    @override
    def readinto(self, buffer: Any) -> int:
        import obstore  # noqa: PLC0415

        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        with _asked(self._path):
            content = obstore.get_range(_store(self._path.bucket), self._path.key, start=self._at, end=end)
        buffer[: len(content)] = bytes(content)
        self._at += len(content)
        return len(content)


def path(uri: str) -> ObjectPath:
    """Return the place that `s3://bucket/prefix` names.

    Raises:
        UsageError: it is of another kind, or names no bucket.

    >>> path("s3://market/lake") / "raw"
    ObjectPath('s3://market/lake/raw')
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{uri!r} names no place in an object store; write s3://bucket/prefix")
    return ObjectPath(f"/{parts.netloc}/{parts.path.strip('/')}")


def listed(folder: ObjectPath) -> Iterator[ObjectPath]:
    """Yield all objects below `folder`, a thousand a request."""
    import obstore  # noqa: PLC0415

    with _asked(folder):
        for chunk in obstore.list(_store(folder.bucket), f"{folder.key}/" if folder.key else None):
            for found in chunk:
                yield ObjectPath(f"/{folder.bucket}/{found['path']}")


def matching(folder: ObjectPath, pattern: str) -> Iterator[ObjectPath]:
    """Yield the objects below `folder` whose name is of `pattern`; `**` stands for any depth, none included."""
    depth = len(folder.parts)
    wanted = pattern.split("/")
    return (found for found in listed(folder) if _fits(found.parts[depth:], wanted))


def url(paths: Sequence[ObjectPath]) -> str:
    """Return one URL for objects of one bucket, as ClickHouse reads it: several stand in braces.

    Raises:
        UsageError: the prefix holds a character that ClickHouse would take for a wildcard.
    """
    region = os.environ.get("AWS_REGION", "us-east-1")
    endpoint = os.environ.get("AWS_ENDPOINT_URL", f"https://s3.{region}.amazonaws.com").rstrip("/")
    if wild := sorted({letter for found in paths for letter in found.key if letter in _WILD}):
        raise UsageError(f"{paths[0]}: the lake's prefix holds {' '.join(wild)}; choose one of plain letters")
    keys = [found.key for found in paths]
    if len(keys) == 1:
        return f"{endpoint}/{paths[0].bucket}/{keys[0]}"
    shared = os.path.commonpath(keys)
    rest = ",".join(os.path.relpath(key, shared) for key in keys)
    return f"{endpoint}/{paths[0].bucket}/{shared}/{{{rest}}}"


def each(place: Path, ask: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return `ask` of each item in order: many at once where `place` is in an object store, which is far away."""
    if not isinstance(place, ObjectPath):
        return [ask(item) for item in items]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, items))


def _fits(parts: tuple[str, ...], wanted: list[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return len(wanted) == 1 or any(_fits(parts[skip:], wanted[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])


def _ask_guards() -> None:
    for guard in GUARDS.get():
        guard()


def _store(bucket: str) -> S3Store:
    """Return the client of a bucket: one for each state of the variables obstore reads, so that a change counts."""
    return _client(bucket, tuple(sorted((name, text) for name, text in os.environ.items() if name.startswith("AWS_"))))


@lru_cache(maxsize=16)
def _client(bucket: str, variables: tuple[tuple[str, str], ...]) -> S3Store:
    try:
        from obstore.store import S3Store  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("a lake on s3:// needs obstore: pip install obstore") from error

    plain = dict(variables).get("AWS_ALLOW_HTTP", "").lower() in {"true", "1"}
    return S3Store(
        bucket,
        client_options={"allow_http": plain, "timeout": _REQUEST, "connect_timeout": _CONNECT},
        retry_config={"max_retries": 5, "retry_timeout": _REPETITIONS},
    )
