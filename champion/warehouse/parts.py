"""Partitions of tables and the number of their parts."""

from collections.abc import Iterable
from datetime import date
from itertools import groupby

from champion.base import clock
from champion.errors import WarehouseError
from champion.warehouse.engine.database import DATABASE, Executor, refusals

_PARTS_OF_THIS_YEAR = 3  # the earlier months, this month, and one more


def keeps_years(client: Executor, table: str) -> bool:
    """Return whether a partition of `table` is a year, not a month.

    Raises:
        WarehouseError: there is no such table.
    """
    key = client.command(
        "select partition_key from system.tables where database = {database:String} and name = {name:String}",
        parameters={"database": DATABASE, "name": table},
    )
    if not isinstance(key, str) or not key:
        raise WarehouseError(f"the warehouse has no table {table} of sessions; `champion warehouse migrate` creates it")
    return key.startswith("toYear(")


def partitions(client: Executor, table: str, months: Iterable[date]) -> dict[str, list[date]]:
    """Return the months of each partition that holds some of them, by partition id, as `202401` or `2024`."""
    name = "%Y" if keeps_years(client, table) else "%Y%m"
    return {key: list(found) for key, found in groupby(sorted(months), lambda month: f"{month:{name}}")}


def merge(client: Executor, table: str) -> int:
    """Merge partitions that loads left in several parts; return how many.

    A past year is one part. The current year may have a few parts, because each session would rewrite a single part.
    """
    counts = client.query(
        "select partition_id, count() as parts from system.parts where active and database = {database:String} "
        "and table = {name:String} group by partition_id having parts > 1 order by partition_id",
        parameters={"database": DATABASE, "name": table},
    ).result_rows
    this_year = str(clock.now().year)
    split = [name for name, count in counts if not name.startswith(this_year) or count > _PARTS_OF_THIS_YEAR]
    with refusals(f"merging {table}"):
        for name in split:
            client.command(f"optimize table {DATABASE}.{table} partition id '{name}' final")
    return len(split)
