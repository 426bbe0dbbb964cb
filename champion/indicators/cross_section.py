"""Cross-sectional expressions: compare a value with the other instruments of its session, by `.over("trade_date")`.

NaN and infinity are treated as null: they are left out and get null. Nothing is fitted and nothing looks ahead. Ranks
do not depend on the order of rows. The last bits of means depend on it; sort first if that matters.

>>> from champion.indicators import cross_section
>>> scores = pl.DataFrame({"trade_date": [1, 1, 2, 2], "score": [10.0, 30.0, 5.0, 7.0]})
>>> scores.select(cross_section.demean(pl.col("score")).over("trade_date")).to_series().to_list()
[-10.0, 10.0, -1.0, 1.0]
"""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import sharing
from champion.indicators.numeric.unknown import known

_COLLINEAR = 1e-20
"""Share of an exposure's sum of squares below which the rest, after the other exposures, is rounding error."""


def rank(values: pl.Expr) -> pl.Expr:
    """Return the rank among the non-null values, evenly spaced between -0.5 and 0.5 with mean 0.

    (rank - 1/2) / count - 1/2, Hazen's plotting position less a half; equal values share their average rank, a single
    value gets 0, null stays null.

    >>> pl.DataFrame({"x": [10.0, 30.0, None, 20.0, 20.0]}).select(rank(pl.col("x"))).to_series().to_list()
    [-0.375, 0.375, None, 0.0, 0.0]
    """
    values = known(values)
    return (values.rank("average") - 0.5) / values.count() - 0.5


def demean(values: pl.Expr) -> pl.Expr:
    """Return the values less their mean, in their own unit; null stays null.

    Use `.over("trade_date", "sector")` for values neutral to the sector.

    >>> scores = pl.DataFrame({"sector": ["it", "it", "oil"], "x": [1.0, 3.0, 7.0]})
    >>> scores.select(demean(pl.col("x")).over("sector")).to_series().to_list()
    [-1.0, 1.0, 0.0]
    """
    values = known(values)
    return values - values.mean()


def neutralise(values: pl.Expr, *exposures: pl.Expr) -> pl.Expr:
    """Return the residual of the least-squares fit on the exposures and a constant: mean 0, uncorrelated with each.

    In the values' own unit. Rows where the value or an exposure is null are left out and get null. An exposure that is
    constant, or a linear combination of earlier ones, is left out, so the residual is unique. Frisch and Waugh,
    Econometrica 1 (1933): Gram-Schmidt on centred columns. Meant for few exposures, such as beta and log size: the
    expression grows with each.

    >>> scores = pl.DataFrame({"x": [1.0, 2.0, 4.0], "size": [1.0, 2.0, 3.0]})
    >>> scores.select(neutralise(pl.col("x"), pl.col("size"))).to_series().round(6).to_list()
    [0.166667, -0.333333, 0.166667]
    """
    columns = [known(column) for column in (values, *exposures)]
    whole = pl.all_horizontal(column.is_not_null() for column in columns)
    residual, *directions = (demean(pl.when(whole).then(column)) for column in columns)
    while directions:
        direction, *rest = directions
        residual = _without(residual, direction)
        # The rest of an exposure is 0 where it is only rounding error.
        left, before = pl.field("after"), pl.field("before")
        is_residue = (left * left).sum() <= _COLLINEAR * (before * before).sum()
        exact = pl.when(is_residue).then(0.0 * left).otherwise(left)
        directions = [sharing(exact, before=column, after=_without(column, direction)) for column in rest]
    return residual


def _without(values: pl.Expr, direction: pl.Expr) -> pl.Expr:
    """Return the values minus their projection on the direction; both are centred. A zero direction has no effect."""
    value, along = pl.field("value"), pl.field("along")
    size = (along * along).sum()
    share = pl.when(size > 0).then((value * along).sum() / size).otherwise(0.0)
    return sharing(value - share * along, value=values, along=direction)
