"""The parts of candles that patterns compare: bodies, shadows, gaps, and averages of the preceding candles.

Definitions, windows and factors are TA-Lib's defaults (`TA_CandleDefaultSettings`). Prices are whole price units, so
sums are exact and every comparison depends on its window alone. An average of a candle is over the 10 or 5 candles
before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Where = npt.NDArray[np.bool_]
Marks = npt.NDArray[np.int32]
Number = TypeVar("Number", bound=np.generic)

BEFORE = 16
"""Rows before a block that its patterns read: 10 of an average and up to 5 candles."""

_LONG, _NEAR = 10, 5  # windows of the averages


class Shapes:
    """Candles in session order; a method with argument `ago` returns one value a row, of the candle `ago` rows before.

    The first `BEFORE` rows serve later rows only and get no value. Prices are whole price units.
    """

    def __init__(self, prices: Sequence[Array]) -> None:
        """Take open, high, low and close, with `BEFORE` rows in front."""
        self._open, self._high, self._low, self._close = prices

    def open(self, ago: int) -> Array:
        """Return the open."""
        return _before(self._open, ago)

    def high(self, ago: int) -> Array:
        """Return the high."""
        return _before(self._high, ago)

    def low(self, ago: int) -> Array:
        """Return the low."""
        return _before(self._low, ago)

    def close(self, ago: int) -> Array:
        """Return the close."""
        return _before(self._close, ago)

    def top(self, ago: int) -> Array:
        """Return the upper end of the body."""
        return _before(self._top, ago)

    def bottom(self, ago: int) -> Array:
        """Return the lower end of the body."""
        return _before(self._bottom, ago)

    def body(self, ago: int) -> Array:
        """Return the length of the body."""
        return _before(self._body, ago)

    def upper(self, ago: int) -> Array:
        """Return the length of the upper shadow."""
        return _before(self._upper, ago)

    def lower(self, ago: int) -> Array:
        """Return the length of the lower shadow."""
        return _before(self._lower, ago)

    def white(self, ago: int) -> Where:
        """Return whether the close is at or above the open."""
        return _before(self._white, ago)

    def black(self, ago: int) -> Where:
        """Return whether the close is below the open."""
        return _before(self._black, ago)

    def color(self, ago: int) -> Marks:
        """Return 1 for a white candle, -1 for a black one."""
        return _before(self._color, ago)

    def long(self, ago: int) -> Where:
        """Return whether the body is longer than the average body."""
        return _before(self._is_long, ago)

    def short(self, ago: int) -> Where:
        """Return whether the body is shorter than the average body."""
        return _before(self._is_short, ago)

    def small(self, ago: int) -> Where:
        """Return whether the body is not longer than the average body."""
        return ~self.long(ago)

    def doji(self, ago: int, *, average_ago: int | None = None) -> Where:
        """Return whether the body is at most a tenth of the average range, which may be that of another candle."""
        if average_ago is None:
            return _before(self._is_doji, ago)
        return self.body(ago) <= _before(self._tenth, average_ago)

    def no_upper(self, ago: int) -> Where:
        """Return whether the upper shadow is shorter than a tenth of the average range."""
        return _before(self._no_upper, ago)

    def no_lower(self, ago: int) -> Where:
        """Return whether the lower shadow is shorter than a tenth of the average range."""
        return _before(self._no_lower, ago)

    def has_upper(self, ago: int) -> Where:
        """Return whether the upper shadow is longer than a tenth of the average range."""
        return self.upper(ago) > _before(self._tenth, ago)

    def has_lower(self, ago: int) -> Where:
        """Return whether the lower shadow is longer than a tenth of the average range."""
        return self.lower(ago) > _before(self._tenth, ago)

    def half_shadows(self, ago: int) -> Array:
        """Return half of the average of both shadows together, below which a shadow is short."""
        return _before(self._half_shadows, ago)

    def near(self, ago: int) -> Array:
        """Return the distance within which prices are near: a fifth of the average range of 5 candles."""
        return _before(self._near, ago)

    def far(self, ago: int) -> Array:
        """Return the distance beyond which prices are far: 0.6 of the average range of 5 candles."""
        return _before(self._far, ago)

    def equals(self, price: Array, other: Array, ago: int) -> Where:
        """Return whether two prices differ by at most a twentieth of the average range of 5 candles."""
        distance = self.equal(ago)
        return (price <= other + distance) & (price >= other - distance)

    def equal(self, ago: int) -> Array:
        """Return the distance within which prices are equal."""
        return _before(self._equal, ago)

    def body_gap_up(self, ago: int, earlier: int) -> Where:
        """Return whether the body lies above the body of an earlier candle."""
        return self.bottom(ago) > self.top(earlier)

    def body_gap_down(self, ago: int, earlier: int) -> Where:
        """Return whether the body lies below the body of an earlier candle."""
        return self.top(ago) < self.bottom(earlier)

    def gap_up(self, ago: int, earlier: int) -> Where:
        """Return whether the candle, with its shadows, lies above an earlier one."""
        return self.low(ago) > self.high(earlier)

    def gap_down(self, ago: int, earlier: int) -> Where:
        """Return whether the candle, with its shadows, lies below an earlier one."""
        return self.high(ago) < self.low(earlier)

    @cached_property
    def _top(self) -> Array:
        return np.maximum(self._open, self._close)

    @cached_property
    def _bottom(self) -> Array:
        return np.minimum(self._open, self._close)

    @cached_property
    def _body(self) -> Array:
        return self._top - self._bottom

    @cached_property
    def _upper(self) -> Array:
        return self._high - self._top

    @cached_property
    def _lower(self) -> Array:
        return self._bottom - self._low

    @cached_property
    def _white(self) -> Where:
        return self._close >= self._open

    @cached_property
    def _black(self) -> Where:
        return ~self._white

    @cached_property
    def _color(self) -> Marks:
        return np.where(self._white, np.int32(1), np.int32(-1))

    @cached_property
    def _average_body(self) -> Array:
        return _sum_before(self._body, _LONG) / _LONG

    @cached_property
    def _is_long(self) -> Where:
        return self._body > self._average_body

    @cached_property
    def _is_short(self) -> Where:
        return self._body < self._average_body

    @cached_property
    def _range(self) -> Array:
        return self._high - self._low

    @cached_property
    def _tenth(self) -> Array:
        return 0.1 * (_sum_before(self._range, _LONG) / _LONG)

    @cached_property
    def _is_doji(self) -> Where:
        return self._body <= self._tenth

    @cached_property
    def _no_upper(self) -> Where:
        return self._upper < self._tenth

    @cached_property
    def _no_lower(self) -> Where:
        return self._lower < self._tenth

    @cached_property
    def _half_shadows(self) -> Array:
        return _sum_before(self._upper + self._lower, _LONG) / _LONG / 2.0

    @cached_property
    def _average_range(self) -> Array:
        return _sum_before(self._range, _NEAR) / _NEAR

    @cached_property
    def _near(self) -> Array:
        return 0.2 * self._average_range

    @cached_property
    def _far(self) -> Array:
        return 0.6 * self._average_range

    @cached_property
    def _equal(self) -> Array:
        return 0.05 * self._average_range


def _before(values: npt.NDArray[Number], ago: int) -> npt.NDArray[Number]:
    return values[BEFORE - ago : values.size - ago]


def _sum_before(values: Array, window: int) -> Array:
    """Return the sum of the `window` values before each; the first rows are arbitrary."""
    two = values[1:] + values[:-1]
    four = two[2:] + two[:-2]
    total = four[1:] + values[: 1 - _NEAR]
    if window == _LONG:
        total = total[_NEAR:] + total[:-_NEAR]
    padded = np.zeros_like(values)
    padded[window:] = total[:-1]
    return padded
