"""Retention: how many years each table keeps, set from the settings, in whole months as data is loaded.

ClickHouse's TTL does it on a server; the embedded engine lives too briefly for that, so expired months are also dropped
whenever the retention is applied.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from champion import clock, contracts
from champion.warehouse.client import DATABASE, refusals

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from champion.settings import Settings

_TTL = re.compile(r"\bTTL toStartOfMonth\(\w+\) \+ toIntervalMonth\((\d+)\)")
_MONTHS = 12


def years(client: Client, table: str) -> int | None:
    """Return how many years `table` keeps its rows; None where it keeps them all."""
    text = client.command(
        "select create_table_query from system.tables where database = {database:String} and name = {name:String}",
        parameters={"database": DATABASE, "name": table},
    )
    match = _TTL.search(str(text))
    return int(match[1]) // _MONTHS if match else None


def keeps_from(client: Client, table: str) -> date | None:
    """Return the first day of the oldest month that `table` keeps today; None where it keeps everything."""
    kept = years(client, table)
    today = clock.now().date()
    return None if kept is None else date(today.year - kept, today.month, 1)


def apply_retention(client: Client, settings: Settings) -> dict[str, int | None]:
    """Give every table the retention of the settings; return the tables that changed, with their years.

    Months that fall out are deleted. Predictions and lists (actions, factors, symbols, symbol changes) stay.

    Raises:
        WarehouseError: ClickHouse refused.
    """
    wanted = {
        "raw_equity_ohlc": settings.raw_years,
        "quarantine_equity_ohlc": settings.raw_years,
        "normalized_equity_ohlc": settings.normalized_years,
        "normalized_equity_delivery": settings.normalized_years,
        "normalized_index_ohlc": settings.normalized_years,
        "quality_findings": settings.normalized_years,
        "features_equity_indicators": settings.features_years,
        "features_equity_alpha158": settings.features_years,
    }
    changed = {}
    for table, keep in wanted.items():
        with refusals(f"setting the retention of {table}"):
            if years(client, table) != keep:
                client.command(f"alter table {DATABASE}.{table} {_change(table, keep)}")
                changed[table] = keep
            _drop_expired(client, table)
    return changed


def _change(table: str, keep: int | None) -> str:
    if keep is None:
        return "remove ttl"
    # A month's rows expire together: one that lost only its first days would not be what its load recorded.
    month = f"toStartOfMonth({contracts.load(table).session})"
    return f"modify ttl {month} + interval {keep * _MONTHS + 1} month settings materialize_ttl_after_modify = 0"


def _drop_expired(client: Client, table: str) -> None:
    oldest = keeps_from(client, table)
    if oldest is None:
        return
    expired = client.query(
        "select distinct partition_id from system.parts where active and database = {database:String} "
        "and table = {name:String} and toUInt32(partition_id) < {oldest:UInt32} order by partition_id",
        parameters={"database": DATABASE, "name": table, "oldest": int(f"{oldest:%Y%m}")},
    ).result_rows
    for (month,) in expired:
        client.command(f"alter table {DATABASE}.{table} drop partition id '{month}'")
