"""Parse the market activity report `MAddmmyy.csv`: the index table, and the number of securities at their price band.

The report is a sequence of sections, each ended by a blank line, most lines begin with a comma, and numbers are padded.
Only two parts are read: the date in line 1 and the index table, which has India VIX too. Index names are shorter than
in other reports, as `Nifty Infra`.
"""

import re
from datetime import date, datetime

import polars as pl

from champion.errors import FormatError, WrongSession
from champion.sources import container
from champion.sources.lists import quoted_fields
from champion.sources.table import Published

SOURCE = "nse_market_activity"
HEADER = ",INDEX,PREVIOUS CLOSE,OPEN,HIGH,LOW,CLOSE,GAIN/LOSS"
COLUMNS = ("Blank", "Index_Name", "Previous_Close", "Open", "High", "Low", "Close", "Gain_Loss")
_NUMBER = (r"-?(\d+(\.\d*)?|\.\d+)", "a number")
_HITS = re.compile(r",Total securities that have hit their price bands today,\s*(\d+)\s*")


def read(name: str, content: bytes, session: date) -> Published:
    """Return the index table of a session's report: Index_Name, Previous_Close, prices, Gain_Loss, Report_Date.

    Raises:
        WrongSession: the report is of another session.
        FormatError: it has no date or no index table, or ends within the table.
    """
    lines = container.lines(name, content)
    _require_session(name, lines[0], session)
    texts = [line.strip() for line in lines]
    if HEADER not in texts:
        raise FormatError(f"{name}: no index table; expected a line {HEADER!r}")
    first = texts.index(HEADER) + 2  # the line after the header, counted from 1
    last = next((place for place, text in enumerate(texts[first - 1 :], start=first - 1) if not text), None)
    if last is None or last + 1 >= len(texts):
        raise FormatError(f"{name}: the report ends within its index table: it was cut off; fetch it again")
    table = pl.Series("row", [*texts[:last], ""], dtype=pl.String)
    found = quoted_fields.read(SOURCE, name, table, COLUMNS, dict.fromkeys(COLUMNS[2:], _NUMBER), first)
    if not found.rows.height:
        raise FormatError(f"{name}: the index table has no rows")
    rows = found.rows.drop("Blank").with_columns(Report_Date=pl.lit(session.isoformat()))
    return Published(SOURCE, rows, found.rejected, lines)


def price_band_hits(name: str, content: bytes) -> int:
    """Return how many securities hit their price band by the report.

    Raises:
        FormatError: the report does not have the number.
    """
    found = [match[1] for line in container.lines(name, content) if (match := _HITS.fullmatch(line.strip()))]
    if len(found) != 1:
        raise FormatError(f"{name}: expected one line with the securities at their price bands, found {len(found)}")
    return int(found[0])


def _require_session(name: str, line: str, session: date) -> None:
    text = line.strip().strip(",").strip()
    try:
        found = datetime.strptime(text, "%d-%b-%Y").date()  # noqa: DTZ007 - a date has no time zone
    except ValueError as error:
        raise FormatError(f"{name}: expected a date as 20-Jan-2024 in line 1, found {text[:40]!r}") from error
    if found != session:
        raise WrongSession(f"{name}: asked for session {session}, the report is of {found}", [found.isoformat()])
