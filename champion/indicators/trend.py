"""Trend indicators: moving averages of a price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from champion.indicators._mechanics import mean_rupees, seeded_ewm, units

if TYPE_CHECKING:
    import polars as pl


def sma(price: pl.Expr, window: int) -> pl.Expr:
    """Return the simple moving average over the last `window` sessions, in rupees.

    Null on the first `window` - 1 rows. TA-Lib SMA.

    >>> import polars as pl
    >>> pl.DataFrame({"close": [1.0, 2.0, 4.0]}).select(sma(pl.col("close"), 2)).to_series().to_list()
    [None, 1.5, 3.0]
    """
    return mean_rupees(units(price), window)


def ema(price: pl.Expr, span: int) -> pl.Expr:
    """Return the exponential moving average with alpha = 2 / (`span` + 1), in rupees.

    Null on the first `span` - 1 rows; the first value is the simple average of the first `span` prices. TA-Lib EMA.
    """
    return ema_from(price, span, row=span - 1)


def ema_from(price: pl.Expr, span: int, *, row: int) -> pl.Expr:
    """Return the EMA seeded at the 0-based `row` with the simple average of the `span` prices that end there."""
    return seeded_ewm(price, seed=sma(price, span), row=row, alpha=2 / (span + 1))
