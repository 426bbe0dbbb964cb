"""Each instrument's adjustment, kind and life, stored after a load so that views need not read all bars."""

from collections.abc import Mapping
from datetime import date

from champion.contracts.datasets import BARS, FACTORS, SYMBOLS
from champion.warehouse import load_ledger, months
from champion.warehouse.engine.database import DATABASE, Executor, refusals

_SOURCES = {"instrument_adjustments": (BARS, FACTORS), "instruments": (BARS, SYMBOLS)}
"""The stored tables, and the datasets whose loads change them. The view `<table>_now` computes the rows."""
_SPANS = "instrument_spans"
_LOADS = "lower(hex(SHA256(toString(arraySort(groupArray((dataset, partition, digest, loaded_at)))))))"


def refresh(client: Executor) -> bool:
    """Update the tables whose sources were loaded since the last update; return whether there was one.

    One step replaces all rows of a table, so a reader sees those of the previous load or of this one. After a crash the
    previous ones remain, and the next call replaces them.
    """
    with refusals("storing the adjustments, kinds and lives of instruments"):
        _refresh_spans(client)
        updated = [_refresh(client, name, sources) for name, sources in _SOURCES.items()]
    return True in updated


def _refresh(client: Executor, name: str, sources: tuple[str, ...]) -> bool:
    text = f"select {_LOADS} from {DATABASE}.loads final where dataset in {sources}"  # noqa: S608 - our own names
    digest = str(client.command(text))
    recorded = f"select count() from {DATABASE}.loads final where dataset = '{name}' and digest = {{d:String}}"  # noqa: S608
    if client.query(recorded, parameters={"d": digest}).result_rows[0][0]:
        return False
    rows = _replace(client, name, "tuple()")
    load_ledger.record(client, name, {0: (digest, rows)})
    return True


def _refresh_spans(client: Executor) -> None:
    """Store the spans of the years whose bars were loaded since the last update, and remove those without bars."""
    loaded = _digests(client, BARS, f"intDiv(partition, 100) as year, {_LOADS} as digest", "group by year")
    years = client.query(f"select distinct toYear(trade_date) from {DATABASE}.{BARS}")  # noqa: S608 - our own name
    held = {int(row[0]) for row in years.result_rows}
    stored = _digests(client, _SPANS, "intDiv(partition, 100), digest", "and digest <> ''")
    for year in sorted(held):
        if (digest := loaded.get(year, "")) and stored.get(year) == digest:
            continue
        rows = _replace(client, _SPANS, str(year), f"where year = {year}")
        load_ledger.record(client, _SPANS, {_january(year): (digest, rows)})
    for year in sorted(stored.keys() - held):
        client.command(f"alter table {DATABASE}.{_SPANS} drop partition {year}")
        load_ledger.record(client, _SPANS, {_january(year): ("", 0)})


def _digests(client: Executor, dataset: str, columns: str, rest: str) -> Mapping[int, str]:
    text = f"select {columns} from {DATABASE}.loads final where dataset = '{dataset}' and partition > 0 {rest}"  # noqa: S608
    return {int(year): str(digest) for year, digest in client.query(text).result_rows}


def _january(year: int) -> int:
    """Return the number of a year in the ledger, which counts in months."""
    return months.number(date(year, 1, 1))


def _replace(client: Executor, name: str, partition: str, where: str = "") -> int:
    """Replace a partition of a table by the rows of its view in one step; return their number."""
    table, staging = f"{DATABASE}.{name}", f"{DATABASE}.staging_{name}"
    client.command(f"drop table if exists {staging} sync")
    client.command(f"create table {staging} as {table}")
    client.command(f"insert into {staging} select * from {table}_now {where}")  # noqa: S608
    rows = int(client.query(f"select count() from {staging}").result_rows[0][0])  # noqa: S608
    action = f"replace partition {partition} from {staging}" if rows else f"drop partition {partition}"
    client.command(f"alter table {table} {action}")
    client.command(f"drop table {staging} sync")
    return rows
