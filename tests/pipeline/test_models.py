"""Models of a workspace: evaluation and promotion, outcomes of scores, trials, and refusal of old models."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from models import HORIZON, trained
from typer.testing import CliRunner

from champion.cli.app import app
from champion.contracts.datasets import BARS, FEATURES, PREDICTIONS
from champion.errors import LakeError, ModelError, PromotionRefused, UsageError
from champion.lake import Lake
from champion.modeling import leakage_checks, metrics
from champion.modeling.estimators import Recipe
from champion.modeling.universe import Universe, find
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.ingest.adjusted_bars import adjusted_bars
from champion.pipeline.models import evaluate, frames, looks, outcomes, portfolio, score, trials
from champion.runner import NotebookRequest, run_notebook
from champion.settings import Settings
from champion.tracking import promotion, registry, runs, store

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture
def workspace(modelled: Settings, tmp_path: Path) -> Settings:
    """A copy of the shared workspace, which a test may change: a new version in the shared one fails other tests."""
    shutil.copytree(modelled.home, tmp_path / "home")
    return Settings(home=tmp_path / "home", archive=modelled.archive)


def test_models_are_compared_session_by_session(modelled: Settings) -> None:
    evaluation = evaluate.evaluate(modelled, 2)
    ours, theirs = (
        metrics.rank_ic(evaluate.out_of_sample(modelled, registry.find(modelled, number))) for number in (2, 1)
    )
    assert evaluation.champion == 1
    assert evaluation.sessions["trade_date"].to_list() == ours["trade_date"].to_list()
    paired = metrics.summarise_ic(pl.DataFrame({"ic": ours["ic"] - theirs["ic"]}), HORIZON)
    assert evaluation.evidence["paired"]["rank_ic"] == pytest.approx(paired["mean"])
    assert evaluation.evidence["paired"]["rank_ic_t"] == pytest.approx(paired["t"])
    assert evaluation.evidence["challenger"]["rank_ic"] == pytest.approx(ours["ic"].to_numpy().mean())
    back = evaluate.evaluate(modelled, 1, 2)
    assert back.evidence["paired"]["rank_ic"] == pytest.approx(-paired["mean"])
    alone = evaluate.evaluate(modelled, 1, None)
    assert alone.evidence["paired"] is None
    assert evaluate.evaluate(modelled, 1).decision.reasons == ("it is champion already",)


def test_version_tags_name_training_data_and_recipe(modelled: Settings) -> None:
    version = registry.find(modelled, 2)
    recipe, data = json.loads(version.tags["champion.recipe"]), json.loads(version.tags["champion.data"])
    assert recipe["model"] == version.tags["champion.model"] == "sklearn.naive_bayes.GaussianNB"
    lake = Lake(modelled.lake)
    learnt = date.fromisoformat(version.tags[evaluate.LABEL_END])
    assert data["normalized_equity_ohlc"] == lake.digest("normalized_equity_ohlc", end=learnt)
    assert set(data) == {"normalized_equity_ohlc", "features_equity_indicators", "normalized_corporate_actions"}


def test_levels_of_the_gate_come_from_settings(modelled: Settings) -> None:
    strict = modelled.model_copy(update={"gate_luck": 0.001, "gate_neutral": 0.002, "gate_champion": 0.003})
    evaluation = evaluate.evaluate(strict, 2)
    assert evaluation.evidence["levels"] == {"luck": 0.001, "neutral": 0.002, "champion": 0.003}
    usual = evaluate.evaluate(modelled, 2).rules
    for name in ("luck", "neutral skill"):
        higher, lower = (found.filter(rule=name)["threshold"].item() for found in (evaluation.rules, usual))
        assert higher > lower
    assert "at a rate of 0.2%" in evaluation.rules.filter(rule="neutral skill")["sentence"].item()


def test_a_published_evaluation_decides_without_a_second_one(workspace: Settings) -> None:
    @dataclass(frozen=True)
    class Report:
        values: dict[str, Any]
        metrics: dict[str, float]
        run_id: str = "run-1"

    evaluation = evaluate.evaluate(workspace, 2)
    assert not evaluation.decision.promote
    values = json.loads(json.dumps(evaluation.values | {"reasons": ["as published"]}, allow_nan=False))

    def promote(published: dict[str, Any]) -> dict[str, Any]:
        def run_report() -> Any:
            return Report(published, {"promote": 0.0})

        return evaluate.promote_with_report(workspace, 2, run_report)[0]

    decision = promote(values)
    assert (decision["promoted"], decision["reasons"]) == (False, ["as published"])
    last = promotion.history(workspace)[-1]
    assert (last.state, last.evidence) == ("refused", {**values["evidence"], "report": "run-1"})
    unusable: list[dict[str, Any]] = [values | {"against": 7}, values | {"version": 1}, {}]
    for other in unusable:
        assert promote(other)["reasons"] == list(evaluation.decision.reasons), "evaluated again"


def test_a_refused_promotion_keeps_its_report_and_the_champion(workspace: Settings) -> None:
    with pytest.raises(PromotionRefused):
        evaluate.evaluate_and_promote(workspace, 2, strict=True, report="run-1")
    last = promotion.history(workspace)[-1]
    assert (last.state, last.version, last.evidence["report"]) == ("refused", 2, "run-1")
    assert last.evidence["paired"]["sessions"] > 0
    assert [each["rule"] for each in last.evidence["rules"]] == ["data", "luck", "neutral skill", "champion"]
    assert last.reasons == tuple(
        f"{each['rule']}: {each['sentence']}" for each in last.evidence["rules"] if not each["passed"]
    )
    assert evaluate.has_decision(workspace, 2)
    assert registry.alias_of(workspace, registry.CHAMPION) == 1
    with pytest.raises(UsageError, match="needs a reason"):
        evaluate.evaluate_and_promote(workspace, 2, force=True)


def test_force_replaces_a_champion_with_lost_scores(workspace: Settings) -> None:
    run = runs.get(workspace, registry.find(workspace, 1).run_id)
    path = Path(runs.location(run, evaluate.OUT_OF_SAMPLE))
    path.unlink()
    evaluation = evaluate.evaluate(workspace, 2)
    assert not evaluation.decision.promote
    assert evaluation.evidence["champion"] is None, "its rank ICs are lost, its series is in the trial ledger"
    assert "earns exactly what the champion earns" in evaluation.rules.filter(rule="champion")["sentence"].item()
    assert evaluate.evaluate_and_promote(workspace, 2, force=True, reason="its scores are lost")["promoted"]
    assert promotion.current_champion(workspace).version == 2  # type: ignore[union-attr]


def command(made: Settings, *arguments: str) -> str:
    done = CliRunner(env={"CHAMPION_HOME": str(made.home)}).invoke(app, ["models", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_commands_compare_versions_and_show_the_history(modelled: Settings) -> None:
    def run(*arguments: str) -> dict[str, Any]:
        return dict(json.loads(command(modelled, *arguments, "--json")))

    compared = run("compare", "2", "1")
    assert compared["paired"]["sessions"] == compared["champion"]["sessions"]
    assert compared["promote"] is False or compared["paired"]["rank_ic_t"] > 2
    today = promotion.history(modelled)[-1].at.date()
    assert run("history", "--on", str(today + timedelta(days=2)))["version"] == 1
    assert run("history", "--on", str(today - timedelta(days=2)))["version"] is None


def test_command_promotes_against_the_gate_with_a_reason(workspace: Settings) -> None:
    shown = command(workspace, "promote", "2", "--force", "--reason", "a drill")
    assert "Rules of the gate" in shown
    assert "refused" in shown
    last = promotion.history(workspace)[-1]
    assert (last.version, last.state, last.forced, last.reason) == (2, "done", True, "a drill")
    assert runs.get(workspace, last.evidence["report"]).name == "promotion"


def test_scores_are_joined_with_forward_returns(modelled: Settings) -> None:
    lake = Lake(modelled.lake)
    found = outcomes.score_outcomes(lake)
    sessions = lake.sessions("normalized_equity_ohlc")
    row = found.drop_nulls("forward_return").row(0, named=True)
    start = sessions.index(row["trade_date"])
    entry, end = sessions[start + frames.LAG], sessions[start + frames.LAG + HORIZON]
    assert row["label_end"] == end
    bars = adjusted_bars(lake, entry, end).filter(instrument_id=row["instrument_id"])
    closes = dict(bars.select("trade_date", "close").iter_rows())
    assert row["forward_return"] == pytest.approx(closes[end] / closes[entry] - 1, rel=1e-3)
    late = found.filter(pl.col("trade_date") > sessions[-1 - frames.LAG - HORIZON])
    assert late.height > 0
    assert late["forward_return"].null_count() == late.height


def test_live_rank_ic_leaves_out_in_sample_sessions(modelled: Settings) -> None:
    live = outcomes.live_skill(modelled)
    scored = Lake(modelled.lake).sessions(PREDICTIONS)
    label_end = date.fromisoformat(registry.find(modelled, 1).tags[evaluate.LABEL_END])
    live_sessions = [day for day in scored if day >= label_end]
    assert live.in_sample == len(scored) - len(live_sessions)
    assert live.ic.height + live.waiting == len(live_sessions)
    assert live.ic.height > 0
    assert live.waiting >= frames.LAG + HORIZON
    known = outcomes.score_outcomes(Lake(modelled.lake)).filter(trade_date=live.ic["trade_date"][0])
    assert live.ic["ic"][0] == pytest.approx(metrics.rank_ic(known)["ic"].item())
    assert live.summary(HORIZON)["sessions"] == live.ic.height
    assert outcomes.live_skill(modelled, end=scored[0] - timedelta(days=30)).ic.is_empty()


def test_total_returns_of_labels_add_the_dividends(modelled: Settings) -> None:
    lake = Lake(modelled.lake)
    days, sessions = lake.sessions(FEATURES), lake.sessions(BARS)
    asked = {"horizon": HORIZON, "universe": find("all")}
    frame = frames.training_frame(lake, days[0], days[-1], **asked)  # type: ignore[arg-type]
    assert frame["forward_return"].equals(frame["total_return"])
    by_price = frames.training_frame(lake, days[0], days[-1], **asked, returns="price")  # type: ignore[arg-type]
    assert by_price["forward_return"].equals(frame["price_return"])
    assert by_price["price_return"].null_count() == frame["total_return"].null_count()
    dividends = corporate_actions.known_factors(lake).filter(kind="dividend").drop_nulls("price_factor")
    paid = dict[tuple[str, date], float]()  # by the rows whose label has the ex-date, one factor each
    for name, ex_date, factor in dividends.select("instrument_id", "ex_date", "price_factor").iter_rows():
        for label in frame.filter(instrument_id=name).drop_nulls("forward_return").iter_rows(named=True):
            entry = sessions[sessions.index(label["trade_date"]) + frames.LAG]
            if entry < ex_date <= label["exit_date"]:
                key = name, label["trade_date"]
                paid[key] = paid.get(key, 1.0) * factor
    assert paid, "the archive has no dividend"
    ratio = (1 + pl.col("total_return")) / (1 + pl.col("price_return"))
    for name, day, found in frame.drop_nulls("forward_return").select("instrument_id", "trade_date", ratio).iter_rows():
        assert found == pytest.approx(paid.get((name, day), 1.0), abs=2e-5), (name, day)
    with pytest.raises(UsageError, match="no returns 'gross' of labels; they are price, total"):
        frames.training_frame(lake, days[0], days[-1], **asked, returns="gross")  # type: ignore[arg-type]


def test_a_version_of_an_earlier_release_is_compared_by_the_returns_of_the_challenger(workspace: Settings) -> None:
    before = evaluate.evaluate(workspace, 2, 1)
    store.prepare(workspace).delete_model_version_tag(registry.MODEL, "1", evaluate.RETURNS_TAG)
    assert evaluate.returns_of(registry.find(workspace, 1)) == "price"
    assert evaluate.evaluate(workspace, 2, 1).evidence == before.evidence
    live = outcomes.live_skill(workspace).ic.filter(model_version=1)
    by_price = outcomes.score_outcomes(Lake(workspace.lake), returns="price").filter(model_version=1)
    known = by_price.filter(pl.col("trade_date").is_in(live["trade_date"].implode()))
    assert metrics.rank_ic(known)["ic"].to_list() == live["ic"].to_list()
    assert not score.score_session(workspace, Lake(workspace.lake).sessions(PREDICTIONS)[-1]).written


def test_more_trials_lower_the_deflated_sharpe_ratio(modelled: Settings) -> None:
    tried = trials.known(modelled)
    assert tried.count == 2
    assert len(tried.sharpes) == 2
    named = [one.id for one in looks.of_versions(modelled, *(registry.find(modelled, number) for number in (1, 2)))[0]]
    assert tried.sessions.columns == ["trade_date", *named]
    version = registry.find(modelled, 2)
    active = portfolio.simulate(evaluate.scores(modelled, "2")[1], lake=Lake(modelled.lake)).active
    assert tried.sessions[named[1]].to_list() == active["active"].to_list()
    assert trials.known(modelled, version.tags[trials.LOOK]).sessions.columns == ["trade_date", named[0]]
    returns = pl.Series(np.random.default_rng(3).normal(0.01, 0.02, 120))
    few, many = (trials.deflated(trials.Trials(n, (0.1, -0.1), tried.sessions), returns) for n in (2, 200))
    assert (few["trials"], many["trials"]) == (3.0, 201.0)
    assert many["deflated_sharpe"] < few["deflated_sharpe"] <= 1
    assert trials.deflated(tried, pl.Series([0.0] * 9)) == {"trials": 3.0}
    probability = trials.overfitting(tried, active)["overfitting_probability"]
    assert 0 <= probability <= 1
    assert trials.overfitting(trials.Trials(0, (), active.select("trade_date")), active) == {}


def test_a_champion_trained_too_long_ago_is_refused(modelled: Settings) -> None:
    last = Lake(modelled.lake).sessions("features_equity_indicators")[-1]
    with pytest.raises(ModelError, match=r"was trained on sessions to .* at most 5 are allowed"):
        score.score_session(modelled.model_copy(update={"model_sessions": 5}), last)


def test_a_changed_model_file_is_not_used_for_scoring(workspace: Settings, tmp_path: Path) -> None:
    path = registry.file_of(workspace, 1, str(tmp_path))
    session, content = Lake(workspace.lake).sessions(PREDICTIONS)[-1], path.read_bytes()
    path.write_bytes(pickle.dumps(Recipe("logistic")))
    with pytest.raises(ModelError, match=r"version 1: .*not the file that was registered"):
        score.score_session(workspace, session)
    path.write_bytes(content)
    assert not score.score_session(workspace, session).written, "the scores are there already"


def test_outdated_features_are_not_scored(workspace: Settings) -> None:
    lake = Lake(workspace.lake)
    last = lake.sessions("features_equity_indicators")[-1]
    bars = lake.scan("normalized_equity_ohlc", last, last).collect()
    corrected = bars.with_columns(volume=pl.col("volume") + 1)
    assert lake.write("normalized_equity_ohlc", last, corrected, {"corrected": "yes"})
    with pytest.raises(LakeError, match="no current features: run `champion features"):
        score.score_session(workspace, last)
    with pytest.raises(LakeError, match="no features for session 2030-01-01"):
        frames.scoring_frame(lake, date(2030, 1, 1), universe=Universe())


def test_a_model_that_fails_its_leakage_checks_is_refused(workspace: Settings, modelled: Settings) -> None:
    days = Lake(modelled.lake).sessions("features_equity_indicators")
    leaking = trained(workspace, "logistic", days[0], days[-30], canary=False)
    evaluation = evaluate.evaluate(workspace, leaking.number)
    assert evaluation.decision.reasons[0].startswith("data: The check of leakage found skill where there can be none")
    assert not evaluation.decision.promote


def test_decay_notebook_measures_live_skill_and_drift(workspace: Settings) -> None:
    live = outcomes.live_skill(workspace)
    last = Lake(workspace.lake).sessions(PREDICTIONS)[-1]
    ran = run_notebook(
        workspace, NotebookRequest("decay", {"as_of": str(last), "sessions": 15}, experiment="model-health")
    )
    assert ran.metrics["live_rank_ic"] == pytest.approx(live.ic["ic"].to_numpy().mean())
    assert ran.metrics["live_sessions"] == live.ic.height
    assert ran.metrics["waiting"] == live.waiting
    promised = metrics.rank_ic(evaluate.out_of_sample(workspace, registry.find(workspace, 1)))
    assert ran.metrics["promised_rank_ic"] == pytest.approx(promised["ic"].to_numpy().mean())
    assert ran.metrics["input_psi"] > 0
    assert ran.values["version"] == 1
    assert ran.values["as_of"] == str(last)
    assert "no score since then was published before the next session opened" in ran.values["paper_account"]


def test_inputs_from_the_lake_have_no_look_ahead(modelled: Settings) -> None:
    """Inputs built in one pass over splits, bonuses and listings equal those built from earlier bars alone."""
    lake, everybody = Lake(modelled.lake), find("all")
    days = lake.sessions("features_equity_indicators")
    made = frames.training_frame(lake, days[0], days[-1], horizon=HORIZON, universe=everybody)
    again = frames.recompute_inputs(lake, [days[60], days[-1]], universe=everybody)
    assert leakage_checks.lookahead_check(made, again, frames.inputs()) == ()
    early = made.with_columns(pl.col("return_1").shift(-1).over("instrument_id", order_by="trade_date"))
    assert leakage_checks.lookahead_check(early, again, frames.inputs()) == ("return_1",)
