"""Cross-sectional expressions: a value among all instruments of its session, by `.over("trade_date")`.

NaN and infinity are unknown, as null is: they take no part and get null. Nothing here is fitted and nothing looks
ahead. Ranks and quantiles do not depend on the order of rows; means do in their last bits, so sort first where bits
matter.

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
"""Share of an exposure's square that is left when the others explain all of it but rounding."""


def rank(values: pl.Expr) -> pl.Expr:
    """Return the rank among the non-null values, spread evenly from -0.5 to 0.5 with mean 0.

    (rank - 1/2) / count - 1/2, Hazen's plotting position less a half; equal values share their average rank, a single
    value gets 0, null stays null.

    >>> pl.DataFrame({"x": [10.0, 30.0, None, 20.0, 20.0]}).select(rank(pl.col("x"))).to_series().to_list()
    [-0.375, 0.375, None, 0.0, 0.0]
    """
    values = known(values)
    return (values.rank("average") - 0.5) / values.count() - 0.5


def demean(values: pl.Expr) -> pl.Expr:
    """Return the values less their mean, in their own unit; null stays null.

    Neutral to a group by `.over("trade_date", "sector")`.

    >>> scores = pl.DataFrame({"sector": ["it", "it", "oil"], "x": [1.0, 3.0, 7.0]})
    >>> scores.select(demean(pl.col("x")).over("sector")).to_series().to_list()
    [-1.0, 1.0, 0.0]
    """
    values = known(values)
    return values - values.mean()


def neutralise(values: pl.Expr, *exposures: pl.Expr) -> pl.Expr:
    """Return the residual of the least-squares fit on the exposures and a constant: mean 0, uncorrelated with each.

    Rows where the value or an exposure is null take no part and get null. An exposure that is constant, or follows from
    those before it, is left out, so that the residual is unique, in the values' own unit. Frisch and Waugh,
    Econometrica 1 (1933): Gram-Schmidt on centred columns; for few exposures, such as beta and log size (each of them
    is another pass over the one before).

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
        directions = [_left(column, _without(column, direction)) for column in rest]
    return residual


def _without(values: pl.Expr, direction: pl.Expr) -> pl.Expr:
    """Return the values less their projection on the direction; both are centred. A direction of 0 takes nothing."""
    value, along = pl.field("value"), pl.field("along")
    size = (along * along).sum()
    share = pl.when(size > 0).then((value * along).sum() / size).otherwise(0.0)
    return sharing(value - share * along, value=values, along=direction)


def _left(before: pl.Expr, after: pl.Expr) -> pl.Expr:
    """Return what is left of an exposure, 0 where only rounding is."""
    left = pl.field("after")
    gone = (left * left).sum() <= _COLLINEAR * (pl.field("before") * pl.field("before")).sum()
    return sharing(pl.when(gone).then(0.0 * left).otherwise(left), before=before, after=after)
