"""Quantiles over the last 5, 10, 20, 30 and 60 numbers by a sorting network of minima and maxima of whole arrays.

The sorted numbers of a window are merged from the sorted numbers of its two parts (`windows.PARTS`) by Batcher's
odd-even merge, with only the comparisons that the requested ranks need. A value depends on the window alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import floor
from typing import TypeAlias

import numpy as np

from champion.indicators.numeric.windows import PARTS, WINDOWS, Array


@dataclass(frozen=True, eq=False)
class Given:
    """A sorted number of the newer or the older part, by its rank from 0."""

    newer: bool
    rank: int


@dataclass(frozen=True, eq=False)
class Chosen:
    """The lower or the higher of two numbers."""

    lower: bool
    left: Wire
    right: Wire


Wire: TypeAlias = Given | Chosen


def quantiles(values: Array, shares: tuple[float, ...]) -> dict[int, list[Array]]:
    """Return the quantile of each window at each share, linearly interpolated.

    >>> [array.tolist() for array in quantiles(np.array([5.0, 1, 4, 2, 3, 9]), (0.25, 0.9))[5]]
    [[2.0, 2.0], [4.6, 7.0]]
    """
    plan = _plan(shares)
    sorted_numbers: dict[int, dict[int, Array]] = {1: {0: values}}
    for window, (newer, older) in PARTS.items():
        late = {rank: array[older:] for rank, array in sorted_numbers[newer].items()}
        early = {rank: array[:-newer] for rank, array in sorted_numbers[older].items()}
        sorted_numbers[window] = _evaluate(plan[window], late, early)
    return {w: [_between(sorted_numbers[w], share * (w - 1)) for share in shares] for w in WINDOWS}


def _between(ordered: dict[int, Array], place: float) -> Array:
    below = floor(place)
    if place == below:
        return ordered[below]
    return ordered[below] + (ordered[below + 1] - ordered[below]) * (place - below)


def _evaluate(wires: dict[int, Wire], late: dict[int, Array], early: dict[int, Array]) -> dict[int, Array]:
    """Return the arrays of the wires by rank; a shared wire is computed once."""
    arrays: dict[Wire, Array] = {}

    def array(wire: Wire) -> Array:
        if isinstance(wire, Given):
            return (late if wire.newer else early)[wire.rank]
        if wire not in arrays:
            choose = np.minimum if wire.lower else np.maximum
            arrays[wire] = choose(array(wire.left), array(wire.right))
        return arrays[wire]

    return {rank: array(wire) for rank, wire in wires.items()}


@cache
def _plan(shares: tuple[float, ...]) -> dict[int, dict[int, Wire]]:
    """Return the wires of the ranks that each window needs, for its own quantiles and for longer windows."""
    needed: dict[int, set[int]] = {window: set() for window in (1, *PARTS)}
    for window in WINDOWS:
        for share in shares:
            below = floor(share * (window - 1))
            needed[window] |= {below, min(below + 1, window - 1)}
    plan = {}
    for window, (newer, older) in sorted(PARTS.items(), reverse=True):
        merged = _merge(
            [Given(newer=True, rank=rank) for rank in range(newer)],
            [Given(newer=False, rank=rank) for rank in range(older)],
        )
        plan[window] = {rank: merged[rank] for rank in sorted(needed[window])}
        for given in _inputs(plan[window].values()):
            needed[newer if given.newer else older].add(given.rank)
    return plan


def _inputs(wires: Iterable[Wire]) -> list[Given]:
    """Return the inputs that the wires depend on."""
    seen: dict[Wire, None] = {}
    todo = list(wires)
    while todo:
        wire = todo.pop()
        if wire not in seen:
            seen[wire] = None
            todo += [wire.left, wire.right] if isinstance(wire, Chosen) else []
    return [wire for wire in seen if isinstance(wire, Given)]


def _merge(left: list[Wire], right: list[Wire]) -> list[Wire]:
    """Merge two sorted lists of any lengths by Batcher's odd-even merge (Knuth 5.3.4)."""
    if not left or not right:
        return left + right
    if len(left) == len(right) == 1:
        return _in_order(left[0], right[0])
    even, odd = _merge(left[::2], right[::2]), _merge(left[1::2], right[1::2])
    merged, paired = [even[0]], min(len(odd), len(even) - 1)
    for one, other in zip(odd, even[1:], strict=False):
        merged += _in_order(one, other)
    return merged + odd[paired:] + even[1 + paired :]


def _in_order(one: Wire, other: Wire) -> list[Wire]:
    return [Chosen(lower=True, left=one, right=other), Chosen(lower=False, left=one, right=other)]
