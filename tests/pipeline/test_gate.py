"""What the gate says of scores: planted net skill passes each rule, and each kind of worthless score is refused by one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from champion.lake import Lake
from champion.modeling.gate_rules import Evidence, RuleResult, rules
from champion.modeling.labels import forward_return
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.models import frames, looks, styled
from champion.portfolio.construction import Rule
from champion.portfolio.simulator import MarketRules
from champion.settings import Settings

HORIZON, KEY = 5, ["instrument_id", "trade_date"]
CONSTRUCTION = (Rule(top=5), MarketRules(capital=1e6))
CHECKS = pl.DataFrame({"canary": ["shuffled labels"], "passed": [True], "found": ["AUC 0.5012"]})


@pytest.fixture(scope="module")
def market(modelled: Settings) -> pl.DataFrame:
    """The rows of all sessions with their forward return, and the return to the next close."""
    bars = adjusted_bars(Lake(modelled.lake), columns=(*KEY, "symbol", "close", "turnover"), kinds=None)
    ahead = forward_return(bars, 1).select(*KEY, next_return="forward_return")
    labels = forward_return(bars, HORIZON, frames.LAG).select(*KEY, "forward_return")
    return labels.join(ahead, on=KEY).drop_nulls("forward_return").sort(KEY)


def planted(market: pl.DataFrame) -> pl.DataFrame:
    """Return scores with a fifth of the variance that a model of the label itself would have."""
    noise = np.random.default_rng(5).standard_normal(market.height) * 4.2
    centred = pl.col("forward_return") - pl.col("forward_return").mean()
    return market.with_columns(score=(centred / pl.col("forward_return").std()).over("trade_date") + noise)


def judged(settings: Settings, rows: pl.DataFrame) -> dict[str, RuleResult]:
    """Return the gate's rules about scores, as after a training whose leakage checks passed."""
    scores = rows.select(*KEY, "score")
    active = looks.simulated(settings, scores, CONSTRUCTION)
    known = pl.DataFrame(schema={"trade_date": pl.Date}) if active is None else active.rename({"active": "t1"})
    found = styled.judged_scores(Lake(settings.lake), scores, rows, CONSTRUCTION[0], HORIZON)
    evidence = Evidence(
        "t1", known, HORIZON, HORIZON, pl.concat([CHECKS, found.checks]), found.neutral_ic, wider=found.wider
    )
    return {rule.name: rule for rule in rules(evidence)}


def test_scores_with_planted_net_skill_pass_each_rule(modelled: Settings, market: pl.DataFrame) -> None:
    found = judged(modelled, planted(market))
    assert all(rule.passed for rule in found.values()), [rule.sentence for rule in found.values()]


@pytest.mark.parametrize(
    ("score", "rule", "says"),
    [
        ("unknown", "data", "scores are unknown or infinite"),
        ("constant", "data", "equal scores of all instruments"),
        ("doubled", "data", "scores of an instrument that has several in one session"),
        ("ahead", "data", "The check of score of the next session found a mean rank IC of 1.00"),
        ("label", "data", "The check of score of its own label found a mean rank IC of 1.00"),
        ("memorised", "luck", "the best of 1 recorded trial without skill exceeds"),
        ("random", "luck", "the best of 1 recorded trial without skill exceeds"),
    ],
)
def test_worthless_scores_are_refused_by_a_named_rule(
    modelled: Settings, market: pl.DataFrame, score: str, rule: str, says: str
) -> None:
    rng, good = np.random.default_rng(9), planted(market)
    made = {
        "unknown": lambda: good.with_columns(
            score=pl.when(pl.Series(rng.random(good.height) > 0.01)).then("score").otherwise(float("nan"))
        ),
        "constant": lambda: market.with_columns(score=1.0),
        "doubled": lambda: pl.concat([good, good.sample(1, seed=1)]),
        "ahead": lambda: market.with_columns(score="next_return").drop_nulls("score"),
        "label": lambda: market.with_columns(score="forward_return"),
        "memorised": lambda: market.with_columns(score=pl.col("forward_return").mean().over("instrument_id")),
        "random": lambda: market.with_columns(score=pl.Series(rng.standard_normal(market.height))),
    }
    found = judged(modelled, made[score]())
    assert not found[rule].passed
    assert says in found[rule].sentence
