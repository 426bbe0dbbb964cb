"""Volatility indicators: Bollinger bands and the true range."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import PRICE_UNIT, divide, exp_mean, rupees, sharing, true_range_units, units
from champion.indicators.trend import sma

_MIDDLE, _DEVIATION = pl.field("middle"), pl.field("deviation")


def bollinger_upper(close: pl.Expr, window: int = 20, deviations: float = 2.0) -> pl.Expr:
    """Return the upper Bollinger band: the middle plus `deviations` standard deviations, in rupees.

    The standard deviation is that of the population. Null on the first `window` - 1 rows. TA-Lib BBANDS (simple);
    Bollinger, Bollinger on Bollinger Bands (2001).

    >>> pl.DataFrame({"close": [1.0, 3.0]}).select(bollinger_upper(pl.col("close"), 2)).to_series().to_list()
    [None, 4.0]
    """
    return _bands(close, window, _MIDDLE + deviations * _DEVIATION)


def bollinger_middle(close: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the middle Bollinger band, the simple moving average, in rupees; null on the first `window` - 1 rows.

    TA-Lib BBANDS.

    >>> pl.DataFrame({"close": [1.0, 3.0]}).select(bollinger_middle(pl.col("close"), 2)).to_series().to_list()
    [None, 2.0]
    """
    return sma(close, window)


def bollinger_lower(close: pl.Expr, window: int = 20, deviations: float = 2.0) -> pl.Expr:
    """Return the lower Bollinger band: the middle less `deviations` standard deviations, in rupees.

    Null on the first `window` - 1 rows; can be negative. TA-Lib BBANDS.

    >>> pl.DataFrame({"close": [1.0, 3.0]}).select(bollinger_lower(pl.col("close"), 2)).to_series().to_list()
    [None, 0.0]
    """
    return _bands(close, window, _MIDDLE - deviations * _DEVIATION)


def bollinger_width(close: pl.Expr, window: int = 20, deviations: float = 2.0) -> pl.Expr:
    """Return the upper less the lower Bollinger band over the middle, a decimal that is never negative.

    Null on the first `window` - 1 rows. Bollinger's BandWidth.

    >>> pl.DataFrame({"close": [1.0, 3.0]}).select(bollinger_width(pl.col("close"), 2)).to_series().to_list()
    [None, 2.0]
    """
    return _bands(close, window, 2 * deviations * _DEVIATION / _MIDDLE)


def bollinger(close: pl.Expr, window: int = 20, deviations: float = 2.0) -> pl.Expr:
    """Return the Bollinger bands as a struct of upper, middle, lower (rupees) and width, at a third of the cost.

    The values are those of the functions of these names; null fields on the first `window` - 1 rows. TA-Lib BBANDS.

    >>> pl.DataFrame({"close": [1.0, 3.0]}).select(bollinger(pl.col("close"), 2)).to_series()[1]
    {'upper': 4.0, 'middle': 2.0, 'lower': 0.0, 'width': 2.0}
    """
    reach, width = deviations * _DEVIATION, 2 * deviations * _DEVIATION / _MIDDLE
    return _bands(close, window, pl.struct(upper=_MIDDLE + reach, middle=_MIDDLE, lower=_MIDDLE - reach, width=width))


def standard_deviation(price: pl.Expr, window: int) -> pl.Expr:
    """Return the population standard deviation of the last `window` prices, in rupees.

    Null on the first `window` - 1 rows. Exact up to the square root: squares of price units are summed in 128 bits.
    TA-Lib STDDEV.

    >>> pl.DataFrame({"close": [1.0, 3.0]}).select(standard_deviation(pl.col("close"), 2)).to_series().to_list()
    [None, 1.0]
    """
    return _bands(price, window, _DEVIATION)


def _bands(close: pl.Expr, window: int, result: pl.Expr) -> pl.Expr:
    """Evaluate `result` in the fields middle and deviation: mean and standard deviation of the window."""
    total, wide = pl.field("total"), pl.field("total").cast(pl.Int128)
    spread = (window * pl.field("squares") - wide * wide).cast(pl.Float64)
    middle, deviation = divide(total, PRICE_UNIT * window), divide(spread.sqrt(), PRICE_UNIT * window)
    price = pl.field("price")
    square = price.cast(pl.Int128) * price
    sums = sharing(pl.struct(total=price.rolling_sum(window), squares=square.rolling_sum(window)), price=units(close))
    both = sums.struct.with_fields(middle=middle, deviation=deviation)
    return both.struct.with_fields(_result=result).struct.field("_result")


def atr(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's average true range, in rupees.

    Null on the first `window` rows: the first session has no true range. It starts as the mean of the first `window`
    true ranges and then follows (average * (window - 1) + range) / window. TA-Lib ATR; Wilder, New Concepts in
    Technical Trading Systems (1978). Recursive.

    >>> bars = pl.DataFrame({"high": [11.0, 12.0, 12.5], "low": [10.0, 11.5, 12.0], "close": [10.5, 11.5, 12.5]})
    >>> bars.select(atr(pl.col("high"), pl.col("low"), pl.col("close"), 2)).to_series().to_list()
    [None, None, 1.25]
    """
    return exp_mean(true_range_units(high, low, close), window, alpha=1 / window, unit=PRICE_UNIT)


def true_range(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the true range, in rupees: the range of the session and the previous close; null on the first row.

    TA-Lib TRANGE; Wilder, New Concepts in Technical Trading Systems (1978).

    >>> bars = pl.DataFrame({"high": [11.0, 12.0], "low": [10.0, 11.5], "close": [10.5, 11.5]})
    >>> bars.select(true_range(pl.col("high"), pl.col("low"), pl.col("close"))).to_series().to_list()
    [None, 1.5]
    """
    return rupees(true_range_units(high, low, close))


def natr(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return the average true range in percent of the close; null on the first `window` rows. TA-Lib NATR.

    >>> bars = pl.DataFrame({"high": [11.0, 12.0], "low": [10.0, 11.5], "close": [10.5, 11.5]})
    >>> bars.select(natr(pl.col("high"), pl.col("low"), pl.col("close"), 1)).to_series().round(4).to_list()
    [None, 13.0435]
    """
    return 100 * atr(high, low, close, window) / close
