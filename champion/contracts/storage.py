"""Write frames of a contract to Arrow and Parquet, and read them with the current contract.

A file of an earlier minor version lacks fields that were added later (they get their defaults), has narrower numbers
(they are widened) and fewer enum values (they are stored as text, so files do not depend on the set of values).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from champion.contracts.contract import NO_DEFAULT, Contract
from champion.contracts.encoding import default

_EARLIER = pl.ScanCastOptions(
    integer_cast=["upcast", "allow-float"], float_cast="upcast", missing_struct_fields="insert"
)  # the casts that evolution.py allows


def write(frame: pl.DataFrame, contract: Contract, file: Path, **options: Any) -> None:
    """Write `frame`, with all columns of the contract or the columns of one group, to a Parquet file.

    `options` are passed to Polars' `write_parquet`. The columns of the file have the contract's types and nullability,
    and its metadata names the contract.
    """
    _stored(frame, contract).write_parquet(
        file, arrow_schema=_arrow_schema(frame, contract), metadata={"champion.contract": contract.label}, **options
    )


def scan(files: Sequence[Path], contract: Contract, columns: Sequence[str] | None = None) -> pl.LazyFrame:
    """Return the rows of Parquet files of this or an earlier minor version, with the current types.

    `columns` are the columns in the files, if the files have only one group's columns. No files give no rows.
    """
    names = tuple(columns if columns is not None else contract.polars_schema)
    current = {name: contract.polars_schema[name] for name in names}
    if not files:
        return pl.LazyFrame(schema=current)
    stored = {name: contract.stored_schema[name] for name in names}
    rows = pl.scan_parquet(
        [str(file) for file in files],  # a path in an object store is a URI
        schema=stored,
        missing_columns="insert",
        cast_options=_EARLIER,
        glob=False,
        hive_partitioning=False,
    )
    typed = {name: dtype for name, dtype in current.items() if dtype != stored[name]}
    filled = [
        pl.col(field.name).fill_null(pl.lit(default(field.avro, field.default), dtype=current[field.name]))
        for field in contract.fields
        if field.name in current and not field.nullable and field.default is not NO_DEFAULT
    ]
    rows = rows.cast(dict(typed)) if typed else rows  # type: ignore[arg-type]
    return rows.with_columns(filled) if filled else rows


def to_arrow(frame: pl.DataFrame, contract: Contract) -> pa.Table:
    """Return `frame` as Arrow, with the types of `contract.arrow_schema`.

    Raises:
        pyarrow.ArrowInvalid: bytes of a fixed field have another size.
    """
    table = _stored(frame, contract).to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(_arrow_schema(frame, contract))


def from_arrow(table: pa.Table, contract: Contract) -> pl.DataFrame:
    """Return an Arrow table of the contract's columns in Polars, with the contract's types."""
    frame = pl.DataFrame(table)
    for schema in (contract.stored_schema, contract.polars_schema):
        frame = frame.cast({name: schema[name] for name in frame.columns})
    return frame


def _stored(frame: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    schema = contract.stored_schema
    return frame.cast({name: schema[name] for name, dtype in frame.schema.items() if dtype != schema[name]})


def _arrow_schema(frame: pl.DataFrame, contract: Contract) -> pa.Schema:
    return pa.schema([contract.arrow_schema.field(name) for name in frame.columns], contract.arrow_schema.metadata)
