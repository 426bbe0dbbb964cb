"""A search by Optuna: proposals that depend on earlier folds alone, and are the same after a kill."""

from __future__ import annotations

import math
from datetime import date
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
from champion.pipeline.search.plan import Plan
from champion.pipeline.search.space import Candidate, Space
from champion.settings import Settings
from champion.tracking.trials import ledger

pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'champion[optuna]'")

SPACE = """
name = "guided"
method = "optuna"
trials = 6
folds = 3
[recipe]
universe = "all"
[[model]]
name = "logistic"
parameters = {C = {low = 0.001, high = 10.0, scale = "log"}}
[[rule]]
top = [50, 5]
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


@hypothesis_settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_a_recipe_is_the_same_after_it_was_a_trial_of_the_study(seed: int) -> None:
    space = _space(WIDE, seed=seed)
    for one in spaces.candidates(space)[:5]:
        values, distributions = guided.encoded(space, one)
        assert values.keys() == distributions.keys()
        again = guided._decoded(space, lambda name, _, values=values: values[name])
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


@pytest.fixture(scope="module")
def guided_search(
    modelled: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, dict[str, Any], outcomes.Search]:
    """A workspace after one whole search, what it showed, and its outcomes."""
    made = copied(modelled, tmp_path_factory.mktemp("guided"))
    shown = searched(made, SPACE)
    return made, shown, outcomes.read(made, plans.make(made, spaces.parse(SPACE)).id)


def _later_changed(settings: Settings, search: outcomes.Search, last: date) -> pl.DataFrame:
    later = pl.col("trade_date") > last
    returns = outcomes.returns(settings, search)
    names = returns.columns[1:]
    return returns.with_columns(
        pl.when(later).then(0.02 - 5 * pl.col(name)).otherwise(name).alias(name) for name in names
    )


def test_every_recipe_counts_and_is_proposed_by_earlier_folds_alone(
    modelled: Settings,
    guided_search: tuple[Settings, dict[str, Any], outcomes.Search],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, shown, search = guided_search
    assert [one.number for one in search.recipes] == [1, 2, 3, 4, 5, 6]
    assert search.failed == []
    assert set(search.seen) == {5, 6}
    starts = choice.fold_starts(settings, search)
    (last,) = set(search.seen.values())
    assert starts[0] < last < starts[1]
    assert [row["chosen"] in {1, 2, 3, 4, 5, 6} for row in shown["choices"]] == [True, True]
    before = trials.count(modelled).total
    assert trials.count(settings).total == before + 6 + 1
    # The same proposals from the outcomes in any order, and from series that differ after the last session seen.
    plan = plans.make(settings, spaces.parse(SPACE))
    first = [one for one in search.recipes if one.number <= plan.space.folds + 1]
    proposed = guided.following(settings, plan, first[::-1])
    assert isinstance(proposed, Plan)
    assert [one.text for one in proposed.recipes] == [one.text for one in search.recipes]
    changed = _later_changed(settings, search, last)
    monkeypatch.setattr(outcomes, "returns", lambda *_: changed)
    assert guided.following(settings, plan, first) == proposed
    assert guided.following(settings, proposed, search.recipes) is None


def test_a_repeated_search_proposes_and_adds_nothing_new(
    guided_search: tuple[Settings, dict[str, Any], outcomes.Search], tmp_path: Path
) -> None:
    settings, shown, _ = guided_search
    repeated = copied(settings, tmp_path)
    lines = {str(one.facts) for one in ledger.read(repeated)}
    again = searched(repeated, SPACE)
    assert {str(one.facts) for one in ledger.read(repeated)} == lines
    assert {**again, "best": None} == {**shown, "best": None}
