"""The embedded engine in this process: at most one folder is open, for one thread at a time.

The engine allows one process for a folder and one folder for a process. So a writer holds a file lock while it has the
folder open, a reader opens a private snapshot of the folder, and the threads of a process take turns. Inside a writer
of the same thread, a reader uses that writer.

A snapshot stays open after its reader for the next one, because opening takes 0.2 s and a query 0.01 s. It is closed
after a newer commit, before this process writes, and when the process ends.

A server deletes parts that newer parts replaced in the background; the embedded engine ends before that. So a writer
deletes them. Otherwise they would accumulate with every load, and every snapshot links every file.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from champion.base import clock
from champion.base.atomic_files import Lock, make_folder, write_bytes
from champion.errors import MachineError, WarehouseError
from champion.warehouse.engine import connection, snapshot
from champion.warehouse.engine.database import DATABASE, enter_database, refusals

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class _Open:
    """An open engine: the folder of the warehouse, whether it may be written, and the contexts to close with it."""

    path: Path
    client: Client
    version: str = ""
    session: tuple[str, ...] = ()
    stack: ExitStack = field(default_factory=ExitStack)
    writable: bool = False


_READING = (
    "set local_filesystem_read_method = 'pread'",  # with a pool of threads, a small read takes a sixth longer
    "set readonly = 2",  # a write would be lost with the snapshot
)
# A part is deleted before the wider part that covers it, so an interrupted deletion activates none of them.
_INACTIVE_PARTS = (
    "select path from system.parts where database = 'champion_market' and not active "
    "order by max_block_number - min_block_number, level, data_version"
)
_NO_CONFIGURATION = {"config-file": "/dev/null/none"}  # the default is config.xml in the current directory
_turn = threading.RLock()
_used: list[_Open] = []  # the engine in use by the current thread
_kept: list[_Open] = []  # the snapshot that stays open between readers


@contextmanager
def open_folder(path: Path, wait: float, *, writable: bool, session: Sequence[str] = ()) -> Iterator[Client]:
    """Yield a client on the folder, or on a snapshot of its last commit.

    `session` are `set` statements for a reader that is not inside a writer.

    Raises:
        WarehouseError: another thread or process still has the folder after `wait` seconds, this thread has another
            folder open, or the warehouse is empty.
    """
    with _turn_of_thread(wait):
        if _used:
            now = _used[0]
            if now.path != path or (writable and not now.writable):
                raise WarehouseError(
                    f"this thread is still {'writing' if now.writable else 'reading'} the warehouse {now.path}; "
                    f"leave that `with` block before {'writing' if writable else 'reading'} {path}"
                )
            yield now.client
        elif writable:
            _close()
            with _writing(path, wait) as client:
                yield client
        else:
            with _reading(path, wait, (*_READING, *session)) as client:
                yield client


@contextmanager
def replace_folder(path: Path, wait: float) -> Iterator[None]:
    """Remove the folder for the block to create it; after an error, the previous state is restored.

    Raises:
        WarehouseError: as `open_folder`, or this thread has a warehouse open.
    """
    with _turn_of_thread(wait):
        if _used:
            raise WarehouseError(f"this thread has the warehouse {_used[0].path} open; leave that `with` block first")
        _close()
        with _writer_lock(path, wait):
            snapshot.discard(path)
            try:
                yield
            except BaseException:
                snapshot.restore(path)
                raise


def close() -> None:
    """Close the snapshot that is open for the next reader; a running reader keeps its own."""
    if _turn.acquire(blocking=False):
        try:
            if not _used:
                _close()
        finally:
            _turn.release()


def _close() -> None:
    while _kept:
        _kept.pop().stack.close()


@contextmanager
def _writing(path: Path, wait: float) -> Iterator[Client]:
    replaced: list[Path] = []
    with _writer_lock(path, wait):
        make_folder(path)
        if not os.access(path, os.W_OK):  # the engine would report a bad argument
            raise MachineError.of(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)))
        with _engine(path, path) as client:
            _used.append(_Open(path, client, writable=True))
            try:
                yield client
                replaced = [Path(folder) for (folder,) in client.query(_INACTIVE_PARTS).result_rows]
            finally:
                _used.clear()
        for folder in replaced:
            with suppress(FileNotFoundError):  # the engine deleted it
                shutil.rmtree(folder)


@contextmanager
def _reading(path: Path, wait: float, session: tuple[str, ...]) -> Iterator[Client]:
    if _kept and (_kept[0].path, _kept[0].version, _kept[0].session) != (path, snapshot.version(path), session):
        _close()
    if not _kept:
        with ExitStack() as stack:
            copy = stack.enter_context(snapshot.copy_for_reader(path, wait))
            if not (copy.folder / "metadata" / f"{DATABASE}.sql").exists():
                raise WarehouseError(f"the warehouse {path} is empty; `champion warehouse migrate` creates it")
            client = stack.enter_context(_engine(copy.folder, path, session))
            _close_at_exit()
            _kept.append(_Open(path, client, copy.version, session, stack.pop_all()))
    _used.append(_kept[0])
    try:
        yield _kept[0].client
    except Exception:
        raise
    except BaseException:  # after an interruption, the next reader must not receive the rest of an answer
        _close()
        raise
    finally:
        _used.clear()


@cache
def _close_at_exit() -> None:
    atexit.register(close)


@contextmanager
def _engine(folder: Path, path: Path, session: Sequence[str] = ()) -> Iterator[Client]:
    import clickhouse_connect  # noqa: PLC0415 - a second to import

    if "chdb" not in sys.modules:
        with chdir("/"):  # on import, chDB opens an engine with the config.xml of the current directory
            import_module("chdb")
    connection.keep_signals()
    with refusals(f"opening the embedded warehouse {path}"):
        client = clickhouse_connect.get_client(interface="chdb", path=str(folder), chdb_options=_NO_CONFIGURATION)
        connection.install(client, session)
    try:
        enter_database(client)
        yield client
    finally:
        client.close()


@contextmanager
def _turn_of_thread(wait: float) -> Iterator[None]:
    if not _turn.acquire(timeout=wait):
        raise WarehouseError(f"another thread of this process still has the warehouse open after {wait:g} s; try again")
    try:
        yield
    finally:
        _turn.release()


@contextmanager
def _writer_lock(path: Path, wait: float) -> Iterator[None]:
    make_folder(path.parent)
    owner = path.with_name(f"{path.name}.owner")
    try:
        held = Lock(snapshot.writer_lock(path)).acquire(timeout=wait)
    except Timeout as error:
        raise WarehouseError(
            f"the warehouse {path} is still being written after {wait:g} s{_holder(owner)}; "
            "wait for it to end, or stop it, and try again"
        ) from error
    with held:
        try:
            about = {"pid": os.getpid(), "command": " ".join(sys.argv)[:120], "since": clock.now().isoformat()}
            write_bytes(owner, json.dumps(about).encode())
            with snapshot.publish(path, wait):
                yield
        finally:
            owner.unlink(missing_ok=True)


def _holder(owner: Path) -> str:
    try:
        about = json.loads(owner.read_bytes())
        return f", by process {about['pid']} ({about['command']}) since {about['since']}"
    except (OSError, ValueError, KeyError):
        return ""
