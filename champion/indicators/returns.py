"""Returns of a price over a number of sessions: simple, log, in percent and in rupees."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import log_ratio, rupees, units


def simple_return(price: pl.Expr, window: int = 1) -> pl.Expr:
    """Return price over the price `window` sessions ago, less 1: a decimal, -1 or above.

    Null on the first `window` rows. TA-Lib ROCP.

    >>> pl.DataFrame({"close": [100.0, 110.0, 99.0]}).select(simple_return(pl.col("close"))).to_series().to_list()
    [None, 0.1, -0.1]
    """
    before = units(price).shift(window)
    return (units(price) - before) / before


def log_return(price: pl.Expr, window: int = 1) -> pl.Expr:
    """Return the natural log of price over the price `window` sessions ago, a decimal; log returns are additive.

    Null on the first `window` rows. Campbell, Lo and MacKinlay, The Econometrics of Financial Markets (1997).

    >>> pl.DataFrame({"close": [100.0, 110.0]}).select(log_return(pl.col("close"))).to_series().round(6).to_list()
    [None, 0.09531]
    """
    return log_ratio(price, price.shift(window))


def roc(price: pl.Expr, window: int = 10) -> pl.Expr:
    """Return the rate of change: `simple_return` over `window` sessions in percent; null on the first `window` rows.

    TA-Lib ROC.

    >>> pl.DataFrame({"close": [100.0, 110.0, 99.0]}).select(roc(pl.col("close"), 2)).to_series().to_list()
    [None, None, -1.0]
    """
    before = units(price).shift(window)
    return 100 * (units(price) - before) / before


def mom(price: pl.Expr, window: int = 10) -> pl.Expr:
    """Return momentum: price less the price `window` sessions ago, in rupees; null on the first `window` rows.

    TA-Lib MOM.

    >>> pl.DataFrame({"close": [100.0, 110.0, 99.0]}).select(mom(pl.col("close"), 1)).to_series().to_list()
    [None, 10.0, -11.0]
    """
    return rupees(units(price) - units(price).shift(window))
