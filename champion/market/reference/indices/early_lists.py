"""Find index lists that name shares before their first bar: lists that are newer than their date.

An index takes a share long after its listing. So two shares whose first bar is later than the list's date show that the
list is from a later time, also if no dated change does. Bars prove nothing about dates before them, nor about shares
that they do not have.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from champion.base.counting import quantity
from champion.market.reference.indices.stale_lists import Stale
from champion.market.reference.indices.traded import Traded

MIN_EARLY = 2
"""Shares without a bar yet: one such line is in a real list, of a share that traded elsewhere before."""
_SESSIONS_BEFORE = 20  # of the market in the lake, so that a first bar is not that of the lake
_SOON = timedelta(10)  # a list may be as of a later session than the one on which a name changed
_SHOWN = 3


def early_lists(lists: pl.DataFrame, traded: Traded) -> dict[tuple[str, date], Stale]:
    """Return the reason by index and date of each list that names shares before their first bar.

    `lists` has index_name, list_date, instrument_id and symbol; instruments are those of the bars (`Traded.name`).
    """
    if len(traded.sessions) <= _SESSIONS_BEFORE:
        return {}
    first = traded.runs.group_by("instrument_id").agg(first_bar=pl.col("first").min())
    inside = pl.col("list_date").is_between(traded.sessions[_SESSIONS_BEFORE], traded.sessions[-1])
    early = (
        lists.filter(inside).join(first, on="instrument_id").filter(pl.col("first_bar") > pl.col("list_date") + _SOON)
    )
    found = early.group_by("index_name", "list_date").agg(pl.col("symbol").sort(), pl.col("first_bar").max())
    return {
        (index, day): Stale(
            f"it is from {last} or later: it names {quantity(len(symbols), 'share')} before the first bar: "
            f"{', '.join(symbols[:_SHOWN])}{', ...' * (len(symbols) > _SHOWN)}",
            None,
        )
        for index, day, symbols, last in found.iter_rows()
        if len(symbols) >= MIN_EARLY
    }
