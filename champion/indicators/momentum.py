"""Momentum indicators: relative strength, MACD and the slow stochastic."""

from __future__ import annotations

import polars as pl

from champion.indicators._mechanics import divide, from_row, seeded_ewm, units
from champion.indicators.trend import ema, ema_from

_GRAIN = 2**40
"""Grains in one point of the raw stochastic: whole grains can be summed exactly, and one is 1e-12."""


def rsi(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's relative strength index, 0 to 100.

    Null on the first `window` rows; 0 while no close has moved since the first. The average gain and loss start as
    the mean of the first `window` changes and then follow (average * (window - 1) + change) / window. TA-Lib RSI;
    Wilder, New Concepts in Technical Trading Systems (1978).
    """
    change = units(close).diff()
    gain = _wilder_mean(change.clip(lower_bound=0), window)
    loss = _wilder_mean((-change).clip(lower_bound=0), window)
    return pl.when(gain + loss == 0).then(0.0).otherwise(100 * (gain / (gain + loss)))


def _wilder_mean(change: pl.Expr, window: int) -> pl.Expr:
    """Return Wilder's average of a change that is null on row 0."""
    first = divide(change.rolling_sum(window), window)
    return seeded_ewm(change.cast(pl.Float64), seed=first, row=window, alpha=1 / window)


def macd(close: pl.Expr, fast: int = 12, slow: int = 26, signal: int = 9) -> pl.Expr:
    """Return the fast less the slow exponential moving average, in rupees.

    Null on the first `slow` + `signal` - 2 rows, where the signal is null too. Both averages are seeded on the row
    where the slow one starts, so the fast one is not `ema(close, fast)`. TA-Lib MACD.
    """
    return from_row(slow + signal - 2, _macd_line(close, fast, slow))


def macd_signal(close: pl.Expr, fast: int = 12, slow: int = 26, signal: int = 9) -> pl.Expr:
    """Return the exponential moving average of MACD with the given `signal` span, in rupees.

    Null on the first `slow` + `signal` - 2 rows; seeded with the simple average of the first `signal` values of MACD.
    """
    line = _macd_line(close, fast, slow)
    return seeded_ewm(line, seed=line.rolling_mean(signal), row=slow + signal - 2, alpha=2 / (signal + 1))


def macd_histogram(close: pl.Expr, fast: int = 12, slow: int = 26, signal: int = 9) -> pl.Expr:
    """Return MACD less its signal, in rupees; null where they are."""
    return macd(close, fast, slow, signal) - macd_signal(close, fast, slow, signal)


def _macd_line(close: pl.Expr, fast: int, slow: int) -> pl.Expr:
    return ema_from(close, fast, row=slow - 1) - ema(close, slow)


def stochastic_k(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14, k: int = 3, d: int = 3) -> pl.Expr:
    """Return the slow stochastic %K, 0 to 100: where the close lies in the range of the last `window` sessions.

    The raw value, 0 where high and low are equal throughout, is averaged over `k` sessions. Null on the first
    `window` + `k` + `d` - 3 rows, where %D is null too. TA-Lib STOCH (window, k, simple, d, simple).
    """
    total = _raw_stochastic(high, low, close, window).rolling_sum(k)
    return from_row(window + k + d - 3, divide(total, _GRAIN * k))


def stochastic_d(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14, k: int = 3, d: int = 3) -> pl.Expr:
    """Return the slow stochastic %D, 0 to 100: the simple average of %K over `d` sessions; null where %K is."""
    total = _raw_stochastic(high, low, close, window).rolling_sum(k).rolling_sum(d)
    return divide(total, _GRAIN * k * d)


def _raw_stochastic(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int) -> pl.Expr:
    """Return the raw (fast) %K in whole grains."""
    highest, lowest = units(high).rolling_max(window), units(low).rolling_min(window)
    position = 100 * (units(close) - lowest) / (highest - lowest)
    raw = pl.when(highest == lowest).then(0.0).otherwise(position)
    return (raw * _GRAIN).round().cast(pl.Int64)
