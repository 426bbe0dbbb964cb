"""Each instrument's adjustment, kind and life, stored after a load so that views need not read all bars."""

from champion.contracts.datasets import BARS, FACTORS, SYMBOLS
from champion.warehouse import load_ledger
from champion.warehouse.engine.database import DATABASE, Executor, refusals

_SOURCES = {"instrument_adjustments": (BARS, FACTORS), "instruments": (BARS, SYMBOLS)}
"""The stored tables, and the datasets whose loads change them. The view `<table>_now` computes the rows."""


def refresh(client: Executor) -> bool:
    """Update the tables whose sources were loaded since the last update; return whether there was one.

    One step replaces all rows of a table, so a reader sees those of the previous load or of this one. After a crash the
    previous ones remain, and the next call replaces them.
    """
    updated = [_refresh(client, name, sources) for name, sources in _SOURCES.items()]
    return True in updated


def _refresh(client: Executor, name: str, sources: tuple[str, ...]) -> bool:
    table, staging = f"{DATABASE}.{name}", f"{DATABASE}.staging_{name}"
    of_loads = (
        "select lower(hex(SHA256(toString(arraySort(groupArray((dataset, partition, digest, loaded_at))))))) "  # noqa: S608
        f"from {DATABASE}.loads final where dataset in {sources}"
    )
    with refusals("storing the adjustments, kinds and lives of instruments"):
        digest = str(client.command(of_loads))
        recorded = f"select count() from {DATABASE}.loads final where dataset = '{name}' and digest = {{d:String}}"  # noqa: S608
        if client.query(recorded, parameters={"d": digest}).result_rows[0][0]:
            return False
        client.command(f"drop table if exists {staging} sync")
        client.command(f"create table {staging} as {table}")
        client.command(f"insert into {staging} select * from {table}_now")  # noqa: S608
        rows = int(client.query(f"select count() from {staging}").result_rows[0][0])  # noqa: S608
        action = f"replace partition tuple() from {staging}" if rows else "drop partition tuple()"
        client.command(f"alter table {table} {action}")
        client.command(f"drop table {staging} sync")
        load_ledger.record(client, name, {0: (digest, rows)})
    return True
