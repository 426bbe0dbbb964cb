"""Delimited text to a frame of strings, line by line accounted for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from champion.errors import FormatError

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


@dataclass(frozen=True, slots=True)
class Format:
    """One published format: the headers it is told by, and how its lines are read.

    `dated` is the raw column with the trade date; `parse` is given the file's lines and the session asked for, and
    returns rows whose dates are spelled YYYY-MM-DD where they are dates.
    """

    source: str
    headers: Sequence[str]
    dated: str
    parse: Callable[[pl.Series, date], Published]


def read(lines: pl.Series, columns: Sequence[str], fields: int) -> Table:
    """Return the data lines as columns of strings, stripped of spaces; `fields` is how many each line must have.

    Only the first `len(columns)` fields are kept: some formats end every line with an empty one.

    Raises:
        FormatError: the file ends within a line, so it was cut off.
    """
    numbered = lines.to_frame("row").with_row_index("row_number", offset=1).slice(1)
    numbered = numbered.with_columns(
        pl.col("row_number").cast(pl.Int64), pl.col("row").str.strip_chars_end("\r")
    ).filter(pl.col("row").str.strip_chars() != "")
    count = pl.col("row").str.count_matches(",", literal=True) + 1
    good = numbered.filter(count == fields)
    bad = numbered.filter(count != fields)
    _check_end(numbered, good, lines.len())
    reason = pl.format("fields: expected {}, found {}", pl.lit(fields), count)
    values = good["row"].str.splitn(",", fields).struct.unnest() if good.height else pl.DataFrame()
    rows = pl.DataFrame(
        {
            "row_number": good["row_number"],
            **{name: _emptied(values, index) for index, name in enumerate(columns)},
        }
    )
    return Table(rows, bad.select("row_number", pl.concat_list(reason).alias("reasons"), "row"))


def iso_date(text: pl.Expr) -> pl.Expr:
    """Return dates spelled 04-JUN-2021 or 13-Jul-20 as YYYY-MM-DD; what is no date stays: validation names it.

    >>> pl.select(iso_date(pl.lit("04-May-2022"))).item()
    '2022-05-04'
    """
    long = text.str.to_date("%d-%b-%Y", strict=False)
    short = text.str.to_date("%d-%b-%y", strict=False)
    parsed = pl.when(text.str.len_bytes() > len("13-Jul-20")).then(long).otherwise(short)
    return parsed.dt.to_string("iso").fill_null(text)


def times_power_of_ten(text: pl.Expr, places: int) -> pl.Expr:
    """Return the decimal number in `text` with its point moved `places` to the right, digit for digit.

    What is no plain decimal number stays as it is: validation names it.

    >>> frame = pl.DataFrame({"lakhs": ["1.23", "169.00", "5", "-"]})
    >>> frame.select(times_power_of_ten(pl.col("lakhs"), 5))["lakhs"].to_list()
    ['123000.0', '16900000.0', '500000.0', '-']
    """
    whole = text.str.extract(r"^(\d+)(?:\.\d*)?$")
    part = text.str.extract(r"^\d*\.(\d*)$").fill_null("").str.pad_end(places, "0")
    return pl.concat_str(whole, part.str.slice(0, places), pl.lit("."), part.str.slice(places), pl.lit("0")).fill_null(
        text
    )


def _emptied(values: pl.DataFrame, index: int) -> pl.Series:
    if not values.width:
        return pl.Series(dtype=pl.String)
    column = values.to_series(index).str.strip_chars(" ")
    return column.set(column == "", None)


def _check_end(numbered: pl.DataFrame, good: pl.DataFrame, last: int) -> None:
    """Refuse a file that ends within a line: every whole file seen ends with a newline, and half a number is a number.

    Where all lines end with an empty field, a last one that has it too is whole without its newline. A file that was
    cut just behind a newline cannot be told here; it shows in the number of its rows.
    """
    if last not in numbered["row_number"].tail(1):
        return
    if last not in good["row_number"].tail(1) or not numbered["row"].str.ends_with(",").all():
        raise FormatError(f"the file ends within line {last}: it was cut off; fetch it again")
