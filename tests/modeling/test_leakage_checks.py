"""Leakage canaries pass without leakage and fail for every kind of it."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from champion.errors import ModelError
from champion.modeling import leakage_checks, training
from champion.modeling.estimators import Recipe
from champion.modeling.labels import forward_return
from champion.modeling.leakage_checks import LeakageChecks, ShuffledLabels
from champion.modeling.splits import PurgedWalkForward

SESSIONS, INSTRUMENTS, HORIZON, LAG = 120, 30, 5, 1
SPLITTER = PurgedWalkForward(2, HORIZON, 2, lag=LAG)
DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(SESSIONS)]
INPUTS = ["past_5", "slow"]


def walk(seed: int = 5, drift: float = 0.0) -> pl.DataFrame:
    """Return random walks of prices, with a constant drift per instrument."""
    random = np.random.default_rng(seed)
    steps = 0.02 * random.normal(size=(SESSIONS, INSTRUMENTS)) + drift * random.normal(size=INSTRUMENTS)
    closes = 100 * np.exp(np.cumsum(steps, axis=0))
    return pl.DataFrame({
        "instrument_id": [f"I{n:02}" for n in range(INSTRUMENTS)] * SESSIONS,
        "symbol": [f"S{n:02}" for n in range(INSTRUMENTS)] * SESSIONS,
        "trade_date": [day for day in DAYS for _ in range(INSTRUMENTS)],
        "close": closes.ravel(),
    })  # fmt: skip


def frame(bars: pl.DataFrame, late: int = 0) -> pl.DataFrame:
    """Return a training frame; both inputs are lagged by `late` sessions, and look ahead if it is negative."""
    ordered, close = bars.sort("instrument_id", "trade_date"), pl.col("close")
    past = (close / close.shift(5) - 1).shift(late).over("instrument_id")
    slow = (close / close.rolling_mean(40) - 1).shift(late).over("instrument_id")
    made = ordered.with_columns(past_5=past, slow=slow).with_columns(
        (pl.col(name).rank() / pl.col(name).count() - 0.5).over("trade_date").alias(name) for name in INPUTS
    )
    labels = forward_return(bars, HORIZON, LAG)
    return made.drop("close").join(labels, on=["instrument_id", "trade_date"], how="left")


def recomputed(bars: pl.DataFrame, late: int, *sessions: date) -> pl.DataFrame:
    return pl.concat(
        frame(bars.filter(pl.col("trade_date") <= day), late).filter(trade_date=day) for day in sessions
    )  # fmt: skip


def checks(bars: pl.DataFrame, late: int = 0) -> LeakageChecks:
    made = frame(bars, late)
    return LeakageChecks(
        leakage_checks.shuffled_label_check(made, Recipe(), INPUTS, SPLITTER),
        leakage_checks.implausible_inputs(made, INPUTS, HORIZON),
        leakage_checks.lookahead_check(made, recomputed(bars, late, DAYS[70], DAYS[90]), INPUTS),
    )


def test_all_checks_pass_without_leakage() -> None:
    found = checks(walk())
    assert found.passed, found
    assert found.table["passed"].to_list() == [True] * 3


def test_feature_with_a_negative_lag_fails_two_checks() -> None:
    found = checks(walk(), late=-3)  # the five-session return, three sessions later
    assert not found.passed
    assert "past_5" in found.implausible
    assert found.ahead == ("past_5", "slow")
    assert "past_5" in found.table.filter(canary="implausible inputs")["found"].item()


def test_slow_feature_of_the_next_session_fails_the_lookahead_check() -> None:
    found = checks(walk(), late=-1)
    assert "slow" not in found.implausible  # one more session hardly changes a mean of 40
    assert found.ahead is not None
    assert "slow" in found.ahead


def test_checks_that_were_not_run_do_not_pass() -> None:
    quiet = ShuffledLabels(auc=0.5, error=0.01)
    assert LeakageChecks(quiet, (), ()).passed
    assert not LeakageChecks(quiet, (), None).passed
    assert LeakageChecks(quiet, (), None).table["found"][2] == "not run"


def test_large_chance_correlations_of_a_small_market_are_plausible() -> None:
    few = frame(walk(seed=2)).filter(pl.col("instrument_id").is_in(["I01", "I02", "I03", "I04"]))
    by_luck = leakage_checks.input_ic(few.filter(pl.col("trade_date") < DAYS[60]), INPUTS, HORIZON)
    assert by_luck["ic"].abs().max() > 0.1  # type: ignore[operator]
    assert (
        leakage_checks.implausible_inputs(few.filter(pl.col("trade_date") < DAYS[60]), INPUTS, HORIZON, limit=0.1) == ()
    )


def test_lookahead_check_without_common_rows_is_refused() -> None:
    made = frame(walk())
    with pytest.raises(ModelError, match="no row of the training frame"):
        leakage_checks.lookahead_check(
            made.filter(pl.col("trade_date") < DAYS[50]), recomputed(walk(), 0, DAYS[90]), INPUTS
        )


@pytest.mark.parametrize("model", ["logistic", "random_forest"])
def test_persistent_drifts_and_unrelated_inputs_pass_the_shuffled_label_check(model: str) -> None:
    """One permutation for all sessions would keep both persistent, so a model could find skill."""
    random = np.random.default_rng(9)
    names = pl.DataFrame({"instrument_id": [f"I{n:02}" for n in range(INSTRUMENTS)]})
    lasting = frame(walk(drift=0.01)).join(
        names.with_columns(slow=pl.Series(random.normal(size=INSTRUMENTS))), on="instrument_id", suffix="_lasting"
    )
    found = leakage_checks.shuffled_label_check(lasting, Recipe(model), ["slow_lasting", "past_5"], SPLITTER)
    assert found.passed, found


def test_model_trained_on_its_test_labels_fails_the_shuffled_label_check() -> None:
    rows = leakage_checks.shuffle(training.labelled(frame(walk())), seed=7)
    inputs, labels = training.matrix(rows, INPUTS), rows["label"].to_numpy()
    seen = training.learn(Recipe("sklearn.tree.DecisionTreeClassifier"), inputs, labels).predict_proba(inputs)[:, 1]
    error = leakage_checks.shuffled_label_check(frame(walk()), Recipe(), INPUTS, SPLITTER).error
    assert not ShuffledLabels(float(roc_auc_score(labels, seen)), error).passed
