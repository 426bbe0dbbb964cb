"""What the embedded engine and a server share: the database, and refusals as Champion's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
_NARROW = "ask for fewer rows or columns, or raise it"


@contextmanager
def refusals(action: str) -> Iterator[None]:
    """Turn what ClickHouse refuses into a WarehouseError that says which action it refused, on one line."""
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415 - a second to import

    try:
        yield
    except ClickHouseError as error:
        text = " ".join(str(error).split("Stack trace:")[0].split())
        short = text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}..."
        limit = next((f". {said}: {_NARROW}" for code, said in _LIMITS.items() if f"({code})" in text), "")
        raise WarehouseError(f"{action}: {short}{limit}") from error


def enter_database(client: Client) -> None:
    """Make the warehouse's database the default of `client`, once it exists."""
    if client.command(f"exists database {DATABASE}"):
        client.database = DATABASE
