"""Pairs of Champion's indicators and TA-Lib's on the same columns; see talib_equality.py."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import talib

from champion import indicators as ind

Columns = Mapping[str, np.ndarray[Any, Any]]
Theirs = Callable[[Columns], np.ndarray[Any, Any]]

HIGH, LOW, CLOSE, VOLUME, MARKET = (pl.col(name) for name in ("high", "low", "close", "volume", "market"))
_BAR = (HIGH, LOW, CLOSE)
_FLOW = (HIGH, LOW, CLOSE, VOLUME)
_SIMPLE, _EXPONENTIAL = 0, 1  # TA-Lib's codes of averages


def _of(function: Callable[..., Any], names: str, *args: float, part: int | None = None) -> Theirs:
    """Return a call of TA-Lib on columns by their initials, such as "hlc"; `part` selects one of several results."""
    full = {name[0]: name for name in ("high", "low", "close", "volume", "market")}

    def call(columns: Columns) -> np.ndarray[Any, Any]:
        result = function(*(columns[full[name]] for name in names), *args)
        found: np.ndarray[Any, Any] = result if part is None else result[part]
        return found

    return call


_MACD = {
    f"{name}{suffix}": (ours(CLOSE, *spans), _of(talib.MACD, "c", *spans, part=part))
    for spans, suffix in (((12, 26, 9), ""), ((5, 11, 4), "_5"))
    for part, (name, ours) in enumerate(
        {"macd": ind.macd, "signal": ind.macd_signal, "histogram": ind.macd_histogram}.items()
    )
}
_STOCHASTIC = {
    "stochastic_k": (ind.stochastic_k(*_BAR), _of(talib.STOCH, "hlc", 14, 3, _SIMPLE, 3, _SIMPLE, part=0)),
    "stochastic_d": (ind.stochastic_d(*_BAR), _of(talib.STOCH, "hlc", 14, 3, _SIMPLE, 3, _SIMPLE, part=1)),
    "stochastic_k_5": (ind.stochastic_k(*_BAR, 5, 2, 4), _of(talib.STOCH, "hlc", 5, 2, _SIMPLE, 4, _SIMPLE, part=0)),
    "stochastic_fast_k": (ind.stochastic_fast_k(*_BAR, 5, 3), _of(talib.STOCHF, "hlc", 5, 3, _SIMPLE, part=0)),
    "stochastic_fast_d": (ind.stochastic_fast_d(*_BAR, 5, 3), _of(talib.STOCHF, "hlc", 5, 3, _SIMPLE, part=1)),
    "stochastic_rsi_k": (ind.stochastic_rsi_k(CLOSE), _of(talib.STOCHRSI, "c", 14, 5, 3, _SIMPLE, part=0)),
    "stochastic_rsi_d": (ind.stochastic_rsi_d(CLOSE), _of(talib.STOCHRSI, "c", 14, 5, 3, _SIMPLE, part=1)),
}
_AVERAGES = {
    **{f"sma_{n}": (ind.sma(CLOSE, n), _of(talib.SMA, "c", n)) for n in (5, 20, 200)},
    **{f"ema_{n}": (ind.ema(CLOSE, n), _of(talib.EMA, "c", n)) for n in (7, 12, 50)},
    **{f"wma_{n}": (ind.wma(CLOSE, n), _of(talib.WMA, "c", n)) for n in (2, 30)},
    **{f"dema_{n}": (ind.dema(CLOSE, n), _of(talib.DEMA, "c", n)) for n in (5, 30)},
    **{f"tema_{n}": (ind.tema(CLOSE, n), _of(talib.TEMA, "c", n)) for n in (5, 30)},
}
_BANDS = {
    f"bollinger_{name}": (ours(CLOSE), _of(talib.BBANDS, "c", 20, 2, 2, _SIMPLE, part=part))
    for part, (name, ours) in enumerate(
        {"upper": ind.bollinger_upper, "middle": ind.bollinger_middle, "lower": ind.bollinger_lower}.items()
    )
}
_DIRECTION = {
    **{f"adx_{n}": (ind.adx(*_BAR, n), _of(talib.ADX, "hlc", n)) for n in (2, 14)},
    **{f"plus_di_{n}": (ind.plus_di(*_BAR, n), _of(talib.PLUS_DI, "hlc", n)) for n in (2, 14)},
    **{f"minus_di_{n}": (ind.minus_di(*_BAR, n), _of(talib.MINUS_DI, "hlc", n)) for n in (2, 14)},
    "aroon_down": (ind.aroon_down(LOW), _of(talib.AROON, "hl", 14, part=0)),
    "aroon_up": (ind.aroon_up(HIGH), _of(talib.AROON, "hl", 14, part=1)),
    "aroon_oscillator": (ind.aroon_oscillator(HIGH, LOW, 25), _of(talib.AROONOSC, "hl", 25)),
}

PAIRS: dict[str, tuple[pl.Expr, Theirs]] = {
    **_AVERAGES,
    **_BANDS,
    **_MACD,
    **_STOCHASTIC,
    **_DIRECTION,
    "rsi_5": (ind.rsi(CLOSE, 5), _of(talib.RSI, "c", 5)),
    "rsi_14": (ind.rsi(CLOSE), _of(talib.RSI, "c", 14)),
    "ppo": (ind.ppo(CLOSE), _of(talib.PPO, "c", 12, 26, _EXPONENTIAL)),
    "trix_5": (ind.trix(CLOSE, 5), _of(talib.TRIX, "c", 5)),
    "trix_30": (ind.trix(CLOSE), _of(talib.TRIX, "c", 30)),
    "simple_return": (ind.simple_return(CLOSE, 5), _of(talib.ROCP, "c", 5)),
    "roc": (ind.roc(CLOSE), _of(talib.ROC, "c", 10)),
    "mom": (ind.mom(CLOSE), _of(talib.MOM, "c", 10)),
    "cmo": (ind.cmo(CLOSE), _of(talib.CMO, "c", 14)),
    "kama_10": (ind.kama(CLOSE, 10), _of(talib.KAMA, "c", 10)),
    "kama_30": (ind.kama(CLOSE), _of(talib.KAMA, "c", 30)),
    "parabolic_sar": (ind.parabolic_sar(HIGH, LOW), _of(talib.SAR, "hl", 0.02, 0.2)),
    "parabolic_sar_fast": (ind.parabolic_sar(HIGH, LOW, 0.1, 0.3), _of(talib.SAR, "hl", 0.1, 0.3)),
    "ultimate_oscillator": (ind.ultimate_oscillator(*_BAR), _of(talib.ULTOSC, "hlc", 7, 14, 28)),
    "williams_r": (ind.williams_r(*_BAR), _of(talib.WILLR, "hlc", 14)),
    "cci": (ind.cci(*_BAR), _of(talib.CCI, "hlc", 20)),
    "mfi": (ind.mfi(*_FLOW), _of(talib.MFI, "hlcv", 14)),
    "true_range": (ind.true_range(*_BAR), _of(talib.TRANGE, "hlc")),
    "atr": (ind.atr(*_BAR), _of(talib.ATR, "hlc", 14)),
    "natr": (ind.natr(*_BAR), _of(talib.NATR, "hlc", 14)),
    "standard_deviation": (ind.standard_deviation(CLOSE, 20), _of(talib.STDDEV, "c", 20)),
    "donchian_upper": (ind.donchian_upper(HIGH), _of(talib.MAX, "h", 20)),
    "donchian_lower": (ind.donchian_lower(LOW), _of(talib.MIN, "l", 20)),
    "donchian_middle": (ind.donchian_middle(HIGH, LOW), _of(talib.MIDPRICE, "hl", 20)),
    "obv": (ind.obv(CLOSE, VOLUME), _of(talib.OBV, "cv")),
    "accumulation": (ind.accumulation_distribution(*_FLOW), _of(talib.AD, "hlcv")),
    "chaikin_oscillator": (ind.chaikin_oscillator(*_FLOW), _of(talib.ADOSC, "hlcv", 3, 10)),
    "beta": (ind.beta(ind.simple_return(CLOSE), ind.simple_return(MARKET), 20), _of(talib.BETA, "mc", 20)),
    "correlation": (ind.correlation(CLOSE, HIGH, 30, unit=ind.PRICE_UNIT), _of(talib.CORREL, "ch", 30)),
}
"""By name: our expression, and TA-Lib on the columns of one instrument as doubles."""
