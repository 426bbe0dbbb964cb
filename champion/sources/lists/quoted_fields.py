"""Split lines whose fields may be quoted and contain commas, and account for every line."""

import csv
import re
from collections.abc import Mapping, Sequence

import polars as pl

from champion.errors import FormatError
from champion.sources.table import Published

_SHOWN = 40  # characters of a refused field


def read(
    source: str,
    name: str,
    lines: pl.Series,
    columns: Sequence[str],
    patterns: Mapping[str, tuple[str, str]],
    first: int = 2,
) -> Published:
    """Return the lines of a file from line `first` on as columns of strings; blank lines are skipped.

    A line with another number of fields is rejected, and one with a field that does not match its pattern.
    `patterns` has for some columns a regular expression for the whole field, and the words for what is expected. Fields
    lose surrounding white space; an empty one is null.

    >>> read("s", "f.csv", pl.Series(["A,B", 'x,"1, 2"', ""]), ["A", "B"], {}).rows.rows()
    [(2, 'x', '1, 2')]

    Raises:
        FormatError: the file ends within a line, so it is truncated. A last line without a line end is complete if all
            lines end with a closing quote.
    """
    numbered = [
        (number, line.rstrip("\r")) for number, line in enumerate(lines[first - 1 :], start=first) if line.strip()
    ]
    if numbered and numbered[-1][0] == lines.len() and not _is_closed([line for _, line in numbered], len(columns)):
        raise FormatError(f"{name}: the file ends within line {lines.len()}: it was cut off; fetch it again")
    rows: list[tuple[object, ...]] = []
    rejected: list[tuple[object, ...]] = []
    expected = [(columns.index(column), column, re.compile(text), words) for column, (text, words) in patterns.items()]
    for number, line in numbered:
        fields = _fields(line)
        if reasons := _reasons(fields, len(columns), expected):
            rejected.append((number, reasons, line))
        else:
            rows.append((number, *(field or None for field in fields)))
    named = {"row_number": pl.Int64(), **dict.fromkeys(columns, pl.String())}
    refused = {"row_number": pl.Int64(), "reasons": pl.List(pl.String()), "row": pl.String()}
    return Published(
        source,
        pl.DataFrame(rows, schema=named, orient="row"),
        pl.DataFrame(rejected, schema=refused, orient="row"),
        lines,
    )


def _is_closed(lines: Sequence[str], count: int) -> bool:
    """Return whether a last line without a line end is complete."""
    return all(line.endswith('"') for line in lines) and len(_fields(lines[-1])) == count


def _fields(line: str) -> list[str]:
    """Return the fields of a line; an empty list if it is not CSV."""
    try:
        return [field.strip() for field in next(csv.reader([line], strict=True))]
    except csv.Error:
        return []


def _reasons(fields: list[str], count: int, expected: list[tuple[int, str, re.Pattern[str], str]]) -> list[str]:
    if len(fields) != count:
        return [f"fields: expected {count}, found {len(fields) or 'no CSV'}"]
    return [
        f"{column}: expected {words}, found {fields[place][:_SHOWN]!r}"
        for place, column, pattern, words in expected
        if not pattern.fullmatch(fields[place])
    ]
