"""Trend indicators: moving averages of a price."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import PRICE_UNIT, divide, ema_of, first_known, seeded_ewm, sharing, units


def sma(price: pl.Expr, window: int) -> pl.Expr:
    """Return the simple moving average over the last `window` sessions, in rupees.

    Null on the first `window` - 1 rows. TA-Lib SMA.

    >>> pl.DataFrame({"close": [1.0, 2.0, 4.0]}).select(sma(pl.col("close"), 2)).to_series().to_list()
    [None, 1.5, 3.0]
    """
    return divide(units(price).rolling_sum(window), PRICE_UNIT * window)


def ema(price: pl.Expr, span: int) -> pl.Expr:
    """Return the exponential moving average with alpha = 2 / (`span` + 1), in rupees.

    Null on the first `span` - 1 rows; the first value is the simple average of the first `span` prices. TA-Lib EMA.
    Recursive.

    >>> pl.DataFrame({"close": [1.0, 2.0, 4.5]}).select(ema(pl.col("close"), 2)).to_series().to_list()
    [None, 1.5, 3.5]
    """
    return ema_from(price, span, count=span)


def ema_from(price: pl.Expr, span: int, *, count: int) -> pl.Expr:
    """Return the EMA seeded on the `count`-th known price with the simple average of the `span` prices up to it.

    For prices in whole units the seed is correctly rounded. For other values, such as an indicator, it also averages
    the remainders of rounding to whole units, so it is correct to the last digits.
    """
    value = pl.field("value")
    first = first_known(value, span, skip=count - span)
    whole = units(first)
    seed = divide(whole.sum(), PRICE_UNIT * span) + (first - whole / (whole * 0 + PRICE_UNIT)).sum() / span
    return sharing(seeded_ewm(value, seed=seed, count=count, alpha=2 / (span + 1)), value=price)


def chained_ema(price: pl.Expr, span: int, *, times: int) -> pl.Expr:
    """Return the EMA applied `times` times; each is seeded with the simple average of the previous one's first values.

    Null on the first `times` * (`span` - 1) rows. The seed is a floating-point sum over an instrument's first values,
    used on one row only, so recomputation from the first bar gives the same bits.
    """
    smooth = ema(price, span)
    for _ in range(1, times):
        smooth = ema_of(smooth, span)
    return smooth


def dema(price: pl.Expr, span: int = 30) -> pl.Expr:
    """Return the double exponential moving average 2 * EMA - EMA(EMA), in rupees.

    Null on the first 2 * (`span` - 1) rows. TA-Lib DEMA; Mulloy, Stocks & Commodities (1994).

    >>> pl.DataFrame({"close": [1.0, 2.0, 4.0]}).select(dema(pl.col("close"), 2)).to_series().round(4).to_list()
    [None, None, 4.0]
    """
    return 2 * ema(price, span) - chained_ema(price, span, times=2)


def tema(price: pl.Expr, span: int = 30) -> pl.Expr:
    """Return the triple exponential moving average 3 * EMA - 3 * EMA(EMA) + EMA(EMA(EMA)), in rupees.

    Null on the first 3 * (`span` - 1) rows. TA-Lib TEMA; Mulloy, Stocks & Commodities (1994).

    >>> pl.DataFrame({"close": [1.0, 2.0, 4.0, 4.0]}).select(tema(pl.col("close"), 2)).to_series().round(4).to_list()
    [None, None, None, 4.1852]
    """
    once, twice, thrice = (chained_ema(price, span, times=times) for times in (1, 2, 3))
    return 3 * once - 3 * twice + thrice


def wma(price: pl.Expr, window: int) -> pl.Expr:
    """Return the moving average with weights 1 for the oldest to `window` for the latest price, in rupees.

    Null on the first `window` - 1 rows. TA-Lib WMA. Exact: it sums row number times price in 128 bits.

    >>> pl.DataFrame({"close": [1.0, 2.0, 4.0]}).select(wma(pl.col("close"), 3)).to_series().round(4).to_list()
    [None, None, 2.8333]
    """
    whole, row = units(price).cast(pl.Int128), pl.int_range(pl.len(), dtype=pl.Int64).cast(pl.Int128)
    total = (row * whole).rolling_sum(window) - (row - window) * whole.rolling_sum(window)
    return divide(total, PRICE_UNIT * window * (window + 1) // 2)
