"""Feature set v1: trend, momentum, volatility and volume, with the conventions of TA-Lib."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from champion import indicators
from champion.features.sets import Carried, Feature, FeatureSet, Kernel
from champion.features.v1_kernel import MEANS, OF_CLOSE, OF_MOVES, OF_RANGE, OF_VOLUME
from champion.indicators.numeric import state as carried

_HIGH, _LOW, _CLOSE = pl.col("high"), pl.col("low"), pl.col("close")
_VOLUME, _TURNOVER = pl.col("volume"), pl.col("turnover")
_RANGE = (_HIGH, _LOW, _CLOSE)
_RUPEE, _SHARE = "rupee", "share"

_LAST_CLOSE = Carried("last_close", 1, _CLOSE, _CLOSE)
_BEFORE = pl.col("last_close")


def _ema(name: str, span: int, lookback: int, expression: pl.Expr, values: pl.Expr = _CLOSE) -> Carried:
    return Carried.mean(name, lookback, expression, values, 2 / (span + 1))


def _wilder(name: str, expression: pl.Expr, values: pl.Expr) -> Carried:
    return replace(Carried.mean(name, 15, expression, values, 1 / 14), kernel=OF_MOVES)


_EMA = {span: _ema(f"ema_{span}", span, span, indicators.ema(_CLOSE, span)) for span in (12, 26, 50)}
_FAST = _ema("macd_fast", 12, 26, carried.macd_fast(_CLOSE))
_SIGNAL = _ema("macd_signal", 9, 34, indicators.macd_signal(_CLOSE), _FAST.step - _EMA[26].step)
_MACD = (_FAST, _EMA[26], _SIGNAL)
_MACD_LINE = pl.col("macd_fast") - pl.col("ema_26")
_GAIN, _LOSS = "average_gain", "average_loss"
_RSI = (
    _LAST_CLOSE,
    _wilder(_GAIN, carried.average_gain(_CLOSE), carried.gain(_BEFORE, _CLOSE)),
    _wilder(_LOSS, carried.average_loss(_CLOSE), carried.gain(_CLOSE, _BEFORE)),
)
_ATR = _wilder("atr_14", indicators.atr(*_RANGE, window=14), carried.range_after(_BEFORE, _HIGH, _LOW))
_OBV = replace(
    Carried.total("obv", 1, indicators.obv(_CLOSE, _VOLUME), carried.signed_volume(_BEFORE, _CLOSE, _VOLUME)),
    kernel=OF_MOVES,
)


def _window(
    name: str, lookback: int, expression: pl.Expr, doc: str, unit: str = "1", kernel: Kernel | None = None
) -> Feature:
    dtype = pl.Float64()
    return Feature(name, "", lookback, dtype, doc, expression, unit=unit, kernel=kernel, spans_instruments=True)


def _recursive(
    name: str, lookback: int, expression: pl.Expr, unit: str, state: tuple[Carried, ...], doc: str,
    value: pl.Expr | None = None, dtype: pl.DataType | None = None,
) -> Feature:  # fmt: skip
    value = pl.col(name) if value is None else value
    window = replace(_window(name, lookback, expression, doc, unit), recursive=True, carried=state, value=value)
    return window if dtype is None else replace(window, dtype=dtype)


def _group(name: str, *features: Feature) -> tuple[Feature, ...]:
    return tuple(replace(feature, group=name) for feature in features)


_TREND = _group(
    "trend",
    *(
        _window(
            f"sma_{n}", n, indicators.sma(_CLOSE, n), f"Simple moving average of the close, {n} bars.", _RUPEE, OF_CLOSE
        )
        for n in MEANS
    ),
    *(
        _recursive(f"ema_{n}", n, ema.expression, _RUPEE, (ema,), f"Exponential average of the close, span {n}.")
        for n, ema in _EMA.items()
    ),
)
_MOMENTUM = _group(
    "momentum",
    _recursive("rsi_14", 15, indicators.rsi(_CLOSE, 14), "1", _RSI, "Wilder's relative strength index, 0 to 100.",
               carried.rsi_of(pl.col(_GAIN), pl.col(_LOSS))),
    _recursive("macd", 34, indicators.macd(_CLOSE), _RUPEE, _MACD, "EMA 12 less EMA 26, both seeded on bar 26.",
               _MACD_LINE),
    _recursive("macd_signal", 34, _SIGNAL.expression, _RUPEE, _MACD, "EMA of macd, span 9."),
    _recursive("macd_histogram", 34, indicators.macd_histogram(_CLOSE), _RUPEE, _MACD, "macd less macd_signal.",
               _MACD_LINE - pl.col("macd_signal")),
    _window("stochastic_k", 18, indicators.stochastic_k(*_RANGE), "Slow %K (14, 3), 0 to 100.", kernel=OF_RANGE),
    _window("stochastic_d", 18, indicators.stochastic_d(*_RANGE), "Mean of stochastic_k, 3 bars, 0 to 100.",
            kernel=OF_RANGE),
)  # fmt: skip
_VOLATILITY = _group(
    "volatility",
    *(
        _window(f"bb_{line}", 20, expression, doc, unit, OF_CLOSE)
        for line, expression, doc, unit in (
            ("upper", indicators.bollinger_upper(_CLOSE), "Middle plus 2 standard deviations.", _RUPEE),
            ("middle", indicators.bollinger_middle(_CLOSE), "Mean of the close, 20 bars.", _RUPEE),
            ("lower", indicators.bollinger_lower(_CLOSE), "Middle less 2 standard deviations.", _RUPEE),
            ("width", indicators.bollinger_width(_CLOSE), "Upper less lower, over the middle.", "1"),
        )
    ),
    _recursive("atr_14", 15, _ATR.expression, _RUPEE, (_LAST_CLOSE, _ATR), "Wilder's average true range."),
)
_ON_VOLUME = _group(
    "volume",
    _window("vwap", 1, indicators.vwap(_TURNOVER, _VOLUME), "The session's turnover over its volume.", _RUPEE),
    _recursive("obv", 1, _OBV.expression, _SHARE, (_LAST_CLOSE, _OBV), "On-balance volume since the first bar.",
               dtype=pl.Int64()),
    _window("volume_ma_20", 20, indicators.volume_ma(_VOLUME, 20), "Mean of volume, 20 bars.", _SHARE, OF_VOLUME),
)  # fmt: skip

V1 = FeatureSet("equity_indicators", "v1", (*_TREND, *_MOMENTUM, *_VOLATILITY, *_ON_VOLUME))
