"""Recursive indicators a bar at a time: what each remembers, what it takes in with one more bar, what it then says.

Moved by what it takes in, a mean is to the last bit what the indicator gives over the whole series: it moves by
alpha * (value - mean), computed in this order, as Polars' `ewm_mean` does.
"""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import rupees, units, widest_units, wilder_mean
from champion.indicators.trend import ema_from


def macd_fast(close: pl.Expr, fast: int = 12, slow: int = 26) -> pl.Expr:
    """Return MACD's fast average in rupees: seeded where the slow one starts, so not `ema(close, fast)`."""
    return ema_from(close, fast, count=slow)


def average_gain(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average gain, in price units; null on the first `window` rows."""
    return wilder_mean(_gain(units(close).diff()), window)


def average_loss(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average loss, in price units, never negative; null on the first `window` rows."""
    return wilder_mean(_gain(-units(close).diff()), window)


def gain(close_before: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return by how much the close rose, in price units (Float64), 0 where it fell: what `average_gain` takes in.

    With both closes swapped it is the loss.

    >>> pl.select(gain(pl.lit(10.0), pl.lit(10.5))).item()
    5000.0
    """
    return _gain(units(close) - units(close_before)).cast(pl.Float64)


def rsi_of(gain: pl.Expr, loss: pl.Expr) -> pl.Expr:
    """Return the relative strength index that average gain and loss make, 0 to 100; null where they are."""
    index = pl.when(gain + loss == 0).then(0.0).otherwise(100 * (gain / (gain + loss)))
    return pl.when(gain.is_not_null()).then(index)


def range_after(close_before: pl.Expr, high: pl.Expr, low: pl.Expr) -> pl.Expr:
    """Return the true range of one more bar, in rupees: what the average true range takes in.

    >>> bar = pl.DataFrame({"last": [10.5], "high": [12.0], "low": [11.5]})
    >>> bar.select(range_after(pl.col("last"), pl.col("high"), pl.col("low"))).item()
    1.5
    """
    return rupees(widest_units(units(close_before), units(high), units(low)))


def signed_volume(close_before: pl.Expr, close: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return what on-balance volume takes in, in shares (Int64): the volume, negative where the close fell.

    >>> pl.select(signed_volume(pl.lit(10.5), pl.lit(10.0), pl.lit(7))).item()
    -7
    """
    return (units(close) - units(close_before)).sign() * volume


def _gain(change: pl.Expr) -> pl.Expr:
    return change.clip(lower_bound=0)
