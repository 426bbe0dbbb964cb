"""Stochastics, slow, fast and of the RSI: the position of the close, or of the RSI, in its recent range."""

from __future__ import annotations

import polars as pl

from champion.indicators.momentum import rsi
from champion.indicators.numeric.mechanics import after_known, divide, highest, lowest, sharing, units

GRAIN = 2**40
"""Grains in one point of the raw stochastic: sums of whole grains are exact, and a grain is about 1e-12."""

_STILL = 1e-9
"""In points of RSI: smaller changes are rounding error and count as none."""


def stochastic_k(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14, k: int = 3, d: int = 3) -> pl.Expr:
    """Return the slow stochastic %K, 0 to 100: the position of the close in the range of the last `window` sessions.

    The raw value, 0 where high and low are equal throughout, is averaged over `k` sessions. Null on the first
    `window` + `k` + `d` - 3 rows, where %D is null too. TA-Lib STOCH (window, k, simple, d, simple); Lane, Stocks &
    Commodities (1984).

    >>> bars = pl.DataFrame({"high": [12.0, 13.0], "low": [10.0, 11.0], "close": [11.0, 12.25]})
    >>> bars.select(stochastic_k(pl.col("high"), pl.col("low"), pl.col("close"), 2, 1, 1)).to_series().to_list()
    [None, 75.0]
    """
    return _slow_k(_raw_stochastic(high, low, close, window).rolling_sum(k), k, d)


def stochastic_d(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14, k: int = 3, d: int = 3) -> pl.Expr:
    """Return the slow stochastic %D, 0 to 100: the simple average of %K over `d` sessions; null where %K is.

    TA-Lib STOCH.

    >>> bars = pl.DataFrame({"high": [12.0, 13.0, 13.0], "low": [10.0, 11.0, 9.0], "close": [11.0, 12.25, 10.0]})
    >>> bars.select(stochastic_d(pl.col("high"), pl.col("low"), pl.col("close"), 2, 1, 2)).to_series().to_list()
    [None, None, 50.0]
    """
    return _slow_d(_raw_stochastic(high, low, close, window).rolling_sum(k), k, d)


def slow_stochastic(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14, k: int = 3, d: int = 3) -> pl.Expr:
    """Return the slow stochastics together as a struct of k and d, 0 to 100, at half the cost.

    The values equal `stochastic_k` and `stochastic_d`. TA-Lib STOCH.

    >>> bars = pl.DataFrame({"high": [12.0, 13.0], "low": [10.0, 11.0], "close": [11.0, 12.25]})
    >>> bars.select(slow_stochastic(pl.col("high"), pl.col("low"), pl.col("close"), 2, 1, 1)).to_series()[1]
    {'k': 75.0, 'd': 75.0}
    """
    total = pl.field("total")
    both = pl.struct(k=_slow_k(total, k, d), d=_slow_d(total, k, d))
    return sharing(both, total=_raw_stochastic(high, low, close, window).rolling_sum(k))


def _slow_k(total: pl.Expr, k: int, d: int) -> pl.Expr:
    return after_known(d - 1, divide(total, GRAIN * k))


def _slow_d(total: pl.Expr, k: int, d: int) -> pl.Expr:
    return divide(total.rolling_sum(d), GRAIN * k * d)


def _raw_stochastic(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int) -> pl.Expr:
    """Return the raw (fast) %K in whole grains."""
    bottom, reach = pl.field("bottom"), pl.field("top") - pl.field("bottom")
    position = 100 * (pl.field("last") - bottom) / reach
    raw = pl.when(reach == 0).then(0.0).otherwise(position)
    whole = (raw * GRAIN).round().cast(pl.Int64)
    return sharing(whole, top=highest(units(high), window), bottom=lowest(units(low), window), last=units(close))


def stochastic_fast_k(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14, d: int = 3) -> pl.Expr:
    """Return the fast stochastic %K, 0 to 100: the position of the close in the range of the last `window` sessions.

    0 where high and low are equal throughout. Null on the first `window` + `d` - 2 rows, where %D is null too. TA-Lib
    STOCHF (window, d, simple); Lane, Stocks & Commodities (1984).

    >>> bars = pl.DataFrame({"high": [12.0, 13.0], "low": [10.0, 11.0], "close": [11.0, 12.25]})
    >>> bars.select(stochastic_fast_k(pl.col("high"), pl.col("low"), pl.col("close"), 2, 1)).to_series().to_list()
    [None, 75.0]
    """
    return after_known(d - 1, divide(_raw_stochastic(high, low, close, window), GRAIN))


def stochastic_fast_d(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14, d: int = 3) -> pl.Expr:
    """Return the fast stochastic %D, 0 to 100: the simple average of fast %K over `d` sessions; null where %K is.

    TA-Lib STOCHF.

    >>> bars = pl.DataFrame({"high": [12.0, 13.0, 13.0], "low": [10.0, 11.0, 9.0], "close": [11.0, 12.25, 10.0]})
    >>> bars.select(stochastic_fast_d(pl.col("high"), pl.col("low"), pl.col("close"), 2, 2)).to_series().to_list()
    [None, None, 50.0]
    """
    return divide(_raw_stochastic(high, low, close, window).rolling_sum(d), GRAIN * d)


def stochastic_rsi_k(close: pl.Expr, window: int = 14, k: int = 5, d: int = 3) -> pl.Expr:
    """Return the position of the RSI of `window` in its range of the last `k` sessions, 0 to 100.

    0 where the RSI changed by less than 1e-9 points: for a constant price its changes are rounding errors, which TA-Lib
    magnifies. Null on the first `window` + `k` + `d` - 2 rows. TA-Lib STOCHRSI (window, k, d, simple), its fast %K;
    Chande and Kroll, The New Technical Trader (1994). Recursive, as `rsi` is.

    >>> closes = pl.DataFrame({"close": [10.0, 11.0, 10.0, 10.5]})
    >>> closes.select(stochastic_rsi_k(pl.col("close"), 2, 2, 1)).to_series().to_list()
    [None, None, None, 100.0]
    """
    return after_known(d - 1, divide(_raw_stochastic_rsi(close, window, k), GRAIN))


def stochastic_rsi_d(close: pl.Expr, window: int = 14, k: int = 5, d: int = 3) -> pl.Expr:
    """Return the simple average of `stochastic_rsi_k` over `d` sessions, 0 to 100; null where that is.

    TA-Lib STOCHRSI, its fast %D. Recursive.

    >>> closes = pl.DataFrame({"close": [10.0, 11.0, 10.0, 10.5, 10.0]})
    >>> closes.select(stochastic_rsi_d(pl.col("close"), 2, 2, 2)).to_series().to_list()
    [None, None, None, None, 50.0]
    """
    return divide(_raw_stochastic_rsi(close, window, k).rolling_sum(d), GRAIN * d)


def _raw_stochastic_rsi(close: pl.Expr, window: int, k: int) -> pl.Expr:
    """Return the position of the RSI in its range, in whole grains."""
    index = pl.field("index")
    top, bottom = index.rolling_max(k), index.rolling_min(k)
    position = 100 * ((index - bottom) / (top - bottom))
    raw = pl.when(top - bottom < _STILL).then(0.0).otherwise(position)
    return sharing((raw * GRAIN).round().cast(pl.Int64), index=rsi(close, window))
