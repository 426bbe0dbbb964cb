"""Delimited text to a frame of strings, line by line accounted for."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

REJECTED_SCHEMA = {"row_number": pl.Int64(), "reasons": pl.List(pl.String()), "row": pl.String()}


@dataclass(frozen=True, slots=True)
class Table:
    """Lines that have as many fields as the header promises, and those that do not.

    `rows` holds strings, null where empty, and `row_number`, the line in the file (the header is 1);
    `rejected` holds row_number, reasons and the line itself.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Published:
    """One published file in raw words: `source` names its format, `lines` are the file's own lines."""

    source: str
    rows: pl.DataFrame
    rejected: pl.DataFrame
    lines: pl.Series

    @property
    def row_count(self) -> int:
        """Data rows in the file, kept or refused."""
        return self.rows.height + self.rejected.height


def read(lines: pl.Series, columns: list[str], fields: int) -> Table:
    """Return the data lines as columns of strings; `fields` is how many each line must have.

    Only the first `len(columns)` fields are kept: some formats end every line with an empty one.
    """
    numbered = lines.to_frame("row").with_row_index("row_number", offset=1).slice(1)
    numbered = numbered.with_columns(
        pl.col("row_number").cast(pl.Int64), pl.col("row").str.strip_chars_end("\r")
    ).filter(pl.col("row").str.strip_chars() != "")
    count = pl.col("row").str.count_matches(",", literal=True) + 1
    good = numbered.filter(count == fields)
    bad = numbered.filter(count != fields)
    reason = pl.format("fields: expected {}, found {}", pl.lit(fields), count)
    values = good["row"].str.splitn(",", fields).struct.unnest() if good.height else pl.DataFrame()
    rows = pl.DataFrame(
        {
            "row_number": good["row_number"],
            **{name: _emptied(values, index) for index, name in enumerate(columns)},
        }
    )
    return Table(rows, bad.select("row_number", pl.concat_list(reason).alias("reasons"), "row"))


def _emptied(values: pl.DataFrame, index: int) -> pl.Series:
    if not values.width:
        return pl.Series(dtype=pl.String)
    column = values.to_series(index)
    return column.set(column == "", None)
