"""An index that tests make up: dates by number, and dated lists of one-letter symbols."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from champion.market.reference.indices.membership import LISTS_SCHEMA

INDEX, START = "NIFTY TEST", date(2020, 1, 1)


def day(number: int) -> date:
    """Return the date with a number, from 0."""
    return START + timedelta(number)


def listed(number: int, symbols: str) -> pl.DataFrame:
    """Return the list of a date; each letter is the symbol of a member."""
    rows = [
        (INDEX, day(number), None, day(number), day(number), f"NSE:{one}", one, f"ISIN{one}", f"{one} Ltd.", False)
        for one in symbols
    ]
    return pl.DataFrame(rows, LISTS_SCHEMA, orient="row")
