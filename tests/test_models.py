"""Models of a workspace: judged against each other, compared with what came, counted as trials, fresh or refused."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from models import HORIZON, trained
from waiting import PATIENCE

from champion import canaries, metrics
from champion.errors import LakeError, ModelError, PromotionRefused, UsageError
from champion.estimators import Recipe
from champion.lake import Lake
from champion.pipeline import learn, outcomes, promote, score, trials
from champion.pipeline.adjusted import adjusted_bars
from champion.runner import run_notebook
from champion.settings import Settings
from champion.tracking import promotion, registry, runs
from champion.universe import Universe, find

# MLflow 3.17 on SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture
def workspace(modelled: Settings, tmp_path: Path) -> Settings:
    """A copy of the shared workspace, which a test may change: a new version in the shared one fails other tests."""
    shutil.copytree(modelled.home, tmp_path / "home")
    return Settings(home=tmp_path / "home", archive=modelled.archive)


def test_two_models_are_weighed_session_by_session(modelled: Settings) -> None:
    weighed = promote.weigh(modelled, 2)
    ours, theirs = (
        metrics.rank_ic(promote.out_of_sample(modelled, registry.find(modelled, number))) for number in (2, 1)
    )
    assert weighed.reigning == 1
    assert weighed.sessions["trade_date"].to_list() == ours["trade_date"].to_list()
    paired = metrics.summarise_ic(pl.DataFrame({"ic": ours["ic"] - theirs["ic"]}), HORIZON)
    assert weighed.evidence["paired"]["rank_ic"] == pytest.approx(paired["mean"])
    assert weighed.evidence["paired"]["rank_ic_t"] == pytest.approx(paired["t"])
    assert weighed.evidence["challenger"]["rank_ic"] == pytest.approx(ours["ic"].to_numpy().mean())
    back = promote.weigh(modelled, 1, 2)
    assert back.evidence["paired"]["rank_ic"] == pytest.approx(-paired["mean"])
    alone = promote.weigh(modelled, 1, None)
    assert alone.evidence["paired"] is None
    assert promote.weigh(modelled, 1).decision.reasons == ("it is champion already",)


def test_a_version_says_what_it_learnt_from_and_how(modelled: Settings) -> None:
    version = registry.find(modelled, 2)
    recipe, data = json.loads(version.tags["champion.recipe"]), json.loads(version.tags["champion.data"])
    assert recipe["model"] == version.tags["champion.model"] == "sklearn.naive_bayes.GaussianNB"
    lake = Lake(modelled.lake)
    learnt = date.fromisoformat(version.tags[promote.KNEW_TO])
    assert data["normalized_equity_ohlc"] == lake.digest("normalized_equity_ohlc", end=learnt)
    assert set(data) == {"normalized_equity_ohlc", "features_equity_indicators", "normalized_corporate_actions"}


def test_margins_come_from_the_settings(modelled: Settings) -> None:
    strict = modelled.model_copy(update={"gate_margin": 0.5, "gate_level": 0.001})
    weighed = promote.weigh(strict, 2)
    assert "plus the margin 0.5000" in "; ".join(weighed.decision.reasons)
    assert (weighed.evidence["margin"], weighed.evidence["level"]) == (0.5, 0.001)


def test_a_decision_keeps_its_report_and_a_refusal_moves_nothing(workspace: Settings) -> None:
    with pytest.raises(PromotionRefused):
        promote.consider(workspace.model_copy(update={"gate_margin": 0.5}), 2, strict=True, report="run-1")
    last = promotion.history(workspace)[-1]
    assert (last.state, last.version, last.evidence["report"]) == ("refused", 2, "run-1")
    assert last.evidence["paired"]["sessions"] > 0
    assert promote.judged(workspace, 2)
    assert registry.alias_of(workspace, registry.CHAMPION) == 1
    with pytest.raises(UsageError, match="needs a reason"):
        promote.consider(workspace.model_copy(update={"gate_margin": 0.5}), 2, force=True)


def test_a_champion_whose_scores_are_lost_can_be_replaced_by_force(workspace: Settings) -> None:
    run = runs.get(workspace, registry.find(workspace, 1).run_id)
    path = Path(runs.location(run, promote.OUT_OF_SAMPLE))
    path.unlink()
    weighed = promote.weigh(workspace, 2)
    assert not weighed.decision.promote
    assert "the champion cannot be compared with: version 1: its run" in weighed.decision.reasons[0]
    with pytest.raises(ModelError, match="holds no"):
        promote.weigh(workspace, 2, 1)
    assert promote.consider(workspace, 2, force=True, reason="its scores are lost")["promoted"]
    assert promotion.current_champion(workspace).version == 2  # type: ignore[union-attr]


def test_the_commands_list_compare_and_tell_the_history(modelled: Settings) -> None:
    def said(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "champion", "models", *arguments, "--json"]
        variables = {**os.environ, "CHAMPION_HOME": str(modelled.home), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    compared = said("compare", "2", "1")
    assert compared["paired"]["sessions"] == compared["champion"]["sessions"]
    assert compared["promote"] is False or compared["paired"]["rank_ic_t"] > 2
    today = promotion.history(modelled)[-1].at.date()
    assert said("history", "--on", str(today + timedelta(days=2)))["version"] == 1
    assert said("history", "--on", str(today - timedelta(days=2)))["version"] is None


def test_scores_are_joined_with_what_came(modelled: Settings) -> None:
    lake = Lake(modelled.lake)
    found = outcomes.joined(lake)
    sessions = lake.sessions("normalized_equity_ohlc")
    row = found.drop_nulls("forward_return").row(0, named=True)
    start = sessions.index(row["trade_date"])
    entry, end = sessions[start + learn.LAG], sessions[start + learn.LAG + HORIZON]
    assert row["label_end"] == end
    bars = adjusted_bars(lake, entry, end).filter(instrument_id=row["instrument_id"])
    closes = dict(bars.select("trade_date", "close").iter_rows())
    assert row["forward_return"] == pytest.approx(closes[end] / closes[entry] - 1, rel=1e-3)
    late = found.filter(pl.col("trade_date") > sessions[-1 - learn.LAG - HORIZON])
    assert late.height > 0
    assert late["forward_return"].null_count() == late.height


def test_live_rank_ic_counts_only_what_the_model_could_not_know(modelled: Settings) -> None:
    live = outcomes.live(modelled)
    scored = Lake(modelled.lake).sessions(score.PREDICTIONS)
    knew_to = date.fromisoformat(registry.find(modelled, 1).tags[promote.KNEW_TO])
    honest = [day for day in scored if day >= knew_to]
    assert live.remembered == len(scored) - len(honest)
    assert live.ic.height + live.waiting == len(honest)
    assert live.ic.height > 0
    assert live.waiting >= learn.LAG + HORIZON
    known = outcomes.joined(Lake(modelled.lake)).filter(trade_date=live.ic["trade_date"][0])
    assert live.ic["ic"][0] == pytest.approx(metrics.rank_ic(known)["ic"].item())
    assert live.summary(HORIZON)["sessions"] == live.ic.height
    assert outcomes.live(modelled, end=scored[0] - timedelta(days=30)).ic.is_empty()


def test_trials_are_counted_and_make_the_best_of_them_less_believable(modelled: Settings) -> None:
    ic = metrics.rank_ic(promote.out_of_sample(modelled, registry.find(modelled, 2)))
    tried = trials.known(modelled, ic)
    assert tried.count == 2
    assert len(tried.sharpes) == 2
    assert tried.sessions.columns == ["trade_date", "trial_1", "trial_2"]
    assert tried.sessions["trial_2"].to_list() == ic["ic"].to_list()
    returns = pl.Series(np.random.default_rng(3).normal(0.01, 0.02, 120))
    few, many = (trials.deflated(trials.Trials(n, (0.1, -0.1), tried.sessions), returns) for n in (2, 200))
    assert (few["trials"], many["trials"]) == (3.0, 201.0)
    assert many["deflated_sharpe"] < few["deflated_sharpe"] <= 1
    assert trials.deflated(tried, pl.Series([0.0] * 9)) == {"trials": 3.0}
    probability = trials.overfitting(tried, ic)["overfitting_probability"]
    assert 0 <= probability <= 1
    assert trials.overfitting(trials.Trials(0, (), ic.select("trade_date")), ic) == {}


def test_a_champion_that_learnt_too_long_ago_is_refused(modelled: Settings) -> None:
    last = Lake(modelled.lake).sessions("features_equity_indicators")[-1]
    with pytest.raises(ModelError, match=r"learnt from sessions to .* at most 5 are allowed"):
        score.score_session(modelled.model_copy(update={"model_sessions": 5}), last)


def test_nothing_is_scored_with_a_file_that_is_not_the_champion_s(workspace: Settings, tmp_path: Path) -> None:
    path = registry.file_of(workspace, 1, str(tmp_path))
    session, content = Lake(workspace.lake).sessions(score.PREDICTIONS)[-1], path.read_bytes()
    path.write_bytes(pickle.dumps(Recipe("logistic")))
    with pytest.raises(ModelError, match=r"version 1: .*not the file that was registered"):
        score.score_session(workspace, session)
    path.write_bytes(content)
    assert not score.score_session(workspace, session).written, "the scores are there already"


def test_features_older_than_their_bars_are_not_scored(workspace: Settings) -> None:
    lake = Lake(workspace.lake)
    last = lake.sessions("features_equity_indicators")[-1]
    bars = lake.scan("normalized_equity_ohlc", last, last).collect()
    corrected = bars.with_columns(volume=pl.col("volume") + 1)
    assert lake.write("normalized_equity_ohlc", last, corrected, {"corrected": "yes"})
    with pytest.raises(LakeError, match="no current features: run `champion features"):
        score.score_session(workspace, last)
    with pytest.raises(LakeError, match="no features for session 2030-01-01"):
        learn.scoring_frame(lake, date(2030, 1, 1), universe=Universe())


def test_a_model_the_canaries_did_not_pass_is_refused(workspace: Settings, modelled: Settings) -> None:
    days = Lake(modelled.lake).sessions("features_equity_indicators")
    leaking = trained(workspace, "logistic", days[0], days[-30], canary=False)
    weighed = promote.weigh(workspace, leaking.number)
    assert "a leakage canary found skill where there is none" in weighed.decision.reasons
    assert not weighed.decision.promote


def test_decay_holds_the_champion_against_what_came(workspace: Settings) -> None:
    live = outcomes.live(workspace)
    last = Lake(workspace.lake).sessions(score.PREDICTIONS)[-1]
    ran = run_notebook(workspace, "decay", {"as_of": str(last), "sessions": 15}, experiment="model-health")
    assert ran.metrics["live_rank_ic"] == pytest.approx(live.ic["ic"].to_numpy().mean())
    assert ran.metrics["live_sessions"] == live.ic.height
    assert ran.metrics["waiting"] == live.waiting
    promised = metrics.rank_ic(promote.out_of_sample(workspace, registry.find(workspace, 1)))
    assert ran.metrics["promised_rank_ic"] == pytest.approx(promised["ic"].to_numpy().mean())
    assert ran.metrics["input_psi"] > 0
    assert ran.values == {"version": 1, "as_of": str(last)}


def test_the_workbench_passes_its_own_canary(modelled: Settings) -> None:
    """Inputs of the lake, made in one go over splits, bonuses and listings, are those made from the past alone."""
    lake, everybody = Lake(modelled.lake), find("all")
    days = lake.sessions("features_equity_indicators")
    made = learn.training_frame(lake, days[0], days[-1], horizon=HORIZON, universe=everybody)
    again = learn.inputs_anew(lake, [days[60], days[-1]], universe=everybody)
    assert canaries.ahead(made, again, learn.inputs()) == ()
    early = made.with_columns(pl.col("return_1").shift(-1).over("instrument_id", order_by="trade_date"))
    assert canaries.ahead(early, again, learn.inputs()) == ("return_1",)
