"""Technical indicators as expressions: each takes columns of one instrument in session order and returns one column.

Textbook names, scales and warm-up rows, as in TA-Lib; name the result (`rsi_14=rsi(...)` or `.alias`). Grouping by
instrument is the caller's: see `champion.features`.

>>> import polars as pl
>>> from champion import indicators
>>> closes = pl.DataFrame({"close": [101.5, 102.5, 104.5, 103.5]})
>>> closes.select(sma_2=indicators.sma(pl.col("close"), 2))["sma_2"].to_list()
[None, 102.0, 103.5, 104.0]
"""

from champion.indicators.momentum import macd, macd_histogram, macd_signal, rsi, stochastic_d, stochastic_k
from champion.indicators.trend import ema, sma
from champion.indicators.volatility import (
    atr,
    bollinger_lower,
    bollinger_middle,
    bollinger_upper,
    bollinger_width,
    standard_deviation,
)
from champion.indicators.volume import obv, volume_ma, vwap

__all__ = [
    "atr",
    "bollinger_lower",
    "bollinger_middle",
    "bollinger_upper",
    "bollinger_width",
    "ema",
    "macd",
    "macd_histogram",
    "macd_signal",
    "obv",
    "rsi",
    "sma",
    "standard_deviation",
    "stochastic_d",
    "stochastic_k",
    "volume_ma",
    "vwap",
]
