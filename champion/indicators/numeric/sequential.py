"""Indicators that need a loop over bars: Kaufman's adaptive average and Wilder's parabolic stop and reverse.

Each value depends on a decision at the previous bar, so neither a window nor an exponential mean computes it. The loop
takes about 0.2 microseconds per bar. Recursive: computed from the instrument's first bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from champion.indicators.numeric.mechanics import sharing, units

_FASTEST, _SLOWEST = 2 / (2 + 1), 2 / (30 + 1)


def kama(price: pl.Expr, window: int = 30) -> pl.Expr:
    """Return Kaufman's adaptive moving average, in rupees: fast in a trend, slow in a sideways market.

    It changes by (efficiency * (2/3 - 2/31) + 2/31)^2 of its distance to the price, where efficiency is the change over
    `window` sessions over the sum of absolute changes, 1 for a constant price. It starts from the previous price. Null
    on the first `window` rows; after a null price it restarts once `window` + 1 prices follow. TA-Lib KAMA, whose
    running sum may not detect a constant price; Kaufman, Trading Systems and Methods (1998). Recursive.

    >>> pl.DataFrame({"close": [1.0, 2.0, 3.0, 2.0]}).select(kama(pl.col("close"), 2)).to_series().round(4).to_list()
    [None, None, 2.4444, 2.4426]
    """
    whole = pl.field("whole")
    moved, path = whole - whole.shift(window), (whole - whole.shift(1)).abs().rolling_sum(window)
    efficiency = pl.when(path <= moved).then(1.0).otherwise((moved / path).abs())
    pace = (efficiency * (_FASTEST - _SLOWEST) + _SLOWEST).pow(2)
    both = sharing(
        pl.struct(price=pl.field("price"), pace=pl.when(path.is_not_null()).then(pace)), price=price, whole=units(price)
    )
    return both.map_batches(lambda bars: _column(_adapted(*_lists(bars.struct.unnest()))), return_dtype=pl.Float64)


def parabolic_sar(high: pl.Expr, low: pl.Expr, acceleration: float = 0.02, maximum: float = 0.2) -> pl.Expr:
    """Return Wilder's parabolic stop and reverse, in rupees: below the low while long, above the high while short.

    Each new extreme increases its speed by `acceleration`, up to `maximum`; a touch reverses it. It starts long unless
    the second low fell by more than the high rose. Null on the first row and where high or low is null; such bars are
    skipped. TA-Lib SAR; Wilder, New Concepts in Technical Trading Systems
    (1978). Recursive.

    >>> bars = pl.DataFrame({"high": [10.0, 11.0, 12.0, 11.5], "low": [9.0, 10.0, 11.0, 8.0]})
    >>> bars.select(parabolic_sar(pl.col("high"), pl.col("low"))).to_series().to_list()
    [None, 9.0, 9.04, 12.0]
    """
    step = min(acceleration, maximum)

    def follow(bars: pl.Series) -> pl.Series:
        both = bars.struct.unnest()
        there = both.select(pl.all_horizontal(pl.all().is_not_null()).arg_true()).to_series()
        highs, lows = _lists(both[there])
        stops = _column(_stops(highs, lows, step, maximum))
        return pl.repeat(None, bars.len(), dtype=pl.Float64, eager=True).scatter(there, stops)

    return pl.struct(high=high, low=low).map_batches(follow, return_dtype=pl.Float64)


def _adapted(prices: Iterable[float], paces: Iterable[float | None]) -> Iterator[float | None]:
    mean = 0.0
    for price, pace in zip(prices, paces, strict=True):
        if pace is None:
            mean = price
            yield None
        else:
            mean += (price - mean) * pace
            yield mean


def _stops(highs: list[float], lows: list[float], step: float, maximum: float) -> Iterator[float | None]:
    """Yield the stop of each bar; a short position is computed as a long position in negated prices."""
    yield from [None] * min(len(highs), 1)
    if len(highs) < 2:  # noqa: PLR2004 - the direction needs two bars
        return
    fall = lows[0] - lows[1]
    sign = -1.0 if fall > 0 and fall > highs[1] - highs[0] else 1.0
    bars = list(zip(highs, lows, strict=True))
    before, stop = _signed(bars[1], sign), _signed(bars[0], sign)[1]
    extreme, pace = before[0], step
    for bar in bars[1:]:
        top, bottom = _signed(bar, sign)
        if bottom <= stop:
            stop = max(extreme, before[0], top)
            yield sign * stop
            sign, before = -sign, (-before[1], -before[0])
            (top, bottom), stop = (-bottom, -top), -stop
            extreme, pace = top, step
        else:
            yield sign * stop
            if top > extreme:
                extreme, pace = top, min(pace + step, maximum)
        stop = min(stop + pace * (extreme - stop), before[1], bottom)
        before = (top, bottom)


def _signed(bar: tuple[float, float], sign: float) -> tuple[float, float]:
    """Return high and low, for a negative sign those of the negated prices."""
    high, low = bar
    return (high, low) if sign > 0 else (-low, -high)


def _lists(bars: pl.DataFrame) -> list[list[float]]:
    return [column.to_list() for column in bars]


def _column(values: Iterable[float | None]) -> pl.Series:
    return pl.Series(list(values), dtype=pl.Float64)
