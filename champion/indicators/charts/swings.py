"""Swing highs and lows: turning points of the price, known once the bars after them have traded."""

from __future__ import annotations

import polars as pl

from champion.indicators.numeric.mechanics import highest, lowest, rupees, sharing, units

SIDE = 5
"""Bars on each side of a swing, a trading week."""

_WHOLE = pl.field("whole")


def swing_high(high: pl.Expr, side: int = SIDE) -> pl.Expr:
    """Return the swing high that this bar confirms, in rupees: the high of `side` bars before; null on other bars.

    It is higher than the `side` highs before it and not lower than the `side` highs after it, so the first of equal
    highs counts. Null on the first 2 * `side` rows, and while one of the 2 * `side` + 1 highs is null. Williams,
    Trading Chaos (1995), calls it a fractal, with `side` 2; charts draw it at its own bar, where it was not yet known.

    >>> highs = pl.DataFrame({"high": [1.0, 3.0, 2.0, 1.0]})
    >>> highs.select(swing_high(pl.col("high"), 1)).to_series().to_list()
    [None, None, 3.0, None]
    """
    whole = units(high)
    middle, after = _WHOLE.shift(side), highest(_WHOLE, side)
    turns = (middle > highest(_WHOLE, side).shift(side + 1)) & (middle >= after)
    return rupees(sharing(pl.when(turns).then(middle), whole=whole))


def swing_low(low: pl.Expr, side: int = SIDE) -> pl.Expr:
    """Return the swing low that this bar confirms, in rupees: the low of `side` bars before; null on other bars.

    It is lower than the `side` lows before it and not higher than the `side` lows after it. Nulls as `swing_high`.

    >>> pl.DataFrame({"low": [3.0, 1.0, 2.0]}).select(swing_low(pl.col("low"), 1)).to_series().to_list()
    [None, None, 1.0]
    """
    whole = units(low)
    middle, after = _WHOLE.shift(side), lowest(_WHOLE, side)
    turns = (middle < lowest(_WHOLE, side).shift(side + 1)) & (middle <= after)
    return rupees(sharing(pl.when(turns).then(middle), whole=whole))


def last_swing_high(high: pl.Expr, side: int = SIDE) -> pl.Expr:
    """Return the latest confirmed swing high, in rupees; null before the first. See `swing_high`. Recursive.

    >>> highs = pl.DataFrame({"high": [1.0, 3.0, 2.0, 1.0]})
    >>> highs.select(last_swing_high(pl.col("high"), 1)).to_series().to_list()
    [None, None, 3.0, 3.0]
    """
    return swing_high(high, side).forward_fill()


def last_swing_low(low: pl.Expr, side: int = SIDE) -> pl.Expr:
    """Return the latest confirmed swing low, in rupees; null before the first. See `swing_low`. Recursive.

    >>> pl.DataFrame({"low": [3.0, 1.0, 2.0]}).select(last_swing_low(pl.col("low"), 1)).to_series().to_list()
    [None, None, 1.0]
    """
    return swing_low(low, side).forward_fill()


def swing_age(swing: pl.Expr, side: int = SIDE) -> pl.Expr:
    """Return the bars since the latest confirmed swing (Int32), counted from the swing's own bar; null before it.

    `swing` is `swing_high` or `swing_low` of the same `side`, so the age is at least `side`. Recursive.

    >>> highs = pl.DataFrame({"high": [1.0, 3.0, 2.0, 1.0]})
    >>> highs.select(swing_age(swing_high(pl.col("high"), 1), 1)).to_series().to_list()
    [None, None, 1, 2]
    """
    row = pl.int_range(pl.len(), dtype=pl.Int32)
    return row - pl.when(swing.is_not_null()).then(row - side).forward_fill()
