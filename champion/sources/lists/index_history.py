"""Parse the index provider's history files: prices, total returns, or P/E, P/B and dividend yield of one index.

Every field is quoted, rows are newest first, dates are written `30 Dec 2005`, and the last line has no line end. `-` is
null: before an index was computed during the session, it has only a close.
"""

from datetime import date, datetime

import polars as pl

from champion.base.counting import quantity
from champion.errors import FormatError
from champion.sources import container
from champion.sources.lists import quoted_fields

SOURCE = "nse_index_history"
_PRICES = {"Open": "open", "High": "high", "Low": "low", "Close": "close"}
_RATIOS = {"P/E": "price_earnings", "P/B": "price_book", "Div Yield %": "dividend_yield"}
_TOTAL_RETURN = {"Total Returns Index": "total_return"}
HEADERS = {
    ("Index Name", "Date", *_PRICES): _PRICES,
    ("IndexName", "Date", *_RATIOS): _RATIOS,
    ("Index Name", "Date", *_TOTAL_RETURN): _TOTAL_RETURN,
}
"""The known headers, and the column of each of their values."""
VALUES = (*_PRICES.values(), *_TOTAL_RETURN.values(), *_RATIOS.values())
_NUMBER = (r"-|-?\d+(\.\d+)?|-?\.\d+", "a number or -")
_SHOWN = 3


def parse(name: str, content: bytes) -> pl.DataFrame:
    """Return the file's rows, oldest first: index_name, trade_date, and all columns of `VALUES`.

    Columns that the file does not have are null. Levels are in index points, the dividend yield is in percent.

    Raises:
        FormatError: the header is unknown, the file is truncated or has no rows, a date or number is malformed, a row
            has no value, or a date occurs twice.
    """
    lines = container.lines(name, content)
    header = tuple(field.strip().strip('"') for field in lines[0].split(","))
    if header not in HEADERS:
        known = "; ".join(",".join(each) for each in HEADERS)
        raise FormatError(f"{name}: unknown header {','.join(header)[:120]!r}; known headers: {known}")
    columns = HEADERS[header]
    patterns = {"Date": (r"\d{2} [A-Z][a-z]{2} \d{4}", "a date as 30 Dec 2005"), **dict.fromkeys(columns, _NUMBER)}
    found = quoted_fields.read(SOURCE, name, lines, header, patterns)
    if found.rejected.height:
        shown = [f"line {row[0]}: {row[1][0]}" for row in found.rejected.head(_SHOWN).iter_rows()]
        raise FormatError(
            f"{name}: {found.rejected.height} of {quantity(found.row_count, 'row')} are malformed: {'; '.join(shown)}"
        )
    values = [
        pl.when(pl.col(text) != "-").then(text).cast(pl.Float64).alias(column) for text, column in columns.items()
    ]
    absent = [pl.lit(None, pl.Float64).alias(column) for column in VALUES if column not in columns.values()]
    dates = pl.Series("trade_date", [_date(name, text) for text in found.rows["Date"]], dtype=pl.Date)
    rows = found.rows.select(pl.col(header[0]).alias("index_name"), dates, *values, *absent).sort("trade_date")
    if not rows.height:
        raise FormatError(f"{name}: no rows; the file is empty or cut off")
    if rows.filter(pl.all_horizontal(pl.col(*columns.values()).is_null())).height:
        raise FormatError(f"{name}: a row has no value")
    if rows["index_name"].n_unique() != 1 or rows["trade_date"].is_duplicated().any():
        raise FormatError(f"{name}: expected one index and each date once")
    return rows.select("index_name", "trade_date", *VALUES)


def _date(name: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%d %b %Y").date()  # noqa: DTZ007 - a date has no time zone
    except ValueError as error:
        raise FormatError(f"{name}: {text!r} is not a date") from error
