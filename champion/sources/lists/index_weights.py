"""Parse the month-end weights of an index's securities, `nifty50_mcwb.csv` in `mcwb_mmmyy.zip`."""

import re
from datetime import date, datetime, timedelta

import polars as pl

from champion.errors import FormatError
from champion.sources import container
from champion.sources.headers import require_header
from champion.sources.lists.index_list import canonical_index

SOURCE = "nse_index_weights"
HEADER = (
    "Sr. No,Security Symbol,Security Name,Industry,Equity Capital (In Rs.),"
    "Free Float Market Capitalisation (Rs. Crores),Weightage (%),Beta,R2,Volatility (%),Monthly Return,"
    "Avg. Impact Cost (%)"
).split(",")
_TITLE = re.compile(r"Annexure \w+-\s*(.+?) Index\s*: (\w+ \d{4})")
_CRORE = 1e7
_ROWS = {
    "index_name": pl.String(),
    "month_end": pl.Date(),
    "symbol": pl.String(),
    "company": pl.String(),
    "equity_capital": pl.Float64(),
    "free_float_cap": pl.Float64(),
    "weight": pl.Float64(),
}
_TOLERANCE = 0.005  # each of 50 weights is rounded to 0.01%


def parse_weights(name: str, content: bytes) -> pl.DataFrame:
    """Return the weights: index_name, month_end, symbol, company, equity_capital and free_float_cap (rupees), weight.

    `month_end` is the last calendar day of the month in the title; `weight` is a fraction of 1.

    Raises:
        FormatError: the title, the header or a row is not as published, or the weights do not add up to 1.
    """
    lines = [line for line in container.rows(name, container.list_text(name, content)) if any(map(str.strip, line))]
    title = _TITLE.match(lines[0][0].strip()) if lines else None
    if title is None:
        raise FormatError(f"{name}: no title 'Annexure II- Nifty 50 Index : May 2022' in {lines[:1]}")
    index, month_end = canonical_index(title[1]), _month_end(name, title[2])
    require_header(name, [field.strip() for field in lines[1]] if len(lines) > 1 else [], list(HEADER))
    rows = [_row(name, line) for line in lines[2:] if line[0].strip().isdigit()]
    frame = pl.DataFrame([(index, month_end, *row) for row in rows], schema=_ROWS, orient="row")
    if abs((total := sum(frame["weight"].to_list())) - 1) > _TOLERANCE:
        raise FormatError(f"{name}: the weights add up to {total:.2%}, not 100%; the table is cut off")
    return frame


def _month_end(name: str, text: str) -> date:
    try:
        month, _, year = text.partition(" ")  # June 2022 and Jun 2022 both occur
        first = datetime.strptime(f"{month[:3]} {year}", "%b %Y").date()  # noqa: DTZ007 - a date has no time zone
    except ValueError as error:
        raise FormatError(f"{name}: {text!r} in the title is not a month") from error
    return (first.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)


def _row(name: str, line: list[str]) -> tuple[str, str, float, float, float]:
    symbol, company, capital, cap, weight = (line[place].strip() for place in (1, 2, 4, 5, 6))
    if not symbol or not all(container.NUMBER.fullmatch(text) for text in (capital, cap, weight)):
        raise FormatError(f"{name}: not a line of a security with capital and weight: {line}")
    return symbol, company, float(capital), float(cap) * _CRORE, float(weight) / 100
