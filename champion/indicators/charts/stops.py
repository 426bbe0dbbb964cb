"""Supertrend: a stop that follows the price at a multiple of the average true range."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from champion.indicators.numeric.mechanics import PRICE_UNIT
from champion.indicators.numeric.recurrence import BARS, Array, Columns, Recurrence

STATE = tuple(f"supertrend{name}" for name in ("_close", "_ranges", "_atr", "_upper", "_lower", "_direction", ""))
"""The columns of the state: the last close and the sum of true ranges in whole price units, the rest in rupees."""


def supertrend(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 10, ranges: float = 3.0) -> pl.Expr:
    """Return the Supertrend stop, in rupees: below the price in an upward trend, above it in a downward one.

    The bands lie `ranges` average true ranges (`atr`, `window`) above and below the middle of the session's range. The
    upper band falls and the lower one rises; each is released once a close was beyond it. The trend turns when the
    close crosses the band that it follows. It starts downward. Null on the first `window` rows; bars with a null are
    null and skipped. Seban; the rules of TradingView's `ta.supertrend`, whose average true range also counts the first
    bar. Recursive.

    >>> bars = pl.DataFrame({"high": [11.0, 12.0, 12.5], "low": [10.0, 11.0, 12.0], "close": [10.5, 11.5, 12.4]})
    >>> bars.select(supertrend(*(pl.col(name) for name in bars.columns), 1, 0.5)).to_series().to_list()
    [None, 12.25, 11.75]
    """
    return _column("supertrend", high, low, close, window, ranges)


def supertrend_direction(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 10, ranges: float = 3.0) -> pl.Expr:
    """Return the direction of `supertrend` (Int32): 1 upward, -1 downward; null where it is. Recursive.

    TradingView's `ta.supertrend` has the opposite sign.

    >>> bars = pl.DataFrame({"high": [11.0, 12.0, 12.5], "low": [10.0, 11.0, 12.0], "close": [10.5, 11.5, 12.4]})
    >>> bars.select(supertrend_direction(*(pl.col(name) for name in bars.columns), 1, 0.5)).to_series().to_list()
    [None, -1, 1]
    """
    return _column("supertrend_direction", high, low, close, window, ranges).cast(pl.Int32)


def recurrence(window: int, ranges: float) -> Recurrence:
    """Return the recurrence of `supertrend`; its state has the stop and the direction."""
    return Recurrence(STATE, ("high", "low", "close"), partial(_step, window=window, ranges=ranges))


def _column(name: str, high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int, ranges: float) -> pl.Expr:
    following = recurrence(window, ranges)
    bars = pl.struct(high=high, low=low, close=close)
    return bars.map_batches(lambda each: following.column(name, each), return_dtype=pl.Float64)


def _step(state: Columns, bar: Columns, *, window: int, ranges: float) -> Columns:
    top, bottom, close = (np.rint(bar[name] * PRICE_UNIT) for name in ("high", "low", "close"))
    before, number = state["supertrend_close"], bar[BARS]
    widest = np.maximum(top - bottom, np.maximum(np.abs(top - before), np.abs(bottom - before)))
    total = np.where(number > 1, np.nan_to_num(state["supertrend_ranges"]) + widest, 0.0)
    mean = state["supertrend_atr"] + (widest / PRICE_UNIT - state["supertrend_atr"]) * (
        1 / window
    )  # in this order, as `atr`
    atr = np.where(number == window + 1, total / (window * PRICE_UNIT), mean)
    middle = (top + bottom) / (2 * PRICE_UNIT)
    price, last = close / PRICE_UNIT, before / PRICE_UNIT
    upper = _follow(middle + ranges * atr, -state["supertrend_upper"], -last, -1.0)
    lower = _follow(middle - ranges * atr, state["supertrend_lower"], last, 1.0)
    trend = state["supertrend_direction"]
    falling = np.where(price > upper, 1.0, -1.0)
    rising = np.where(price < lower, -1.0, 1.0)
    direction = np.where(trend < 0, falling, np.where(trend > 0, rising, -1.0))
    direction = np.where(np.isnan(atr), np.nan, direction)
    total = np.where(number > window, np.nan, total)  # only the start of the average needs it
    stop = np.where(direction > 0, lower, upper)
    return dict(zip(STATE, (close, total, atr, upper, lower, direction, stop), strict=True))


def _follow(band: Array, before: Array, last: Array, sign: float) -> Array:
    """Return the band, or the one before if it is nearer to the price and the last close did not cross it.

    Of the upper band all numbers but `band` are negative, so the rules of the lower one apply.
    """
    moved = sign * band
    kept = (moved <= before) & (last >= before)
    return sign * np.where(kept, before, moved)
