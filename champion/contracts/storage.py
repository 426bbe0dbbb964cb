"""Frames of a contract in Arrow and Parquet: written in the types of the design's table, read by today's contract.

A file written under an earlier minor version lacks the fields added since (read with their defaults), holds narrower
numbers (widened) and fewer enum values (stored as text, so no file knows how many there are).
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
)  # exactly what evolution.py allows


def write(frame: pl.DataFrame, contract: Contract, file: Path, **options: Any) -> None:
    """Write `frame`, whose columns are the contract's or one group's of them, to a Parquet file.

    `options` are those of Polars' `write_parquet`. The file says required and optional, fixed, map and text for each
    column as the contract does, and names the contract in its metadata.
    """
    _stored(frame, contract).write_parquet(
        file,
        arrow_schema=_arrow_schema(frame, contract),
        metadata={"champion.contract": contract.label},
        **options,
    )


def scan(files: Sequence[Path], contract: Contract, columns: Sequence[str] | None = None) -> pl.LazyFrame:
    """Return the rows of Parquet files written under this or an earlier minor version, with today's types.

    `columns` are those the files hold (a group's); all of the contract's by default. No files give no rows.
    """
    names = tuple(columns if columns is not None else contract.polars_schema)
    today = {name: contract.polars_schema[name] for name in names}
    if not files:
        return pl.LazyFrame(schema=today)
    stored = {name: contract.stored_schema[name] for name in names}
    rows = pl.scan_parquet(
        [str(file) for file in files],  # a place in an object store is its URI
        schema=stored,
        missing_columns="insert",
        cast_options=_EARLIER,
        glob=False,
        hive_partitioning=False,
    )
    typed = {name: dtype for name, dtype in today.items() if dtype != stored[name]}
    filled = [
        pl.col(field.name).fill_null(pl.lit(default(field.avro, field.default), dtype=today[field.name]))
        for field in contract.fields
        if field.name in today and not field.nullable and field.default is not NO_DEFAULT
    ]
    rows = rows.cast(dict(typed)) if typed else rows  # type: ignore[arg-type]
    return rows.with_columns(filled) if filled else rows


def to_arrow(frame: pl.DataFrame, contract: Contract) -> pa.Table:
    """Return `frame` as Arrow, with the types of `contract.arrow_schema`.

    Raises:
        pyarrow.ArrowInvalid: bytes of a fixed field are not of its size.
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
