"""Parse the exchange's list of listed shares, EQUITY_L.csv: as of the day of download, under the latest symbols."""

from datetime import datetime

import polars as pl

from champion.base.counting import quantity
from champion.errors import FormatError
from champion.sources import container
from champion.sources.headers import require_header

SOURCE = "nse_equity_list"
HEADER = ("SYMBOL,NAME OF COMPANY,SERIES,DATE OF LISTING,PAID UP VALUE,MARKET LOT,ISIN NUMBER,FACE VALUE").split(",")
_ROWS = {
    **dict.fromkeys(("symbol", "company", "series"), pl.String()),
    "listed_on": pl.Date(),
    "paid_up_value": pl.Float64(),
    "market_lot": pl.Int64(),
    "isin": pl.String(),
    "face_value": pl.Float64(),
}
_SHOWN = 5


def parse_equity_list(name: str, content: bytes) -> pl.DataFrame:
    """Return the list's rows: symbol, company, series, listed_on, paid_up_value, market_lot, isin, face_value.

    Values are in rupees; an empty field is null. The header has spaces after some commas.

    Raises:
        FormatError: the header is unknown, there are no rows, the last line is truncated, or a row has a wrong number
            of fields, no symbol, ISIN or company, or an invalid date or number.
    """
    text = container.list_text(name, content)
    lines = container.rows(name, text)
    require_header(name, [field.strip() for field in lines[0]] if lines else [], HEADER)
    if not text.endswith("\n"):
        raise FormatError(f"{name}: the file ends within a line, so it was cut off; fetch it again")
    numbered = [(number, line) for number, line in enumerate(lines[1:], start=2) if line]
    found = [(number, line, _row(line)) for number, line in numbered]
    if bad := [f"line {number}: {line}" for number, line, row in found if row is None]:
        raise FormatError(
            f"{name}: {quantity(len(bad), 'row is', 'rows are')} not of a listed share: {'; '.join(bad[:_SHOWN])}"
        )
    if not found:
        raise FormatError(f"{name}: no rows; the list is empty or cut off")
    return pl.DataFrame([row for _, _, row in found if row is not None], schema=_ROWS, orient="row")


def _row(line: list[str]) -> tuple[object, ...] | None:
    if len(line) != len(HEADER):
        return None
    symbol, company, series, listed_on, paid_up, lot, isin, face = (field.strip() for field in line)
    if not (symbol and company and series and isin):
        return None
    try:
        listed = datetime.strptime(listed_on, "%d-%b-%Y").date() if listed_on else None  # noqa: DTZ007 - it has no zone
        return symbol, company, series, listed, _number(paid_up), _count(lot), isin, _number(face)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    if text and not container.NUMBER.fullmatch(text):  # Python reads 'nan', '1e9' and '1_000' as numbers
        raise ValueError(text)
    return float(text) if text else None


def _count(text: str) -> int | None:
    number = _number(text)
    if number is not None and not number.is_integer():
        raise ValueError(text)
    return None if number is None else int(number)
