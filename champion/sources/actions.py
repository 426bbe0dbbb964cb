"""Parse the exchange's lists of corporate actions and of symbol changes.

Both lists are as of the day of download: a renamed company has its latest symbol.
"""

import re
from contextlib import suppress
from datetime import date, datetime

import polars as pl

from champion.base.counting import quantity
from champion.errors import FormatError
from champion.sources import container
from champion.sources.headers import require_header

SOURCE = "nse_corporate_actions"
HEADER = (
    "SYMBOL,COMPANY NAME,SERIES,PURPOSE,FACE VALUE,EX-DATE,RECORD DATE,BOOK CLOSURE START DATE,BOOK CLOSURE END DATE"
).split(",")
_ROWS = {
    **dict.fromkeys(("symbol", "company", "series", "purpose"), pl.String()),
    "face_value": pl.Float64(),
    **dict.fromkeys(("ex_date", "record_date"), pl.Date()),
}
_CHANGES = {"before": pl.String(), "after": pl.String(), "session": pl.Date()}
_SPAN = re.compile(r"(\d\d-\d\d-\d{4})-to-(\d\d-\d\d-\d{4})")
_SHOWN = 5


def parse_actions(name: str, content: bytes) -> pl.DataFrame:
    """Return the list's rows: symbol, company, series, purpose, face_value, ex_date, record_date (null for `-`).

    Exact duplicates, of which the real list has some, are dropped. FACE VALUE, in rupees, is that of the day on which
    the list was read, not of the ex-date, so it gives no ratio.

    Raises:
        FormatError: the header is unknown, or a row has too many or too few fields or no symbol, purpose or ex-date.
    """
    lines = container.rows(name, container.text(name, content))
    require_header(name, lines[0] if lines else [], HEADER)
    found, bad = [], []
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        ex_date = _date(line[5]) if len(line) == len(HEADER) else None
        if ex_date is None or not line[0].strip() or not line[3].strip():
            bad.append(f"line {number}: {line}")
            continue
        symbol, company, series, purpose = (field.strip() for field in line[:4])
        found.append((symbol, company, series, purpose, _number(line[4]), ex_date, _date(line[6])))
    if bad:
        raise FormatError(
            f"{name}: {quantity(len(bad), 'row')} without symbol, purpose or ex-date: {'; '.join(bad[:_SHOWN])}"
        )
    return pl.DataFrame(found, schema=_ROWS, orient="row").unique(maintain_order=True)


def parse_symbol_changes(name: str, content: bytes) -> pl.DataFrame:
    """Return the renames, oldest first: before, after, and the first session under the new symbol.

    The file has no header and is Latin-1. A company's name may contain commas, so only the last three fields are read.

    Raises:
        FormatError: a row does not end in two symbols and a date.
    """
    found = []
    for number, line in enumerate(container.rows(name, container.text(name, content, "latin-1")), start=1):
        session = _date(line[-1]) if len(line) > 3 else None  # noqa: PLR2004 - company, before, after, date
        if line and session is None:
            raise FormatError(f"{name}: line {number} is not a symbol change: {line}")
        if session is not None:
            found.append((line[-3].strip(), line[-2].strip(), session))
    return pl.DataFrame(found, schema=_CHANGES, orient="row").sort("session", maintain_order=True)


def span(name: str, rows: pl.DataFrame) -> tuple[date, date] | None:
    """Return the first and last ex-date a list covers, from its name, else from its rows; None if it has none.

    >>> span("CF-CA-equities-05-01-2016-to-18-07-2025.csv", pl.DataFrame())
    (datetime.date(2016, 1, 5), datetime.date(2025, 7, 18))
    """
    if match := _SPAN.search(name):
        with suppress(ValueError):  # 99-99-2024 is a name, not a date
            first, last = (datetime.strptime(text, "%d-%m-%Y").date() for text in match.groups())  # noqa: DTZ007
            return first, last
    return (min(rows["ex_date"]), max(rows["ex_date"])) if rows.height else None


def _number(text: str) -> float | None:
    number = float(text) if container.NUMBER.fullmatch(text.strip()) else 0.0
    return number if number > 0 else None


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text.strip(), "%d-%b-%Y").date()  # noqa: DTZ007 - a date has no time zone
    except ValueError:
        return None
