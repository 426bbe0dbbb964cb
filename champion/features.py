"""Feature sets: which indicators are built from bars, under which version; the only place that groups by instrument.

A feature set is data (`FEATURE_SETS`). A feature that is not `recursive` depends on the last `lookback` bars of its
instrument and on nothing else; a recursive one remembers every bar since the instrument's first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from champion import indicators
from champion.errors import UsageError
from champion.indicators.bars import check_bars

VERSION = "1"
"""Version of the computation: raise it when `build` gives other values for the same bars and the same feature set."""

_KEY = ("instrument_id", "trade_date")
_REQUIRED = ("instrument_id", "symbol", "trade_date", "high", "low", "close", "volume", "turnover")

_HIGH, _LOW, _CLOSE = pl.col("high"), pl.col("low"), pl.col("close")
_VOLUME, _TURNOVER = pl.col("volume"), pl.col("turnover")


@dataclass(frozen=True)
class Feature:
    """One column of a feature set; `lookback` counts the bars its first value needs, the session's own included."""

    name: str
    group: str
    lookback: int
    dtype: pl.DataType
    doc: str
    expression: pl.Expr = field(repr=False, compare=False)
    recursive: bool = False


@dataclass(frozen=True)
class FeatureSet:
    """Features that are built, stored and versioned together, in column order."""

    name: str
    version: str
    features: tuple[Feature, ...]

    @property
    def lookback(self) -> int:
        """Bars per instrument that give every feature that is not recursive its value; recursive ones need them all."""
        return max(feature.lookback for feature in self.features if not feature.recursive)

    @property
    def columns(self) -> list[str]:
        """The names of the features, in order."""
        return [feature.name for feature in self.features]


def _window(name: str, group: str, lookback: int, expression: pl.Expr, doc: str) -> Feature:
    return Feature(name, group, lookback, pl.Float64(), doc, expression)


def _recursive(name: str, group: str, lookback: int, expression: pl.Expr, doc: str) -> Feature:
    return Feature(name, group, lookback, pl.Float64(), doc, expression, recursive=True)


_RANGE = (_HIGH, _LOW, _CLOSE)
_V1 = FeatureSet(
    "equity_indicators",
    "v1",
    (
        *(
            _window(f"sma_{n}", "trend", n, indicators.sma(_CLOSE, n), f"Simple moving average of the close, {n} bars.")
            for n in (5, 10, 20, 50, 100, 200)
        ),
        *(
            _recursive(
                f"ema_{n}", "trend", n, indicators.ema(_CLOSE, n), f"Exponential average of the close, span {n}."
            )
            for n in (12, 26, 50)
        ),
        _recursive("rsi_14", "momentum", 15, indicators.rsi(_CLOSE, 14), "Wilder's relative strength index, 0 to 100."),
        _recursive("macd", "momentum", 34, indicators.macd(_CLOSE), "EMA 12 less EMA 26, both seeded on bar 26."),
        _recursive("macd_signal", "momentum", 34, indicators.macd_signal(_CLOSE), "EMA of macd, span 9."),
        _recursive("macd_histogram", "momentum", 34, indicators.macd_histogram(_CLOSE), "macd less macd_signal."),
        _window("stochastic_k", "momentum", 18, indicators.stochastic_k(*_RANGE), "Slow %K (14, 3), 0 to 100."),
        _window("stochastic_d", "momentum", 18, indicators.stochastic_d(*_RANGE), "Mean of stochastic_k, 3 bars."),
        _window("bb_upper", "volatility", 20, indicators.bollinger_upper(_CLOSE), "Middle plus 2 standard deviations."),
        _window("bb_middle", "volatility", 20, indicators.bollinger_middle(_CLOSE), "Mean of the close, 20 bars."),
        _window("bb_lower", "volatility", 20, indicators.bollinger_lower(_CLOSE), "Middle less 2 standard deviations."),
        _window("bb_width", "volatility", 20, indicators.bollinger_width(_CLOSE), "Upper less lower, over the middle."),
        _recursive("atr_14", "volatility", 15, indicators.atr(*_RANGE, window=14), "Wilder's average true range."),
        _window("vwap", "volume", 1, indicators.vwap(_TURNOVER, _VOLUME), "The session's turnover over its volume."),
        Feature(
            "obv",
            "volume",
            1,
            pl.Int64(),
            "On-balance volume since the first bar.",
            indicators.obv(_CLOSE, _VOLUME),
            recursive=True,
        ),
        _window("volume_ma_20", "volume", 20, indicators.volume_ma(_VOLUME, 20), "Mean of volume, 20 bars."),
    ),
)

FEATURE_SETS = {"v1": _V1}


def find(version: str) -> FeatureSet:
    """Return the feature set of a version; raises UsageError when there is none.

    >>> find("v1").lookback
    200
    """
    if version not in FEATURE_SETS:
        raise UsageError(f"feature set {version!r} is not known; known are {', '.join(FEATURE_SETS)}")
    return FEATURE_SETS[version]


def groups(version: str = "v1") -> dict[str, list[str]]:
    """Return the feature names of each group, in column order.

    >>> groups("v1")["volume"]
    ['vwap', 'obv', 'volume_ma_20']
    """
    result: dict[str, list[str]] = {}
    for feature in find(version).features:
        result.setdefault(feature.group, []).append(feature.name)
    return result


def build(bars: pl.DataFrame, feature_set: str = "v1") -> pl.DataFrame:
    """Return the features of every bar, sorted by instrument_id and trade_date.

    Takes normalized or adjusted bars in any row order, with the whole history of each instrument. A feature is null
    while its window warms up; a short history gives nulls, never an error. Bars that `check_bars` refuses raise
    ContractError, an unknown feature set UsageError.
    """
    chosen = find(feature_set)
    check_bars(bars, _REQUIRED)
    ordered = bars.select(_REQUIRED).sort(_KEY)
    bar = pl.int_range(pl.len()).over("instrument_id").alias("_bar")
    return ordered.with_columns(bar).select(
        "instrument_id",
        "symbol",
        "trade_date",
        pl.lit(chosen.version).alias("feature_version"),
        *(_of_each_instrument(feature) for feature in chosen.features),
    )


def _of_each_instrument(feature: Feature) -> pl.Expr:
    """Return the feature over bars sorted by instrument and session.

    A window is taken over the whole column, which is quicker, and its first values, which reach into the instrument
    before, are masked. Indicators sum whole numbers, so nothing of the neighbour is left in the others.
    """
    if feature.recursive:
        return feature.expression.over("instrument_id").alias(feature.name)
    return pl.when(pl.col("_bar") >= feature.lookback - 1).then(feature.expression).alias(feature.name)
