"""Retention: the number of years that each table keeps, in whole partitions, as set in the settings.

A table with partitions of a month keeps these years to the month. A table with partitions of a year keeps the calendar
years that they touch. On a server ClickHouse's TTL deletes old partitions. The embedded engine does not run long enough
for that, so `apply_retention` drops them as well.
"""

import re
from collections.abc import Iterable
from datetime import date

from champion import contracts
from champion.base import clock
from champion.contracts.datasets import is_list, kept_years
from champion.settings import Settings
from champion.warehouse import migrations, parts
from champion.warehouse.engine.database import DATABASE, Executor, refusals

_TTL = re.compile(r"\bTTL toStartOf(?:Month\(\w+\) \+ toIntervalMonth|Year\(\w+\) \+ toIntervalYear)\((\d+)\)")
_MONTHS = 12


def years(client: Executor, table: str) -> int | None:
    """Return how many years `table` keeps its rows; None if it keeps them all."""
    return _kept_years(client, [table]).get(table)


def keeps_from(client: Executor, table: str) -> date | None:
    """Return the first day of the oldest month or year that `table` keeps today; None if it keeps all."""
    kept = years(client, table)
    today = clock.now().date()
    if kept is None:
        return None
    return date(today.year - kept, 1 if parts.keeps_years(client, table) else today.month, 1)


def years_by_table(settings: Settings, tables: Iterable[str]) -> dict[str, int | None]:
    """Return how many years the settings keep of each table; predictions and lists are not among them.

    >>> from champion.settings import Settings
    >>> years_by_table(Settings(home="x", raw_years=7), ["raw_equity_ohlc", "normalized_symbol_master"])
    {'raw_equity_ohlc': 7}
    """
    layers = kept_years(settings)
    of_layer = {name: contracts.load(name).layer for name in tables if not is_list(name)}
    return {name: layers[layer] for name, layer in of_layer.items() if layer in layers}


def apply_retention(client: Executor, settings: Settings) -> dict[str, int | None]:
    """Set the retention of every table to that of the settings; return the changed tables with their years.

    Older months and years are deleted. Predictions and lists (actions, factors, symbols, symbol changes) are kept.

    Raises:
        WarehouseError: ClickHouse refused.
    """
    changed, wanted = {}, years_by_table(settings, migrations.datasets())
    kept = _kept_years(client, wanted)
    for table, keep in wanted.items():
        with refusals(f"setting the retention of {table}"):
            if kept.get(table) != keep:
                client.command(f"alter table {DATABASE}.{table} {_ttl_change(client, table, keep)}")
                changed[table] = keep
            if keep is not None:
                _drop_expired(client, table)
    return changed


def _kept_years(client: Executor, tables: Iterable[str]) -> dict[str, int]:
    """Return how many years each of the tables keeps its rows, without those that keep them all."""
    text = (
        "select name, create_table_query from system.tables "
        "where database = {database:String} and name in {names:Array(String)}"  # the views have long queries
    )
    found = client.query(text, parameters={"database": DATABASE, "names": [*tables]}).result_rows
    limits = {str(name): limit for name, ddl in found if (limit := _TTL.search(str(ddl)))}
    in_years = {name for name, limit in limits.items() if "toIntervalYear" in limit[0]}
    return {name: int(n[1]) - 1 if name in in_years else int(n[1]) // _MONTHS for name, n in limits.items()}


def _ttl_change(client: Executor, table: str, keep: int | None) -> str:
    if keep is None:
        return "remove ttl"
    # All rows of a partition expire together: without its first days, a month would differ from its recorded load.
    session = contracts.load(table).session
    expires = f"toStartOfMonth({session}) + interval {keep * _MONTHS + 1} month"
    if parts.keeps_years(client, table):
        expires = f"toStartOfYear({session}) + interval {keep + 1} year"
    return f"modify ttl {expires} settings materialize_ttl_after_modify = 0"


def _drop_expired(client: Executor, table: str) -> None:
    oldest = keeps_from(client, table)
    if oldest is None:
        return
    (first_kept,) = parts.partitions(client, table, [oldest])
    expired = client.query(
        "select distinct partition_id from system.parts where active and database = {database:String} "
        "and table = {name:String} and toUInt32(partition_id) < {oldest:UInt32} order by partition_id",
        parameters={"database": DATABASE, "name": table, "oldest": int(first_kept)},
    ).result_rows
    for (name,) in expired:
        client.command(f"alter table {DATABASE}.{table} drop partition id '{name}'")
