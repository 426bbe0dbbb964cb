"""Quantiles over the last 5, 10, 20, 30 and 60 numbers by a sorting network: minima and maxima of whole arrays.

Each window's sorted numbers are merged from those of its two parts (`windows.PARTS`) by Batcher's odd-even merge, and
only the comparisons that lead to a rank somebody asked for are made. A value depends on the window alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import floor
from typing import NamedTuple

import numpy as np

from champion.indicators.windows import PARTS, WINDOWS, Array


class Wire(NamedTuple):
    """One sorted number: the `rank`-th of the newer or the older part, or the lower or higher of two other wires."""

    kind: str
    rank: int = 0
    left: Wire | None = None
    right: Wire | None = None


def quantiles(values: Array, shares: tuple[float, ...]) -> dict[int, list[Array]]:
    """Return the quantile of each window at each share, between two numbers linearly.

    >>> [array.tolist() for array in quantiles(np.array([5.0, 1, 4, 2, 3, 9]), (0.25, 0.9))[5]]
    [[2.0, 2.0], [4.6, 7.0]]
    """
    plan = _plan(shares)
    sorted_numbers: dict[int, dict[int, Array]] = {1: {0: values}}
    for window, (newer, older) in PARTS.items():
        late = {rank: array[older:] for rank, array in sorted_numbers[newer].items()}
        early = {rank: array[:-newer] for rank, array in sorted_numbers[older].items()}
        sorted_numbers[window] = _merged(plan[window], late, early)
    return {w: [_between(sorted_numbers[w], share * (w - 1)) for share in shares] for w in WINDOWS}


def _between(ordered: dict[int, Array], place: float) -> Array:
    below = floor(place)
    if place == below:
        return ordered[below]
    return ordered[below] + (ordered[below + 1] - ordered[below]) * (place - below)


def _merged(wires: dict[int, Wire], late: dict[int, Array], early: dict[int, Array]) -> dict[int, Array]:
    """Return the arrays of the wires by rank; a wire that leads to several is computed once."""
    made: dict[int, Array] = {}

    def array(wire: Wire | None) -> Array:
        assert wire is not None  # noqa: S101 - a comparison has two wires
        if wire.kind in {"newer", "older"}:
            return (late if wire.kind == "newer" else early)[wire.rank]
        if id(wire) not in made:
            lower = np.minimum if wire.kind == "lower" else np.maximum
            made[id(wire)] = lower(array(wire.left), array(wire.right))
        return made[id(wire)]

    return {rank: array(wire) for rank, wire in wires.items()}


@cache
def _plan(shares: tuple[float, ...]) -> dict[int, dict[int, Wire]]:
    """Return the wires of the ranks that are needed of each window, by rank: its own, and those of longer ones."""
    needed: dict[int, set[int]] = {window: set() for window in (1, *PARTS)}
    for window in WINDOWS:
        for share in shares:
            below = floor(share * (window - 1))
            needed[window] |= {below, min(below + 1, window - 1)}
    plan = {}
    for window, (newer, older) in sorted(PARTS.items(), reverse=True):
        merged = _merge([Wire("newer", rank) for rank in range(newer)], [Wire("older", rank) for rank in range(older)])
        plan[window] = {rank: merged[rank] for rank in sorted(needed[window])}
        used = _inputs(plan[window].values())
        needed[newer] |= {wire.rank for wire in used if wire.kind == "newer"}
        needed[older] |= {wire.rank for wire in used if wire.kind == "older"}
    return plan


def _inputs(wires: Sequence[Wire] | object) -> list[Wire]:
    """Return the wires of the parts that these lead from."""
    found: dict[int, Wire] = {}
    todo = list(wires)  # type: ignore[call-overload]
    while todo:
        wire = todo.pop()
        if wire is not None and id(wire) not in found:
            found[id(wire)] = wire
            todo += [wire.left, wire.right]
    return [wire for wire in found.values() if wire.kind in {"newer", "older"}]


def _merge(left: list[Wire], right: list[Wire]) -> list[Wire]:
    """Return the wires of two sorted lists in order: Batcher's odd-even merge of any two lengths (Knuth 5.3.4)."""
    if not left or not right:
        return left + right
    if len(left) == len(right) == 1:
        return [Wire("lower", 0, left[0], right[0]), Wire("higher", 0, left[0], right[0])]
    even, odd = _merge(left[::2], right[::2]), _merge(left[1::2], right[1::2])
    merged = [even[0]]
    for place in range(max(len(odd), len(even) - 1)):
        pair = [*odd[place : place + 1], *even[place + 1 : place + 2]]
        merged += [Wire("lower", 0, *pair), Wire("higher", 0, *pair)] if len(pair) == 2 else pair  # noqa: PLR2004
    return merged
