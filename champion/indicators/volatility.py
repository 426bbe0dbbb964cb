"""Volatility indicators: Bollinger bands and the average true range."""

from __future__ import annotations

import polars as pl

from champion.indicators._mechanics import PRICE_UNIT, divide, mean_rupees, rupees, seeded_ewm, units
from champion.indicators.trend import sma


def bollinger_upper(close: pl.Expr, window: int = 20, deviations: float = 2.0) -> pl.Expr:
    """Return the upper Bollinger band: the middle plus `deviations` standard deviations, in rupees.

    The standard deviation is that of the population. Null on the first `window` - 1 rows. TA-Lib BBANDS (simple).
    """
    return sma(close, window) + deviations * standard_deviation(close, window)


def bollinger_middle(close: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the middle Bollinger band, the simple moving average, in rupees."""
    return sma(close, window)


def bollinger_lower(close: pl.Expr, window: int = 20, deviations: float = 2.0) -> pl.Expr:
    """Return the lower Bollinger band: the middle less `deviations` standard deviations, in rupees."""
    return sma(close, window) - deviations * standard_deviation(close, window)


def bollinger_width(close: pl.Expr, window: int = 20, deviations: float = 2.0) -> pl.Expr:
    """Return the upper less the lower Bollinger band over the middle, a decimal that is never negative."""
    return 2 * deviations * standard_deviation(close, window) / sma(close, window)


def standard_deviation(price: pl.Expr, window: int) -> pl.Expr:
    """Return the population standard deviation of the last `window` prices, in rupees; null until there are as many.

    Exact up to its square root: squares of price units outgrow 64 bits, so they are summed in 128.
    """
    wide = units(price).cast(pl.Int128)
    total = wide.rolling_sum(window)
    spread = window * (wide * wide).rolling_sum(window) - total * total
    return divide(spread.cast(pl.Float64).sqrt(), PRICE_UNIT * window)


def atr(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average true range, in rupees.

    Null on the first `window` rows: the first session has no true range. It starts as the mean of the first `window`
    true ranges and then follows (average * (window - 1) + range) / window. TA-Lib ATR.
    """
    ranges = _true_range(high, low, close)
    return seeded_ewm(rupees(ranges), seed=mean_rupees(ranges, window), row=window, alpha=1 / window)


def _true_range(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the true range in price units; null on the first row."""
    top, bottom, before = units(high), units(low), units(close).shift(1)
    widest = pl.max_horizontal(top - bottom, (top - before).abs(), (bottom - before).abs())
    return pl.when(before.is_not_null()).then(widest)
