"""Open the warehouse: one process at a time can write, any number can read.

`embedded` implements this for the embedded engine. To a server, writers and readers simply connect.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from champion.settings import Settings
from champion.warehouse.engine import embedded
from champion.warehouse.engine.cluster import on_cluster
from champion.warehouse.engine.connection import guard_server
from champion.warehouse.engine.database import DATABASE, Executor, enter_database, refusals

__all__ = ["DATABASE", "WAIT", "close", "embedded_path", "enter_database", "reader", "refusals", "writer"]

_MIB = 1 << 20
WAIT = 120.0  # seconds; a year of months loads in far less


def writer(settings: Settings, wait: float = WAIT) -> AbstractContextManager[Executor]:
    """Return a context with an executor that may write; inside another writer of the same thread, that writer's.

    Changes remain when the block ends, with or without an error. If the process is killed within the block, the
    embedded warehouse returns to its state before the block.

    Raises:
        WarehouseError: another process or thread still holds the warehouse after `wait` seconds, or it does not open.
    """
    return _client(settings, wait, writable=True)


def reader(settings: Settings, wait: float = WAIT) -> AbstractContextManager[Executor]:
    """Return a context with an executor on the last committed data, which refuses to write.

    While another process writes, this is the state before that writer started. `query_seconds` and `query_memory` of
    the settings limit each query, except inside a writer of the same thread.

    Raises:
        WarehouseError: there is no warehouse yet, or this process has another one open.
    """
    return _client(settings, wait, writable=False)


def close() -> None:
    """Close the embedded engine that the last reader left open; the next reader opens it again."""
    embedded.close()


def embedded_path(settings: Settings) -> Path | None:
    """Return the folder of the embedded engine; None if the settings name a server."""
    if settings.warehouse_dsn is None:
        return settings.warehouse
    dsn = settings.warehouse_dsn.get_secret_value()
    return Path(dsn.removeprefix("chdb://")) if dsn.startswith("chdb:///") else None


def _client(settings: Settings, wait: float, *, writable: bool) -> AbstractContextManager[Executor]:
    path = embedded_path(settings)
    memory = settings.query_memory * _MIB  # of the query, and of its answer
    reading = {"max_execution_time": settings.query_seconds, "max_memory_usage": memory, "max_result_bytes": memory}
    limits = {} if writable else reading
    if path is None:
        return _server(settings, limits)
    session = [f"set {name} = {value}" for name, value in limits.items()]
    return embedded.open_folder(path, wait, writable=writable, session=session)


@contextmanager
def _server(settings: Settings, limits: Mapping[str, int]) -> Iterator[Executor]:
    import clickhouse_connect  # noqa: PLC0415 - a second to import

    with refusals("connecting to the warehouse server (CHAMPION_WAREHOUSE_DSN)"):
        # Not the DSN's database, which does not exist before the first migration.
        dsn = settings.warehouse_dsn.get_secret_value() if settings.warehouse_dsn else None
        client = guard_server(clickhouse_connect.get_client(dsn=dsn, database="default"))
        for name, value in limits.items():
            client.set_client_setting(name, value)
    try:
        cluster = settings.warehouse_cluster
        executor = on_cluster(client, cluster) if cluster else client
        enter_database(executor)
        yield executor
    finally:
        client.close()
