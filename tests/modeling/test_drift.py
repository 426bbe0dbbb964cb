"""Compare drift with plain loops and hand calculations."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from champion.errors import UsageError
from champion.modeling.drift import FEWEST, MOVED, WATCH, between

VALUES = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]), min_size=1, max_size=30)


def frame(values: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame({"x": values}, schema={"x": pl.Float64})


def measure(which: str, before: list[float], now: list[float], bins: int = 10) -> float:
    return float(between(frame([*before]), frame([*now]), bins=bins, fewest=1)[which][0])


def sample(size: int, seed: int, mean: float = 0.0, spread: float = 1.0) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(mean, spread, size).tolist()
    return values


def distance_by_loop(before: list[float], now: list[float]) -> float:
    """Return the largest difference of the two cumulative distributions."""
    apart = []
    for point in {*before, *now}:
        shares = [sum(value <= point for value in values) / len(values) for values in (before, now)]
        apart.append(abs(shares[0] - shares[1]))
    return max(apart)


def index_by_loop(before: list[float], now: list[float], bins: int) -> float:
    """Return the index over bins that end at earlier values; an edge that occurs twice has its own bin."""
    ordered = sorted(before)
    quantiles = [ordered[-(-len(ordered) * part // bins) - 1] for part in range(1, bins)]
    ends = sorted({(end, True) for end in quantiles} | {(end, False) for end in quantiles if quantiles.count(end) > 1})
    places: dict[str, list[int]] = {"before": [], "now": []}
    for name, values in (("before", before), ("now", now)):
        for value in values:
            inside = [value <= end if included else value < end for end, included in ends]
            places[name].append(inside.index(True) if any(inside) else len(ends))
    total = 0.0
    for number in range(len(ends) + 1):
        old, new = ((found.count(number) + 0.5) / (len(found) + 0.5 * (len(ends) + 1)) for found in places.values())
        total += (new - old) * math.log(new / old)
    return total


@given(VALUES, VALUES, st.integers(2, 12))
def test_both_measures_equal_plain_loops(before: list[float], now: list[float], bins: int) -> None:
    assert measure("ks", before, now) == pytest.approx(distance_by_loop(before, now), abs=1e-12)
    assert measure("psi", before, now, bins) == pytest.approx(index_by_loop(before, now, bins), abs=1e-12)


@given(VALUES, VALUES)
def test_increasing_functions_and_row_order_change_no_measure(before: list[float], now: list[float]) -> None:
    for which in ("psi", "ks"):
        found = measure(which, before, now)
        assert found == pytest.approx(measure(which, [v**3 for v in before], [v**3 for v in now]), abs=1e-12)
        assert found == measure(which, before[::-1], now[::-1])
        assert found >= 0
    assert measure("ks", before, now) == measure("ks", now, before)
    assert measure("psi", before, before) == measure("ks", now, now) == 0


def test_by_hand() -> None:
    assert measure("ks", [1, 2], [1, 2]) == 0
    assert measure("ks", [1, 2], [3, 4]) == 1
    assert measure("ks", [1, 2, 3, 4], [2, 3, 4, 5]) == 0.25
    half = [1.0] * 50 + [2.0] * 50  # of two bins up to 1 and above it: 50 and 50 become 25 and 75
    expected = (25.5 / 101 - 50.5 / 101) * math.log(25.5 / 50.5) + (75.5 / 101 - 50.5 / 101) * math.log(75.5 / 50.5)
    assert measure("psi", half, [1.0] * 25 + [2.0] * 75, bins=2) == pytest.approx(expected)


def test_index_of_two_normal_distributions_equals_theory() -> None:
    # The limit for fine bins is the sum of the two Kullback-Leibler divergences: (shift / spread)^2 for a shift.
    shifted = measure("psi", sample(400_000, 1), sample(400_000, 2, mean=0.3), bins=200)
    assert shifted == pytest.approx(0.3**2, rel=0.05)


def test_mean_index_of_equal_distributions_equals_chance() -> None:
    columns = {f"c{n}": sample(500, n) for n in range(200)}
    others = {f"c{n}": sample(300, 1000 + n) for n in range(200)}
    rows = between(pl.DataFrame(columns), pl.DataFrame(others))
    assert rows["chance"].unique().to_list() == [pytest.approx(9 * (1 / 500 + 1 / 300))]
    assert rows["psi"].mean() == pytest.approx(rows["chance"][0], rel=0.1)


def test_changed_constant_is_detected_in_both_directions() -> None:
    for other in (4.0, 6.0):
        assert measure("psi", [5.0] * 200, [other] * 200) > 10 * MOVED
        assert measure("ks", [5.0] * 200, [other] * 200) == 1
    assert measure("psi", [5.0] * 200, [5.0] * 100) < WATCH


def test_scores_of_two_weeks_are_compared() -> None:
    weeks = pl.DataFrame({"week": [1] * 900 + [2] * 900, "score": sample(900, 3) + sample(900, 4, mean=1.0)})
    first, second = (weeks.filter(week=number).select("score") for number in (1, 2))
    (row,) = between(first, second).rows(named=True)
    assert row["psi"] > MOVED
    assert row["ks"] == pytest.approx(0.383, abs=0.05)  # 2 * Phi(1/2) - 1
    assert (row["column"], row["before"], row["now"]) == ("score", 900, 900)


def test_nan_and_infinity_are_missing_and_few_values_give_null() -> None:
    enough = [float(n) for n in range(FEWEST)]
    (row,) = between(frame([*enough, None, math.nan]), frame([*enough, math.inf, None])).rows(named=True)
    assert (row["psi"], row["ks"], row["before"], row["now"]) == (0, 0, FEWEST, FEWEST)
    assert row["null_before"] == row["null_now"] == 2 / (FEWEST + 2)
    (few,) = between(frame([*enough]), frame([*enough[1:], None])).rows(named=True)
    assert (few["psi"], few["chance"], few["ks"], few["now"]) == (None, None, None, FEWEST - 1)
    (none,) = between(frame([]), frame([]), fewest=0).rows(named=True)
    assert (none["psi"], none["null_before"], none["null_now"]) == (None, None, None)


def test_incomparable_columns_are_refused() -> None:
    with pytest.raises(UsageError, match="before lacks x"):
        between(pl.DataFrame({"y": [1]}), frame([1.0]))
    with pytest.raises(UsageError, match="not x: select the numeric columns"):
        between(pl.DataFrame({"x": ["a"]}), frame([1.0]))
    with pytest.raises(UsageError, match="2 bins or more, not 1"):
        between(frame([1.0]), frame([1.0]), bins=1)
