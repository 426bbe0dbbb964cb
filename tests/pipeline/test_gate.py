"""The gate's rules on scores: planted skill passes each rule, and a rule refuses each kind of worthless score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from copies import copied
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from champion.cli.app import app
from champion.contracts.datasets import BARS, DELIVERY, FACTORS, PREDICTIONS, PRICE_BANDS, SECTORS
from champion.lake import Lake
from champion.modeling.estimators import Recipe
from champion.modeling.gate_rules import Evidence, RuleResult, rules
from champion.modeling.labels import forward_return
from champion.modeling.luck import gate_luck
from champion.modeling.training import TrainingResult
from champion.modeling.universe import find
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.models import (
    evaluate,
    frames,
    looks,
    notebook_data,
    portfolio,
    portfolio_report,
    recipes,
    styled,
    trials,
)
from champion.pipeline.models.register import Task, register_challenger
from champion.portfolio.construction import Rule
from champion.portfolio.simulator import MarketRules
from champion.settings import Settings
from champion.tracking import promotion, registry, runs

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

HORIZON, KEY = 5, ["instrument_id", "trade_date"]
# Without costs, because the best 5 of 18 shares earn too little in 213 sessions to show that they pay them too.
CONSTRUCTION = (Rule(top=5, cap=0.2), MarketRules(capital=3e5, charged=False, impact=0.0))
CORRECT = "correct the model or its inputs, and train it again"
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


def test_scores_with_planted_skill_pass_each_rule(modelled: Settings, market: pl.DataFrame) -> None:
    found = judged(modelled, planted(market))
    assert all(rule.passed for rule in found.values()), [rule.sentence for rule in found.values()]


@pytest.mark.parametrize(
    ("score", "rule", "says", "remedy"),
    [
        ("unknown", "data", "scores are unknown or infinite", CORRECT),
        ("constant", "data", "equal scores of all instruments", CORRECT),
        ("doubled", "data", "scores of an instrument that has several in one session", CORRECT),
        (
            "ahead",
            "data",
            "The check of score of the next session found a mean rank IC of 1.00",
            "look for prices of a later session in its inputs, or for scores joined to the wrong session",
        ),
        (
            "label",
            "data",
            "The check of score of its own label found a mean rank IC of 1.00",
            "look for rows that the model was trained on among those that it scored, or for prices of later sessions",
        ),
        ("memorised", "luck", "the best of 1 recorded trial without skill exceeds", "More sessions lower"),
        ("random", "luck", "the best of 1 recorded trial without skill exceeds", "More sessions lower"),
    ],
)
def test_worthless_scores_are_refused_by_a_named_rule(
    modelled: Settings, market: pl.DataFrame, score: str, rule: str, says: str, remedy: str
) -> None:
    """Each refusal names what was found and what to do."""
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
    assert remedy in found[rule].sentence


def test_version_with_planted_skill_replaces_a_champion_and_the_ledger_keeps_each_rule(
    modelled: Settings, market: pl.DataFrame, tmp_path: Path
) -> None:
    """The champion of the workspace, which was forced, holds all shares. Few sessions need higher levels."""
    levels = dict.fromkeys(("gate_luck", "gate_neutral", "gate_champion"), 0.2)
    settings = copied(modelled, tmp_path).model_copy(update=levels)
    version, refused = (register(settings, rows) for rows in (planted(market), market.with_columns(score=1.0)))
    assert not evaluate.evaluate_and_promote(settings, refused)["promoted"]
    decided = evaluate.evaluate_and_promote(settings, version)
    assert decided["promoted"], decided["reasons"]
    entry = promotion.history(settings)[-1]
    assert (entry.version, entry.previous, entry.forced) == (version, 1, False)
    assert entry.reason == "each rule passed: data, luck, neutral skill, champion"
    kept = {each["rule"]: each for each in entry.evidence["rules"]}
    assert list(kept) == ["data", "luck", "neutral skill", "champion"]
    assert all(each["figure"] > each["threshold"] for name, each in kept.items() if name != "data")
    assert "common sessions" in kept["champion"]["sentence"]
    assert entry.evidence["trials"] == trials.count(settings).total == 4
    assert 0.9 < entry.evidence["beside"]["deflated_sharpe"] < 1
    (before,) = (one for one in promotion.history(settings) if one.version == refused)
    assert before.reasons[0].startswith("data: The check of scores found equal scores of all instruments")
    spent = f"at a rate of {gate_luck.spent_level(0.2, trials=4):.2%}"
    assert spent in kept["luck"]["sentence"], "both decisions are about the same four trials: the level is spent once"
    again = notebook_data.of_promotion(settings, 2).inputs
    trials.declare(settings, 3, "a test")
    assert {
        name for name, digest in notebook_data.of_promotion(settings, 2).inputs.items() if digest != again[name]
    } == {"trials"}, "a report is made again after each trial"


def test_champion_without_a_series_is_simulated_and_blocks_for_a_time_without_scores(
    modelled: Settings, market: pl.DataFrame, tmp_path: Path
) -> None:
    """As that of an earlier release, whose trial has no series; the promotion is later than all bars of the lake."""
    settings = copied(modelled, tmp_path)
    champion = registry.find(settings, 1)
    (trial,), _ = looks.of_versions(settings, champion)
    number = register(settings, planted(market))
    kept = evaluate.evaluate(settings, number).rules.filter(rule="champion")
    assert "over 76 common sessions" in kept["sentence"].item()
    (settings.home / "trials" / f"{trial.latest[-1].series}.parquet").unlink()
    assert trials.count(settings).with_series == 1, "both versions hold all shares, so their series was one file"
    assert evaluate.evaluate(settings, number).rules.filter(rule="champion").equals(kept)
    for name in (evaluate.SCORES, evaluate.OUT_OF_SAMPLE):
        Path(runs.location(runs.get(settings, champion.run_id), name)).unlink()
    lost = evaluate.evaluate(settings, number).rules.filter(rule="champion")["sentence"].item()
    assert "known for 0 sessions, and 50 are needed. It blocks until 50 sessions since its promotion are known" in lost


def test_key_of_a_report_about_accounts_has_every_dataset_that_the_report_reads(
    modelled: Settings, market: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision, an account beside indices, and the styles of scores, with a list of bands and one of sectors."""
    settings = copied(modelled, tmp_path)
    lake, read = Lake(settings.lake), set[str]()
    for method in ("scan", "sessions"):
        real = getattr(Lake, method)

        def noted(self: Lake, name: str, *args: Any, real: Any = real, **options: Any) -> Any:
            read.add(name)
            return real(self, name, *args, **options)

        monkeypatch.setattr(Lake, method, noted)
    scores = planted(market).select(*KEY, "score")
    evaluate.evaluate(settings, 1, None)
    followed = [lambda: portfolio.simulate(scores, CONSTRUCTION[0], lake=lake)]
    assert portfolio_report.simulated(followed[0], lake).result is not None
    styled.with_styles(lake, scores)
    monkeypatch.undo()
    assert {BARS, DELIVERY, FACTORS, PRICE_BANDS, SECTORS} <= read, "the reports read them"
    keys = {
        "promotion": notebook_data.of_promotion(settings, 1).inputs,
        "training": notebook_data.of_training(lake, lake.sessions(BARS)[-1], "v1", "all").inputs,
    }
    for name, key in keys.items():
        assert read - {PREDICTIONS} <= set(key), f"the key of {name} lacks {read - set(key)}"
    changed = lake.sessions(BARS)[3]
    rows = lake.scan(BARS, changed, changed).collect()
    lake.write(BARS, changed, rows.with_columns(pl.col("volume") + 1), {"file": "corrected"})
    for name, again in {
        "promotion": notebook_data.of_promotion(settings, 1).inputs,
        "training": notebook_data.of_training(lake, lake.sessions(BARS)[-1], "v1", "all").inputs,
    }.items():
        assert [each for each in again if again[each] != keys[name][each]] == [BARS]


def test_versions_with_the_same_scores_keep_their_own_rules_and_trials(
    modelled: Settings, market: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another rule of one of them is another trial of that version, not of the one that was trained first."""
    settings = copied(modelled, tmp_path)
    monkeypatch.setenv("CHAMPION_HOME", str(settings.home))
    rows = planted(market.filter(pl.col("trade_date") >= market["trade_date"].unique().sort()[-80]))
    rules_of = {register(settings, rows, (Rule(top=top, cap=0.4), CONSTRUCTION[1])): top for top in (5, 3)}
    own = {number: looks.of_versions(settings, registry.find(settings, number))[0][0] for number in rules_of}
    before, other = trials.count(settings).total, dict[int, Any]()
    for number, top in rules_of.items():
        for option in ([], ["--every", "10"]):
            ran = CliRunner().invoke(app, ["portfolio", str(number), *option, "--json"])
            assert ran.exit_code == 0, ran.output
            shown = json.loads(ran.output)
            assert shown["rule"]["top"] == top
            trial = next(one for one in trials.recorded(settings) if f" {one.id} of " in shown["trial"])
            assert trial.recipe["model"] == own[number].recipe["model"]
            assert (trial.id == own[number].id) == (not option)
            other[number] = trial.id
    assert len({*other.values(), *(one.id for one in own.values())}) == 4
    assert trials.count(settings).total == before + 2


def register(settings: Settings, rows: pl.DataFrame, construction: recipes.Construction = CONSTRUCTION) -> int:
    """Register a version with these out-of-sample scores, by default trained for five shares; return its number."""
    task = Task(find("all"), HORIZON, frames.LAG)
    frame = rows.with_columns(rsi_14=pl.lit(0.1), label_end=pl.col("trade_date").max())
    name = f"planted {rows['score'].sum()} for {construction[0].top}"
    recipe = recipes.constructed({"model": name}, *construction)
    look = looks.begin(settings, recipe, window=looks.window(frame), data={}, source="a test")
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    result = TrainingResult(Recipe("logistic"), model, ("rsi_14",), rows, pl.DataFrame(), pl.DataFrame(), {}, rows)
    look.complete(rows, looks.simulated(settings, rows, construction))
    run_id = runs.open_run(settings, trials.EXPERIMENT, "training")
    version = register_challenger(settings, result, frame, task, run_id=run_id, look=look)
    runs.close_run(settings, run_id, "succeeded", metrics={evaluate.CANARY: 1.0})
    assert recipes.tagged(version.tags) == construction
    return version.number
