"""Bars as features, labels and models see them: company shares, adjusted with the factors known on a date."""

from __future__ import annotations

from datetime import date

import polars as pl

from champion.lake import Lake
from champion.normalize import EQUITY_SERIES

BARS = "normalized_equity_ohlc"


def equity_bars(lake: Lake, start: date | None = None, end: date | None = None) -> pl.LazyFrame:
    """Return the bars of company shares as traded, ETFs among them: debt and other series carry no features."""
    return lake.scan(BARS, start, end).filter(pl.col("series").is_in(EQUITY_SERIES))
