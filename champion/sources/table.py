"""Split delimited text into a frame of strings, and account for every line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from champion.errors import FormatError


@dataclass(frozen=True, slots=True)
class Published:
    """One parsed file: `source` names its format, `lines` are the lines of the file.

    `rows` has the lines with the expected number of fields: strings in raw columns, null where empty, and `row_number`,
    the line in the file (the header is 1). `rejected` has row_number, reasons and the line itself.
    """

    source: str
    rows: pl.DataFrame
    rejected: pl.DataFrame
    lines: pl.Series

    @property
    def row_count(self) -> int:
        """Number of data rows in the file, accepted or rejected."""
        return self.rows.height + self.rejected.height


@dataclass(frozen=True, slots=True)
class Format:
    """One published format: the headers that identify it, and its parser.

    `dated` is the raw column with the trade date. `parse` takes the lines of the file and the requested session, and
    returns rows whose valid dates are written YYYY-MM-DD.
    """

    source: str
    headers: Sequence[str]
    dated: str
    parse: Callable[[pl.Series, date], Published]


@dataclass(frozen=True, slots=True)
class Publication:
    """One file per session. `paths` are its possible paths, the best format first; `read` parses it.

    `read` takes a name, the bytes and the requested session, and raises FormatError if the whole file is invalid.
    `answers_stale` is a prefix of file names: for a date without a session, the archive answers these with the file of
    the session before, which counts as not published. Empty if there are none.
    """

    name: str
    paths: Callable[[date], list[str]]
    read: Callable[[str, bytes, date], Published]
    answers_stale: str = ""
    exchange: str = "NSE"


def read(source: str, lines: pl.Series, columns: Sequence[str], fields: int) -> Published:
    """Return the data lines as columns of strings without surrounding spaces; each line must have `fields` fields.

    An empty field is null.
    Only the first `len(columns)` fields are kept: some formats end every line with an empty one.

    Raises:
        FormatError: the file ends within a line, so it is truncated.
    """
    stripped = pl.col("row_number").cast(pl.Int64), pl.col("row").str.strip_chars_end("\r")
    numbered = lines.to_frame("row").with_row_index("row_number", offset=1).slice(1).with_columns(stripped)
    numbered = numbered.filter(pl.col("row").str.strip_chars() != "")
    count = pl.col("row").str.count_matches(",", literal=True) + 1
    good, bad = numbered.filter(count == fields), numbered.filter(count != fields)
    # Complete files end with a newline, and half a number is a valid number. If all lines end with an empty field, a
    # last line that has it too is complete without its newline. A file cut off directly after a newline is not
    # recognised here, but by its number of rows.
    if (last := lines.len()) in numbered["row_number"].tail(1) and (
        last not in good["row_number"].tail(1) or not numbered["row"].str.ends_with(",").all()
    ):
        raise FormatError(f"the file ends within line {last}: it was cut off; fetch it again")
    reason = pl.format("fields: expected {}, found {}", pl.lit(fields), count)
    values = good.select("row_number", pl.col("row").str.splitn(",", fields)).unnest("row")
    texts = (pl.col(f"field_{index}").str.strip_chars(" ").alias(name) for index, name in enumerate(columns))
    rows = values.select("row_number", *texts).with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))
    rejected = bad.select("row_number", pl.concat_list(reason).alias("reasons"), "row")
    return Published(source, rows, rejected, lines)


def iso_date(text: pl.Expr) -> pl.Expr:
    """Return dates written 04-JUN-2021 or 13-Jul-20 as YYYY-MM-DD; other text stays, and validation reports it.

    >>> pl.select(iso_date(pl.lit("04-May-2022"))).item()
    '2022-05-04'
    """
    long, short = (text.str.to_date(form, strict=False) for form in ("%d-%b-%Y", "%d-%b-%y"))
    parsed = pl.when(text.str.len_bytes() > len("13-Jul-20")).then(long).otherwise(short)
    return parsed.dt.to_string("iso").fill_null(text)


def times_power_of_ten(text: pl.Expr, places: int) -> pl.Expr:
    """Return the decimal number in `text` with its point moved `places` to the right, without rounding.

    Text that is not a plain decimal number stays, and validation reports it.

    >>> frame = pl.DataFrame({"lakhs": ["1.23", "169.00", "5", "-"]})
    >>> frame.select(times_power_of_ten(pl.col("lakhs"), 5))["lakhs"].to_list()
    ['123000.0', '16900000.0', '500000.0', '-']
    """
    whole = text.str.extract(r"^(\d+)(?:\.\d*)?$")
    part = text.str.extract(r"^\d*\.(\d*)$").fill_null("").str.pad_end(places, "0")
    moved = pl.concat_str(whole, part.str.slice(0, places), pl.lit("."), part.str.slice(places), pl.lit("0"))
    return moved.fill_null(text)
