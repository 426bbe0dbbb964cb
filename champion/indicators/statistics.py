"""Rolling statistics: score and rank of a value within its window, beta and correlation of two series.

Values are rounded to whole grains, so the sums of a window are exact and depend on the window alone. `unit` is the
number of grains in 1: `PRICE_UNIT` for prices in rupees, `RETURN_UNIT` for returns and other decimals, 1 for shares. A
value of 2**63 / `window` grains or more (for 60 sessions, a return of 27,300%) counts as missing.
"""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import RETURN_UNIT, divide, grains, sharing, spread


def rolling_zscore(values: pl.Expr, window: int = 20, *, unit: int) -> pl.Expr:
    """Return the value less the mean of the last `window` values, over their population standard deviation.

    Its absolute value is at most (window - 1)^0.5. Null on the first `window` - 1 rows, where a value of the window is
    missing and where all are equal. For the close it is the position between the Bollinger bands.

    >>> from champion.indicators import PRICE_UNIT
    >>> closes = pl.DataFrame({"close": [1.0, 2.0, 3.0]})
    >>> closes.select(rolling_zscore(pl.col("close"), 2, unit=PRICE_UNIT)).to_series().to_list()
    [None, 1.0, 1.0]
    """
    whole = grains(values, unit, window)
    variance = spread(whole, whole, window).cast(pl.Float64)
    distance = (window * whole - whole.rolling_sum(window)).cast(pl.Float64)
    return pl.when(variance > 0).then(distance / variance.sqrt())


def rolling_rank(values: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the rank of the value among the last `window` values over `window`: above 0, and 1 for the highest.

    Equal values share their average rank. Null on the first `window` - 1 rows and where a value of the window is
    missing. Qlib Rank; pandas rolling rank(pct=True).

    >>> pl.DataFrame({"close": [1.0, 3.0, 2.0, 2.0]}).select(rolling_rank(pl.col("close"), 3)).to_series().to_list()
    [None, None, 0.6666666666666666, 0.5]
    """
    return divide(values.rolling_rank(window, method="average"), window)


def beta(returns: pl.Expr, market: pl.Expr, window: int = 60, *, unit: int = RETURN_UNIT) -> pl.Expr:
    """Return the covariance of `returns` and `market` returns over the variance of the latter, of the last `window`.

    Both are simple returns of the same sessions, as decimals. Null until there are `window` pairs and where a value of
    the window is missing; 0 where the market is constant. TA-Lib BETA, which takes the two prices, the market's first;
    Sharpe, Journal of Finance 19 (1964). The error is about 1.8e-15, the rounding of returns, over the market's
    standard deviation.

    >>> returns = pl.DataFrame({"stock": [0.02, -0.02, 0.04], "market": [0.01, -0.01, 0.02]})
    >>> returns.select(beta(pl.col("stock"), pl.col("market"), 3)).to_series().round(9).to_list()
    [None, None, 2.0]
    """
    own, of_market = pl.field("x"), pl.field("y")
    variance = spread(of_market, of_market, window).cast(pl.Float64)
    slope = spread(own, of_market, window).cast(pl.Float64) / variance
    return _of_pairs(pl.when(variance == 0).then(0.0).otherwise(slope), returns, market, unit, window)


def correlation(x: pl.Expr, y: pl.Expr, window: int = 60, *, unit: int = RETURN_UNIT) -> pl.Expr:
    """Return Pearson's correlation of the last `window` pairs, -1 to 1.

    Null until there are `window` pairs and where a value of the window is missing; 0 where x or y is constant. TA-Lib
    CORREL.

    >>> pairs = pl.DataFrame({"x": [0.01, 0.02, 0.04], "y": [0.03, 0.02, 0.0]})
    >>> pairs.select(correlation(pl.col("x"), pl.col("y"), 3)).to_series().round(9).to_list()
    [None, None, -1.0]
    """
    left, right = pl.field("x"), pl.field("y")
    of_left, of_right = (spread(side, side, window).cast(pl.Float64) for side in (left, right))
    ratio = spread(left, right, window).cast(pl.Float64) / (of_left.sqrt() * of_right.sqrt())
    bounded = pl.when((of_left == 0) | (of_right == 0)).then(0.0).otherwise(ratio.clip(-1, 1))
    return _of_pairs(bounded, x, y, unit, window)


def _of_pairs(result: pl.Expr, x: pl.Expr, y: pl.Expr, unit: int, window: int) -> pl.Expr:
    """Evaluate `result` in the fields x and y: both in whole grains, null where either is missing."""
    left, right = pl.field("x"), pl.field("y")
    both = left.is_not_null() & right.is_not_null()
    pairs = sharing(
        pl.struct(x=pl.when(both).then(left), y=pl.when(both).then(right)),
        x=grains(x, unit, window),
        y=grains(y, unit, window),
    )
    return pairs.struct.with_fields(_result=result).struct.field("_result")
