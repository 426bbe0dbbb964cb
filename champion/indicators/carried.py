"""Recursive indicators a bar at a time: what each remembers, how one more bar changes it, what it then says.

A step gives to the last bit what the indicator over the whole series gives: an exponential mean moves by
alpha * (value - mean), computed in this order, as Polars' `ewm_mean` does.
"""

from __future__ import annotations

import polars as pl

from champion.indicators._mechanics import rupees, units, wilder_mean
from champion.indicators.trend import ema_from


def ema_step(before: pl.Expr, price: pl.Expr, span: int) -> pl.Expr:
    """Return the exponential moving average after one more price; null where there was none before.

    >>> pl.select(ema_step(pl.lit(100.0), pl.lit(103.0), 2)).item()
    102.0
    """
    return before + (price - before) * (2 / (span + 1))


def macd_fast(close: pl.Expr, fast: int = 12, slow: int = 26) -> pl.Expr:
    """Return MACD's fast average in rupees: seeded where the slow one starts, so not `ema(close, fast)`."""
    return ema_from(close, fast, row=slow - 1)


def average_gain(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average gain, in price units; null on the first `window` rows."""
    return wilder_mean(_gain(units(close).diff()), window)


def average_loss(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average loss, in price units, never negative; null on the first `window` rows."""
    return wilder_mean(_gain(-units(close).diff()), window)


def average_gain_step(before: pl.Expr, close_before: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average gain after one more close."""
    return _wilder_step(before, _gain(units(close) - units(close_before)).cast(pl.Float64), window)


def average_loss_step(before: pl.Expr, close_before: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average loss after one more close."""
    return _wilder_step(before, _gain(units(close_before) - units(close)).cast(pl.Float64), window)


def rsi_of(gain: pl.Expr, loss: pl.Expr) -> pl.Expr:
    """Return the relative strength index that average gain and loss make, 0 to 100; null where they are."""
    index = pl.when(gain + loss == 0).then(0.0).otherwise(100 * (gain / (gain + loss)))
    return pl.when(gain.is_not_null()).then(index)


def atr_step(before: pl.Expr, close_before: pl.Expr, high: pl.Expr, low: pl.Expr, window: int = 14) -> pl.Expr:
    """Return the average true range after one more bar, in rupees."""
    top, bottom, last = units(high), units(low), units(close_before)
    widest = pl.max_horizontal(top - bottom, (top - last).abs(), (bottom - last).abs())
    return _wilder_step(before, rupees(widest), window)


def obv_step(before: pl.Expr, close_before: pl.Expr, close: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return on-balance volume after one more bar, in shares (Int64)."""
    return before + (units(close) - units(close_before)).sign() * volume


def _gain(change: pl.Expr) -> pl.Expr:
    return change.clip(lower_bound=0)


def _wilder_step(before: pl.Expr, value: pl.Expr, window: int) -> pl.Expr:
    return before + (value - before) * (1 / window)
