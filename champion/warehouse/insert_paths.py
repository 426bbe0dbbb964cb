"""Insert rows into a staging table: the engine reads the lake's files itself, or receives the rows as Arrow.

Reading is several times faster. It needs the embedded engine, which sees the files, and files of the contract's current
version: in older files Polars must fill in the defaults of later fields. A lake in an object store is read by `s3()`
instead of `file()`, because the embedded engine has the store's environment variables. A server always receives rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa

from champion.contracts import Contract, storage
from champion.errors import WarehouseError
from champion.lake import backend
from champion.warehouse.engine.database import Executor

Files = Mapping[Path, Sequence[date]]
"""Parquet files of the lake and the sessions to read of each, as a sealed file holds a whole year."""

_GLOB = frozenset("{}*?[]'\\")
_MANY = {"max_partitions_per_insert_block": 0}  # a load may hold months of many years
# One part for each partition: blocks of the default size would leave several to merge.
_ONE_BLOCK = {"min_insert_block_size_rows": 1 << 26, "min_insert_block_size_bytes": 1 << 30}
_LONG = 200_000  # by default ClickHouse refuses statements over 262,144 characters


def insert(client: Executor, contract: Contract, table: str, rows: pl.DataFrame, files: Sequence[Files] = ()) -> str:
    """Insert `rows` into `table` and return the path they took: "file", "s3", "arrow", or "none" without rows.

    `files` are the lake's files of the same rows, for each feature group of the contract, all of its current version;
    empty if there are none.
    """
    if not rows.height:
        return "none"
    if files and type(client).__name__ == "ChdbClient":
        _read(client, contract, table, files)
        return backend.of(next(iter(files[0]))).table_function
    try:
        arrow = storage.to_arrow(rows, contract)
    except pa.ArrowInvalid as error:
        raise WarehouseError(
            f"{contract.name}: an id is not 16 bytes, or a fixed field has another size: {error}"
        ) from error
    client.insert_arrow(table, arrow, settings={"input_format_null_as_default": 0, **_MANY})
    return "arrow"


def _read(client: Executor, contract: Contract, table: str, files: Sequence[Files]) -> None:
    # Links with plain names: braces and stars in a user's path would be wildcards.
    with TemporaryDirectory(prefix="champion-load-") as folder:
        if _GLOB & set(folder):
            raise WarehouseError(f"TMPDIR {folder} contains one of {''.join(sorted(_GLOB))}; choose another folder")
        groups: list[str | None] = [*contract.groups] or [None]
        selects = []
        for number, (group, found) in enumerate(zip(groups, files, strict=True)):
            selects.append(" union all ".join(_selects(contract, group, Path(folder) / str(number), found)))
        columns = ", ".join(f"`{name}`" for name in contract.polars_schema)
        options = {"use_hive_partitioning": 0, **_MANY, **_ONE_BLOCK}  # folders named date=... add no columns
        clause = ", ".join(f"{name} = {value}" for name, value in options.items())
        text = f"insert into {table} ({columns}) {_join_groups(contract, selects)} settings {clause}"
        longer = {"max_query_size": 2 * len(text)} if len(text) > _LONG else {}
        client.command(text, settings=longer)


def _selects(contract: Contract, group: str | None, folder: Path, files: Files) -> Iterator[str]:
    """Yield the queries of a group's rows: one for all files of one session, one for each sealed year."""
    names = list(contract.polars_schema)
    if group is not None:
        names = [*contract.ungrouped, *contract.groups[group]]
    typed = ", ".join(f"`{name}` {contract.clickhouse_columns[name]}" for name in names).replace("'", "\\'")
    days = {path: sessions[0] for path, sessions in files.items() if len(sessions) == 1}
    chosen = ", ".join(f"`{name}`" for name in names)
    source = f"select {chosen} from {{}}, 'Parquet', '{typed}')"  # noqa: S608 - names of our own contracts
    batches = [([path], files[path], f"{number:05d}") for number, path in enumerate(files) if path not in days]
    if days:
        batches.append((list(days), list(days.values()), "days"))
    for paths, sessions, links in batches:  # with a condition, as a sealed file may hold other sessions too
        wanted = ", ".join(f"'{session}'" for session in sessions)
        place = backend.of(paths[0])
        table = f"{place.table_function}('{place.clickhouse_path(paths, folder / links)}'"
        yield f"{source.format(table)} where {contract.session} in ({wanted})"


def _join_groups(contract: Contract, selects: Sequence[str]) -> str:
    if len(selects) == 1:
        return selects[0]
    first, *others = ((f"g{number}", select) for number, select in enumerate(selects))
    held = dict.fromkeys(contract.ungrouped, "g0")
    held |= {name: f"g{n}" for n, group in enumerate(contract.groups) for name in contract.groups[group]}
    columns = ", ".join(f"{held[name]}.`{name}` as `{name}`" for name in contract.polars_schema)
    joins = ""
    for name, select in others:
        same_key = " and ".join(f"g0.`{key}` = {name}.`{key}`" for key in contract.key)
        joins += f" inner join ({select}) as {name} on {same_key}"
    return f"select {columns} from ({first[1]}) as g0{joins}"  # noqa: S608 - names of our own contracts
