"""Loads: months of one dataset replace what there was of them, once they are proved equal to the lake.

1. The rows go into a staging table, a copy of the target's structure, so its types and constraints judge them. Where
   the target keeps years, the other months of a year are there already: as links to the same parts, not copied.
2. The fingerprint of these months there, computed by ClickHouse, must equal the lake's, computed by Polars.
3. `replace partition` swaps each month or year; a reader sees the old one or the new one.
4. The ledger says what was loaded: before the swap that it is unknown, after it what it is.

A statement costs the same for a month as for ten years, so a backfill loads as many months at once as memory bears.

The swap is two steps inside ClickHouse: killed between them, it shows the old rows and the new (about 1 of 25 random
kills). For the embedded engine the next reader and writer undo that (`snapshot`); on a server the next load does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from champion.base.counting import quantity
from champion.contracts import storage
from champion.errors import WarehouseError
from champion.warehouse import fingerprint, insert_paths, load_ledger, months, parts
from champion.warehouse.engine.database import DATABASE, Executor, refusals
from champion.warehouse.insert_paths import Files
from champion.warehouse.retention import keeps_from

if TYPE_CHECKING:
    from champion.contracts import Contract

Source = Sequence[Path] | pl.DataFrame
"""Rows, or the files of just these rows."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did: `skipped` says that just this was there already, `route` which way the rows went."""

    table: str
    partition: str
    rows: int
    skipped: bool
    route: str = "none"


def load_month(
    client: Executor,
    contract: Contract,
    month: date,
    source: Source,
    digest: str,
    *,
    files: Sequence[Files] = (),
    force: bool = False,
) -> LoadResult:
    """Return what was loaded: as `load_months`, for one, which is skipped if it was loaded from this digest before."""
    wanted = {month.replace(day=1): digest}
    with refusals(f"loading {contract.name} {month:%Y%m}"):
        kept = {} if force else load_ledger.loaded(client, contract, wanted)
    for rows in kept.values():
        return LoadResult(contract.name, f"{month:%Y%m}", rows, skipped=True)
    return load_months(client, contract, wanted, source, files=files)[0]


def load_months(
    client: Executor, contract: Contract, digests: Mapping[date, str], source: Source, *, files: Sequence[Files] = ()
) -> list[LoadResult]:
    """Return what was loaded, month by month: they now hold exactly the rows of `source`, however often it is called.

    `digests` names the content of each month, by its first day; a month without rows is emptied. `files` are where the
    same rows lie in the lake, for each feature group: an engine that can reads them there.

    Raises:
        ContractError: the rows are not of the contract.
        WarehouseError: a row is of another month, older than the retention, repeats a key or breaks a rule; or what
            arrived is not what was sent. The months are then as they were before.
    """
    wanted = sorted(digests)
    about = f"loading {contract.name} {months.label(wanted)}"
    if unnamed := [month for month in wanted if not digests[month]]:
        raise WarehouseError(f"{about}: an empty digest for {unnamed[0]:%Y%m}; pass the lake's digest of the month")
    with refusals(about):
        rows = contract.conform(
            source if isinstance(source, pl.DataFrame) else storage.scan(source, contract).collect()
        )
        counted = _counted(contract, rows)
        _refuse_strangers(client, contract, about, rows, {m for m in counted if m not in digests})
        whole = parts.partitions(client, contract.name, wanted)
        with _staging(client, contract, wanted[0]) as staging:
            others = _link_others(client, contract, about, whole, staging)
            route = insert_paths.insert(client, contract, staging, rows, files)
            _reconcile(client, contract, about, rows, staging, months.within(contract, wanted))
            load_ledger.begin(client, contract, digests)
            held = {name: others[name] + sum(counted.get(month, 0) for month in of) for name, of in whole.items()}
            _swap(client, contract, staging, held)
        _count_again(client, contract, about, wanted, counted)
        load_ledger.finish(client, contract, digests, counted)
    ways = {month: route if month in counted else "none" for month in wanted}
    return [
        LoadResult(contract.name, f"{month:%Y%m}", counted.get(month, 0), skipped=False, route=way)
        for month, way in ways.items()
    ]


def _counted(contract: Contract, rows: pl.DataFrame) -> dict[date, int]:
    """Return the rows of each month."""
    month = pl.col(contract.session).dt.truncate("1mo").alias("month")
    return dict(rows.lazy().group_by(month).len().collect().iter_rows())


def _refuse_strangers(client: Executor, contract: Contract, about: str, rows: pl.DataFrame, strange: set[date]) -> None:
    session = pl.col(contract.session)
    if strange:
        strangers = rows.filter(session.dt.truncate("1mo").is_in(strange))
        found = strangers[contract.session].unique().sort().head(3).to_list()
        raise WarehouseError(
            f"{about}: {strangers.height} of {quantity(rows.height, 'row', 'rows')} are of other months, "
            f"as {', '.join(map(str, found))}; pass the rows of these months only"
        )
    oldest = keeps_from(client, contract.name)
    if oldest is not None and (expired := rows.filter(session < oldest)).height:
        raise WarehouseError(
            f"{about}: {quantity(expired.height, 'row is', 'rows are')} older than {oldest}, the first day its "
            "retention keeps; load later sessions, or raise the years in the settings"
        )
    repeated = rows.lazy().group_by(contract.key).len().filter(pl.col("len") > 1).collect()
    if repeated.height:
        raise WarehouseError(
            f"{about}: {quantity(repeated['len'].sum(), 'row shares', 'rows share')} their key "
            f"{contract.key} with another, as {repeated.select(contract.key).row(0)}; mend the lake's partition"
        )


@contextmanager
def _staging(client: Executor, contract: Contract, first: date) -> Iterator[str]:
    """Yield an empty table of the target's structure; one that a crash left behind goes first."""
    name = f"{DATABASE}.staging_{contract.name}_{months.number(first)}"
    client.command(f"drop table if exists {name} sync")
    client.command(f"create table {name} as {DATABASE}.{contract.name}")
    try:
        yield name
    finally:
        client.command(f"drop table if exists {name} sync")


def _link_others(
    client: Executor, contract: Contract, about: str, whole: Mapping[str, Sequence[date]], staging: str
) -> dict[str, int]:
    """Bring the other months of the target's years into the staging table; return how many rows of each year came."""
    others = dict.fromkeys(whole, 0)
    ours = {month for of in whole.values() for month in of}
    target, years = f"{DATABASE}.{contract.name}", [name for name in whole if len(name) == len("2024")]
    if not years:
        return others
    there = months.counts(client, contract, target, f"{parts.year_of(contract.session)} in ({', '.join(years)})")
    for month, rows in there.items():
        others[f"{month:%Y}"] += 0 if month in ours else rows
    linked = [name for name in years if others[name]]
    if not linked:
        return others
    client.command(f"alter table {staging} " + ", ".join(f"attach partition {name} from {target}" for name in linked))
    if any(f"{month:%Y}" in linked for month in there if month in ours):
        condition = months.within(contract, ours)
        client.command(f"alter table {staging} delete where {condition} settings mutations_sync = 2")
    came = int(client.query(f"select count() from {staging}").result_rows[0][0])  # noqa: S608 - our own names
    if came != sum(others.values()):
        raise WarehouseError(
            f"{about}: the other months of {', '.join(linked)} have {quantity(sum(others.values()), 'row')}, "
            f"{came} came along"
        )
    return others


def _reconcile(client: Executor, contract: Contract, about: str, rows: pl.DataFrame, staging: str, where: str) -> None:
    lake, arrived = fingerprint.of_frame(contract, rows), fingerprint.of_table(client, contract, staging, where)
    if lake[""] != arrived[""]:
        raise WarehouseError(f"{about}: the lake has {quantity(lake[''], 'row')}, {arrived['']} arrived")
    if different := [name for name in lake if lake[name] != arrived[name]]:
        raise WarehouseError(
            f"{about}: values arrived changed in columns {', '.join(different)}; all was left as it was"
        )


def _swap(client: Executor, contract: Contract, staging: str, held: Mapping[str, int]) -> None:
    """Replace each partition by what the staging table holds of it; one that holds no rows goes."""
    swaps = [f"replace partition {name} from {staging}" if held[name] else f"drop partition {name}" for name in held]
    client.command(f"alter table {DATABASE}.{contract.name} {', '.join(swaps)}")


def _count_again(
    client: Executor, contract: Contract, about: str, wanted: Sequence[date], expected: Mapping[date, int]
) -> None:
    found = months.counts(client, contract, f"{DATABASE}.{contract.name}", months.within(contract, wanted))
    if found != expected:
        raise WarehouseError(
            f"{about}: {quantity(sum(expected.values()), 'row was', 'rows were')} swapped in, "
            f"{sum(found.values())} are there; load it again"
        )
