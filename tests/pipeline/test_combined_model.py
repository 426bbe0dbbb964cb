"""A combination of models, traded by a rule with a risk limit: train, promote, score, publish, simulate and refit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from copies import copied

from champion.contracts.datasets import PREDICTIONS
from champion.lake import Lake
from champion.modeling import training
from champion.modeling.estimators import Recipe
from champion.modeling.metrics import SESSIONS_PER_YEAR
from champion.modeling.splits import PurgedWalkForward
from champion.modeling.universe import find
from champion.pipeline.feature_store.risk_model import before, constructed
from champion.pipeline.models import evaluate, frames, looks, portfolio, recipes, register, trials
from champion.pipeline.models.score import score_session
from champion.pipeline.targets import publish
from champion.portfolio.construction import Rule
from champion.portfolio.simulator import MarketRules
from champion.settings import Settings
from champion.tracking import promotion, registry

HORIZON, LIMIT = 5, 0.08
RULE = Rule(top=5, cap=0.25, risk_limit=LIMIT)
ACTIVE = {"trade_date": pl.Date, "active": pl.Float64}


def trained(settings: Settings, end: date) -> registry.Version:
    """Return a version as the training notebook makes it."""
    lake, task = Lake(settings.lake), register.Task(find("all"), HORIZON, frames.LAG)
    recipe = Recipe("mean_of_ranks", {"members": ["logistic", "ridge"]})
    splitter = PurgedWalkForward(2, HORIZON, HORIZON, lag=frames.LAG)
    frame = frames.training_frame(lake, date(2024, 2, 1), end, horizon=HORIZON, universe=task.universe)
    tried = recipes.constructed(recipes.of_training(task, recipe, frames.inputs(), splitter), RULE, MarketRules())
    data = register.digests(lake, end, frames.FEATURE_SET)
    look = looks.begin(settings, tried, window=looks.window(frame), data=data, source="training")
    result = training.fit(frame, recipe, frames.inputs(), splitter)
    found = portfolio.simulate(result.scores, RULE, end=end, lake=lake)
    look.complete(result.scores, found.active, result.metrics)
    return register.register_challenger(settings, result, frame, task, run_id=None, data=data, look=look)


def risk_of(lake: Lake, day: date, first: date, held: dict[str, float]) -> float:
    """Return the risk a year of weights by the plain formula, with the model of bars up to the day alone."""
    covariance = before(lake, first, day).at(day).covariance(list(held))
    weight = np.array(list(held.values()))
    return float(np.sqrt(weight @ covariance @ weight * SESSIONS_PER_YEAR))


def test_a_combination_with_a_risk_limit_goes_from_training_to_targets(modelled: Settings, tmp_path: Path) -> None:
    own = copied(modelled, tmp_path)
    lake, count = Lake(own.lake), len(trials.recorded(own))
    version = trained(own, date(2024, 7, 31))
    assert len(trials.recorded(own)) == count + 1
    refused = promotion.Decision(promote=False, reasons=("a test",))
    promotion.promote(own, version.number, refused, reason="a test", force=True)
    session = lake.sessions(PREDICTIONS)[-1]
    assert score_session(own, session).version.number == version.number
    found = publish.publish(own, session, registry.find(own, version.number)).targets
    held = dict(found.filter(pl.col("weight") > 0).select("instrument_id", "weight").iter_rows())
    assert risk_of(lake, session, session, held) == pytest.approx(LIMIT)
    unlimited = publish.publish(own, session, version, Rule(top=5, cap=0.25)).targets.filter(pl.col("weight") > 0)
    assert set(held) <= set(unlimited["instrument_id"])
    assert sum(held.values()) < float(unlimited["weight"].sum()) * 0.9
    scores = evaluate.scores(own, str(version.number))[1]
    assert looks.construction(own, str(version.number), scores)[0] == RULE, "the rule of `champion portfolio`"
    for limit, more in ((LIMIT, 1), (0.04, 2)):
        rule, active = replace(RULE, risk_limit=limit), pl.DataFrame(schema=ACTIVE)
        looks.record_rule(own, scores, active, rule, MarketRules(), source="a test", which=str(version.number))
        assert len(trials.recorded(own)) == count + more, "another limit is another trial"
    (look,) = (one for one in trials.recorded(own)[count].looks if one.id == version.tags[trials.LOOK])
    later = (date(2024, 2, 1), date(2024, 8, 30))
    refit = looks.begin(own, recipes.constructed(look.recipe, RULE, MarketRules()), window=later, data={}, source="x")
    assert refit.id != look.id
    assert len(trials.recorded(own)) == count + 2, "a refit on more sessions is the same trial"


def test_a_risk_that_is_not_known_is_cash_and_later_bars_change_no_decision(modelled: Settings) -> None:
    lake = Lake(modelled.lake)
    days = lake.sessions("normalized_equity_ohlc")
    bars = lake.scan("normalized_equity_ohlc", days[30]).select("trade_date", "instrument_id", score="close").collect()
    found = constructed(lake, bars, RULE)
    known = before(lake, days[30], days[-1]).known_from()
    assert known is not None
    early, late = (found.weights.filter(each) for each in (pl.col("trade_date") < known, pl.col("trade_date") >= known))
    assert early.height
    assert set(early["weight"]) == {0.0}
    assert f"the first on {early['trade_date'][0]}: all is held in cash there" in found.text
    for (day,), rows in late.partition_by("trade_date", as_dict=True).items():
        held = dict(rows.filter(pl.col("weight") > 0).select("instrument_id", "weight").iter_rows())
        if day in late["trade_date"].unique().sort()[-3:]:
            assert risk_of(lake, day, days[30], held) <= LIMIT * (1 + 1e-9)
    unknown = late.filter(weight=0.0)
    assert late.filter(pl.col("weight") > 0).height > unknown.height
    cut = constructed(lake, bars.filter(pl.col("trade_date") <= days[-20]), RULE).weights
    assert cut["instrument_id"].to_list() == found.weights.head(cut.height)["instrument_id"].to_list()
    assert cut["weight"].to_list() == pytest.approx(found.weights.head(cut.height)["weight"].to_list(), rel=1e-9)
