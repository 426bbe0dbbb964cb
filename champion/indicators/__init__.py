"""Technical indicators as expressions: each takes columns of one instrument in session order and returns one column.

Names, scales and warm-up rows follow the textbooks and TA-Lib; name the result (`rsi_14=rsi(...)` or `.alias`). The
caller groups by instrument: see `champion.features`. `candles` has candlestick patterns, `charts` swings, levels and
trends; `cross_section` compares the instruments of one session.

Bars have no nulls (`bars.check_bars`), but indicators may be chained (`ema(rsi(close, 14), 9)`) or take a column that
starts late. A warm-up counts known values, so it starts with the first value that is not null. An indicator over a
window is null while its window holds a null. A recursive indicator, which depends on every bar, is null on a bar with a
null, and if it uses changes also on the next; then it continues from its state. Its warm-up skips such bars.

>>> import polars as pl
>>> from champion import indicators
>>> closes = pl.DataFrame({"close": [101.5, 102.5, 104.5, 103.5]})
>>> closes.select(sma_2=indicators.sma(pl.col("close"), 2))["sma_2"].to_list()
[None, 102.0, 103.5, 104.0]
"""

from champion.indicators import candles, charts, cross_section
from champion.indicators.channels import (
    donchian_lower,
    donchian_middle,
    donchian_upper,
    keltner_lower,
    keltner_middle,
    keltner_upper,
)
from champion.indicators.directional import adx, aroon_down, aroon_oscillator, aroon_up, minus_di, plus_di
from champion.indicators.momentum import cmo, macd, macd_histogram, macd_signal, ppo, rsi, trix
from champion.indicators.numeric.mechanics import PRICE_UNIT, RETURN_UNIT
from champion.indicators.numeric.sequential import kama, parabolic_sar
from champion.indicators.oscillators import cci, mfi, ultimate_oscillator, williams_r
from champion.indicators.realised import garman_klass, parkinson, realised_volatility, rogers_satchell, yang_zhang
from champion.indicators.returns import log_return, mom, roc, simple_return
from champion.indicators.statistics import beta, correlation, rolling_rank, rolling_zscore
from champion.indicators.stochastic import (
    slow_stochastic,
    stochastic_d,
    stochastic_fast_d,
    stochastic_fast_k,
    stochastic_k,
    stochastic_rsi_d,
    stochastic_rsi_k,
)
from champion.indicators.trend import dema, ema, sma, tema, wma
from champion.indicators.volatility import (
    atr,
    bollinger,
    bollinger_lower,
    bollinger_middle,
    bollinger_upper,
    bollinger_width,
    natr,
    standard_deviation,
    true_range,
)
from champion.indicators.volume import (
    accumulation_distribution,
    chaikin_money_flow,
    chaikin_oscillator,
    force_index,
    obv,
    volume_ma,
    vwap,
)

__all__ = [
    "PRICE_UNIT", "RETURN_UNIT", "accumulation_distribution", "adx", "aroon_down", "aroon_oscillator", "aroon_up",
    "atr", "beta", "bollinger", "bollinger_lower", "bollinger_middle", "bollinger_upper", "bollinger_width",
    "candles", "cci", "chaikin_money_flow", "chaikin_oscillator", "charts", "cmo", "correlation", "cross_section",
    "dema", "donchian_lower", "donchian_middle", "donchian_upper", "ema", "force_index", "garman_klass", "kama",
    "keltner_lower", "keltner_middle", "keltner_upper", "log_return", "macd", "macd_histogram", "macd_signal",
    "mfi", "minus_di", "mom", "natr", "obv", "parabolic_sar", "parkinson", "plus_di", "ppo", "realised_volatility",
    "roc", "rogers_satchell", "rolling_rank", "rolling_zscore", "rsi", "simple_return", "slow_stochastic", "sma",
    "standard_deviation", "stochastic_d", "stochastic_fast_d", "stochastic_fast_k", "stochastic_k",
    "stochastic_rsi_d", "stochastic_rsi_k", "tema", "trix", "true_range", "ultimate_oscillator", "volume_ma",
    "vwap", "williams_r", "wma", "yang_zhang",
]  # fmt: skip
__dir__ = __all__.copy
