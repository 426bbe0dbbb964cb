"""Parse the lists of an index's constituents, as `ind_nifty50list.csv`: one line per security, with its industry.

The file has no date: it is as of the day of download, or older. Around a demerger the provider inserts a line
`DUMMY...` for shares that are not listed yet; such a line is no constituent that can be traded.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from champion.base.counting import quantity
from champion.errors import FormatError
from champion.sources import container
from champion.sources.headers import require_header

SOURCE = "nse_index_list"
HEADER = ("Company Name", "Industry", "Symbol", "Series", "ISIN Code")
_ROWS = {
    "index_name": pl.String(),
    "symbol": pl.String(),
    "isin": pl.String(),
    "company": pl.String(),
    "industry": pl.String(),
    "series": pl.String(),
    "is_dummy": pl.Boolean(),
}
_ISIN = re.compile(r"IN[A-Z0-9]{9}[0-9]")
_DUMMY_ISIN = re.compile(r"DU[A-Z0-9]{10}")
_BLANKS = str.maketrans("", "", " -")
_SHOWN = 5
_MAX_EXTRA = 12  # lines for companies in a demerger; the real lists have at most 4


@dataclass(frozen=True, slots=True)
class IndexName:
    """One index: the file of its constituents, its name in capitals, its smallest number of securities, other names."""

    file: str
    index_name: str
    size: int
    aliases: tuple[str, ...]


@cache
def index_names() -> tuple[IndexName, ...]:
    """Return the indices whose lists are known, from `index_names.csv`.

    >>> index_names()[0].index_name
    'NIFTY 50'
    """
    with Path(__file__).with_name("index_names.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return tuple(
        IndexName(row["file"], row["index_name"], int(row["size"]), tuple(filter(None, row["aliases"].split(";"))))
        for row in rows
    )


def canonical_index(text: str) -> str:
    """Return an index name in capitals with single spaces; a former name becomes the present one.

    Blanks and hyphens do not count in the name of a known index, and neither does the exchange before an id.

    >>> canonical_index("Nifty  Free Float Midcap 100"), canonical_index("NIFTY500"), canonical_index("Nifty-50")
    ('NIFTY MIDCAP 100', 'NIFTY 500', 'NIFTY 50')
    >>> canonical_index("CNX Nifty"), canonical_index("NSE:NIFTY 50")
    ('NIFTY 50', 'NIFTY 50')
    """
    name = " ".join(text.upper().split()).removeprefix("NSE:")
    letters = name.translate(_BLANKS)
    for known in index_names():
        if any(letters == each.translate(_BLANKS) for each in (known.index_name, *known.aliases)):
            return known.index_name
    return name


def parse_index_list(name: str, content: bytes) -> pl.DataFrame:
    """Return the list's rows: index_name, symbol, isin, company, industry, series, is_dummy.

    The index follows from the file's name. Lines of a demerger (`DUMMY...`) are kept and marked `is_dummy`.

    Raises:
        FormatError: the name is of no known index, the header is unknown, a line is not of a security (five fields, a
            symbol and an ISIN with a valid check digit), a symbol or ISIN occurs twice, or the list is shorter than
            its index.
    """
    known = _index_of(name)
    text = container.list_text(name, content)
    lines = container.rows(name, text)
    require_header(name, [field.strip() for field in lines[0]] if lines else [], list(HEADER))
    found, bad = [], []
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        row = _row(line)
        if row is None:
            bad.append(f"line {number}: {line}")
        else:
            found.append((known.index_name, *row))
    if bad:
        raise FormatError(
            f"{name}: {quantity(len(bad), 'line is', 'lines are')} not of a security with a valid ISIN: "
            f"{'; '.join(bad[:_SHOWN])}. The exchange's file was changed or damaged; fetch it again"
        )
    rows = pl.DataFrame(found, schema=_ROWS, orient="row")
    _require_plausible(name, rows, known.size)
    return rows


def is_valid_isin(isin: str) -> bool:
    """Return whether an Indian ISIN has the right form and check digit (ISO 6166).

    >>> is_valid_isin("INE154A01025"), is_valid_isin("INE154A01026"), is_valid_isin("INE112358")
    (True, False, False)
    """
    if not _ISIN.fullmatch(isin):
        return False
    digits = [int(digit) for letter in isin for digit in str(int(letter, 36))]
    doubled = [digit * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(digit // 10 + digit % 10 for digit in doubled) % 10 == 0


def _index_of(name: str) -> IndexName:
    file = name.rpartition("/")[2].lower()
    for known in index_names():
        if known.file.lower() == file:
            return known
    count, example = len(index_names()), index_names()[0].file
    raise FormatError(
        f"{name}: the list of no known index; {count} are known, such as {example}. Name the file as the exchange does"
    )


def _row(line: list[str]) -> tuple[object, ...] | None:
    if len(line) != len(HEADER):
        return None
    company, industry, symbol, series, isin = (field.strip() for field in line)
    is_dummy = symbol.startswith("DUMMY") and bool(_DUMMY_ISIN.fullmatch(isin) or is_valid_isin(isin))
    if not (company and symbol and series) or not (is_dummy or is_valid_isin(isin)):
        return None
    return symbol, isin, company, industry or None, series, is_dummy


def _require_plausible(name: str, rows: pl.DataFrame, size: int) -> None:
    for column in ("symbol", "isin"):
        if repeated := rows.filter(pl.col(column).is_duplicated())[column].unique().sort().to_list():
            raise FormatError(f"{name}: {column} {', '.join(repeated[:_SHOWN])} occurs twice; fetch it again")
    securities = rows.height - int(rows["is_dummy"].sum())
    if not size <= securities <= size + _MAX_EXTRA:
        raise FormatError(
            f"{name}: {quantity(securities, 'security', 'securities')}, expected {size} to {size + _MAX_EXTRA}: "
            "it is cut off, or of another index; fetch it again"
        )
