"""Opening the warehouse: for writing, one process at a time; for reading, whenever one likes.

What that takes of the embedded engine is in `embedded`. A server needs none of it: writers and readers just connect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from champion.warehouse.engine import embedded
from champion.warehouse.engine.cluster import on_cluster
from champion.warehouse.engine.connection import guard_server
from champion.warehouse.engine.database import DATABASE, Executor, enter_database, refusals

if TYPE_CHECKING:
    from champion.settings import Settings

__all__ = ["DATABASE", "WAIT", "close", "embedded_path", "enter_database", "reader", "refusals", "writer"]

_MIB = 1 << 20
WAIT = 120.0  # seconds; a year of months loads in far less


def writer(settings: Settings, wait: float = WAIT) -> AbstractContextManager[Executor]:
    """Return a context with a client that may write; in an open writer of the same thread, that one.

    What it writes stays when the block ends, with an error or without. When the process is killed within the block,
    the embedded warehouse goes back to what it was before the block.

    Raises:
        WarehouseError: another process or thread still has the warehouse after `wait` seconds, or it does not open.
    """
    return _client(settings, wait, writable=True)


def reader(settings: Settings, wait: float = WAIT) -> AbstractContextManager[Executor]:
    """Return a context with a client on the data as last committed, which refuses to write.

    While another process writes, that is the warehouse as it was before that writer began. A query may take
    `query_seconds` and `query_memory` of the settings; inside a writer of the same thread there is no limit.

    Raises:
        WarehouseError: there is no warehouse yet, or this process has another one open.
    """
    return _client(settings, wait, writable=False)


def close() -> None:
    """Let go of the embedded engine that the last reader left open; the next one opens it again."""
    embedded.close()


def embedded_path(settings: Settings) -> Path | None:
    """Return the folder of the embedded engine; None where the settings name a server."""
    if settings.warehouse_dsn is None:
        return settings.warehouse
    dsn = settings.warehouse_dsn.get_secret_value()
    return Path(dsn.removeprefix("chdb://")) if dsn.startswith("chdb:///") else None


@contextmanager
def _client(settings: Settings, wait: float, *, writable: bool) -> Iterator[Executor]:
    path = embedded_path(settings)
    limits = {} if writable else _limits(settings)
    if path is None:
        opened: AbstractContextManager[Executor] = _server(settings, limits)
    else:
        session = [f"set {name} = {value}" for name, value in limits.items()]
        opened = embedded.opened(path, wait, writable=writable, session=session)
    with opened as client:
        yield client


def _limits(settings: Settings) -> dict[str, int]:
    """Return ClickHouse's settings for what one query may take; the answer counts as memory too."""
    memory = settings.query_memory * _MIB
    return {"max_execution_time": settings.query_seconds, "max_memory_usage": memory, "max_result_bytes": memory}


@contextmanager
def _server(settings: Settings, limits: Mapping[str, int]) -> Iterator[Executor]:
    import clickhouse_connect  # noqa: PLC0415 - a second to import

    dsn = settings.warehouse_dsn
    with refusals("connecting to the warehouse server (CHAMPION_WAREHOUSE_DSN)"):
        # Not the DSN's database: before the first migration it does not exist, and the server would refuse.
        client = guard_server(
            clickhouse_connect.get_client(dsn=dsn.get_secret_value() if dsn else None, database="default")
        )
        for name, value in limits.items():
            client.set_client_setting(name, value)
    try:
        cluster = settings.warehouse_cluster
        executor: Executor = on_cluster(client, cluster) if cluster else client
        enter_database(executor)
        yield executor
    finally:
        client.close()
