"""Compute statistics over the last 5, 10, 20, 30 and 60 numbers with NumPy, all windows together.

A window is combined from its newer and its older part (60 = 30 + 30, 30 = 10 + 20, ...), so every bit of a value
depends on the window alone, not on earlier numbers or the start of the array. There are no running sums, so no error
accumulates. Means and sums of squares are merged as by Chan, Golub and LeVeque. Means are stored as their distance from
the window's last number, so small changes of large numbers keep their digits.

Arrays are aligned at their ends: for m numbers, windows of n give arrays of length m - n + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Merge = Callable[[Sequence[Array], Sequence[Array], int, int], list[Array]]

WINDOWS = (5, 10, 20, 30, 60)
PARTS = {2: (1, 1), 4: (2, 2), 5: (1, 4), 10: (5, 5), 20: (10, 10), 30: (10, 20), 60: (30, 30)}
"""Lengths of the newer and the older part of each window."""


def fold(single: Sequence[Array], merge: Merge) -> dict[int, list[Array]]:
    """Build the arrays of each window from the arrays of its parts; `single` are the arrays of windows of one number.

    `merge` takes the arrays of the newer and the older part, aligned, and the lengths of the parts.
    """
    arrays = {1: [*single]}
    for window, (newer, older) in PARTS.items():
        late = [array[older:] for array in arrays[newer]]
        early = [array[:-newer] for array in arrays[older]]
        arrays[window] = merge(late, early, newer, older)
    return {window: arrays[window] for window in WINDOWS}


def sums(values: Array) -> dict[int, Array]:
    """Return the sum of each window.

    >>> sums(np.arange(1.0, 7.0))[5].tolist()
    [15.0, 20.0]
    """
    folded = fold([values], lambda late, early, _newer, _older: [late[0] + early[0]])
    return {window: total for window, (total,) in folded.items()}


def moments(values: Array) -> dict[int, list[Array]]:
    """Return for each window the mean less its last number, and the sum of squared deviations; 0 for equal numbers.

    >>> [array.tolist() for array in moments(np.arange(1.0, 7.0))[5]]
    [[-2.0, -2.0], [10.0, 10.0]]
    """

    def merge(late: Sequence[Array], early: Sequence[Array], newer: int, older: int) -> list[Array]:
        whole = newer + older
        step = late[0] - early[0] - (early[2] - late[2])
        spread = late[1] + early[1] + step * step * (newer * older / whole)
        return [late[0] - step * (older / whole), spread, late[2]]

    zeros = np.zeros_like(values)
    return {window: arrays[:2] for window, arrays in fold([zeros, zeros, values], merge).items()}


def trends(values: Array) -> dict[int, list[Array]]:
    """Return `moments` and the sum of products of the deviations of values and positions.

    This sum over n (n^2 - 1) / 12 is the slope of the least-squares line.

    >>> [array.tolist() for array in trends(np.arange(1.0, 7.0))[5]]
    [[-2.0, -2.0], [10.0, 10.0], [10.0, 10.0]]
    """

    def merge(late: Sequence[Array], early: Sequence[Array], newer: int, older: int) -> list[Array]:
        whole, crossed = newer + older, newer * older
        step = late[0] - early[0] - (early[3] - late[3])
        spread = late[1] + early[1] + step * step * (crossed / whole)
        tilt = late[2] + early[2] + step * (crossed / 2)
        return [late[0] - step * (older / whole), spread, tilt, late[3]]

    zeros = np.zeros_like(values)
    return {window: arrays[:3] for window, arrays in fold([zeros, zeros, zeros, values], merge).items()}


def comoments(left: Array, right: Array) -> dict[int, list[Array]]:
    """Return count, sums of squared deviations and of their products, over the pairs of finite numbers.

    >>> [array.tolist() for array in comoments(np.array([1.0, 2, 3, 4, 9]), np.array([2.0, 4, 6, np.nan, 18]))[5]]
    [[4.0], [38.75], [155.0], [77.5]]
    """
    there = np.isfinite(left) & np.isfinite(right)
    count, zeros = there.astype(np.float64), np.zeros_like(left)
    last = [np.where(there, left, 0.0), np.where(there, right, 0.0)]

    def merge(late: Sequence[Array], early: Sequence[Array], _newer: int, _older: int) -> list[Array]:
        whole = late[0] + early[0]
        share = early[0] / np.maximum(whole, 1.0)
        x = late[4] - early[4] - (early[6] - late[6])
        y = late[5] - early[5] - (early[7] - late[7])
        weight = share * late[0]
        across = x * weight
        return [
            whole,
            late[1] + early[1] + x * across,
            late[2] + early[2] + y * y * weight,
            late[3] + early[3] + y * across,
            late[4] - x * share,
            late[5] - y * share,
            *late[6:],
        ]

    folded = fold([count, *[zeros] * 5, *last], merge)
    return {window: arrays[:4] for window, arrays in folded.items()}


def highest(values: Array) -> dict[int, list[Array]]:
    """Return the highest number of each window and its distance from the end; of equal numbers the oldest.

    >>> [array.tolist() for array in highest(np.array([1.0, 7, 7, 3, 2, 0]))[5]]
    [[7.0, 7.0], [3.0, 4.0]]
    """

    def merge(late: Sequence[Array], early: Sequence[Array], newer: int, _older: int) -> list[Array]:
        from_early = early[0] >= late[0]
        return [np.maximum(late[0], early[0]), np.where(from_early, early[1] + newer, late[1])]

    return fold([values, np.zeros_like(values)], merge)


def lowest(values: Array) -> dict[int, list[Array]]:
    """Return the lowest number of each window and its distance from the end; of equal numbers the oldest."""
    return {window: [-low, ago] for window, (low, ago) in highest(-values).items()}


def ranks(values: Array) -> dict[int, Array]:
    """Return the rank of the last number in its window, from 1 for the lowest; equal numbers share their mean rank.

    >>> ranks(np.array([1.0, 7, 7, 3, 2, 7]))[5].tolist()
    [2.0, 4.0]
    """
    result = {}
    twice = np.zeros(values.size, dtype=np.uint8)  # at most 2 * 59
    for ago in range(1, min(max(WINDOWS), values.size)):
        now, then, counted = values[ago:], values[:-ago], twice[ago:]
        counted += (then < now).view(np.uint8)
        counted += (then <= now).view(np.uint8)
        if ago + 1 in WINDOWS:
            result[ago + 1] = counted / 2 + 1
    return {window: result.get(window, np.empty(0)) for window in WINDOWS}
