"""Load months of one dataset: they replace the months in the warehouse after they are proved equal to the lake.

1. The rows go into a staging table with the structure of the target, whose types and constraints check them. If the
   target has partitions of a year, the other months of the year are attached first, as links to the same parts.
2. The fingerprint of the staged months, computed by ClickHouse, must equal the lake's, computed by Polars.
3. `replace partition` swaps each month or year; a reader sees the old one or the new one.
4. The ledger records the digests: as unknown before the swap, with their values after it.

A statement costs as much for a month as for ten years, so a backfill loads as many months together as memory allows.

Inside ClickHouse the swap takes two steps. Killed between them, it shows the old and the new rows (about 1 of 25 random
kills). In the embedded engine the next reader or writer undoes that (`snapshot`); on a server the next load does.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from champion.base.counting import quantity
from champion.contracts import Contract, storage
from champion.errors import WarehouseError
from champion.warehouse import fingerprint, insert_paths, load_ledger, months, parts
from champion.warehouse.engine.database import DATABASE, Executor, refusals
from champion.warehouse.insert_paths import Files
from champion.warehouse.retention import keeps_from

Source = Sequence[Path] | pl.DataFrame
"""Rows, or files that hold exactly these rows."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of loading a month: `skipped` if it was loaded before, `route` the path of the rows."""

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
    """Load one month like `load_months`, unless it was loaded from this digest before and `force` is false."""
    wanted = {month.replace(day=1): digest}
    with refusals(f"loading {contract.name} {month:%Y%m}"):
        kept = {} if force else load_ledger.loaded_rows(client, contract, wanted)
    for rows in kept.values():
        return LoadResult(contract.name, f"{month:%Y%m}", rows, skipped=True)
    return load_months(client, contract, wanted, source, files=files)[0]


def load_months(
    client: Executor, contract: Contract, digests: Mapping[date, str], source: Source, *, files: Sequence[Files] = ()
) -> list[LoadResult]:
    """Replace months by the rows of `source` and return a result for each; repeating the call changes nothing.

    `digests` maps the first day of each month to the digest of its content; a month without rows is emptied. `files`
    are the lake's files of the same rows, for each feature group, for an engine that can read them.

    Raises:
        ContractError: the rows do not follow the contract.
        WarehouseError: a row is of another month, older than the retention, repeats a key or breaks a rule, or the
            staged rows differ from the source. The months are then unchanged.
    """
    wanted = sorted(digests)
    about = f"loading {contract.name} {months.label(wanted)}"
    if unnamed := [month for month in wanted if not digests[month]]:
        raise WarehouseError(f"{about}: an empty digest for {unnamed[0]:%Y%m}; pass the lake's digest of the month")
    with refusals(about):
        given = source if isinstance(source, pl.DataFrame) else storage.scan(source, contract).collect()
        rows = contract.conform(given)
        month = pl.col(contract.session).dt.truncate("1mo").alias("month")
        counted: dict[date, int] = dict(rows.lazy().group_by(month).len().collect().iter_rows())
        _require_loadable(client, contract, about, rows, {m for m in counted if m not in digests})
        whole = parts.partitions(client, contract.name, wanted)
        with _staging(client, contract, wanted[0]) as staging:
            others = _link_others(client, contract, about, whole, staging)
            route = insert_paths.insert(client, contract, staging, rows, files)
            _require_equal(client, contract, about, rows, staging, months.within(contract, wanted))
            load_ledger.start(client, contract, digests)
            held = {name: others[name] + sum(counted.get(month, 0) for month in of) for name, of in whole.items()}
            swaps = [f"replace partition {p} from {staging}" if n else f"drop partition {p}" for p, n in held.items()]
            client.command(f"alter table {DATABASE}.{contract.name} {', '.join(swaps)}")
        found = months.counts(client, contract, f"{DATABASE}.{contract.name}", months.within(contract, wanted))
        if found != counted:
            raise WarehouseError(
                f"{about}: {quantity(sum(counted.values()), 'row was', 'rows were')} swapped in, "
                f"but the table holds {sum(found.values())}; load it again"
            )
        load_ledger.complete(client, contract, digests, counted)
    loaded = {month: (counted[month], route) if month in counted else (0, "none") for month in wanted}
    return [LoadResult(contract.name, f"{month:%Y%m}", n, skipped=False, route=of) for month, (n, of) in loaded.items()]


def _require_loadable(
    client: Executor, contract: Contract, about: str, rows: pl.DataFrame, other_months: set[date]
) -> None:
    session = pl.col(contract.session)
    if other_months:
        misplaced = rows.filter(session.dt.truncate("1mo").is_in(other_months))
        found = misplaced[contract.session].unique().sort().head(3).to_list()
        raise WarehouseError(
            f"{about}: {misplaced.height} of {quantity(rows.height, 'row', 'rows')} are of other months, "
            f"such as {', '.join(map(str, found))}; pass the rows of these months only"
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
            f"{contract.key} with another, such as {repeated.select(contract.key).row(0)}; correct the lake's partition"
        )


@contextmanager
def _staging(client: Executor, contract: Contract, first: date) -> Iterator[str]:
    """Yield an empty table with the target's structure, in place of one that a crash left."""
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
    """Attach the other months of the target's years to the staging table; return the number of rows of each year."""
    others = dict.fromkeys(whole, 0)
    loading = {month for of in whole.values() for month in of}
    target, years = f"{DATABASE}.{contract.name}", [name for name in whole if len(name) == len("2024")]
    if not years:
        return others
    held = months.counts(client, contract, target, f"toYear({contract.session}) in ({', '.join(years)})")
    for month, rows in held.items():
        others[f"{month:%Y}"] += 0 if month in loading else rows
    linked = [name for name in years if others[name]]
    if not linked:
        return others
    client.command(f"alter table {staging} " + ", ".join(f"attach partition {name} from {target}" for name in linked))
    if any(f"{month:%Y}" in linked for month in held if month in loading):
        condition = months.within(contract, loading)
        client.command(f"alter table {staging} delete where {condition} settings mutations_sync = 2")
    attached = int(client.query(f"select count() from {staging}").result_rows[0][0])  # noqa: S608 - our own names
    if attached != sum(others.values()):
        raise WarehouseError(
            f"{about}: the other months of {', '.join(linked)} have {quantity(sum(others.values()), 'row')}, "
            f"but {attached} were attached"
        )
    return others


def _require_equal(
    client: Executor, contract: Contract, about: str, rows: pl.DataFrame, staging: str, where: str
) -> None:
    lake, arrived = fingerprint.of_frame(contract, rows), fingerprint.of_table(client, contract, staging, where)
    if lake[""] != arrived[""]:
        raise WarehouseError(f"{about}: the lake has {quantity(lake[''], 'row')}, but {arrived['']} arrived")
    if different := [name for name in lake if lake[name] != arrived[name]]:
        raise WarehouseError(
            f"{about}: the values of columns {', '.join(different)} changed on the way; nothing was replaced"
        )
