"""Opening the warehouse: for writing, one process at a time; for reading, whenever one likes.

The embedded engine locks its folder to one process and a process to one folder. So a writer holds a file lock for as
long as it has the folder open, a reader opens a private snapshot of it, and the threads of one process take turns.
A reader inside its own thread's writer reads through that writer. A server needs none of this: both just connect.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from champion import clock
from champion.errors import WarehouseError
from champion.files import write_bytes
from champion.warehouse import outdated, snapshot
from champion.warehouse.cluster import on_cluster

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from champion.settings import Settings

DATABASE = "champion_market"
WAIT = 120.0  # seconds; a year of months loads in far less
_MESSAGE = 400


@dataclass(frozen=True, slots=True)
class _Open:
    """The engine that this process has open: whose folder it is, and whether it may be written."""

    path: Path
    writable: bool
    client: Client


_turn = threading.RLock()
_open: list[_Open] = []  # at most one, as the engine allows no more


def writer(settings: Settings, wait: float = WAIT) -> AbstractContextManager[Client]:
    """Return a context with a client that may write; in an open writer of the same thread, that one.

    What it writes stays when the block ends, with an error or without. When the process is killed within the block,
    the embedded warehouse goes back to what it was before the block.

    Raises:
        WarehouseError: another process or thread still has the warehouse after `wait` seconds, or it does not open.
    """
    return _client(settings, wait, writable=True)


def reader(settings: Settings, wait: float = WAIT) -> AbstractContextManager[Client]:
    """Return a context with a client on the data as last committed; what it writes is lost.

    While another process writes, that is the warehouse as it was before that writer began.

    Raises:
        WarehouseError: there is no warehouse yet, or this process has another one open.
    """
    return _client(settings, wait, writable=False)


@contextmanager
def refusals(action: str) -> Iterator[None]:
    """Turn what ClickHouse refuses into a WarehouseError that says which action it refused, on one line."""
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415 - a second to import

    try:
        yield
    except ClickHouseError as error:
        text = " ".join(str(error).split("Stack trace:")[0].split())
        short = text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}..."
        raise WarehouseError(f"{action}: {short}") from error


@contextmanager
def _client(settings: Settings, wait: float, *, writable: bool) -> Iterator[Client]:
    path = _embedded_path(settings)
    if path is None:
        with _server(settings) as client:
            yield client
        return
    with _own_turn(wait):
        if _open:
            yield _reused(path, writable=writable)
            return
        with (_written if writable else _read)(path, wait) as client:
            yield client


@contextmanager
def _written(path: Path, wait: float) -> Iterator[Client]:
    with _written_by_us(path, wait), _engine(path, path, writable=True) as client:
        yield client


@contextmanager
def _read(path: Path, wait: float) -> Iterator[Client]:
    with snapshot.private(path, wait) as copy:
        if not (copy / "metadata" / f"{DATABASE}.sql").exists():
            raise WarehouseError(f"the warehouse {path} holds nothing yet; `champion warehouse migrate` creates it")
        with _engine(copy, path, writable=False) as client:
            yield client


def _embedded_path(settings: Settings) -> Path | None:
    if settings.warehouse_dsn is None:
        return settings.warehouse
    dsn = settings.warehouse_dsn.get_secret_value()
    return Path(dsn.removeprefix("chdb://")) if dsn.startswith("chdb:///") else None


@contextmanager
def _server(settings: Settings) -> Iterator[Client]:
    import clickhouse_connect  # noqa: PLC0415 - a second to import

    dsn = settings.warehouse_dsn
    with refusals("connecting to the warehouse server (CHAMPION_WAREHOUSE_DSN)"):
        # Not the DSN's database: before the first migration it does not exist, and the server would refuse.
        client = clickhouse_connect.get_client(dsn=dsn.get_secret_value() if dsn else None, database="default")
    try:
        if settings.warehouse_cluster:
            client = on_cluster(client, settings.warehouse_cluster)
        enter_database(client)
        yield client
    finally:
        client.close()


@contextmanager
def _engine(folder: Path, path: Path, *, writable: bool) -> Iterator[Client]:
    import clickhouse_connect  # noqa: PLC0415 - a second to import

    folder.mkdir(parents=True, exist_ok=True)
    with refusals(f"opening the embedded warehouse {path}"):
        client = clickhouse_connect.get_client(interface="chdb", path=str(folder))
    replaced: list[Path] = []
    try:
        enter_database(client)
        _open.append(_Open(path, writable, client))
        yield client
        if writable:
            replaced = outdated.parts(client)
    finally:
        _open.clear()
        client.close()
    outdated.delete(replaced)


def enter_database(client: Client) -> None:
    """Make the warehouse's database the default of `client`, once it exists."""
    if client.command(f"exists database {DATABASE}"):
        client.database = DATABASE


def _reused(path: Path, *, writable: bool) -> Client:
    now = _open[0]
    if now.path != path or (writable and not now.writable):
        raise WarehouseError(
            f"this thread is still {'writing' if now.writable else 'reading'} the warehouse {now.path}; "
            f"leave that `with` block before {'writing' if writable else 'reading'} {path}"
        )
    return now.client


@contextmanager
def _own_turn(wait: float) -> Iterator[None]:
    if not _turn.acquire(timeout=wait):
        raise WarehouseError(f"another thread of this process still has the warehouse open after {wait:g} s; try again")
    try:
        yield
    finally:
        _turn.release()


@contextmanager
def _written_by_us(path: Path, wait: float) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = path.with_name(f"{path.name}.owner")
    lock = FileLock(snapshot.writer_lock(path))
    try:
        lock.acquire(timeout=wait)
    except Timeout as error:
        raise WarehouseError(
            f"the warehouse {path} is still being written after {wait:g} s{_holder(owner)}; "
            "wait for it to end, or stop it, and try again"
        ) from error
    try:
        about = {"pid": os.getpid(), "command": " ".join(sys.argv)[:120], "since": clock.now().isoformat()}
        write_bytes(owner, json.dumps(about).encode())
        with snapshot.published(path, wait):
            yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _holder(owner: Path) -> str:
    try:
        about = json.loads(owner.read_bytes())
        return f", by process {about['pid']} ({about['command']}) since {about['since']}"
    except (OSError, ValueError, KeyError):
        return ""
