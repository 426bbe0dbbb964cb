"""Candlestick patterns: TA-Lib's 61, with its names, default settings and marks.

A mark is known at the close of its bar. It is 100 for a bullish and -100 for a bearish pattern, 0 without the pattern;
80 in `engulfing`, `harami` and `haramicross` where two ends of bodies are equal; 200 where `hikkake` is confirmed.

Marks equal TA-Lib's for prices in whole price units of 1/10,000 rupee. For prices in rupees TA-Lib adds binary
fractions to a running sum: where a body equals the average body exactly, its answer depends on rounding errors and on
the start of the history. Here such a tie is exact, so a mark depends on its window alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.indicators.candles.longer import LONGER
from champion.indicators.candles.one import ONE
from champion.indicators.candles.shapes import BEFORE, Marks, Shapes
from champion.indicators.candles.three import THREE
from champion.indicators.candles.two import TWO
from champion.indicators.numeric.mechanics import PRICE_UNIT

__all__ = ["PATTERNS", "PRICES", "candle", "marks"]
__dir__ = __all__.copy

PATTERNS = dict(sorted((ONE | TWO | THREE | LONGER).items()))
"""The patterns by name, as TA-Lib's without `CDL` and in lower case, in the order of their names."""

PRICES = ("open", "high", "low", "close")
"""The bar columns that patterns read."""

_ROWS = 8192  # per block: arrays of 64 kB fit the second-level cache


def candle(name: str, open_: pl.Expr, high: pl.Expr, low: pl.Expr, close: pl.Expr) -> pl.Expr:
    """Return the marks of a pattern of `PATTERNS` (Int32), known at the close of each bar.

    Null on the first rows, as many as TA-Lib's lookback of the pattern, and null while one of these rows, or the row
    itself, holds a null. TA-Lib CDL functions; Nison, Japanese Candlestick Charting Techniques (1991).

    Raises:
        UsageError: there is no pattern of this name.

    >>> bars = pl.DataFrame({"open": [10.0, 9.0, 8.0], "high": [10.0, 9.5, 11.5], "low": [8.5] * 2 + [8.0]})
    >>> bars = bars.with_columns(close=pl.Series([9.0, 8.5, 11.0]))
    >>> bars.select(candle("engulfing", *(pl.col(name) for name in PRICES))).to_series().to_list()
    [None, None, 100]
    """
    if name not in PATTERNS:
        raise UsageError(f"there is no candlestick pattern {name!r}; there are {', '.join(PATTERNS)}")
    before = PATTERNS[name].before

    def mark(bars: pl.Series) -> pl.Series:
        frame = bars.struct.unnest()
        whole = frame.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
        column = marks(frame.fill_null(1.0), [name]).to_series()
        full = whole.cast(pl.Int64).rolling_sum(before + 1) == before + 1
        return pl.select(pl.when(full).then(column)).to_series()

    named = [price.alias(column) for column, price in zip(PRICES, (open_, high, low, close), strict=True)]
    return pl.struct(named).map_batches(mark, return_dtype=pl.Int32)


def marks(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the marks of the named patterns (Int32), one column each; the first rows of a pattern are arbitrary.

    `bars` have `PRICES` in rupees, without nulls, in session order.

    >>> bars = pl.DataFrame({name: [10.0] * 12 for name in PRICES})
    >>> marks(bars, ["doji"]).row(-1)
    (100,)
    """
    columns: dict[str, Marks] = {name: np.empty(bars.height, np.int32) for name in names}
    whole = [
        np.pad(np.rint(bars[name].to_numpy() * PRICE_UNIT), (BEFORE, 0), mode="edge") for name in PRICES if bars.height
    ]
    for start in range(0, bars.height, _ROWS):
        end = min(start + _ROWS, bars.height)
        shapes = Shapes([prices[start : end + BEFORE] for prices in whole])
        for name, column in columns.items():
            column[start:end] = PATTERNS[name].mark(shapes)
    return pl.DataFrame(columns)
