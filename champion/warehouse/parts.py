"""Partitions and their parts: how wide a table's partitions are, and that each is read from few parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from champion.base import clock
from champion.errors import WarehouseError
from champion.warehouse.engine.database import DATABASE, Executor, refusals

_PARTS_OF_THIS_YEAR = 3  # the months so far, this month, and one more


def year_of(session: str) -> str:
    """Return the expression by which tables that keep years are partitioned."""
    return f"toYear({session})"


def keeps_years(client: Executor, table: str) -> bool:
    """Tell whether a partition of `table` is a year; else it is a month.

    Raises:
        WarehouseError: there is no such table; `champion warehouse migrate` makes those there are.
    """
    key = client.command(
        "select partition_key from system.tables where database = {database:String} and name = {name:String}",
        parameters={"database": DATABASE, "name": table},
    )
    if not isinstance(key, str) or not key:
        raise WarehouseError(f"the warehouse has no table {table} by sessions; `champion warehouse migrate` makes it")
    return key.startswith("toYear(")


def partitions(client: Executor, table: str, months: Iterable[date]) -> dict[str, list[date]]:
    """Return the ids of the partitions that these months lie in, as `202401` or `2024`, with the months of each."""
    name = "%Y" if keeps_years(client, table) else "%Y%m"
    found: dict[str, list[date]] = {}
    for month in sorted(months):
        found.setdefault(f"{month:{name}}", []).append(month)
    return found


def merge(client: Executor, table: str) -> int:
    """Merge what loads left in several parts and return how many partitions that were.

    A closed year is read from one part; the year that still grows may have a few, or each session would rewrite it.
    """
    found = client.query(
        "select partition_id, count() as parts from system.parts where active and database = {database:String} "
        "and table = {name:String} group by partition_id having parts > 1 order by partition_id",
        parameters={"database": DATABASE, "name": table},
    ).result_rows
    this_year = str(clock.now().year)
    torn = [name for name, count in found if not name.startswith(this_year) or count > _PARTS_OF_THIS_YEAR]
    with refusals(f"merging {table}"):
        for name in torn:
            client.command(f"optimize table {DATABASE}.{table} partition id '{name}' final")
    return len(torn)
