"""Momentum indicators: relative strength, Chande's oscillator, MACD, PPO and TRIX."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import after_known, ema_of, sharing
from champion.indicators.numeric.state import average_gain, average_loss
from champion.indicators.trend import chained_ema, ema, ema_from


def rsi(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's relative strength index, 0 to 100.

    Null on the first `window` rows; 0 until the close first changes. The average gain and loss start as
    the mean of the first `window` changes and then follow (average * (window - 1) + change) / window. TA-Lib RSI;
    Wilder, New Concepts in Technical Trading Systems (1978). Recursive.

    >>> pl.DataFrame({"close": [10.0, 13.0, 12.0]}).select(rsi(pl.col("close"), 2)).to_series().to_list()
    [None, None, 75.0]
    """
    gain, loss = average_gain(close, window), average_loss(close, window)
    return pl.when(gain + loss == 0).then(0.0).otherwise(100 * (gain / (gain + loss)))


def cmo(close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Chande's momentum oscillator, -100 to 100: average gain less average loss, over their sum, in percent.

    0 until the close first changes; null on the first `window` rows. The averages are Wilder's, as in TA-Lib CMO, so it
    is 2 * rsi - 100; Chande and Kroll, The New Technical Trader (1994), use simple averages. Recursive.

    >>> pl.DataFrame({"close": [10.0, 13.0, 12.0]}).select(cmo(pl.col("close"), 2)).to_series().to_list()
    [None, None, 50.0]
    """
    gain, loss = pl.field("gain"), pl.field("loss")
    share = pl.when(gain + loss == 0).then(0.0).otherwise(100 * ((gain - loss) / (gain + loss)))
    return sharing(share, gain=average_gain(close, window), loss=average_loss(close, window))


def macd(close: pl.Expr, fast: int = 12, slow: int = 26, signal: int = 9) -> pl.Expr:
    """Return the fast less the slow exponential moving average, in rupees.

    Null on the first `slow` + `signal` - 2 rows, where the signal is null too. Both averages are seeded on the row
    where the slow one starts, so the fast one is not `ema(close, fast)`. TA-Lib MACD; Appel, Technical Analysis (2005).
    Recursive.

    >>> pl.DataFrame({"close": [10.0, 11.0, 12.0]}).select(macd(pl.col("close"), 1, 2, 1)).to_series().to_list()
    [None, 0.5, 0.5]
    """
    return after_known(signal - 1, _macd_line(close, fast, slow))


def macd_signal(close: pl.Expr, fast: int = 12, slow: int = 26, signal: int = 9) -> pl.Expr:
    """Return the exponential moving average of MACD with the given `signal` span, in rupees.

    Null on the first `slow` + `signal` - 2 rows; seeded with the simple average of the first `signal` values of MACD.
    TA-Lib MACD. Recursive.

    >>> closes = pl.DataFrame({"close": [10.0, 11.0, 12.0]})
    >>> closes.select(macd_signal(pl.col("close"), 1, 2, 2)).to_series().to_list()
    [None, None, 0.5]
    """
    return ema_of(_macd_line(close, fast, slow), signal)


def macd_histogram(close: pl.Expr, fast: int = 12, slow: int = 26, signal: int = 9) -> pl.Expr:
    """Return MACD less its signal, in rupees; null where they are. TA-Lib MACD. Recursive.

    >>> closes = pl.DataFrame({"close": [10.0, 11.0, 12.0]})
    >>> closes.select(macd_histogram(pl.col("close"), 1, 2, 2)).to_series().to_list()
    [None, None, 0.0]
    """
    return macd(close, fast, slow, signal) - macd_signal(close, fast, slow, signal)


def _macd_line(close: pl.Expr, fast: int, slow: int) -> pl.Expr:
    return ema_from(close, fast, count=slow) - ema(close, slow)


def ppo(close: pl.Expr, fast: int = 12, slow: int = 26) -> pl.Expr:
    """Return the percentage price oscillator: the fast less the slow exponential average, in percent of the slow one.

    Null on the first `slow` - 1 rows. Each average starts on its own row, unlike in `macd`. TA-Lib PPO with exponential
    averages (matype 1; its default are simple ones); Appel, Technical Analysis (2005).

    >>> pl.DataFrame({"close": [10.0, 11.0, 12.0]}).select(ppo(pl.col("close"), 1, 2)).to_series().round(4).to_list()
    [None, 4.7619, 4.3478]
    """
    return 100 * (ema(close, fast) - ema(close, slow)) / ema(close, slow)


def trix(close: pl.Expr, span: int = 30) -> pl.Expr:
    """Return the change of the triple exponential moving average over one session, in percent.

    Null on the first 3 * (`span` - 1) + 1 rows. TA-Lib TRIX; Hutson, Stocks & Commodities (1983).

    >>> pl.DataFrame({"close": [10.0, 11.0, 12.0]}).select(trix(pl.col("close"), 1)).to_series().round(4).to_list()
    [None, 10.0, 9.0909]
    """
    smooth, before = pl.field("smooth"), pl.field("smooth").shift(1)
    return sharing(100 * (smooth - before) / before, smooth=chained_ema(close, span, times=3))
