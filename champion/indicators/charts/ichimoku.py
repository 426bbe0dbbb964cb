"""Ichimoku: five lines from the middles of ranges; here only what is known at the close of each bar.

A chart draws the two leading spans 26 bars ahead of their computation, and the lagging span 26 bars back. The cloud of
a bar is therefore computed 26 bars earlier. The lagging span at an earlier bar is the present close, which was not
known there: `ichimoku_chikou` compares both at the present bar instead. Hosoda, Ichimoku Kinko Hyo (1969).
"""

from __future__ import annotations

import polars as pl

from champion.indicators.channels import donchian_middle
from champion.indicators.numeric.mechanics import PRICE_UNIT, divide, highest, lowest, units

TURNING, BASE, LEADING, SHIFT = 9, 26, 52, 26


def ichimoku_tenkan(high: pl.Expr, low: pl.Expr) -> pl.Expr:
    """Return the turning line, the middle of the range of 9 bars, in rupees; null on the first 8 rows.

    >>> bars = pl.DataFrame({"high": [12.0] * 9, "low": [10.0] * 8 + [9.0]})
    >>> bars.select(ichimoku_tenkan(pl.col("high"), pl.col("low"))).to_series()[8]
    10.5
    """
    return donchian_middle(high, low, TURNING)


def ichimoku_kijun(high: pl.Expr, low: pl.Expr) -> pl.Expr:
    """Return the base line, the middle of the range of 26 bars, in rupees; null on the first 25 rows.

    >>> bars = pl.DataFrame({"high": [12.0] * 26, "low": [9.0] + [10.0] * 25})
    >>> bars.select(ichimoku_kijun(pl.col("high"), pl.col("low"))).to_series()[25]
    10.5
    """
    return donchian_middle(high, low, BASE)


def ichimoku_span_a(high: pl.Expr, low: pl.Expr) -> pl.Expr:
    """Return the first edge of the bar's cloud, in rupees: the mean of both lines 26 bars earlier.

    Null on the first 51 rows.

    >>> bars = pl.DataFrame({"high": [12.0] * 52, "low": [10.0] * 52})
    >>> bars.select(ichimoku_span_a(pl.col("high"), pl.col("low"))).to_series().to_list()[50:]
    [None, 11.0]
    """
    top, bottom = units(high), units(low)
    total = highest(top, TURNING) + lowest(bottom, TURNING) + highest(top, BASE) + lowest(bottom, BASE)
    return divide(total.shift(SHIFT), 4 * PRICE_UNIT)


def ichimoku_span_b(high: pl.Expr, low: pl.Expr) -> pl.Expr:
    """Return the second edge of the bar's cloud, in rupees: the middle of the range of 52 bars, 26 bars earlier.

    Null on the first 77 rows.

    >>> bars = pl.DataFrame({"high": [12.0] * 78, "low": [10.0] * 78})
    >>> bars.select(ichimoku_span_b(pl.col("high"), pl.col("low"))).to_series().to_list()[76:]
    [None, 11.0]
    """
    return donchian_middle(high, low, LEADING).shift(SHIFT)


def ichimoku_chikou(close: pl.Expr) -> pl.Expr:
    """Return the close over the close 26 bars before, less 1: whether the lagging span lies above the price there.

    Null on the first 26 rows.

    >>> pl.DataFrame({"close": [10.0] * 26 + [11.0]}).select(ichimoku_chikou(pl.col("close"))).to_series().round(4)[26]
    0.1
    """
    return close / close.shift(SHIFT) - 1
