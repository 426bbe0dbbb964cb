"""Price channels: Keltner around an average, Donchian between the extremes."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import PRICE_UNIT, divide, highest, lowest, rupees, units
from champion.indicators.trend import ema
from champion.indicators.volatility import atr


def keltner_middle(close: pl.Expr, span: int = 20) -> pl.Expr:
    """Return the middle of the Keltner channel, the exponential moving average of the close, in rupees; see `ema`.

    Null on the first `span` - 1 rows. Raschke's variant, see `keltner_upper`. Recursive.

    >>> pl.DataFrame({"close": [1.0, 2.0]}).select(keltner_middle(pl.col("close"), 2)).to_series().to_list()
    [None, 1.5]
    """
    return ema(close, span)


def keltner_upper(
    high: pl.Expr, low: pl.Expr, close: pl.Expr, span: int = 20, window: int = 10, ranges: float = 2.0
) -> pl.Expr:
    """Return the upper Keltner line: the middle plus `ranges` average true ranges of `window` sessions, in rupees.

    Null until both have values. Raschke's variant, as charts draw it: exponential average of the close and Wilder's
    true range; Keltner's own (1960) used simple averages of typical price and range. Recursive.

    >>> bars = pl.DataFrame({"high": [11.0, 12.0], "low": [10.0, 11.5], "close": [10.5, 11.5]})
    >>> bars.select(keltner_upper(pl.col("high"), pl.col("low"), pl.col("close"), 2, 1, 2.0)).to_series().to_list()
    [None, 14.0]
    """
    return ema(close, span) + ranges * atr(high, low, close, window)


def keltner_lower(
    high: pl.Expr, low: pl.Expr, close: pl.Expr, span: int = 20, window: int = 10, ranges: float = 2.0
) -> pl.Expr:
    """Return the lower Keltner line: the middle less `ranges` average true ranges, in rupees.

    Same null rows and source as `keltner_upper`. Recursive.

    >>> bars = pl.DataFrame({"high": [11.0, 12.0], "low": [10.0, 11.5], "close": [10.5, 11.5]})
    >>> bars.select(keltner_lower(pl.col("high"), pl.col("low"), pl.col("close"), 2, 1, 2.0)).to_series().to_list()
    [None, 8.0]
    """
    return ema(close, span) - ranges * atr(high, low, close, window)


def donchian_upper(high: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the highest high of the last `window` sessions, the session's own included, in rupees. TA-Lib MAX.

    Null on the first `window` - 1 rows. For a breakout, compare the price with the value of the previous session
    (`.shift(1)`).

    >>> pl.DataFrame({"high": [3.0, 2.0, 4.0]}).select(donchian_upper(pl.col("high"), 2)).to_series().to_list()
    [None, 3.0, 4.0]
    """
    return rupees(highest(units(high), window))


def donchian_lower(low: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the lowest low of the last `window` sessions, in rupees; null as `donchian_upper`. TA-Lib MIN.

    >>> pl.DataFrame({"low": [3.0, 2.0, 4.0]}).select(donchian_lower(pl.col("low"), 2)).to_series().to_list()
    [None, 2.0, 2.0]
    """
    return rupees(lowest(units(low), window))


def donchian_middle(high: pl.Expr, low: pl.Expr, window: int = 20) -> pl.Expr:
    """Return the mean of the upper and the lower Donchian line, in rupees; null where they are. TA-Lib MIDPRICE.

    >>> bars = pl.DataFrame({"high": [3.0, 2.0], "low": [1.0, 1.5]})
    >>> bars.select(donchian_middle(pl.col("high"), pl.col("low"), 2)).to_series().to_list()
    [None, 2.0]
    """
    return divide(highest(units(high), window) + lowest(units(low), window), 2 * PRICE_UNIT)
