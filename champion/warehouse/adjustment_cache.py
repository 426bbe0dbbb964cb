"""What adjusted bars are made with, written down at the end of a load: the views need not look at all bars for it."""

from __future__ import annotations

from champion.base import clock
from champion.contracts.datasets import BARS, FACTORS
from champion.warehouse.engine.database import DATABASE, Executor, refusals

_NAME = "instrument_adjustments"
_TABLE, _STAGING = f"{DATABASE}.{_NAME}", f"{DATABASE}.staging_{_NAME}"
_SOURCES = (BARS, FACTORS)
_CONTENT = (  # of the ledger: what the sources were loaded from, and when
    "select lower(hex(SHA256(toString(arraySort(groupArray((dataset, partition, digest, loaded_at))))))) "  # noqa: S608
    f"from {DATABASE}.loads final where dataset in {_SOURCES}"
)


def refresh(client: Executor) -> bool:
    """Write it down anew if bars or factors were loaded since it was written; tell whether they were.

    One step replaces it all, so a reader sees what fitted the load before or what fits this one. A crash in between
    leaves the former, and the next call finds that it is out of date.
    """
    with refusals("writing down what bars are adjusted by"):
        content = str(client.command(_CONTENT))
        recorded = f"select count() from {DATABASE}.loads final where dataset = '{_NAME}' and digest = {{d:String}}"  # noqa: S608
        if client.query(recorded, parameters={"d": content}).result_rows[0][0]:
            return False
        client.command(f"drop table if exists {_STAGING} sync")
        client.command(f"create table {_STAGING} as {_TABLE}")
        client.command(f"insert into {_STAGING} select * from {_TABLE}_now")  # noqa: S608
        rows = int(client.query(f"select count() from {_STAGING}").result_rows[0][0])  # noqa: S608
        action = f"replace partition tuple() from {_STAGING}" if rows else "drop partition tuple()"
        client.command(f"alter table {_TABLE} {action}")
        client.command(f"drop table {_STAGING} sync")
        client.insert(
            f"{DATABASE}.loads",
            [(_NAME, 0, content, rows, clock.now())],
            column_names=["dataset", "partition", "digest", "rows", "loaded_at"],
        )
    return True
