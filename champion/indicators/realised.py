"""Realised volatility, annualised by 252 sessions, from closes or from the whole bar.

Logs of price ratios are rounded to 1.8e-15 (`RETURN_UNIT`), so the sum of their squares is exact and a value depends
on its window alone. A volatility differs from exact arithmetic by at most 3e-14. Windows may have up to 500 sessions.
"""

from __future__ import annotations

import math

import polars as pl

from champion.indicators.numeric.mechanics import RETURN_UNIT, divide, log_grains, spread

SESSIONS_PER_YEAR = 252
"""Sessions per year, for volatilities here and for Sharpe ratios in `champion.modeling.metrics`."""


def realised_volatility(close: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the sample standard deviation of the last `window` log returns times the root of 252, a decimal.

    Null on the first `window` rows; `window` is 2 or more. Hull, Options, Futures and Other Derivatives, chapter on
    volatility.

    >>> closes = pl.DataFrame({"close": [100.0, 101.0, 100.0]})
    >>> closes.select(realised_volatility(pl.col("close"), 2)).to_series().round(6).to_list()
    [None, None, 0.223384]
    """
    return _annual(_variance(log_grains(close, close.shift(1)), window))


def parkinson(high: pl.Expr, low: pl.Expr, window: int = 20) -> pl.Expr:
    """Return Parkinson's annualised volatility from the sessions' ranges, a decimal.

    The root of 252 * mean(log(H/L)^2) / log 16. Null on the first `window` - 1 rows. Ignores gaps between sessions.
    Parkinson, Journal of Business 53 (1980).

    >>> bars = pl.DataFrame({"high": [102.0, 103.0], "low": [100.0, 100.0]})
    >>> bars.select(parkinson(pl.col("high"), pl.col("low"), 2)).to_series().round(6).to_list()
    [None, 0.239848]
    """
    ranges = log_grains(high, low).cast(pl.Int128)
    return _annual(_mean(ranges * ranges, window) / (4 * math.log(2)))


def garman_klass(open_: pl.Expr, high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the annualised volatility of Garman and Klass from the sessions' ranges and bodies, a decimal.

    Root of 252 * mean(log(H/L)^2 / 2 - (2 log 2 - 1) * log(C/O)^2). Null on the first `window` - 1 rows. Ignores gaps
    between sessions and assumes no drift. Garman and Klass, Journal of Business 53 (1980).

    >>> bars = pl.DataFrame({"o": [100.0, 101.0], "h": [102.0, 103.0], "l": [100.0, 100.0], "c": [101.0, 102.0]})
    >>> bars.select(garman_klass(*(pl.col(name) for name in "ohlc"), 2)).to_series().round(6).to_list()
    [None, 0.264964]
    """
    ranges, bodies = log_grains(high, low).cast(pl.Int128), log_grains(close, open_).cast(pl.Int128)
    of_bodies = (2 * math.log(2) - 1) * _mean(bodies * bodies, window)
    return _annual(0.5 * _mean(ranges * ranges, window) - of_bodies)


def rogers_satchell(open_: pl.Expr, high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the annualised volatility of Rogers and Satchell, a decimal; it holds for any drift.

    Root of 252 * mean(log(H/C) * log(H/O) + log(L/C) * log(L/O)). Null on the first `window` - 1 rows. Ignores gaps
    between sessions. Rogers and Satchell, Annals of Applied Probability 1 (1991).

    >>> bars = pl.DataFrame({"o": [100.0, 101.0], "h": [102.0, 103.0], "l": [100.0, 100.0], "c": [101.0, 102.0]})
    >>> bars.select(rogers_satchell(*(pl.col(name) for name in "ohlc"), 2)).to_series().round(6).to_list()
    [None, 0.271135]
    """
    return _annual(_mean(_range_products(open_, high, low, close), window))


def yang_zhang(open_: pl.Expr, high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the annualised volatility of Yang and Zhang from gaps, bodies and ranges, a decimal; for any drift.

    The sample variance of log(O / previous C), plus k times that of log(C/O), plus 1 - k times the term of
    `rogers_satchell`, with k = 0.34 / (1.34 + (n + 1) / (n - 1)). Null on the first `window` rows; `window` is 2 or
    more. Yang and Zhang, Journal of Business 73 (2000).

    >>> bars = pl.DataFrame({"o": [10.0, 10.1, 10.3], "h": [10.2] * 2 + [10.4], "l": [10.0] * 3, "c": [10.1] * 3})
    >>> bars.select(yang_zhang(*(pl.col(name) for name in "ohlc"), 2)).to_series().round(6).to_list()
    [None, None, 0.376842]
    """
    share = 0.34 / (1.34 + (window + 1) / (window - 1))
    gaps = _variance(log_grains(open_, close.shift(1)), window)
    bodies = _variance(log_grains(close, open_), window)
    ranges = _mean(_range_products(open_, high, low, close), window)
    return _annual(gaps + share * bodies + (1 - share) * pl.when(gaps.is_not_null()).then(ranges))


def _range_products(open_: pl.Expr, high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    above = log_grains(high, close).cast(pl.Int128) * log_grains(high, open_)
    return above + log_grains(low, close).cast(pl.Int128) * log_grains(low, open_)


def _mean(products: pl.Expr, window: int) -> pl.Expr:
    """Return the mean of the last `window` products of two logs, as a decimal."""
    return divide(products.rolling_sum(window), window) / RETURN_UNIT**2


def _variance(logs: pl.Expr, window: int) -> pl.Expr:
    """Return the sample variance of the last `window` logs, as a decimal."""
    return divide(spread(logs, logs, window), window * (window - 1)) / RETURN_UNIT**2


def _annual(variance: pl.Expr) -> pl.Expr:
    return (SESSIONS_PER_YEAR * variance).sqrt()
