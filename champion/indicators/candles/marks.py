"""What a candlestick pattern is, and the marks it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from champion.indicators.candles.shapes import Marks, Shapes, Where

FULL = np.int32(100)
"""The mark of a pattern; TA-Lib's scale."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A candlestick pattern: `before` is the number of bars before its own that it reads, TA-Lib's lookback.

    `mark` returns 100 where it is bullish, -100 where it is bearish, else 0; a few patterns have weaker or stronger
    marks.
    """

    name: str
    before: int
    mark: Callable[[Shapes], Marks]
    doc: str


def patterns(*each: Pattern) -> dict[str, Pattern]:
    """Return the patterns by name."""
    return {one.name: one for one in each}


def bullish(where: Where) -> Marks:
    """Return 100 where true, else 0."""
    return where * FULL


def bearish(where: Where) -> Marks:
    """Return -100 where true, else 0."""
    return where * -FULL


def colored(s: Shapes, ago: int, where: Where) -> Marks:
    """Return 100 for a white candle and -100 for a black one, where true."""
    return where * s.color(ago) * FULL
