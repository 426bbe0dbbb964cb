"""Targets: what a model learns to predict, by name, from the forward returns of one horizon or of several.

A target is a number from 0 to 1 within each session, so that the scores of all models have one scale. Classifiers learn
whether it is above the session's median, regressors the number itself.

- `above_median`: 1 if the forward return is above the session's median, else 0.
- `rank`: the rank of the forward return.
- `excess`: the forward return less the mean of the universe, in deviations of the session, as a logistic function.
- `residual`: the rank of the forward return without what volatility, beta, liquidity and sector explain.

Several horizons are combined as the rank of their mean target.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from champion.base.counting import known_names
from champion.errors import UsageError
from champion.indicators import cross_section
from champion.indicators.numeric.unknown import known
from champion.modeling.styles import STYLES, neutralised

__all__ = ["DEFAULT", "TARGET", "TARGETS", "add_target", "find", "parse", "uses_styles"]
__dir__ = __all__.copy

DEFAULT = "above_median"
"""The target of models that name none, and of all versions before there were names."""
TARGETS = (DEFAULT, "rank", "excess", "residual")
"""The names of the targets."""
TARGET = "target"
"""The column of the target."""


def find(name: str) -> str:
    """Return the name of a target.

    Raises:
        UsageError: there is no such target; the message lists them.

    >>> find("rank")
    'rank'
    """
    if name not in TARGETS:
        raise UsageError(f"target {name!r} is not known; {known_names(name, TARGETS)}")
    return name


def parse(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the name of a target and the shorter horizons, in sessions, that are combined with the task's.

    Raises:
        UsageError: there is no such target, or a horizon is not a whole number above 0.

    >>> parse("rank"), parse("residual 1 3")
    (('rank', ()), ('residual', (1, 3)))
    """
    name, *shorter = text.split() or [""]
    if wrong := [each for each in shorter if not (each.isascii() and each.isdigit() and int(each) > 0)]:
        raise UsageError(
            f"target {text!r}: {wrong[0]!r} is no horizon in sessions; name a target and shorter horizons as whole "
            "numbers, such as 'rank 1 3'"
        )
    return find(name), tuple(map(int, shorter))


def uses_styles(name: str) -> bool:
    """Return whether a target needs the columns `styles.STYLES` and sector.

    >>> uses_styles("residual"), uses_styles("rank")
    (True, False)
    """
    return find(name) == "residual"


def add_target(frame: pl.DataFrame, name: str, returns: Sequence[str] = ("forward_return",)) -> pl.DataFrame:
    """Return the frame with a column target, from 0 to 1, null where a return or a style is unknown.

    Args:
        frame: trade_date, the forward returns and, for `residual`, the styles as known at the close of trade_date; with
            a column sector, sectors are removed too. Only rows of the universe.
        name: one of `TARGETS`.
        returns: the columns of forward returns, one per horizon. The label of a row ends with the longest of them.

    Raises:
        UsageError: the target is not known, or a column is missing.

    >>> from datetime import date
    >>> frame = pl.DataFrame({"trade_date": [date(2024, 1, 1)] * 4, "forward_return": [0.01, -0.02, 0.0, None]})
    >>> add_target(frame, "rank")["target"].round(3).to_list()
    [0.833, 0.167, 0.5, None]
    >>> add_target(frame, "above_median")["target"].to_list()
    [1.0, 0.0, 0.0, None]
    """
    find(name)
    needed = ["trade_date", *returns, *(STYLES if uses_styles(name) else ())]
    if missing := [column for column in needed if column not in frame.columns]:
        raise UsageError(f"target {name} lacks {', '.join(missing)}; the frame has {', '.join(frame.columns)}")
    if not returns:
        raise UsageError(f"target {name} needs the forward returns of at least one horizon")
    parts = [_part(frame, name, column).alias(f"_{place}") for place, column in enumerate(returns)]
    if len(parts) == 1:
        return frame.with_columns(parts[0].alias(TARGET))
    values = pl.DataFrame(parts).with_columns(frame["trade_date"])
    whole = pl.all_horizontal(pl.col(part.name).is_not_null() for part in parts)
    mean = pl.when(whole).then(pl.mean_horizontal(part.name for part in parts))
    combined = values.with_columns(_mean=mean).select(_above_zero(pl.col("_mean")).over("trade_date").alias(TARGET))
    if name == DEFAULT:
        combined = values.with_columns(_mean=mean).select(_above_median(pl.col("_mean")).alias(TARGET))
    return frame.with_columns(combined[TARGET])


def _part(frame: pl.DataFrame, name: str, column: str) -> pl.Series:
    """Return the target of one horizon."""
    if uses_styles(name):
        residual = frame.select("trade_date", _left=neutralised(frame, column))
        return residual.select(_above_zero(pl.col("_left")).over("trade_date")).to_series()
    value = known(pl.col(column).cast(pl.Float64))
    if name == "rank":
        return frame.select(_above_zero(value).over("trade_date")).to_series()
    if name == "excess":
        spread = value.std().over("trade_date")
        steps = (value - value.mean().over("trade_date")) / pl.when(spread > 0).then(spread)
        return frame.select(1 / (1 + (-steps).exp())).to_series()
    return frame.select(_above_median(value)).to_series()


def _above_zero(value: pl.Expr) -> pl.Expr:
    return cross_section.rank(value) + 0.5


def _above_median(value: pl.Expr) -> pl.Expr:
    return (value > value.median().over("trade_date")).cast(pl.Float64)
