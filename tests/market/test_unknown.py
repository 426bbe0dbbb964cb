"""NaN and infinity are treated like null, from the features to the scores in the lake."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st
from polars.testing import assert_frame_equal, assert_series_equal
from sklearn.base import BaseEstimator, ClassifierMixin

from champion import contracts, features
from champion.contracts.rules import rule_expression
from champion.errors import ContractError, ModelError
from champion.features import Feature, FeatureSet
from champion.indicators import cross_section
from champion.lake import Lake
from champion.modeling import leakage_checks, metrics, training
from champion.modeling.estimators import Recipe, probability
from champion.modeling.luck.overfitting import probability_of_overfitting
from champion.modeling.model_inputs import model_inputs
from champion.modeling.splits import PurgedWalkForward

DAY = date(2024, 1, 1)
UNKNOWN = [float("nan"), float("inf"), float("-inf"), None]
VALUES = st.one_of(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 2.0]), st.sampled_from(UNKNOWN))
ROWS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12)


def as_null(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with null instead of NaN and infinity."""
    return frame.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
        for name, dtype in frame.schema.items()
        if dtype.is_float()
    )


def scored(rows: list[tuple[float | None, float | None]]) -> pl.DataFrame:
    """Return the rows as scores and forward returns of consecutive sessions with four instruments each."""
    return pl.DataFrame(
        {
            "trade_date": [DAY + timedelta(days=number // 4) for number in range(len(rows))],
            "instrument_id": ["ABCD"[number % 4] for number in range(len(rows))],
            "score": [one for one, _ in rows],
            "forward_return": [other for _, other in rows],
        },
        schema_overrides={"score": pl.Float64, "forward_return": pl.Float64},
    )


def locked() -> pl.DataFrame:
    """Return one session's bars, one of them locked at its price band, so without a range."""
    prices = (("LOCKED", 9.5, 9.5, 9.5), ("TOP", 11.0, 9.0, 11.0), ("MID", 11.0, 9.0, 10.0), ("LOW", 11.0, 9.0, 9.0))
    same = {"trade_date": DAY, "open": 10.0, "volume": 10, "turnover": 100.0, "trades": 1}
    return pl.DataFrame(
        [
            same | {"instrument_id": f"NSE:{s}", "symbol": s, "high": h, "low": low, "close": c}
            for s, h, low, c in prices
        ]
    )


def own(expression: pl.Expr) -> FeatureSet:
    return FeatureSet("place", "place1", (Feature("place", "price", 1, pl.Float64(), "", expression),))


PLACE = (pl.col("close") - pl.col("low")) / (pl.col("high") - pl.col("low"))


@pytest.mark.parametrize(
    "expression", [PLACE, 1 / (pl.col("high") - pl.col("low")), (pl.col("low") - pl.col("high")).log()]
)
def test_a_feature_is_null_where_its_expression_is_nan_or_infinite(expression: pl.Expr) -> None:
    built = features.build(locked(), own(expression))["place"]
    raw = locked().sort("instrument_id").select(expression).to_series()
    assert not raw.is_finite().all()
    assert_series_equal(built, as_null(raw.to_frame("place"))["place"])


def test_a_locked_bar_is_not_ranked() -> None:
    built = features.build(locked(), own(PLACE))
    ranked = model_inputs(pl.DataFrame(), built, ["place"])
    assert dict(ranked.select("symbol", "place").iter_rows()) == pytest.approx(
        {"LOCKED": None, "LOW": -1 / 3, "MID": 0.0, "TOP": 1 / 3}
    )


def test_carried_state_gives_null_like_whole_histories() -> None:
    bars = locked()
    later = bars.with_columns(trade_date=DAY + timedelta(days=1))
    rows, _ = features.advance(features.state_after(bars, own(PLACE)), later, own(PLACE))
    assert rows["place"].null_count() == 1
    whole = features.build(pl.concat([bars, later]), own(PLACE))
    assert_frame_equal(rows, whole.filter(pl.col("trade_date") > DAY), check_exact=True)


CROSS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "rank": lambda x, _: cross_section.rank(x),
    "demean": lambda x, _: cross_section.demean(x),
    "neutralise": cross_section.neutralise,
}


@pytest.mark.parametrize("name", CROSS)
@given(rows=ROWS)
def test_cross_section_functions_treat_nan_and_infinity_as_null(
    name: str, rows: list[tuple[float | None, float | None]]
) -> None:
    expression = CROSS[name](pl.col("score"), pl.col("forward_return")).over("trade_date").alias("made")
    frame = scored(rows)
    made = frame.select(expression)
    assert_frame_equal(made, as_null(frame).select(expression), check_exact=True)
    assert made["made"].drop_nulls().is_finite().all()


METRICS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "information_coefficient": metrics.information_coefficient,
    "rank_ic": metrics.rank_ic,
    "quantile_returns": lambda frame: metrics.quantile_returns(frame, 2),
    "long_short_return": lambda frame: metrics.long_short_return(frame, horizon=1, cost_bps=10, share=0.5),
    "summarise_ic": lambda frame: pl.DataFrame([metrics.summarise_ic(frame.select(ic="score"))]),
    "sharpe_ratio": lambda frame: pl.DataFrame({"x": [metrics.sharpe_ratio(frame["score"], 250)]}),
    "max_drawdown": lambda frame: pl.DataFrame({"x": [metrics.max_drawdown(frame["score"])]}),
    "input_ic": lambda frame: leakage_checks.input_ic(frame, ["score"], horizon=1),
}


@pytest.mark.parametrize("name", METRICS)
@given(rows=ROWS)
def test_metrics_treat_nan_and_infinity_as_null(name: str, rows: list[tuple[float | None, float | None]]) -> None:
    frame = scored(rows)
    assert_frame_equal(METRICS[name](frame).sort(pl.all()), METRICS[name](as_null(frame)).sort(pl.all()))


def test_two_nan_scores_of_ten_leave_a_perfect_ranking_perfect() -> None:
    scores = [float(number) for number in range(10)]
    frame = pl.DataFrame({"trade_date": [DAY] * 10, "score": scores, "forward_return": [0.01 * s for s in scores]})
    holed = frame.with_columns(pl.when(pl.col("score") < 2).then(math.nan).otherwise("score").alias("score"))
    assert metrics.rank_ic(holed)["ic"].to_list() == pytest.approx([1.0])


def panel() -> pl.DataFrame:
    random, days, names = np.random.default_rng(3), 60, 12
    signal = random.uniform(-0.5, 0.5, days * names)
    return pl.DataFrame(
        {
            "instrument_id": [f"I{n:02}" for n in range(names)] * days,
            "symbol": [f"S{n:02}" for n in range(names)] * days,
            "trade_date": [DAY + timedelta(days=n) for n in range(days) for _ in range(names)],
            "signal": signal,
            "forward_return": signal + 0.1 * random.normal(size=days * names),
        }
    ).with_columns(label_end=pl.col("trade_date") + timedelta(days=1))


SPLITTER = PurgedWalkForward(n_splits=2, horizon=1, embargo=0)
HOLE = pl.int_range(pl.len()) == 100


@pytest.mark.parametrize("value", UNKNOWN[:3])
def test_training_refuses_a_forward_return_that_is_nan_or_infinite(value: float) -> None:
    frame = panel().with_columns(pl.when(HOLE).then(value).otherwise("forward_return").alias("forward_return"))
    with pytest.raises(ModelError, match=r"forward_return is NaN or infinite in 1 of 720 rows: I04 2024-01-09"):
        training.fit(frame, Recipe("logistic"), ["signal"], SPLITTER)


@pytest.mark.parametrize("value", UNKNOWN)
def test_null_nan_and_infinite_inputs_train_the_same_model(value: float | None) -> None:
    frames = [panel().with_columns(pl.when(HOLE).then(v).otherwise("signal").alias("signal")) for v in (None, value)]
    one, other = (training.fit(frame, Recipe("logistic"), ["signal"], SPLITTER) for frame in frames)
    assert_frame_equal(one.out_of_sample, other.out_of_sample, check_exact=True)


class Doubtful(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that scores NaN for an unknown input."""

    def fit(self, X: Any, y: Any) -> Doubtful:  # noqa: N803 - scikit-learn's signature
        """Remember the classes."""
        self.classes_ = np.unique(y)
        self.width_ = X.shape[1]
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the class of each row."""
        return (X[:, 0] > 0).astype(int)

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return NaN for high inputs."""
        up = np.where(X[:, 0] > 0.4, math.nan, 0.5 + X[:, 0] / 2)
        return np.column_stack([1 - up, up])


def test_a_nan_score_is_refused_by_training_scoring_and_judging() -> None:
    model, frame = Doubtful().fit(np.zeros((2, 1)), np.array([0, 1])), panel()
    said = "Doubtful scores NaN or infinity in"
    with pytest.raises(ModelError, match=said):
        training.score(model, frame, ["signal"])
    with pytest.raises(ModelError, match=said):
        training.fit(frame, Recipe(f"{__name__}.Doubtful"), ["signal"], SPLITTER)
    scores = training.labelled(frame).with_columns(score=pl.when(HOLE).then(math.nan).otherwise("signal"))
    with pytest.raises(ModelError, match="score is NaN or infinite in 1 of 720 rows"):
        training.judge(scores, 1)
    assert np.isfinite(probability(model, np.array([[0.1]]))).all()


def test_a_trial_with_an_unknown_performance_is_refused() -> None:
    trials = pl.DataFrame({"good": [0.1, 0.2] * 10, "holed": [math.nan, *([0.1] * 19)]})
    with pytest.raises(ModelError, match="1 of 40 values are unknown"):
        probability_of_overfitting(trials, blocks=2)


FLOATS = [
    (contract.name, name)
    for contract in map(contracts.load, contracts.names())
    for name, dtype in contract.polars_schema.items()
    if dtype.is_float()
]


def row_of(contract: contracts.Contract) -> dict[str, Any]:
    """Return a row with the smallest values that satisfy the contract's rules."""
    plain: dict[str, Any] = {"String": "x", "Date": DAY, "Boolean": True, "Binary": b"0" * 16}
    found = {
        n: plain.get(str(t), 0.5 if t.is_float() else 1 if t.is_integer() else None)
        for n, t in contract.polars_schema.items()
    }
    special = {"Sgmt": "CM", "side": "high", "resistance": 1.0}
    return found | {name: value for name, value in special.items() if name in found}


@pytest.mark.parametrize("value", UNKNOWN[:3], ids=str)
@pytest.mark.parametrize(("name", "column"), FLOATS[::7])
def test_the_contract_refuses_nan_and_infinity_in_every_number(name: str, column: str, value: float) -> None:
    contract = contracts.load(name)
    held = [c for c, dtype in contract.polars_schema.items() if dtype.is_float() or c in contract.key]
    row = {n: v for n, v in row_of(contract).items() if n in held}
    sound = pl.DataFrame([row], schema={n: contract.polars_schema[n] for n in held})
    assert contract.require_valid(sound).height == 1
    with pytest.raises(ContractError, match=rf"NaN or infinity in \{{'{column}': 1\}}"):
        contract.require_valid(sound.with_columns(pl.lit(value, contract.polars_schema[column]).alias(column)))


@pytest.mark.parametrize("text", ["x > 0", "x >= 0 and x <= 1", "x <> 5", "x is null or y < 3", "not (x < 0)"])
def test_no_rule_holds_against_nan(text: str) -> None:
    rows = pl.DataFrame({"x": [0.5, math.nan], "y": [1, 1]})
    assert rows.select(rule_expression(text)).to_series().to_list() == [True, False]


def test_the_lake_refuses_a_nan_score_and_stays_unchanged(tmp_path: Path) -> None:
    lake, name = Lake(tmp_path), "quality_findings"
    schema = contracts.load(name).polars_schema
    found = {"session": DAY, "instrument_id": "NSE:A", "symbol": "A", "series": "EQ", "gate": "gaps", "detail": "fell"}
    good, bad = (pl.DataFrame([{**found, "value": value}], schema=schema) for value in (0.5, math.nan))
    assert lake.write(name, DAY, good, {"bars": "1"})
    with pytest.raises(ContractError, match=r"NaN or infinity in \{'value': 1\}"):
        lake.write(name, DAY, bad, {"bars": "2"})
    with pytest.raises(ContractError, match=r"gate_is_named \(gate <> ''\) is false in 1 row"):
        lake.write(name, DAY, good.with_columns(gate=pl.lit("")), {"bars": "3"})
    assert_frame_equal(lake.scan(name).collect(), good)
