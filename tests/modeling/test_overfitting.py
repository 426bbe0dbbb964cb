"""The probability of backtest overfitting: one half without skill, 0 with skill, and a calculation by hand."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from champion.errors import ModelError
from champion.modeling.luck.overfitting import probability_of_overfitting


def trials(seed: int, skill: float = 0.0, count: int = 20, sessions: int = 500) -> pl.DataFrame:
    values = np.random.default_rng(seed).normal(size=(sessions, count))
    values[:, 0] += skill
    return pl.DataFrame({f"t{n}": values[:, n] for n in range(count)})


def test_best_trial_without_skill_is_below_the_median_half_the_time() -> None:
    found = [probability_of_overfitting(trials(seed), 8)[0] for seed in range(30)]
    assert abs(float(np.mean(found)) - 0.5) < 3 * float(np.std(found, ddof=1)) / math.sqrt(len(found))
    assert np.std(found) > 0.05  # a single study varies widely


def test_trial_with_skill_stays_above_the_median() -> None:
    probability, table = probability_of_overfitting(trials(1, skill=0.5))
    assert probability == 0.0
    assert set(table["best"]) == {"t0"}
    assert table.height == math.comb(10, 5)


def test_temporary_skill_is_overfitting() -> None:
    half = np.arange(200) < 100
    opposite = np.where(half, 1.0, -1.0) + 0.1 * np.random.default_rng(3).normal(size=200)
    probability, table = probability_of_overfitting(pl.DataFrame({"early": opposite, "late": -opposite}), 2)
    assert probability == 1.0
    assert table["best"].to_list() == ["early", "late"]
    assert (table["out_of_sample"] < 0).all()


def test_a_logit_by_hand() -> None:
    inside, outside = [1.0, 2.0, 1.0, 2.0], [3.0, 1.0, 3.0, 1.0]
    table = pl.DataFrame({"a": [*inside, *outside], "b": [0.0, 1.0, 0.0, 1.0, 5.0, 6.0, 5.0, 6.0]})
    _, halves = probability_of_overfitting(table, 2)
    first = halves.row(0, named=True)
    assert first["best"] == "a"
    assert first["in_sample"] == pytest.approx(1.5 / np.std([1, 2, 1, 2], ddof=1))
    assert first["logit"] == pytest.approx(math.log((1 / 3) / (2 / 3)))  # the lower of two: rank 1 of 2 + 1


def test_identical_trials_have_a_logit_of_zero() -> None:
    one = np.random.default_rng(1).normal(size=60)
    _, table = probability_of_overfitting(pl.DataFrame({"a": one, "b": one, "c": one}), 6)
    assert table["logit"].to_list() == [0.0] * table.height


@pytest.mark.parametrize(("count", "sessions", "blocks"), [(1, 500, 10), (5, 19, 10), (5, 500, 7), (5, 500, 0)])
def test_too_little_to_compare_is_refused(count: int, sessions: int, blocks: int) -> None:
    with pytest.raises(ModelError, match="overfitting needs two trials"):
        probability_of_overfitting(trials(1, count=count, sessions=sessions), blocks)
