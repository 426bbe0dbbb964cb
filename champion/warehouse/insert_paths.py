"""The ways of rows into a staging table: the engine reads the lake's files itself, or is sent the rows as Arrow.

Reading is several times faster. It takes an engine that can see the files, so the embedded one, and files written under
today's version of the contract: an older file lacks fields, whose defaults are for Polars to fill in.

A lake in an object store is read by `s3()` in the place of `file()`, under the same conditions: the engine is in this
process, so it has the store's variables too. A server may not, and is sent the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl

from champion.contracts import storage
from champion.errors import WarehouseError
from champion.lake import backend

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from champion.contracts import Contract

Files = Mapping[Path, Sequence[date]]
"""Parquet files of the lake, and which sessions of each are meant: a sealed file holds a whole year."""

_GLOB = frozenset("{}*?[]'\\")
_MANY = {"max_partitions_per_insert_block": 0}  # months of many years at once are what was asked for
# One part for each partition: blocks of the usual size would leave several, to be merged afterwards.
_ONE_BLOCK = {"min_insert_block_size_rows": 1 << 26, "min_insert_block_size_bytes": 1 << 30}
_LONG = 200_000  # ClickHouse takes no statement over 262,144 characters unless told


def insert(client: Client, contract: Contract, table: str, rows: pl.DataFrame, files: Sequence[Files] = ()) -> str:
    """Put `rows` into `table` and return the way they went, "file", "s3" or "arrow".

    `files` are where the same rows lie in the lake, for each feature group of the contract, in files that follow just
    this contract; none where nowhere.
    """
    if not rows.height:
        return "none"
    if files and type(client).__name__ == "ChdbClient":
        _read(client, contract, table, files)
        return backend.of(next(iter(files[0]))).table_function
    _send(client, contract, table, rows)
    return "arrow"


def _send(client: Client, contract: Contract, table: str, rows: pl.DataFrame) -> None:
    import pyarrow as pa  # noqa: PLC0415

    try:
        table_of = storage.to_arrow(rows, contract)
    except pa.ArrowInvalid as error:
        raise WarehouseError(
            f"{contract.name}: an id is not 16 bytes, or a fixed field not of its size: {error}"
        ) from error
    client.insert_arrow(table, table_of, settings={"input_format_null_as_default": 0, **_MANY})


def _read(client: Client, contract: Contract, table: str, files: Sequence[Files]) -> None:
    with TemporaryDirectory(prefix="champion-load-") as folder:
        if _GLOB & set(folder):
            raise WarehouseError(f"TMPDIR {folder} holds one of {''.join(sorted(_GLOB))}; choose a folder without")
        groups: list[str | None] = [*contract.groups] or [None]
        selects = [
            " union all ".join(_selects(contract, group, Path(folder) / str(number), found))
            for number, (group, found) in enumerate(zip(groups, files, strict=True))
        ]
        columns = ", ".join(f"`{name}`" for name in contract.polars_schema)
        asked = {"use_hive_partitioning": 0, **_MANY, **_ONE_BLOCK}  # folders named date=... add no columns
        clause = ", ".join(f"{name} = {value}" for name, value in asked.items())
        text = f"insert into {table} ({columns}) {_joined(contract, selects)} settings {clause}"
        longer = {"max_query_size": 2 * len(text)} if len(text) > _LONG else {}
        client.command(text, settings=longer)


def _selects(contract: Contract, group: str | None, folder: Path, files: Files) -> Iterator[str]:
    """Yield the questions that give a group's rows: one for all files of a day, one for each sealed year."""
    names = list(contract.polars_schema)
    if group is not None:
        names = [*contract.ungrouped, *contract.groups[group]]
    typed = ", ".join(f"`{name}` {contract.clickhouse_columns[name]}" for name in names).replace("'", "\\'")
    days = {path: sessions[0] for path, sessions in files.items() if len(sessions) == 1}
    chosen = ", ".join(f"`{name}`" for name in names)
    source = f"select {chosen} from {{}}, 'Parquet', '{typed}')"  # noqa: S608 - names of our own contracts
    for number, (path, sessions) in enumerate(files.items()):
        if path not in days:
            meant = ", ".join(f"'{session}'" for session in sessions)
            yield f"{source.format(_of([path], folder / f'{number:05d}'))} where {contract.session} in ({meant})"
    if days:
        # A sealed file may hold but one session that is meant, and others that are not.
        meant = ", ".join(f"'{session}'" for session in days.values())
        yield f"{source.format(_of(list(days), folder / 'days'))} where {contract.session} in ({meant})"


def _of(paths: Sequence[Path], links: Path) -> str:
    """Return how a table function for just these files begins."""
    place = backend.of(paths[0])
    return f"{place.table_function}('{place.clickhouse_path(paths, links)}'"


def _joined(contract: Contract, selects: Sequence[str]) -> str:
    if len(selects) == 1:
        return selects[0]
    first, *others = ((f"g{number}", select) for number, select in enumerate(selects))
    held = dict.fromkeys(contract.ungrouped, "g0")
    held |= {name: f"g{n}" for n, group in enumerate(contract.groups) for name in contract.groups[group]}
    columns = ", ".join(f"{held[name]}.`{name}` as `{name}`" for name in contract.polars_schema)
    joins = "".join(
        f" inner join ({select}) as {name} on " + " and ".join(f"g0.`{key}` = {name}.`{key}`" for key in contract.key)
        for name, select in others
    )
    return f"select {columns} from ({first[1]}) as g0{joins}"  # noqa: S608 - names of our own contracts
