"""Compare the window functions with loops in exact arithmetic, on hard numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from champion.indicators.numeric import quantiles, windows
from champion.indicators.numeric.windows import WINDOWS, Array

RNG = np.random.default_rng(5)
WALK = 100 + np.cumsum(RNG.normal(0, 1, 150))
HOSTILE: dict[str, Array] = {
    "walk": WALK,
    "huge and nearly still": 1e9 + np.round(RNG.normal(0, 3, 150)) * 0.05,
    "tiny": np.exp(RNG.normal(-20, 1, 150)),
    "wild": np.exp(RNG.normal(0, 12, 150)),
    "ties": RNG.integers(1, 5, 150).astype(np.float64),
    "still, then a jump": np.where(np.arange(150) < 90, 0.1, 7e8),
}


def every(values: Array, n: int) -> list[Array]:
    return [values[end - n : end] for end in range(n, values.size + 1)]


def exact(values: Array) -> list[Fraction]:
    return [Fraction(float(value)) for value in values]


def centred(values: list[Fraction]) -> list[Fraction]:
    mean = sum(values, Fraction(0)) / len(values)
    return [value - mean for value in values]


def product(left: list[Fraction], right: list[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(centred(left), centred(right), strict=True)), Fraction(0))


@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE.keys())
def test_sums_moments_and_slopes(values: Array) -> None:
    total, moment, trend = windows.sums(values), windows.moments(values), windows.trends(values)
    for n in WINDOWS:
        own = [exact(window) for window in every(values, n)]
        place = [Fraction(number) for number in range(n)]
        spread = [float(product(each, each)) for each in own]
        tilt = [float(product(each, place)) for each in own]
        size = np.sqrt(np.array(spread) * n**3 / 12)  # scale of a tilt
        np.testing.assert_allclose(total[n], [float(sum(each)) for each in own], rtol=1e-14)
        offset = [float(sum(each) / n - each[-1]) for each in own]
        for mean, squares in (moment[n], trend[n][:2]):
            assert (np.abs(mean - offset) <= 1e-13 * (np.abs(offset) + np.sqrt(spread))).all()
            np.testing.assert_allclose(squares, spread, rtol=1e-12)
        assert (np.abs(trend[n][2] - tilt) <= 1e-12 * size).all()


def test_equal_numbers_have_no_spread() -> None:
    for value in (0.1, 1e9 / 3, 7e-12):
        for offset, spread, tilt in windows.trends(np.full(70, value)).values():
            assert not offset.any()
            assert not spread.any()
            assert not tilt.any()


@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE.keys())
def test_comoments_leave_out_nan_and_infinity(values: Array) -> None:
    right = values * RNG.normal(1, 0.1, 150)
    right[[3, 40, 41, 42, 43, 44, 45, 46, 110]] = np.nan
    right[100] = np.inf
    for n, (count, of_left, of_right, across) in windows.comoments(values, right).items():
        for at, (x, y) in enumerate(zip(every(values, n), every(right, n), strict=True)):
            there = np.isfinite(y)
            left, other = exact(x[there]), exact(y[there])
            assert count[at] == len(left)
            if left:
                parts = [float(product(*pair)) for pair in ((left, left), (other, other), (left, other))]
                # After a missing pair the mean is stored relative to 0 and loses digits to its level.
                loss = 1e-12 if there.all() else 1e-12 + 1e-14 * float(np.abs(x).max()) / math.sqrt(parts[0] or 1)
                assert of_left[at] == pytest.approx(parts[0], rel=loss)
                assert of_right[at] == pytest.approx(parts[1], rel=loss)
                assert abs(across[at] - parts[2]) <= loss * math.sqrt(parts[0] * parts[1])


@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE.keys())
def test_highest_lowest_ranks_and_quantiles(values: Array) -> None:
    top, bottom, rank = windows.highest(values), windows.lowest(values), windows.ranks(values)
    found = quantiles.quantiles(values, (0.8, 0.2, 0.5))
    for n in WINDOWS:
        own = np.array(every(values, n))
        assert (top[n][0] == own.max(axis=1)).all()
        assert (top[n][1] == n - 1 - own.argmax(axis=1)).all()
        assert (bottom[n][0] == own.min(axis=1)).all()
        assert (bottom[n][1] == n - 1 - own.argmin(axis=1)).all()
        assert (rank[n] == [stats.rankdata(window)[-1] for window in own]).all()
        for mine, share in zip(found[n], (0.8, 0.2, 0.5), strict=True):
            np.testing.assert_allclose(mine, np.quantile(own, share, axis=1), rtol=1e-12)


def test_too_few_numbers_give_empty_arrays() -> None:
    few = np.arange(3.0)
    assert [array.size for array in windows.sums(few).values()] == [0] * 5
    assert [array.size for array in windows.ranks(few).values()] == [0] * 5
    assert [array.size for (array,) in quantiles.quantiles(few, (0.5,)).values()] == [0] * 5
