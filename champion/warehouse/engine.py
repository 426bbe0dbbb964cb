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


def enter_database(client: Client) -> None:
    """Make the warehouse's database the default of `client`, once it exists."""
    if client.command(f"exists database {DATABASE}"):
        client.database = DATABASE
