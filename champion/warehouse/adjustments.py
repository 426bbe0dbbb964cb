"""What adjusted bars are made with, written down once a load is over: the views need not look at all bars for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from champion.warehouse.engine import DATABASE, refusals

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_TABLE = f"{DATABASE}.instrument_adjustments"
_MADE_FROM = ("normalized_equity_ohlc", "normalized_adjustment_factors")


def forget(client: Client, table: str) -> None:
    """Drop what is written down if `table` is about to change it: until `refresh`, the views work it out again."""
    if table in _MADE_FROM:
        client.command(f"truncate table if exists {_TABLE} sync")


def written(client: Client) -> bool:
    """Tell whether it is written down; where no bar is adjusted by anything, there is nothing to write."""
    return bool(client.query(f"select count() from {_TABLE}").result_rows[0][0])  # noqa: S608


def refresh(client: Client) -> int:
    """Write it down from the bars and factors there are; return for how many instruments. Harmless at any time."""
    with refusals("writing down what bars are adjusted by"):
        client.command(f"truncate table {_TABLE} sync")
        client.command(f"insert into {_TABLE} select * from {_TABLE}_now")
        return int(client.query(f"select uniqExact(instrument_id) from {_TABLE}").result_rows[0][0])  # noqa: S608
