"""Volume indicators: average price and volume, on-balance volume, money flow and force."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import (
    PRICE_UNIT,
    after_known,
    divide,
    exp_mean,
    known_so_far,
    sharing,
    units,
)

_GRAIN = 2**52
"""Grains per share of money flow: sums of whole grains are exact in any order."""


def vwap(turnover: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return the session's own volume-weighted average price, turnover over volume, in rupees; null without volume.

    The AVG_PRICE of the exchange's bhavcopy, unrounded; charts compute VWAP from minutes instead.

    >>> bars = pl.DataFrame({"turnover": [1050.0, 0.0], "volume": [100, 0]})
    >>> bars.select(vwap(pl.col("turnover"), pl.col("volume"))).to_series().to_list()
    [10.5, None]
    """
    return pl.when(volume > 0).then(turnover / volume)


def obv(close: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return on-balance volume in shares (Int64), from the first row on.

    It starts with the first volume, adds the volume of sessions that close higher and subtracts that of sessions that
    close lower. Its level depends on the start of the history; its changes do not. Null only where an input is. TA-Lib
    OBV; Granville, New Key to Stock Market Profits (1963). Recursive.

    >>> bars = pl.DataFrame({"close": [10.0, 11.0, 11.0, 10.5], "volume": [5, 10, 20, 7]})
    >>> bars.select(obv(pl.col("close"), pl.col("volume"))).to_series().to_list()
    [5, 15, 15, 8]
    """
    known = pl.when(close.is_not_null()).then(volume)
    first = (known_so_far(known) == 1) & known.is_not_null()
    return pl.when(first).then(volume).otherwise(units(close).diff().sign() * volume).cum_sum()


def volume_ma(volume: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the simple average of volume over the last `window` sessions, in shares.

    Null on the first `window` - 1 rows. TA-Lib SMA of volume.

    >>> pl.DataFrame({"volume": [10, 20, 40]}).select(volume_ma(pl.col("volume"), 2)).to_series().to_list()
    [None, 15.0, 30.0]
    """
    return divide(volume.rolling_sum(window), window)


def accumulation_distribution(high: pl.Expr, low: pl.Expr, close: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return the accumulation/distribution line in shares, from the first row on.

    The running sum of volume times ((close - low) - (high - close)) / (high - low), which is 0 for a
    session without range. Its level depends on the start of the history; its changes do not. Exact to 1e-14 of the
    summed volumes. Null only where an input is. TA-Lib AD; Chaikin. Recursive.

    >>> bars = pl.DataFrame({"high": [12.0, 12.0], "low": [10.0, 10.0], "close": [12.0, 10.5], "volume": [100, 10]})
    >>> bars.select(accumulation_distribution(*(pl.col(name) for name in bars.columns))).to_series().to_list()
    [100.0, 95.0]
    """
    return _shares(_money_flow(high, low, close, volume).cum_sum())


def chaikin_oscillator(
    high: pl.Expr, low: pl.Expr, close: pl.Expr, volume: pl.Expr, fast: int = 3, slow: int = 10
) -> pl.Expr:
    """Return the fast less the slow exponential average of `accumulation_distribution`, in shares.

    Null on the first `slow` - 1 rows; both averages start with the line's first value. TA-Lib ADOSC. Recursive.

    >>> bars = pl.DataFrame({"high": [12.0, 12.0], "low": [10.0, 10.0], "close": [12.0, 10.5], "volume": [100, 10]})
    >>> bars.select(chaikin_oscillator(*(pl.col(name) for name in bars.columns), 1, 2)).to_series().round(4).to_list()
    [None, -1.6667]
    """
    line = pl.field("line")
    quick, calm = (line.ewm_mean(alpha=2 / (span + 1), adjust=False, ignore_nulls=True) for span in (fast, slow))
    return after_known(slow - 1, sharing(quick - calm, line=accumulation_distribution(high, low, close, volume)))


def chaikin_money_flow(high: pl.Expr, low: pl.Expr, close: pl.Expr, volume: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the money flow of the last `window` sessions (see `accumulation_distribution`) over their volume, -1 to 1.

    Null on the first `window` - 1 rows and without volume in the window. Chaikin.

    >>> bars = pl.DataFrame({"high": [12.0, 12.0], "low": [10.0, 10.0], "close": [12.0, 10.5], "volume": [90, 10]})
    >>> bars.select(chaikin_money_flow(*(pl.col(name) for name in bars.columns), 2)).to_series().to_list()
    [None, 0.85]
    """
    total = volume.rolling_sum(window)
    flow = _shares(_money_flow(high, low, close, volume).rolling_sum(window))
    return pl.when(total > 0).then((flow / total).clip(-1, 1))


def force_index(close: pl.Expr, volume: pl.Expr, span: int = 13) -> pl.Expr:
    """Return the exponential average of the change of the close times volume, in rupees.

    Null on the first `span` rows; it starts as the mean of the first `span` products. Elder, Trading for a Living
    (1993). Recursive.

    >>> bars = pl.DataFrame({"close": [10.0, 11.0, 10.5], "volume": [5, 10, 20]})
    >>> bars.select(force_index(pl.col("close"), pl.col("volume"), 1)).to_series().to_list()
    [None, 10.0, -10.0]
    """
    force = units(close).diff().cast(pl.Int128) * volume
    return exp_mean(force, span, alpha=2 / (span + 1), unit=PRICE_UNIT)


def _money_flow(high: pl.Expr, low: pl.Expr, close: pl.Expr, volume: pl.Expr) -> pl.Expr:
    """Return volume times the close's position in the session's range, -1 to 1, in whole grains (Int128)."""
    top, bottom, last = units(high), units(low), units(close)
    still = (top <= bottom) & last.is_not_null()
    position = pl.when(top > bottom).then((2 * last - top - bottom) / (top - bottom)).when(still).then(0.0)
    return (position * _GRAIN).round().cast(pl.Int128) * volume


def _shares(flow: pl.Expr) -> pl.Expr:
    return flow.cast(pl.Float64) / _GRAIN
