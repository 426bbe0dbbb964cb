"""Loads: a month of one dataset replaces what there was of it in one step, once it is proved equal to the lake.

1. The rows go into a staging table, a copy of the target's structure, so its types and constraints judge them. Where
   the target keeps years, the other months of the year are there already: as links to the same parts, not copied.
2. The month's fingerprint there, computed by ClickHouse, must equal the lake's, computed by Polars.
3. `replace partition` swaps month or year; a reader sees the old month or the new one.
4. `loads` records what was loaded: before the swap as unknown, after it as done, so that a crash only means a reload.

The swap is two steps inside ClickHouse: killed between them, it shows the old rows and the new (about 1 of 25 random
kills). For the embedded engine the next reader and writer undo that (`snapshot`); on a server the next load does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from champion import clock
from champion.contracts import storage
from champion.errors import WarehouseError
from champion.warehouse import fingerprint, parts, routes
from champion.warehouse.engine import DATABASE, refusals
from champion.warehouse.retention import keeps_from
from champion.warehouse.routes import Files

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from champion.contracts import Contract

_UNKNOWN = ""  # the digest of a month that is being replaced


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did: `skipped` says that just this was there already, `route` which way the rows went."""

    table: str
    partition: str
    rows: int
    skipped: bool
    route: str = "none"


def load_month(
    client: Client,
    contract: Contract,
    month: date,
    source: Sequence[Path] | pl.DataFrame,
    digest: str,
    *,
    files: Sequence[Files] = (),
    force: bool = False,
) -> LoadResult:
    """Return what was loaded: after it the month holds exactly the rows of `source`, however often it is called.

    `source` is the rows, or files of the month that hold them; `digest` names its content, and a month already loaded
    with that digest is skipped unless `force`. `files` are where the rows lie in the lake, for each feature group: an
    engine that can reads them there. No rows at all empty the month.

    Raises:
        ContractError: the rows are not of the contract.
        WarehouseError: a row is of another month, older than the retention, repeats a key or breaks a rule; or what
            arrived is not what was sent. The month is then as it was before.
    """
    partition = f"{month:%Y%m}"
    if not digest:
        raise WarehouseError(
            f"loading {contract.name} {partition}: an empty digest; pass the lake's digest of the month"
        )
    with refusals(f"loading {contract.name} {partition}"):
        kept = None if force else _loaded(client, contract, partition, digest)
        if kept is not None:
            return LoadResult(contract.name, partition, kept, skipped=True)
        rows = contract.conform(
            source if isinstance(source, pl.DataFrame) else storage.scan(source, contract).collect()
        )
        _refuse_strangers(client, contract, partition, rows)
        whole = parts.partition(client, contract.name, month)
        with _staging(client, contract, partition) as staging:
            others = _link_others(client, contract, partition, whole, staging)
            route = routes.insert(client, contract, staging, rows, files)
            _reconcile(client, contract, partition, rows, staging)
            _record(client, contract, partition, _UNKNOWN, 0)
            _swap(client, contract, whole, staging if rows.height + others else None)
        _count_again(client, contract, partition, rows.height)
        _record(client, contract, partition, digest, rows.height)
    return LoadResult(contract.name, partition, rows.height, skipped=False, route=route)


def _loaded(client: Client, contract: Contract, partition: str, digest: str) -> int | None:
    """Return the rows of the month if `digest` is what it holds, and all of it is still there."""
    found = client.query(
        f"select rows from {DATABASE}.loads final "  # noqa: S608 - our own name
        "where dataset = {dataset:String} and partition = {partition:UInt32} and digest = {digest:String}",
        parameters={"dataset": contract.name, "partition": int(partition), "digest": digest},
    ).result_rows
    rows = found[0][0] if found else None
    return rows if rows == _count(client, contract, partition, f"{DATABASE}.{contract.name}") else None


def _refuse_strangers(client: Client, contract: Contract, partition: str, rows: pl.DataFrame) -> None:
    session = pl.col(contract.session)
    strangers = rows.filter(session.dt.strftime("%Y%m") != partition)
    if strangers.height:
        found = strangers[contract.session].unique().sort().head(3).to_list()
        raise WarehouseError(
            f"loading {contract.name} {partition}: {strangers.height} of {rows.height} rows are of other months, "
            f"as {', '.join(map(str, found))}; pass the rows of this month only"
        )
    oldest = keeps_from(client, contract.name)
    if oldest is not None and (expired := rows.filter(session < oldest)).height:
        raise WarehouseError(
            f"loading {contract.name} {partition}: {expired.height} rows are older than {oldest}, the first day its "
            "retention keeps; load later sessions, or raise the years in the settings"
        )
    repeated = rows.filter(pl.struct(contract.key).is_duplicated())
    if repeated.height:
        raise WarehouseError(
            f"loading {contract.name} {partition}: {repeated.height} rows share their key {contract.key} with another, "
            f"as {repeated.select(contract.key).row(0)}; mend the lake's partition"
        )


@contextmanager
def _staging(client: Client, contract: Contract, partition: str) -> Iterator[str]:
    """Yield an empty table of the target's structure; one that a crash left behind goes first."""
    name = f"{DATABASE}.staging_{contract.name}_{partition}"
    client.command(f"drop table if exists {name} sync")
    client.command(f"create table {name} as {DATABASE}.{contract.name}")
    try:
        yield name
    finally:
        client.command(f"drop table if exists {name} sync")


def _link_others(client: Client, contract: Contract, partition: str, whole: str, staging: str) -> int:
    """Bring the other months of the target's partition into the staging table; return how many rows they have."""
    if whole == partition:
        return 0
    target = f"{DATABASE}.{contract.name}"
    client.command(f"alter table {staging} attach partition {whole} from {target}")
    if _count(client, contract, partition, staging):
        client.command(f"alter table {staging} delete where {_in(contract, partition)} settings mutations_sync = 2")
    there = _rows(client, f"{target} where {parts.year_of(contract.session)} = {whole}")
    there -= _count(client, contract, partition, target)
    here = _rows(client, staging)
    if there != here:
        raise WarehouseError(
            f"loading {contract.name} {partition}: the other months of {whole} have {there} rows, {here} came along"
        )
    return here


def _reconcile(client: Client, contract: Contract, partition: str, rows: pl.DataFrame, staging: str) -> None:
    lake = fingerprint.of_frame(contract, rows)
    arrived = fingerprint.of_table(client, contract, staging, _in(contract, partition))
    if lake[""] != arrived[""]:
        raise WarehouseError(
            f"loading {contract.name} {partition}: the lake has {lake['']} rows, {arrived['']} arrived"
        )
    different = [name for name in lake if lake[name] != arrived[name]]
    if different:
        raise WarehouseError(
            f"loading {contract.name} {partition}: values arrived changed in columns {', '.join(different)}; "
            "the month was left as it was"
        )


def _swap(client: Client, contract: Contract, whole: str, staging: str | None) -> None:
    action = f"drop partition {whole}" if staging is None else f"replace partition {whole} from {staging}"
    client.command(f"alter table {DATABASE}.{contract.name} {action}")


def _count_again(client: Client, contract: Contract, partition: str, expected: int) -> None:
    found = _count(client, contract, partition, f"{DATABASE}.{contract.name}")
    if found != expected:
        raise WarehouseError(
            f"loading {contract.name} {partition}: {expected} rows were swapped in, {found} are there; load it again"
        )


def _count(client: Client, contract: Contract, partition: str, table: str) -> int:
    return _rows(client, f"{table} where {_in(contract, partition)}")


def _rows(client: Client, source: str) -> int:
    return int(client.query(f"select count() from {source}").result_rows[0][0])  # noqa: S608 - our own names


def _in(contract: Contract, partition: str) -> str:
    """Return the condition for a month, as a range: each part knows the first and last session it holds."""
    first = date(int(partition[:4]), int(partition[4:]), 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return f"{contract.session} between '{first}' and '{last}'"


def _record(client: Client, contract: Contract, partition: str, digest: str, rows: int) -> None:
    client.insert(
        f"{DATABASE}.loads",
        [(contract.name, int(partition), digest, rows, clock.now())],
        column_names=["dataset", "partition", "digest", "rows", "loaded_at"],
    )
