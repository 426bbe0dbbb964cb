"""Carried state: bit for bit equal to whole histories, and never used if the history may have changed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from markets import FIRST, market
from polars.testing import assert_frame_equal

from champion import contracts, features, indicators
from champion.contracts.datasets import FEATURES
from champion.errors import UsageError
from champion.pipeline.feature_store.contracts import declare

STATE = features.find("v1").state_contract
LAW = settings(max_examples=8)
LENGTHS = st.lists(st.sampled_from([1, 2, 14, 15, 18, 25, 26, 34, 60, 199, 201, 210]), min_size=1, max_size=4)
OWN = features.FeatureSet(
    "own_ideas",
    "ideas1",
    (
        features.Feature(
            "close_to_sma_20",
            "trend",
            20,
            pl.Float64(),
            "The close over its mean of 20 bars.",
            pl.col("close") / indicators.sma(pl.col("close"), 20),
        ),
        features.Feature(
            "gap", "price", 1, pl.Float64(), "Close less open.", pl.col("close") - pl.col("open"), unit="rupee"
        ),
    ),
)


def advanced(state: pl.DataFrame, bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the features of these bars session by session, and the state after the last."""
    made = [features.build(bars.clear())]
    for _, own in sorted(bars.partition_by("trade_date", as_dict=True).items()):
        rows, state = features.advance(state, own)
        made.append(rows)
    return pl.concat(made).sort("instrument_id", "trade_date"), state


@LAW
@given(lengths=LENGTHS, seed=st.integers(0, 2**20), data=st.data())
def test_state_of_a_prefix_plus_steps_equals_whole_histories(
    lengths: list[int], seed: int, data: st.DataObject
) -> None:
    bars = market(lengths, seed)
    days = max(lengths) + 7 * len(lengths)
    known = pl.col("trade_date") <= FIRST + timedelta(days=data.draw(st.integers(max(days - 60, -1), days)))
    made, state = advanced(features.state_after(bars.filter(known)), bars.filter(~known))
    assert_frame_equal(made, features.build(bars).filter(~known), check_exact=True)
    assert_frame_equal(state, features.state_after(bars), check_exact=True)


def test_steps_from_the_first_bar_equal_whole_histories() -> None:
    bars = market([60, 1, 230, 34])
    made, state = advanced(pl.DataFrame(schema=features.carried_schema()), bars)
    assert_frame_equal(made, features.build(bars), check_exact=True)
    assert_frame_equal(state, features.state_after(bars), check_exact=True)


@pytest.mark.parametrize("each", features.find("v1").carried, ids=lambda each: each.name)
def test_a_step_of_carried_state_equals_its_expression(each: features.Carried) -> None:
    every = features.find("v1").carried
    bars = market([300]).with_columns(one.expression.alias(f"{one.name}_now") for one in every)
    before = bars.with_columns(pl.col(f"{one.name}_now").shift(1).alias(one.name) for one in every)
    steps = before.select(step=each.step, expected=f"{each.name}_now")
    assert steps["expected"].is_null().to_list() == [row < each.lookback - 1 for row in range(300)]
    assert steps["step"][each.lookback :].equals(steps["expected"][each.lookback :])


def test_every_recursive_feature_of_v1_carries_state() -> None:
    chosen = features.find("v1")
    assert chosen.advances
    assert chosen.recent == {"high": 17, "low": 17, "close": 199, "volume": 19}
    assert {
        name: dtype for name, dtype in contracts.load(STATE).polars_schema.items() if name in features.carried_schema()
    } == (features.carried_schema())


def test_state_moves_one_session_at_a_time() -> None:
    bars = market([5])
    with pytest.raises(UsageError, match="the bars are of 5"):
        features.advance(features.state_after(bars), bars)
    rows, state = features.advance(features.state_after(bars), bars.clear())
    assert rows.is_empty()
    assert state.equals(features.state_after(bars))


def test_a_set_without_carried_state_cannot_be_advanced() -> None:
    close = pl.col("close")
    summed = features.Feature("total", "trend", 1, pl.Float64(), "", close.cum_sum(), recursive=True)
    with pytest.raises(UsageError, match="total must declare carried values"):
        features.state_after(market([5]), features.FeatureSet("own_totals", "totals1", (summed,)))


def test_v1_and_its_state_match_their_contracts(tmp_path: Path) -> None:
    assert declare(features.find("v1")) == []
    written = declare(features.find("v1"), tmp_path)
    assert [file.name for file in written] == [f"{FEATURES}_v1.avsc", f"{STATE}_v1.avsc"]
    assert written[1].read_text() == (Path("schemas") / written[1].name).read_text()


def test_a_changed_set_needs_another_name(tmp_path: Path) -> None:
    try:
        declare(OWN, tmp_path)
        less = features.FeatureSet("own_ideas", "ideas1", OWN.features[:1])
        with pytest.raises(UsageError, match="is already registered"):
            features.register(less)
        features.FEATURE_SETS.pop("ideas1")
        with pytest.raises(UsageError, match=r"own_ideas_v1.avsc holds other features \(gap\)"):
            declare(less, tmp_path)
    finally:
        features.FEATURE_SETS.pop("ideas1", None)


@pytest.mark.parametrize(
    ("expression", "lookback", "message"),
    [(pl.col("klose"), 1, "uses .'klose'."), (pl.col("close"), 0, "looks back 0 bars")],
)
def test_a_set_with_unknown_columns_or_no_lookback_raises(expression: pl.Expr, lookback: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        features.FeatureSet("own", "own1", (features.Feature("x", "g", lookback, pl.Float64(), "", expression),))
