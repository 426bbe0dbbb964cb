"""The part that the embedded engine, a server and a cluster share: executor, database, and refusals as errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from champion.errors import WarehouseError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DATABASE = "champion_market"
_MESSAGE = 400
_LIMITS = {
    "TIMEOUT_EXCEEDED": "CHAMPION_QUERY_SECONDS is the limit",
    "MEMORY_LIMIT_EXCEEDED": "CHAMPION_QUERY_MEMORY, in MiB, is the limit",
    "TOO_MANY_ROWS_OR_BYTES": "CHAMPION_QUERY_MEMORY, in MiB, is the limit",
}
_NARROW = "select fewer rows or columns, or raise it"


Executor: TypeAlias = "Client"
"""Executes statements: a client of the driver, or a `ClusterExecutor` in its place."""


@contextmanager
def refusals(action: str) -> Iterator[None]:
    """Turn an error of ClickHouse into a WarehouseError of one line that names the action."""
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415 - a second to import

    try:
        yield
    except ClickHouseError as error:
        text = " ".join(str(error).split("Stack trace:")[0].split())
        short = text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}..."
        limit = next((f". {hint}: {_NARROW}" for code, hint in _LIMITS.items() if f"({code})" in text), "")
        raise WarehouseError(f"{action}: {short}{limit}") from error


def enter_database(client: Executor) -> None:
    """Make the warehouse's database the default of `client` if it exists."""
    if client.command(f"exists database {DATABASE}"):
        client.database = DATABASE
