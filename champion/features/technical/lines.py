"""Compute the lines of set technical together: pivots, channels and Ichimoku share their sums and extremes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import polars as pl

from champion.features.sets import BAR_COLUMNS, Kernel
from champion.indicators import charts
from champion.indicators.channels import donchian_lower, donchian_upper

HIGH, LOW, CLOSE = pl.col("high"), pl.col("low"), pl.col("close")
CHANNELS, DONCHIAN = (20, 60), 20
"""Windows of the regression channels and of the Donchian channel."""

_PIVOT_NAMES = {"pivot": "pivot"} | {f"{side}{n}": f"pivot_{side}{n}" for side in "rs" for n in (1, 2, 3)}
_A, _B = pl.col("ichimoku_span_a"), pl.col("ichimoku_span_b")
_CLOUD = pl.when(_A.is_not_null(), _B.is_not_null())
_CLOUD_TOP, _CLOUD_BOTTOM = (_CLOUD.then(edge(_A, _B)) for edge in (pl.max_horizontal, pl.min_horizontal))


def over(price: pl.Expr, base: pl.Expr) -> pl.Expr:
    """Return price / base - 1."""
    return price / base - 1


_STRUCTS = {
    "_pivots": charts.classic_pivots(HIGH, LOW, CLOSE),
    **{f"_channel_{window}": charts.regression_channel(CLOSE, window) for window in CHANNELS},
}
_LINES = {
    **{name: pl.col("_pivots").struct.field(field) for field, name in _PIVOT_NAMES.items()},
    **{
        f"channel_{field}_{window}": pl.col(f"_channel_{window}").struct.field(field)
        for window in CHANNELS
        for field in ("middle", "position")
    },
    **{
        f"channel_{field}_{window}": pl.col(f"_channel_{window}").struct.field(field) / CLOSE
        for window in CHANNELS
        for field in ("slope", "width")
    },
    f"donchian_upper_{DONCHIAN}": donchian_upper(HIGH, DONCHIAN),
    f"donchian_lower_{DONCHIAN}": donchian_lower(LOW, DONCHIAN),
    "ichimoku_tenkan": charts.ichimoku_tenkan(HIGH, LOW),
    "ichimoku_kijun": charts.ichimoku_kijun(HIGH, LOW),
    "ichimoku_span_a": charts.ichimoku_span_a(HIGH, LOW),
    "ichimoku_span_b": charts.ichimoku_span_b(HIGH, LOW),
    "ichimoku_chikou": charts.ichimoku_chikou(CLOSE),
}
_UPPER, _LOWER = (pl.col(f"donchian_{side}_{DONCHIAN}") for side in ("upper", "lower"))
_RATIOS = {
    "close_to_pivot": over(CLOSE, pl.col("pivot")),
    f"donchian_position_{DONCHIAN}": (CLOSE - _LOWER) / (_UPPER - _LOWER),
    "close_to_kijun": over(CLOSE, pl.col("ichimoku_kijun")),
    "tenkan_to_kijun": over(pl.col("ichimoku_tenkan"), pl.col("ichimoku_kijun")),
    "close_to_cloud": pl.when(CLOSE > _CLOUD_TOP)
    .then(over(CLOSE, _CLOUD_TOP))
    .when(CLOSE < _CLOUD_BOTTOM)
    .then(over(CLOSE, _CLOUD_BOTTOM))
    .when(_CLOUD_TOP.is_not_null())
    .then(0.0),
    "cloud_width": over(_A, _B),
}
_STAGES = (_STRUCTS, _LINES, _RATIOS)


@cache
def _needed(names: tuple[str, ...]) -> tuple[list[list[pl.Expr]], list[str]]:
    """Return the expressions of each stage that the named columns need, and the bar columns that these read."""
    stages: list[list[pl.Expr]] = []
    needed = {*names}
    for stage in reversed(_STAGES):
        chosen = {name: expression for name, expression in stage.items() if name in needed}
        stages.insert(0, [expression.alias(name) for name, expression in chosen.items()])
        needed |= {root for expression in chosen.values() for root in expression.meta.root_names()}
    return stages, [name for name in BAR_COLUMNS if name in needed]


def columns(name: str) -> list[str]:
    """Return the bar columns that a column is computed from.

    >>> columns("channel_slope_20"), columns("close_to_cloud")
    (['close'], ['high', 'low', 'close'])
    """
    return _needed((name,))[1]


def _compute(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the named columns, each stage computed from the one before."""
    computed = bars.lazy()
    for stage in _needed(tuple(names))[0]:
        computed = computed.with_columns(stage)
    return computed.select(names).collect()


KERNEL = Kernel(_compute)
