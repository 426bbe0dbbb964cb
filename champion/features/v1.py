"""Feature set v1: 24 columns of trend, momentum, volatility and volume, with the conventions of TA-Lib."""

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
    name: str,
    group: str,
    lookback: int,
    expression: pl.Expr,
    doc: str,
    unit: str = "1",
    kernel: Kernel | None = None,
) -> Feature:
    made = Feature(name, group, lookback, pl.Float64(), doc, expression, unit=unit, kernel=kernel)
    return replace(made, spans_instruments=True)


def _recursive(  # noqa: PLR0913 - a row of the table each
    name: str,
    group: str,
    lookback: int,
    expression: pl.Expr,
    doc: str,
    unit: str,
    state: tuple[Carried, ...],
    *,
    value: pl.Expr | None = None,
    dtype: pl.DataType | None = None,
) -> Feature:
    made = pl.col(name) if value is None else value
    kind = dtype or pl.Float64()
    found = Feature(name, group, lookback, kind, doc, expression, recursive=True, unit=unit, carried=state, value=made)
    return replace(found, spans_instruments=True)


_TREND = (
    *(
        _window(
            f"sma_{n}",
            "trend",
            n,
            indicators.sma(_CLOSE, n),
            f"Simple moving average of the close, {n} bars.",
            _RUPEE,
            OF_CLOSE,
        )
        for n in MEANS
    ),
    *(
        _recursive(
            f"ema_{n}",
            "trend",
            n,
            indicators.ema(_CLOSE, n),
            f"Exponential average of the close, span {n}.",
            _RUPEE,
            (_EMA[n],),
        )
        for n in (12, 26, 50)
    ),
)
_MOMENTUM = (
    _recursive(
        "rsi_14",
        "momentum",
        15,
        indicators.rsi(_CLOSE, 14),
        "Wilder's relative strength index, 0 to 100.",
        "1",
        _RSI,
        value=carried.rsi_of(pl.col(_GAIN), pl.col(_LOSS)),
    ),
    _recursive(
        "macd",
        "momentum",
        34,
        indicators.macd(_CLOSE),
        "EMA 12 less EMA 26, both seeded on bar 26.",
        _RUPEE,
        _MACD,
        value=_MACD_LINE,
    ),
    _recursive("macd_signal", "momentum", 34, indicators.macd_signal(_CLOSE), "EMA of macd, span 9.", _RUPEE, _MACD),
    _recursive(
        "macd_histogram",
        "momentum",
        34,
        indicators.macd_histogram(_CLOSE),
        "macd less macd_signal.",
        _RUPEE,
        _MACD,
        value=_MACD_LINE - pl.col("macd_signal"),
    ),
    *(
        _window(f"stochastic_{line}", "momentum", 18, expression, f"{doc}, 0 to 100.", kernel=OF_RANGE)
        for line, expression, doc in (
            ("k", indicators.stochastic_k(*_RANGE), "Slow %K (14, 3)"),
            ("d", indicators.stochastic_d(*_RANGE), "Mean of stochastic_k, 3 bars"),
        )
    ),
)
_VOLATILITY = (
    *(
        _window(f"bb_{line}", "volatility", 20, expression, doc, unit, OF_CLOSE)
        for line, expression, doc, unit in (
            ("upper", indicators.bollinger_upper(_CLOSE), "Middle plus 2 standard deviations.", _RUPEE),
            ("middle", indicators.bollinger_middle(_CLOSE), "Mean of the close, 20 bars.", _RUPEE),
            ("lower", indicators.bollinger_lower(_CLOSE), "Middle less 2 standard deviations.", _RUPEE),
            ("width", indicators.bollinger_width(_CLOSE), "Upper less lower, over the middle.", "1"),
        )
    ),
    _recursive(
        "atr_14",
        "volatility",
        15,
        indicators.atr(*_RANGE, window=14),
        "Wilder's average true range.",
        _RUPEE,
        (_LAST_CLOSE, _ATR),
    ),
)
_ON_VOLUME = (
    _window(
        "vwap", "volume", 1, indicators.vwap(_TURNOVER, _VOLUME), "The session's turnover over its volume.", _RUPEE
    ),
    _recursive(
        "obv",
        "volume",
        1,
        indicators.obv(_CLOSE, _VOLUME),
        "On-balance volume since the first bar.",
        _SHARE,
        (_LAST_CLOSE, _OBV),
        dtype=pl.Int64(),
    ),
    _window(
        "volume_ma_20",
        "volume",
        20,
        indicators.volume_ma(_VOLUME, 20),
        "Mean of volume, 20 bars.",
        _SHARE,
        OF_VOLUME,
    ),
)

V1 = FeatureSet("equity_indicators", "v1", (*_TREND, *_MOMENTUM, *_VOLATILITY, *_ON_VOLUME))
