"""Support and resistance: prices at which the price has turned more than once.

1. Each confirmed swing high or low (`swings`) is remembered, up to `REMEMBERED` of them.
2. A swing touches an earlier one if their prices differ by at most 1 per cent of the later. Both are then touched once
   more; a swing alone has one touch.
3. A remembered swing with at least two touches is a level. The lowest level above the close is the resistance, the
   highest level at or below it the support; so a level that the price has broken changes its role.
4. The age of a level is the number of bars since its swing; of equal prices the latest counts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from champion.indicators.charts.swings import SIDE, swing_high, swing_low
from champion.indicators.numeric.mechanics import PRICE_UNIT, rupees
from champion.indicators.numeric.recurrence import BARS, Array, Columns, Recurrence

REMEMBERED = 32
"""Swings remembered: with 5 bars on each side, those of about a year and a half."""

_LEAST = 2  # touches of a level
_SHARE = 100  # a touch is within 1 / _SHARE of the price
_SIDES = ("resistance", "support")
_SWINGS = ("swing_high", "swing_low")
PRICES, SWING_BARS, TOUCHES = "swing_prices", "swing_bars", "swing_touches"

VALUES = (*_SIDES, *(f"{side}_{what}" for side in _SIDES for what in ("touches", "age")))
"""Columns of the state that describe the levels around the close; prices are whole price units."""


def resistance(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the lowest level above the close, in rupees; null without one.

    A level is the price of one of the last 32 swing highs and lows (5 bars on each side) that at least one other swing
    came within 1% of; it is known once the swing is confirmed. A resistance that the price has broken is a support.
    Murphy, Technical Analysis of the Financial Markets (1999). Recursive.

    >>> highs = [9.0, 12.0, 9.0, 9.0, 9.0, 9.0, 9.0, 12.05, 9.0, 9.0, 9.0, 9.0, 9.0]
    >>> bars = pl.DataFrame({"high": [9.0] * 4 + highs}).with_columns(low=pl.lit(8.0), close=pl.lit(8.5))
    >>> bars.select(resistance(pl.col("high"), pl.col("low"), pl.col("close"))).to_series().to_list()[-2:]
    [None, 12.0]
    """
    return rupees(_value("resistance", high, low, close))


def support(high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the highest level at or below the close, in rupees; null without one. See `resistance`. Recursive.

    >>> bars = pl.DataFrame({"high": [9.0] * 30, "low": [8.0] * 30, "close": [8.5] * 30})
    >>> bars.select(support(pl.col("high"), pl.col("low"), pl.col("close")).null_count()).item()
    30
    """
    return rupees(_value("support", high, low, close))


def level_touches(side: str, high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the number of swings within 1% of the `resistance` or `support` (Int32), at least 2; null without one.

    It counts the level's own swing, and swings that are no longer remembered. Recursive.

    >>> bars = pl.DataFrame({"high": [9.0] * 30, "low": [8.0] * 30, "close": [8.5] * 30})
    >>> bars.select(level_touches("support", *(pl.col(name) for name in bars.columns)).null_count()).item()
    30
    """
    return _value(f"{side}_touches", high, low, close).cast(pl.Int32)


def level_age(side: str, high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the bars since the swing of the `resistance` or `support` (Int32); null without one. Recursive.

    >>> bars = pl.DataFrame({"high": [9.0] * 30, "low": [8.0] * 30, "close": [8.5] * 30})
    >>> bars.select(level_age("support", *(pl.col(name) for name in bars.columns)).null_count()).item()
    30
    """
    return _value(f"{side}_age", high, low, close).cast(pl.Int32)


def _value(name: str, high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    upper, lower = (swing.fill_null(float("nan")) for swing in (swing_high(high, SIDE), swing_low(low, SIDE)))
    bars = pl.struct(close=close, swing_high=upper, swing_low=lower)
    return bars.map_batches(lambda each: LEVELS.column(name, each), return_dtype=pl.Float64)


def _step(state: Columns, bar: Columns) -> Columns:
    """Return the state after a bar: see the numbered rules above."""
    now = bar[BARS]
    prices, bars, touches = (state[name] for name in (PRICES, SWING_BARS, TOUCHES))
    last: dict[str, Array] = {}
    for swing in _SWINGS:
        price = np.rint(bar[swing] * PRICE_UNIT)
        new = np.flatnonzero(~np.isnan(price))
        last |= _latest(swing, state, price, now)
        if new.size:
            _remember(prices, bars, touches, new, price[new], now[new] - SIDE)
    close = np.rint(bar["close"] * PRICE_UNIT)
    levels = np.where(touches >= _LEAST, prices, np.nan)
    above, below = np.where(levels > close, levels, np.inf), np.where(levels <= close, levels, -np.inf)
    found = {"resistance": np.argmin(above, axis=0), "support": np.argmax(below, axis=0)}
    described: dict[str, Array] = {}
    for side, candidates in (("resistance", above), ("support", below)):
        described |= _describe(side, candidates, found[side], touches, now - bars)
    return {PRICES: prices, SWING_BARS: bars, TOUCHES: touches} | last | described


def _latest(swing: str, state: Columns, price: Array, now: Array) -> dict[str, Array]:
    confirmed = ~np.isnan(price)
    level, at = f"last_{swing}", f"last_{swing}_bar"
    age = f"last_{swing}_age"
    bar = np.where(confirmed, now - SIDE, state[at])
    return {level: np.where(confirmed, price, state[level]), at: bar, age: now - bar}


def _remember(prices: Array, bars: Array, touches: Array, new: npt.NDArray[np.int64], price: Array, at: Array) -> None:
    """Put a swing of each instrument in `new` in front of the remembered ones, which drops the oldest."""
    near = np.abs(prices[:, new] - price) * _SHARE <= price
    touched = touches[:, new] + near
    for lines, values, first in (
        (prices, prices[:, new], price), (bars, bars[:, new], at), (touches, touched, 1.0 + near.sum(axis=0)),
    ):  # fmt: skip
        lines[1:, new] = values[:-1]
        lines[0, new] = first


def _describe(
    side: str, candidates: Array, chosen: npt.NDArray[np.int64], touches: Array, ages: Array
) -> Mapping[str, Array]:
    line = chosen[None, :]
    price = np.take_along_axis(candidates, line, 0)[0]
    known = np.isfinite(price)
    values = {side: price, f"{side}_touches": np.take_along_axis(touches, line, 0)[0]}
    values[f"{side}_age"] = np.take_along_axis(ages, line, 0)[0]
    return {name: np.where(known, value, np.nan) for name, value in values.items()}


_LAST = tuple(f"last_{swing}{what}" for swing in _SWINGS for what in ("", "_bar", "_age"))
LEVELS = Recurrence(
    (PRICES, SWING_BARS, TOUCHES, *_LAST, *VALUES),
    ("close", *_SWINGS),
    _step,
    {PRICES: REMEMBERED, SWING_BARS: REMEMBERED, TOUCHES: REMEMBERED},
)
"""The latest swings and the levels around the close, from the close and the swings that each bar confirms."""
