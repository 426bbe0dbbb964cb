"""Recursive indicators one bar at a time: their state, the value that each bar adds, and the resulting indicator.

A mean updated by alpha * (value - mean), in this order as in Polars' `ewm_mean`, is bit for bit the value of the
indicator over the whole series.
"""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import exp_mean, rupees, units, widest_units
from champion.indicators.trend import ema_from


def macd_fast(close: pl.Expr, fast: int = 12, slow: int = 26) -> pl.Expr:
    """Return MACD's fast average in rupees: seeded where the slow one starts, unlike `ema(close, fast)`."""
    return ema_from(close, fast, count=slow)


def average_gain(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average gain, in price units; null on the first `window` rows."""
    return exp_mean(_gain(units(close).diff()), window, alpha=1 / window)


def average_loss(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average loss, in price units, never negative; null on the first `window` rows."""
    return exp_mean(_gain(-units(close).diff()), window, alpha=1 / window)


def gain(close_before: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the rise of the close in price units (Float64), 0 if it fell: the value that `average_gain` averages.

    With both closes swapped it is the loss.

    >>> pl.select(gain(pl.lit(10.0), pl.lit(10.5))).item()
    5000.0
    """
    return _gain(units(close) - units(close_before)).cast(pl.Float64)


def rsi_of(gain: pl.Expr, loss: pl.Expr) -> pl.Expr:
    """Return the relative strength index of an average gain and loss, 0 to 100; null where they are."""
    index = pl.when(gain + loss == 0).then(0.0).otherwise(100 * (gain / (gain + loss)))
    return pl.when(gain.is_not_null()).then(index)


def range_after(close_before: pl.Expr, high: pl.Expr, low: pl.Expr) -> pl.Expr:
    """Return the true range of one more bar, in rupees: the value that the average true range averages.

    >>> bar = pl.DataFrame({"last": [10.5], "high": [12.0], "low": [11.5]})
    >>> bar.select(range_after(pl.col("last"), pl.col("high"), pl.col("low"))).item()
    1.5
    """
    return rupees(widest_units(units(close_before), units(high), units(low)))


def signed_volume(close_before: pl.Expr, close: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return the change of on-balance volume in shares (Int64): the volume, negative if the close fell.

    >>> pl.select(signed_volume(pl.lit(10.5), pl.lit(10.0), pl.lit(7))).item()
    -7
    """
    return (units(close) - units(close_before)).sign() * volume


def _gain(change: pl.Expr) -> pl.Expr:
    return change.clip(lower_bound=0)
