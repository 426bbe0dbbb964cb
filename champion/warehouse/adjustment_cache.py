"""The adjustment of each instrument, stored at the end of a load so that views need not read all bars."""

from champion.contracts.datasets import BARS, FACTORS
from champion.warehouse import load_ledger
from champion.warehouse.engine.database import DATABASE, Executor, refusals

_NAME = "instrument_adjustments"
_TABLE, _STAGING = f"{DATABASE}.{_NAME}", f"{DATABASE}.staging_{_NAME}"
_SOURCES = (BARS, FACTORS)
_DIGEST = (  # of the loads of the sources
    "select lower(hex(SHA256(toString(arraySort(groupArray((dataset, partition, digest, loaded_at))))))) "  # noqa: S608
    f"from {DATABASE}.loads final where dataset in {_SOURCES}"
)


def refresh(client: Executor) -> bool:
    """Update the adjustments if bars or factors were loaded since the last update; return whether they were.

    One step replaces all rows, so a reader sees the adjustments of the previous load or of this one. After a crash the
    previous ones remain, and the next call replaces them.
    """
    with refusals("storing the adjustments of bars"):
        digest = str(client.command(_DIGEST))
        recorded = f"select count() from {DATABASE}.loads final where dataset = '{_NAME}' and digest = {{d:String}}"  # noqa: S608
        if client.query(recorded, parameters={"d": digest}).result_rows[0][0]:
            return False
        client.command(f"drop table if exists {_STAGING} sync")
        client.command(f"create table {_STAGING} as {_TABLE}")
        client.command(f"insert into {_STAGING} select * from {_TABLE}_now")  # noqa: S608
        rows = int(client.query(f"select count() from {_STAGING}").result_rows[0][0])  # noqa: S608
        action = f"replace partition tuple() from {_STAGING}" if rows else "drop partition tuple()"
        client.command(f"alter table {_TABLE} {action}")
        client.command(f"drop table {_STAGING} sync")
        load_ledger.record(client, _NAME, {0: (digest, rows)})
    return True
