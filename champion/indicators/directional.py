"""Directional movement: Wilder's ADX with its two indicators, and Aroon.

The conventions are TA-Lib's, including its comparison of moves in doubles: if the high rose exactly as far as the low
fell, neither move counts. Whether doubles are equal depends on their last bit, and Wilder's means keep the effect.
"""

from __future__ import annotations

import polars as pl

from champion.indicators.bars import MAX_PRICE
from champion.indicators.numeric.mechanics import (
    after_known,
    divide,
    first_known,
    first_mean,
    seeded_ewm,
    sharing,
    true_range_units,
    units,
)

_ROWS = 2**40
"""More than any number of rows: price * `_ROWS` + row sorts by price, then by row."""

_HIGHEST = int(MAX_PRICE) * 10_000


def plus_di(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's positive directional indicator +DI, 0 to 100; `window` is 2 or more.

    The smoothed upward moves in percent of the smoothed true range; 0 before the first move. Null on the first `window`
    rows. TA-Lib PLUS_DI; Wilder, New Concepts in Technical Trading Systems (1978). Recursive.

    >>> bars = pl.DataFrame({"high": [11.0, 12.0, 13.0], "low": [10.0, 11.0, 12.0], "close": [10.0, 12.0, 13.0]})
    >>> bars.select(plus_di(pl.col("high"), pl.col("low"), pl.col("close"), 2)).to_series().round(2).to_list()
    [None, None, 75.0]
    """
    up, down = _moves(high, low)
    return _indicator(_move_if(units(high).diff(), (up > 0) & (up > down)), high, low, close, window)


def minus_di(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return Wilder's negative directional indicator -DI, 0 to 100: as `plus_di`, for moves down.

    Null where `plus_di` is. TA-Lib MINUS_DI; same source. Recursive.

    >>> bars = pl.DataFrame({"high": [13.0, 12.0, 11.0], "low": [12.0, 11.0, 10.0], "close": [12.0, 11.0, 10.0]})
    >>> bars.select(minus_di(pl.col("high"), pl.col("low"), pl.col("close"), 2)).to_series().round(2).to_list()
    [None, None, 100.0]
    """
    up, down = _moves(high, low)
    return _indicator(_move_if(-units(low).diff(), (down > 0) & (down > up)), high, low, close, window)


def adx(high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int = 14) -> pl.Expr:
    """Return the average directional index, 0 (no trend) to 100, for either direction; `window` is 2 or more.

    Null on the first 2 * `window` - 1 rows. It starts as the mean of the first `window` values of
    `100 * |+DI - -DI| / (+DI + -DI)`, and is unchanged on a session where both are 0. Null where +DI and -DI are null.
    TA-Lib ADX; Wilder, New Concepts in Technical Trading Systems (1978). Recursive.

    >>> bars = pl.DataFrame({"high": [11.0, 12.0, 13.0, 13.0], "low": [10.0, 11.0, 12.0, 11.0]})
    >>> bars.select(adx(pl.col("high"), pl.col("low"), pl.col("low"), 2)).to_series().round(2).to_list()
    [None, None, None, 57.14]
    """
    plus, minus = pl.field("plus"), pl.field("minus")
    share = 100 * ((plus - minus).abs() / (plus + minus))
    both = sharing(
        pl.struct(total=plus + minus, dx=pl.when(plus + minus > 0).then(share)),
        plus=plus_di(high, low, close, window),
        minus=minus_di(high, low, close, window),
    )
    total, dx = pl.field("total"), pl.field("dx")
    first = first_mean(pl.when(dx.is_null() & total.is_not_null()).then(0.0).otherwise(dx), window)
    mean = seeded_ewm(dx, seed=first, count=window, alpha=1 / window, counted=total).forward_fill()
    return both.struct.with_fields(_result=pl.when(total.is_not_null()).then(mean)).struct.field("_result")


def aroon_up(high: pl.Expr, window: int = 14) -> pl.Expr:
    """Return 100 * (`window` - sessions since the highest high) / `window`, 0 to 100.

    The highest high is searched over the last `window` + 1 sessions; if several are equal, the latest counts. Null on
    the first `window` rows. TA-Lib AROON; Chande, Stocks & Commodities (1995).

    >>> pl.DataFrame({"high": [3.0, 2.0, 1.0, 2.0]}).select(aroon_up(pl.col("high"), 2)).to_series().to_list()
    [None, None, 0.0, 100.0]
    """
    return _recency(units(high), window)


def aroon_down(low: pl.Expr, window: int = 14) -> pl.Expr:
    """Return 100 * (`window` - sessions since the lowest low) / `window`, 0 to 100: as `aroon_up`, and null as it is.

    TA-Lib AROON.

    >>> pl.DataFrame({"low": [3.0, 2.0, 1.0, 1.0]}).select(aroon_down(pl.col("low"), 2)).to_series().to_list()
    [None, None, 100.0, 100.0]
    """
    return _recency(_HIGHEST - units(low), window)


def aroon_oscillator(high: pl.Expr, low: pl.Expr, window: int = 14) -> pl.Expr:
    """Return `aroon_up` less `aroon_down`, -100 to 100; null where they are. TA-Lib AROONOSC.

    >>> bars = pl.DataFrame({"high": [3.0, 2.0, 1.0], "low": [2.0, 1.0, 0.5]})
    >>> bars.select(aroon_oscillator(pl.col("high"), pl.col("low"), 2)).to_series().to_list()
    [None, None, -100.0]
    """
    return aroon_up(high, window) - aroon_down(low, window)


def _moves(high: pl.Expr, low: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return how far the high rose and the low fell, in rupees; null on the first row."""
    return high - high.shift(1), low.shift(1) - low


def _move_if(moved: pl.Expr, counts: pl.Expr) -> pl.Expr:
    """Return the move where `counts` is true, else 0; null where `counts` is null."""
    return pl.when(counts).then(moved).when(counts.is_not_null()).then(0)


def _indicator(moved: pl.Expr, high: pl.Expr, low: pl.Expr, close: pl.Expr, window: int) -> pl.Expr:
    """Return the smoothed moves in percent of the smoothed true range."""
    share = pl.when(pl.field("ranges") == 0).then(0.0).otherwise(100 * (pl.field("moves") / pl.field("ranges")))
    known = pl.field("move").is_not_null() & pl.field("range").is_not_null()
    moves, ranges = (_smooth(pl.when(known).then(pl.field(name)), window) for name in ("move", "range"))
    smooth = sharing(pl.struct(moves=moves, ranges=ranges), move=moved, range=true_range_units(high, low, close))
    return after_known(1, smooth.struct.with_fields(_result=share).struct.field("_result"))


def _smooth(values: pl.Expr, window: int) -> pl.Expr:
    """Return Wilder's running sum over `window`, divided by it; it starts with the first `window` - 1 values."""
    value = pl.field("value")
    first = divide(first_known(value, window - 1).sum(), window)
    mean = seeded_ewm(value.cast(pl.Float64), seed=first, count=window - 1, alpha=1 / window)
    return sharing(mean, value=values)


def _recency(whole: pl.Expr, window: int) -> pl.Expr:
    """Return the recency of the greatest whole number of the last `window` + 1 rows, 0 to 100."""
    row = pl.int_range(pl.len(), dtype=pl.Int64).cast(pl.Int128)
    latest = (whole.cast(pl.Int128) * _ROWS + row).rolling_max(window + 1) % _ROWS
    return divide(100 * (window - (row - latest)), window)
