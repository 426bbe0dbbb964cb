"""Values over the last 5, 10, 20, 30 and 60 numbers, each window made of two shorter ones; NumPy, all windows at once.

A window is folded from its newer and its older part (60 = 30 + 30, 30 = 10 + 20, ...), so a value depends on the
window alone: neither on what came before it nor on where the array starts, to the last bit. No running sum is carried
along, so none drifts; means and sums of squares are merged as Chan, Golub and LeVeque do, without cancellation.

Arrays are aligned at their ends: of m numbers, those of windows of n have the length m - n + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Merge = Callable[[Sequence[Array], Sequence[Array], int, int], list[Array]]

WINDOWS = (5, 10, 20, 30, 60)
PARTS = {2: (1, 1), 4: (2, 2), 5: (1, 4), 10: (5, 5), 20: (10, 10), 30: (10, 20), 60: (30, 30)}
"""The newer and the older part each window is made of."""


def fold(single: Sequence[Array], merge: Merge) -> dict[int, list[Array]]:
    """Return what `merge` makes of the newer and the older part, by window; `single` is that of one number.

    `merge` gets the two parts' arrays, aligned, and how many numbers each part has.
    """
    found = {1: [*single]}
    for window, (newer, older) in PARTS.items():
        late = [array[older:] for array in found[newer]]
        early = [array[:-newer] for array in found[older]]
        found[window] = merge(late, early, newer, older)
    return {window: found[window] for window in WINDOWS}


def sums(values: Array) -> dict[int, Array]:
    """Return the sum of each window.

    >>> sums(np.arange(1.0, 7.0))[5].tolist()
    [15.0, 20.0]
    """
    folded = fold([values], lambda late, early, _newer, _older: [late[0] + early[0]])
    return {window: total for window, (total,) in folded.items()}


def moments(values: Array) -> dict[int, list[Array]]:
    """Return mean and sum of squared deviations of each window; equal numbers give that number and 0.

    >>> [array.tolist() for array in moments(np.arange(1.0, 7.0))[5]]
    [[3.0, 4.0], [10.0, 10.0]]
    """

    def merge(late: Sequence[Array], early: Sequence[Array], newer: int, older: int) -> list[Array]:
        step = late[0] - early[0]
        whole = newer + older
        return [early[0] + step * (newer / whole), late[1] + early[1] + step * step * (newer * older / whole)]

    return fold([values, np.zeros_like(values)], merge)


def trends(values: Array) -> dict[int, list[Array]]:
    """Return mean, sum of squared deviations, and sum of their products with those of the positions, of each window.

    The last over n (n^2 - 1) / 12 is the slope of the least-squares line.

    >>> [array.tolist() for array in trends(np.arange(1.0, 7.0))[5]]
    [[3.0, 4.0], [10.0, 10.0], [10.0, 10.0]]
    """

    def merge(late: Sequence[Array], early: Sequence[Array], newer: int, older: int) -> list[Array]:
        step = late[0] - early[0]
        whole, crossed = newer + older, newer * older
        mean = early[0] + step * (newer / whole)
        spread = late[1] + early[1] + step * step * (crossed / whole)
        return [mean, spread, late[2] + early[2] + step * (crossed / 2)]

    return fold([values, np.zeros_like(values), np.zeros_like(values)], merge)


def comoments(left: Array, right: Array) -> dict[int, list[Array]]:
    """Return count, means, sums of squared deviations and of their products, over the pairs of finite numbers.

    >>> [array.tolist() for array in comoments(np.array([1.0, 2, 3, 4, 9]), np.array([2.0, 4, 6, np.nan, 18]))[5]]
    [[4.0], [3.75], [7.5], [38.75], [155.0], [77.5]]
    """
    there = np.isfinite(left) & np.isfinite(right)
    count, nothing = there.astype(np.float64), np.zeros_like(left)
    single = [count, np.where(there, left, 0.0), np.where(there, right, 0.0), nothing, nothing, nothing]

    def merge(late: Sequence[Array], early: Sequence[Array], _newer: int, _older: int) -> list[Array]:
        whole = late[0] + early[0]
        share = late[0] / np.maximum(whole, 1.0)
        weight = share * early[0]
        x, y = late[1] - early[1], late[2] - early[2]
        across = x * weight
        return [
            whole,
            early[1] + x * share,
            early[2] + y * share,
            late[3] + early[3] + x * across,
            late[4] + early[4] + y * y * weight,
            late[5] + early[5] + y * across,
        ]

    return fold(single, merge)


def highest(values: Array) -> dict[int, list[Array]]:
    """Return the highest number of each window and how many numbers ago it came, first of equals.

    >>> [array.tolist() for array in highest(np.array([1.0, 7, 7, 3, 2, 0]))[5]]
    [[7.0, 7.0], [3.0, 4.0]]
    """

    def merge(late: Sequence[Array], early: Sequence[Array], newer: int, _older: int) -> list[Array]:
        from_early = early[0] >= late[0]
        return [np.maximum(late[0], early[0]), np.where(from_early, early[1] + newer, late[1])]

    return fold([values, np.zeros_like(values)], merge)


def lowest(values: Array) -> dict[int, list[Array]]:
    """Return the lowest number of each window and how many numbers ago it came, first of equals."""
    return {window: [-low, ago] for window, (low, ago) in highest(-values).items()}


def ranks(values: Array) -> dict[int, Array]:
    """Return the rank of the last number among its window's, from 1 for the lowest; equals share their mean rank.

    >>> ranks(np.array([1.0, 7, 7, 3, 2, 7]))[5].tolist()
    [2.0, 4.0]
    """
    found = {}
    twice = np.zeros(values.size, dtype=np.uint8)  # at most 2 * 59
    for ago in range(1, min(max(WINDOWS), values.size)):
        now, then, counted = values[ago:], values[:-ago], twice[ago:]
        counted += (then < now).view(np.uint8)
        counted += (then <= now).view(np.uint8)
        if ago + 1 in WINDOWS:
            found[ago + 1] = counted / 2 + 1
    return {window: found.get(window, np.empty(0)) for window in WINDOWS}
