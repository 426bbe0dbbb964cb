"""Drift against a plain loop, by hand, and its laws."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from champion.drift import FEWEST, drift

VALUES = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]), min_size=2, max_size=30)


def frame(values: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame({"x": values}, schema={"x": pl.Float64})


def distance(before: list[float], now: list[float]) -> float:
    return float(drift(frame([*before]), frame([*now]), fewest=2)["distance"][0])


def by_loop(before: list[float], now: list[float]) -> float:
    """The largest difference of the two shares of values up to a point, over all points there are."""
    apart = []
    for point in {*before, *now}:
        shares = [sum(value <= point for value in values) / len(values) for values in (before, now)]
        apart.append(abs(shares[0] - shares[1]))
    return max(apart)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_equals_a_plain_loop_also_where_values_are_equal(before: list[float], now: list[float]) -> None:
    assert distance(before, now) == pytest.approx(by_loop(before, now), abs=1e-12)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_any_increasing_function_and_either_direction_give_the_same(before: list[float], now: list[float]) -> None:
    cubed = distance([value**3 for value in before], [value**3 for value in now])
    assert distance(before, now) == pytest.approx(cubed, abs=1e-12)
    assert distance(before, now) == pytest.approx(distance(now, before), abs=1e-12)


def test_by_hand() -> None:
    assert distance([1.0, 2.0], [1.0, 2.0]) == 0
    assert distance([1.0, 2.0], [3.0, 4.0]) == 1
    assert distance([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]) == 0.25


def test_what_is_no_number_does_not_count_and_too_few_say_nothing() -> None:
    enough = [float(n) for n in range(FEWEST)]
    told = drift(frame([*enough, None, math.nan]), frame([*enough, math.inf]))
    assert told.row(0) == ("x", 0.0, FEWEST, FEWEST)
    assert drift(frame([*enough]), frame([*enough[1:], None])).row(0) == ("x", None, FEWEST, FEWEST - 1)
    assert drift(frame([]), frame([]), fewest=0).row(0) == ("x", None, 0, 0)
