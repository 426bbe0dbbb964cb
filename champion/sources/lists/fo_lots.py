"""Parse the lot sizes of derivatives by expiry month, `fo_mktlots.csv`: as of the day of download, under one name.

Fields are padded. The header has the months, which move: the next three, then quarter and half-year ends. A second
header, `Derivatives on Individual Securities`, separates indices from shares. A blank means that there is no such
expiry, not that the lot is unknown.
"""

from datetime import date, datetime

import polars as pl

from champion.base.counting import quantity
from champion.errors import FormatError
from champion.sources import container

SOURCE = "nse_fo_lots"
FIRST, SECOND = ("UNDERLYING", "SYMBOL"), ("Derivatives on Individual Securities", "Symbol")
_ROWS = {
    "underlying": pl.String(),
    "symbol": pl.String(),
    "kind": pl.String(),
    "expiry_month": pl.Date(),
    "lot_size": pl.Int64(),
}
_SHOWN = 3


def parse(name: str, content: bytes) -> pl.DataFrame:
    """Return one row per underlying and expiry month: underlying, symbol, kind, expiry_month, lot_size.

    `kind` is `index` or `security`, `expiry_month` the first day of the month, `lot_size` in units of the underlying.

    Raises:
        FormatError: it is not this list, one of its two headers is missing, the headers name different months, it is
            truncated, or a row has a wrong number of fields, a lot that is no positive whole number, a lot without a
            month, or a repeated symbol.
    """
    text = container.list_text(name, content)
    lines = [[field.strip() for field in line] for line in container.rows(name, text)]
    if not lines or tuple(lines[0][:2]) != FIRST:
        raise FormatError(f"{name}: expected a header with {', '.join(FIRST)} and months, found {lines[:1]}")
    if not text.endswith("\n"):
        raise FormatError(f"{name}: the file ends within a line, so it was cut off; fetch it again")
    months = _months(name, lines[0])
    kind, symbols = "index", set[str]()
    rows: list[tuple[object, ...]] = []
    bad: list[str] = []
    for number, line in enumerate(lines[1:], start=2):
        if tuple(line[:2]) == SECOND:
            _require_same(name, number, months, _months(name, line))
            kind = "security"
        elif any(line):
            lots = _lots(line, months)
            if lots is None or line[1] in symbols:
                bad.append(f"line {number}: {line[:6]}")
                continue
            symbols.add(line[1])
            rows += [(line[0], line[1], kind, month, lot) for month, lot in lots]
    if bad:
        raise FormatError(
            f"{name}: {len(bad)} of {quantity(len(lines), 'line')} have no lots: {'; '.join(bad[:_SHOWN])}"
        )
    if kind == "index":
        raise FormatError(f"{name}: no header {SECOND[0]!r}: the list is cut off before the shares; fetch it again")
    return pl.DataFrame(rows, schema=_ROWS, orient="row")


def _months(name: str, header: list[str]) -> list[date | None]:
    """Return the month of each column after the first two, None where the header is blank."""
    try:
        months = [datetime.strptime(text, "%b-%y").date() if text else None for text in header[2:]]  # noqa: DTZ007
    except ValueError as error:
        raise FormatError(f"{name}: a month of the header is not written JUL-20 ({error})") from error
    named = [month for month in months if month]
    if not named or len(named) != len(set(named)):
        raise FormatError(f"{name}: expected different months in the header, found {header[2:]}")
    return months


def _require_same(name: str, number: int, months: list[date | None], other: list[date | None]) -> None:
    if any(month and month != first for month, first in zip(other, months, strict=False)):
        raise FormatError(f"{name}: the months of line {number} differ from the first header; nothing was read")


def _lots(line: list[str], months: list[date | None]) -> list[tuple[date, int]] | None:
    """Return the lots of a line by month; None if the line is malformed."""
    if len(line) != len(months) + 2 or not line[0] or not line[1]:
        return None
    lots = [(month, text) for month, text in zip(months, line[2:], strict=True) if text]
    if not lots or not all(month and text.isdecimal() and int(text) > 0 for month, text in lots):
        return None
    return [(month, int(text)) for month, text in lots if month]
