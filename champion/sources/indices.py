"""The index closes of a session, `ind_close_all`: 13 columns, `-` for null, and dates in three spellings.

Dates are DD-MM-YYYY, DD/MM/YYYY from 2014-06 to 2015-06, and month first on 2023-04-06, -10 and -11. A date is read day
first, unless only month first gives the requested session. This cannot accept a stale answer: its date is a few days
older, never the requested one with day and month swapped.
"""

from dataclasses import replace
from datetime import date
from functools import partial

import polars as pl

from champion.sources import table
from champion.sources.parse import read
from champion.sources.table import Format, Publication, Published

SOURCE = "nse_index_closes"
_RAW_NAMES = {
    "Index Name": "Index_Name",
    "Index Date": "Index_Date",
    "Open Index Value": "Open_Index_Value",
    "High Index Value": "High_Index_Value",
    "Low Index Value": "Low_Index_Value",
    "Closing Index Value": "Closing_Index_Value",
    "Points Change": "Points_Change",
    "Change(%)": "Change_Percent",
    "Volume": "Volume",
    "Turnover (Rs. Cr.)": "Turnover_Rs_Cr",
    "P/E": "P_E",
    "P/B": "P_B",
    "Div Yield": "Div_Yield",
}
HEADERS = (",".join(_RAW_NAMES),)


def parse(lines: pl.Series, session: date) -> Published:
    """Return the report in its own columns, under names without spaces and signs; null where it has `-`."""
    names = list(_RAW_NAMES.values())
    found = table.read(SOURCE, lines, names, len(names))
    asked, text = pl.lit(session), pl.col("Index_Date")  # a text that is not a date stays: validation reports it
    spelled = text.str.replace_all("/", "-", literal=True)
    day_first, month_first = (spelled.str.to_date(order, strict=False) for order in ("%d-%m-%Y", "%m-%d-%Y"))
    swapped = month_first.eq(asked).fill_null(value=False) & day_first.ne(asked).fill_null(value=True)
    rows = found.rows.with_columns(
        *(pl.when(pl.col(name) != "-").then(name) for name in names[2:]),
        Index_Date=pl.when(swapped).then(asked).otherwise(day_first).dt.to_string("iso").fill_null(text),
    )
    return replace(found, rows=rows)


FORMAT = Format(SOURCE, HEADERS, "Index_Date", parse)


def index_paths(session: date) -> list[str]:
    """Return the path of a session's index closes.

    >>> index_paths(date(2024, 1, 15))
    ['content/indices/ind_close_all_15012024.csv']
    """
    return [f"content/indices/ind_close_all_{session:%d%m%Y}.csv"]


INDEX_CLOSES = Publication("index closes", index_paths, partial(read, formats=(FORMAT,)))
