"""Feature set alpha158 equals Qlib, and depends only on its windows."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st
from markets import FIRST, market
from polars.testing import assert_frame_equal

from champion import contracts, features
from champion.features.alpha158.kernel import KERNEL

SET = features.find("alpha158")
SAMPLE = Path(__file__).parents[1] / "alpha158_qlib.parquet"  # benchmarks/speed/alpha158_golden.py writes it
LAW = settings(max_examples=10)
LENGTHS = st.lists(st.sampled_from([1, 4, 5, 6, 30, 31, 60, 61, 62, 130]), min_size=1, max_size=4)
APART = {"CORD": 2e-5, "CORR": 3e-6, "WVMA": 4e-5}  # Qlib takes logs and ratios in float32; else its last digit
NUMBER = pl.int_range(pl.len()).over("instrument_id")


def bars_of(lengths: list[int], seed: int = 1) -> pl.DataFrame:
    made = market(lengths, seed)
    return made.with_columns(open=((pl.col("high") + pl.col("low")) / 2).round(2))


@pytest.fixture(scope="module")
def sample() -> pl.DataFrame:
    """Bars with the features of Qlib (`RANK60_qlib`) and of Champion; `bar` counts an instrument's bars from 0."""
    read = pl.read_parquet(SAMPLE)
    exact = pl.col("open", "high", "low", "close").cast(pl.Float64), pl.col("volume").cast(pl.Int64)
    bars = read.select("instrument_id", "trade_date", *exact, "turnover", symbol="instrument_id")
    theirs = read.select("instrument_id", "trade_date", pl.col(SET.columns).name.suffix("_qlib"))
    ours = features.build(bars, SET).with_columns(bar=NUMBER)
    return ours.join(theirs, on=["instrument_id", "trade_date"], validate="1:1")


def test_names_formulas_and_order_are_qlibs() -> None:
    about = json.loads(pq.read_metadata(SAMPLE).metadata[b"champion.alpha158"])
    assert about["qlib"].startswith("0.9.")
    assert list({feature.name: feature.doc for feature in SET.features}.items()) == list(about["formulas"].items())
    assert len(SET.columns) == 158


@pytest.mark.parametrize("feature", SET.features, ids=lambda feature: feature.name)
def test_equals_qlib_wherever_the_window_is_full(sample: pl.DataFrame, feature: features.Feature) -> None:
    name, other = feature.name, f"{feature.name}_qlib"
    rows = sample.filter(pl.col("instrument_id") != "HALTED", pl.col("bar") >= feature.lookback - 1)
    assert rows.height > 150
    if name.startswith("WVMA"):
        # For a constant price the value is 0 / (0 + 1e-12). Qlib divides the residue of its running sums.
        still = rows.filter(pl.col(name) == 0)
        assert set(still["instrument_id"]) == {"STILL"}
        assert (still[other] > 1000).any()
        rows = rows.filter(pl.col(name) != 0)
    assert rows[name].is_null().to_list() == rows[other].is_null().to_list()
    apart = (pl.col(name) - pl.col(other)).abs() / (1 + pl.col(other).abs())
    found = rows.filter(apart > APART.get(name.rstrip("0123456789"), 1.3e-7))
    assert found.is_empty(), found.select("instrument_id", "trade_date", name, other)


def test_windows_count_own_bars_where_qlibs_count_sessions(sample: pl.DataFrame) -> None:
    halted = sample.filter(pl.col("instrument_id") == "HALTED")
    own = sample.filter(pl.col("instrument_id") == "HALTED_OWN")
    assert_frame_equal(halted.select(SET.columns), own.select(SET.columns), check_exact=True)
    same = (pl.col("MA20") - pl.col("MA20_qlib")).abs() < 1e-6
    across = pl.col("bar").is_between(30, 48)  # the session before bar 30 was suspended
    assert halted.filter(across).select(same.any()).item() is False
    assert halted.filter(~across, pl.col("bar") >= 19).select(same.all()).item() is True


def test_values_are_null_until_the_window_is_full(sample: pl.DataFrame) -> None:
    for feature in SET.features:
        warming = sample.filter(pl.col("bar") < feature.lookback - 1)
        assert warming[feature.name].null_count() == warming.height
    assert sample.filter(pl.col("bar") == 2)["MA60_qlib"].null_count() == 0


@pytest.mark.parametrize("name", ["KMID2", "VWAP0", "ROC5", "RSQR20", "IMXD60", "QTLD30", "CORD10", "VSUMD5"])
def test_one_feature_alone_equals_the_set(name: str) -> None:
    (feature,) = (one for one in SET.features if one.name == name)
    bars = bars_of([200, 70])
    alone = features.build(bars, features.FeatureSet("own", "own1", (feature,)))
    by_expression = bars.select(feature.expression.over("instrument_id").alias(name))[name]
    whole = features.build(bars, SET)[name]
    assert alone[name].equals(whole)
    assert by_expression.dtype == feature.dtype
    full = bars.select(NUMBER.add(1).ge(feature.lookback)).to_series()
    assert by_expression.filter(full).equals(whole.filter(full))


def test_the_set_matches_its_contract() -> None:
    contract = contracts.load(SET.contract)
    built = features.build(bars_of([62]), SET)
    assert dict(built.schema) == {n: t for n, t in contract.polars_schema.items() if n != "feature_timestamp"}
    assert features.groups("alpha158") == {group: list(names) for group, names in contract.groups.items()}
    assert all(field.unit == "1" for field in contract.fields if field.group)


@LAW
@given(lengths=LENGTHS, seed=st.integers(0, 2**20), data=st.data())
def test_values_do_not_depend_on_later_bars_row_order_or_other_instruments(
    lengths: list[int], seed: int, data: st.DataObject
) -> None:
    bars = bars_of(lengths, seed)
    whole = features.build(bars, SET)
    known = pl.col("trade_date") <= FIRST + timedelta(days=data.draw(st.integers(0, 150)))
    assert_frame_equal(features.build(bars.filter(known), SET), whole.filter(known), check_exact=True)
    shuffled = bars.sample(fraction=1, shuffle=True, seed=seed)
    assert_frame_equal(features.build(shuffled, SET), whole, check_exact=True)
    alone = [features.build(own, SET) for own in bars.partition_by("instrument_id", maintain_order=True)]
    assert_frame_equal(pl.concat(alone), whole, check_exact=True)


@LAW
@given(lengths=LENGTHS, seed=st.integers(0, 2**20), back=st.integers(1, 8))
def test_session_by_session_equals_the_whole_history(lengths: list[int], seed: int, back: int) -> None:
    bars = bars_of(lengths, seed)
    whole = features.build(bars, SET)
    since = bars["trade_date"].max() - timedelta(days=back)  # type: ignore[operator]
    state = features.state_after(bars.filter(pl.col("trade_date") <= since), SET)
    steps = [whole.clear()]
    for _, session in sorted(
        bars.filter(pl.col("trade_date") > since).partition_by("trade_date", as_dict=True).items()
    ):
        rows, state = features.advance(state, session, SET)
        steps.append(rows)
    expected = whole.filter(pl.col("trade_date") > since)
    assert_frame_equal(pl.concat(steps).sort("instrument_id", "trade_date"), expected, check_exact=True)
    assert_frame_equal(state, features.state_after(bars, SET), check_exact=True)


def test_lookback_equals_its_declaration() -> None:
    bars = bars_of([260, 260, 260]).with_columns(pl.col("volume") + 1).filter(pl.col("instrument_id") != "I0")
    built = features.build(bars, SET).with_columns(bar=NUMBER + 1)
    last = built.group_by("instrument_id", maintain_order=True).last()
    for lookback in {feature.lookback for feature in SET.features}:
        names = [feature.name for feature in SET.features if feature.lookback == lookback]
        tail = features.build(bars.group_by("instrument_id", maintain_order=True).tail(lookback), SET)
        ends = tail.group_by("instrument_id", maintain_order=True).last()
        assert_frame_equal(ends.select(names), last.select(names), check_exact=True)
        assert built.filter(pl.col("bar") == lookback).select(names).null_count().sum_horizontal().item() == 0


def test_values_do_not_depend_on_block_boundaries() -> None:
    bars = bars_of([8200, 8300])
    whole = KERNEL.compute(bars, SET.columns)
    for start in (8000, 8131, 16384 - 100):
        part = KERNEL.compute(bars.slice(start, 200), SET.columns)
        assert_frame_equal(part.tail(200 - 60), whole.slice(start + 60, 200 - 60), check_exact=True)


def test_empty_bars_give_empty_features() -> None:
    bars = bars_of([3])
    assert features.build(bars.clear(), SET).schema == features.build(bars, SET).schema


def test_constant_huge_prices_without_volume() -> None:
    bars = bars_of([130, 130])
    price = pl.col("open", "high", "low", "close") * 0 + 1e9
    flat = bars.with_columns(price, volume=pl.lit(0, pl.Int64), turnover=pl.lit(0.0))
    last = features.build(flat, SET).group_by("instrument_id", maintain_order=True).last()
    undefined = {f"{name}{n}" for name in ("RSQR", "CORR", "CORD") for n in (5, 10, 20, 30, 60)} | {"VWAP0"}
    assert {name for name in SET.columns if last[name].null_count()} == undefined
    assert last["MA60"].to_list() == [1.0, 1.0]
    assert last["STD60"].to_list() == [0.0, 0.0]
    numbers = last.select(SET.columns).cast(pl.Float64).to_numpy()
    assert np.isfinite(numbers[~np.isnan(numbers)]).all()
