"""Feature set technical: what chartists read from bars, each value as known at the close of its session.

Candlestick patterns, swings, support and resistance, pivots, trend channels, Supertrend and Ichimoku. Levels in rupees
are for charts; models take the columns without a unit (`champion.pipeline.models.model_columns`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from champion.features.sets import Carried, Feature, FeatureSet, Kernel, StateKernel
from champion.features.technical import lines
from champion.features.technical.lines import CHANNELS, DONCHIAN, over
from champion.indicators import candles, charts
from champion.indicators.charts import levels, stops
from champion.indicators.charts.swings import SIDE
from champion.indicators.numeric.mechanics import rupees

_OPEN, _HIGH, _LOW, _CLOSE = (pl.col(name) for name in candles.PRICES)
_BAR = (_HIGH, _LOW, _CLOSE)
_RUPEE, _COUNT, _NUMBER, _WHOLE = "rupee", pl.Int32(), pl.Float64(), pl.Int64()
_SWUNG = 2 * SIDE + 1  # bars that a swing needs
_RANGES = 10  # bars of Supertrend's average true range


def _feature(
    name: str, lookback: int, expression: pl.Expr, doc: str, unit: str = "1", dtype: pl.DataType = _NUMBER
) -> Feature:
    return Feature(name, "", lookback, dtype, doc, expression, unit=unit, spans_instruments=True)


def _group(name: str, *features: Feature) -> tuple[Feature, ...]:
    return tuple(replace(feature, group=name) for feature in features)


def _line(name: str, lookback: int, doc: str, unit: str = "1") -> Feature:
    expression = lines.KERNEL.expression(name, lines.columns(name), _NUMBER)
    return replace(_feature(name, lookback, expression, doc, unit), kernel=lines.KERNEL)


def _marks(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    own = candles.marks(bars, [name.removeprefix("cdl_") for name in names])
    return own.rename(lambda name: f"cdl_{name}")


_MARKS = Kernel(_marks)
_CANDLES = tuple(
    replace(
        _feature(
            f"cdl_{name}",
            pattern.before + 1,
            candles.candle(name, _OPEN, *_BAR),
            f"{pattern.doc}.",
            dtype=_COUNT,
        ),
        kernel=_MARKS,
    )
    for name, pattern in candles.PATTERNS.items()
)

_SWINGS = (
    _feature("swing_high", _SWUNG, charts.swing_high(_HIGH), "Swing high of 5 bars before, confirmed now; else null.",
             _RUPEE),
    _feature("swing_low", _SWUNG, charts.swing_low(_LOW), "Swing low of 5 bars before, confirmed now; else null.",
             _RUPEE),
)  # fmt: skip
_LISTS = {name: pl.List(_WHOLE) for name in levels.LEVELS.widths}
_LEVELS = StateKernel(levels.LEVELS, {name: _LISTS.get(name, _WHOLE) for name in levels.LEVELS.names}, _SWINGS)
_FLOATS = {"supertrend_atr", "supertrend_upper", "supertrend_lower", "supertrend"}
_STOP = StateKernel(stops.recurrence(_RANGES, 3.0), {n: _NUMBER if n in _FLOATS else _WHOLE for n in stops.STATE})
_LAST_CLOSE = Carried("last_close", 1, _CLOSE, _CLOSE)
_NOW = pl.col("last_close")


def _recursive(feature: Feature, value: pl.Expr, kernel: StateKernel = _LEVELS) -> Feature:
    return replace(feature, recursive=True, carried=(_LAST_CLOSE, *kernel.carried), value=value)


def _price(name: str) -> pl.Expr:
    """Return a carried value in whole price units, in rupees."""
    return rupees(pl.col(name))


def _level(name: str, lookback: int, expression: pl.Expr, doc: str) -> Feature:
    return _recursive(_feature(name, lookback, expression, doc, _RUPEE), _price(name))


def _count(name: str, expression: pl.Expr, doc: str) -> Feature:
    return _recursive(_feature(name, _SWUNG, expression, doc, dtype=_COUNT), pl.col(name).cast(_COUNT))


def _distance(level: Feature, value: pl.Expr) -> Feature:
    """Return the close over a level, less 1; `value` is the level from carried values."""
    name = f"close_to_{level.name.removeprefix('last_')}"
    away = _feature(name, level.lookback, over(_CLOSE, level.expression), f"The close over {level.name}, less 1.")
    return replace(away, recursive=True, carried=level.carried, value=over(_NOW, value))


def _swings_of(side: str, last: pl.Expr, swing: pl.Expr) -> tuple[Feature, ...]:
    latest = _level(f"last_swing_{side}", _SWUNG, last, f"The latest confirmed swing {side}.")
    age = _count(f"last_swing_{side}_age", charts.swing_age(swing), f"Bars since the bar of last_swing_{side}.")
    return latest, age, _distance(latest, _price(latest.name))


def _levels_of(side: str, price: pl.Expr, doc: str) -> tuple[Feature, ...]:
    level = _level(side, _SWUNG, price, doc)
    touches = _count(
        f"{side}_touches", charts.level_touches(side, *_BAR), f"Swings within 1% of the {side}, at least 2."
    )
    age = _count(f"{side}_age", charts.level_age(side, *_BAR), f"Bars since the swing that sets the {side}.")
    return level, touches, age, _distance(level, _price(side))


_PIVOT_FEATURES = (
    _line("pivot", 2, "Pivot of the session: the mean of high, low and close of the bar before.", _RUPEE),
    *(
        _line(f"pivot_{side}{n}", 2, f"Classic {name} {n} of the session, from the bar before.", _RUPEE)
        for side, name in (("r", "resistance"), ("s", "support"))
        for n in (1, 2, 3)
    ),
    _line("close_to_pivot", 2, "The close over the pivot, less 1."),
)


def _channel(window: int) -> tuple[Feature, ...]:
    line = f"regression line of {window} closes"
    return (
        _line(f"channel_middle_{window}", window, f"End of the {line}.", _RUPEE),
        _line(f"channel_slope_{window}", window, f"Rise of the {line} a bar, over the close."),
        _line(f"channel_width_{window}", window, f"4 standard deviations around the {line}, over the close."),
        _line(
            f"channel_position_{window}",
            window,
            f"The close between the lines 2 standard deviations below (0) and above (1) the {line}.",
        ),
    )


_DONCHIAN_FEATURES = (
    _line("donchian_upper_20", DONCHIAN, "The highest high of 20 bars.", _RUPEE),
    _line("donchian_lower_20", DONCHIAN, "The lowest low of 20 bars.", _RUPEE),
    _line("donchian_position_20", DONCHIAN, "The close between donchian_lower_20 (0) and donchian_upper_20 (1)."),
)

_STOP_DOC, _DIRECTION_DOC = "Supertrend (10, 3): the stop below or above the price.", "1 in an upward trend, else -1."
_SUPERTREND = _recursive(
    _feature("supertrend", _RANGES + 1, charts.supertrend(*_BAR), _STOP_DOC, _RUPEE), pl.col("supertrend"), _STOP
)
_DIRECTION = _recursive(
    _feature("supertrend_direction", _RANGES + 1, charts.supertrend_direction(*_BAR), _DIRECTION_DOC, dtype=_COUNT),
    pl.col("supertrend_direction").cast(_COUNT),
    _STOP,
)

_ICHIMOKU = (
    _line("ichimoku_tenkan", 9, "Turning line: the middle of the range of 9 bars.", _RUPEE),
    _line("ichimoku_kijun", 26, "Base line: the middle of the range of 26 bars.", _RUPEE),
    _line("ichimoku_span_a", 52, "First edge of the session's cloud, from 26 bars before.", _RUPEE),
    _line("ichimoku_span_b", 78, "Second edge of the session's cloud, from 26 bars before.", _RUPEE),
    _line("ichimoku_chikou", 27, "The close over the close 26 bars before, less 1."),
    _line("close_to_kijun", 26, "The close over ichimoku_kijun, less 1."),
    _line("tenkan_to_kijun", 26, "ichimoku_tenkan over ichimoku_kijun, less 1."),
    _line("close_to_cloud", 78, "The close over the nearer edge of the cloud, less 1; 0 inside."),
    _line("cloud_width", 78, "ichimoku_span_a over ichimoku_span_b, less 1."),
)

TECHNICAL = FeatureSet(
    "equity_technical",
    "technical",
    (
        *_group("candles", *_CANDLES),
        *_group(
            "swings",
            *_SWINGS,
            *_swings_of("high", charts.last_swing_high(_HIGH), charts.swing_high(_HIGH)),
            *_swings_of("low", charts.last_swing_low(_LOW), charts.swing_low(_LOW)),
        ),
        *_group(
            "levels",
            *_levels_of(
                "resistance", charts.resistance(*_BAR), "The lowest price above the close with two swings or more."
            ),
            *_levels_of("support", charts.support(*_BAR), "The highest price up to the close with two swings or more."),
        ),
        *_group("pivots", *_PIVOT_FEATURES),
        *_group("channels", *(each for window in CHANNELS for each in _channel(window)), *_DONCHIAN_FEATURES),
        *_group("supertrend", _SUPERTREND, _DIRECTION, _distance(_SUPERTREND, pl.col("supertrend"))),
        *_group("ichimoku", *_ICHIMOKU),
    ),
)
