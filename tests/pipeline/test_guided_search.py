"""A search by Optuna: proposals that depend on earlier folds alone, and are the same after a kill."""

from __future__ import annotations

import math
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from copies import copied
from hypothesis import given, settings as hypothesis_settings, strategies as st
from searches import searched

from champion.pipeline.models import trials
from champion.pipeline.search import choice, guided, outcomes, plan as plans, space as spaces
from champion.pipeline.search.space import Candidate, Space
from champion.settings import Settings

pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'champion[optuna]'")

SPACE = """
name = "guided"
method = "optuna"
trials = 5
folds = 3
[recipe]
universe = "all"
[[model]]
name = "logistic"
parameters = {C = {low = 0.001, high = 10.0, scale = "log"}}
"""
WIDE = """
name = "wide"
method = "optuna"
trials = 40
[recipe]
horizon = [5, 10]
[[model]]
name = "logistic"
parameters = {C = {low = 0.001, high = 10.0, scale = "log"}, max_iter = {low = 50, high = 500}}
[[model]]
name = "hist_gradient_boosting"
parameters = {max_leaf_nodes = [7, 15], l2_regularization = {low = 0.0, high = 1.0}, learning_rate = 0.05}
[[rule]]
top = [20, 50]
[[rule]]
every = [5, 10]
"""


def _space(text: str, **changed: Any) -> Space:
    return spaces.parse(text).model_copy(update=changed)


def _given(values: dict[str, Any], name: str, _: object) -> Any:
    return values[name]


@hypothesis_settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_a_recipe_is_the_same_after_it_was_a_trial_of_the_study(seed: int) -> None:
    space = _space(WIDE, seed=seed)
    for one in spaces.candidates(space)[:5]:
        values, distributions = guided.encoded(space, one)
        assert values.keys() == distributions.keys()
        again = guided._decoded(space, partial(_given, values))
        assert spaces.key(again) == spaces.key(one)


def _height(one: Candidate) -> float:
    """What a recipe shows in these tests: the best C is 0.1, and the other model shows less."""
    return -abs(math.log10(one.parameters["C"]) + 1) if one.model == "logistic" else -3.0


def test_proposals_repeat_themselves_are_new_and_follow_the_figures() -> None:
    space = _space(WIDE)
    tried = spaces.candidates(space)
    while len(tried) < 30:
        shown = {number: _height(one) for number, one in enumerate(tried, start=1) if number != 3}
        more = guided.propose(space, tried, shown, 4)
        assert more == guided.propose(space, tried, shown, 4)
        tried = [*tried, *more]
    assert len({spaces.key(one) for one in tried}) == len(tried)
    # Random search on the same space is the comparison.
    blind = spaces.candidates(_space(WIDE, method="random", trials=30))
    assert tried[:10] == blind[:10]
    assert np.mean([_height(one) for one in tried[10:]]) > np.mean([_height(one) for one in blind[10:]]) + 0.3


def test_a_small_space_ends_with_its_last_recipe() -> None:
    head = 'name = "x"\nmethod = "optuna"\ntrials = 40\n[[model]]\nname = "ridge"\n'
    space = spaces.parse(head + "parameters = {alpha = [1.0, 2.0, 3.0], max_iter = {low = 5, high = 8}}")
    tried = spaces.candidates(space)
    tried += guided.propose(space, tried, {}, 4)
    assert len({spaces.key(one) for one in tried}) == len(tried) == 12
    assert guided.propose(space, tried, {}, 4) == []


@hypothesis_settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_figures_of_a_fold_and_later_propose_nothing(seed: int, fold: int) -> None:
    rng = np.random.default_rng(seed)
    days = [date(2024, 1, 1) + timedelta(n) for n in range(160)]
    starts = [days[10], days[50], days[90], days[120]]
    returns = pl.DataFrame({"trade_date": days, **{str(n): rng.normal(0, 0.01, 160) for n in range(1, 6)}})
    later = pl.col("trade_date") >= starts[fold - 1]
    changed = returns.with_columns(
        pl.when(later).then(0.02 - 5 * pl.col(str(n))).otherwise(str(n)).alias(str(n)) for n in range(1, 6)
    )
    ratios, last = guided.figures_before(returns, starts, fold)
    assert (ratios, last) == guided.figures_before(changed, starts, fold)
    assert len(ratios) == 5
    assert last == starts[fold - 1] - timedelta(1)


def test_every_recipe_of_a_search_counts_and_is_proposed_again_after_a_kill(modelled: Settings, tmp_path: Path) -> None:
    settings, before = copied(modelled, tmp_path), trials.count(modelled).total
    plan = plans.make(settings, spaces.parse(SPACE))
    assert (len(plan.recipes), plan.later) == (4, 1)
    shown = searched(settings, SPACE)
    search = outcomes.read(settings, plan.id)
    assert [(one.number, one.error) for one in search.recipes] == [(number, "") for number in range(1, 6)]
    assert trials.count(settings).total == before + 5 + 1
    # The first fold proposed the last recipe, which may be chosen from the second fold on.
    starts = choice.fold_starts(settings, search)
    assert list(search.seen) == [5]
    assert starts[0] < search.seen[5] < starts[1]
    assert [row["fold"] for row in shown["choices"]] == [2, 3]
    # A search that is resumed knows no more than the ledger, whatever training ended first.
    again = guided.following(settings, plan, search.recipes[3::-1])
    assert again is not None
    assert [one.text for one in again.recipes] == [one.text for one in search.recipes]
    assert again.seen == tuple(one.seen for one in search.recipes)
    assert again.id == plan.id
    assert guided.following(settings, again, search.recipes) is None
