"""Combined scores: means of ranks, and weights that only earlier folds decide."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import rankdata

from champion.errors import UsageError
from champion.modeling import combination

FOLDS, SESSIONS, NAMES = 3, 10, [f"S{number:02d}" for number in range(12)]


def scores(seed: int, skill: float, outcomes: np.ndarray) -> pl.DataFrame:
    """Return scores of three folds; the more skill, the nearer they are to the outcomes."""
    random = np.random.default_rng(seed)
    days = [date(2024, 1, 1) + timedelta(number) for number in range(FOLDS * SESSIONS)]
    keys = pl.DataFrame({"trade_date": days, "fold": np.repeat([1, 2, 3], SESSIONS)}).join(
        pl.DataFrame({"instrument_id": NAMES}), how="cross"
    )
    noise = random.standard_normal(keys.height)
    return keys.with_columns(score=pl.Series(skill * outcomes + noise), forward_return=pl.Series(outcomes))


OUTCOMES = np.random.default_rng(5).standard_normal(FOLDS * SESSIONS * len(NAMES))
GOOD, WEAK = scores(1, 1.0, OUTCOMES), scores(2, 0.2, OUTCOMES)


def test_equal_weights_give_the_mean_of_ranks_of_shared_rows() -> None:
    """Ranks by scipy; a row that one model does not score, or scores with NaN, is left out."""
    lacking = WEAK.filter(~((pl.col("instrument_id") == "S03") & (pl.col("fold") == 2))).with_columns(
        pl.when(pl.col("instrument_id") == "S04").then(float("nan")).otherwise("score").alias("score")
    )
    found = combination.combined({"good": GOOD, "weak": lacking})
    assert "S04" not in found["instrument_id"]
    day = found.filter(trade_date=date(2024, 1, 15))
    assert day.height == len(NAMES) - 2
    names = day["instrument_id"].to_list()
    apart = [
        frame.filter(pl.col("instrument_id").is_in(names), trade_date=date(2024, 1, 15)).sort("instrument_id")["score"]
        for frame in (GOOD, lacking)
    ]
    expected = np.mean([(rankdata(each) - 0.5) / len(names) - 0.5 for each in apart], axis=0)
    assert day["score"].to_list() == pytest.approx(expected)
    assert found.equals(combination.combined({"weak": lacking.reverse(), "good": GOOD}))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_no_outcome_of_a_fold_or_later_or_still_open_changes_its_scores(seed: int) -> None:
    """Outcomes from six sessions before the second fold on are others: scores up to its end stay the same."""
    noise = pl.Series(np.random.default_rng(seed).standard_normal(GOOD.height))
    open_from = date(2024, 1, 1) + timedelta(SESSIONS - 6)
    models = {"good": GOOD, "weak": WEAK}
    later = pl.when(pl.col("trade_date") >= open_from).then(noise).otherwise("forward_return")
    others = {name: frame.with_columns(forward_return=later) for name, frame in models.items()}
    until = pl.col("trade_date") < date(2024, 1, 1) + timedelta(2 * SESSIONS)
    ours, theirs = (combination.combined(each, "earlier_folds").filter(until) for each in (models, others))
    assert ours.equals(theirs)


def test_weights_follow_the_skill_of_earlier_folds() -> None:
    weights = combination.weights_by_fold({"good": GOOD, "weak": WEAK})
    assert weights.filter(fold=1)["weight"].to_list() == [0.5, 0.5]
    assert (weights.filter(pl.col("fold") > 1, model="good")["weight"] > 0.6).all()
    sums = weights.group_by("fold").agg(pl.col("weight").sum())
    assert sums["weight"].to_list() == pytest.approx([1.0] * FOLDS)


def test_scores_that_cannot_be_combined_are_refused() -> None:
    with pytest.raises(UsageError, match="1 model is no combination"):
        combination.combined({"good": GOOD})
    with pytest.raises(UsageError, match="the scores of weak lack score; they have"):
        combination.combined({"good": GOOD, "weak": WEAK.drop("score")})
    with pytest.raises(UsageError, match="the scores of weak have an instrument twice in a session"):
        combination.combined({"good": GOOD, "weak": pl.concat([WEAK, WEAK.head(1)])})
    with pytest.raises(UsageError, match="the models have different folds"):
        combination.combined({"good": GOOD, "weak": WEAK.with_columns(pl.col("fold") + 1)}, "earlier_folds")
    mixed = [frame.with_columns(fold=pl.col("trade_date").dt.day() % 2) for frame in (GOOD, WEAK)]
    with pytest.raises(UsageError, match="the folds overlap"):
        combination.combined(dict(zip("ab", mixed, strict=True)), "earlier_folds")
