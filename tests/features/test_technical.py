"""Feature set technical: its contract, its values, and its independence of later bars, other instruments and scale."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import talib
from candle_bars import PRICES, series
from hypothesis import given, settings, strategies as st
from markets import FIRST
from polars.testing import assert_frame_equal

from champion import contracts, features
from champion.errors import UsageError
from champion.indicators import PRICE_UNIT
from champion.pipeline.models.model_columns import model_columns

SET = features.find("technical")
LAW = settings(max_examples=4)
LENGTHS = st.lists(st.sampled_from([1, 2, 11, 12, 15, 26, 60, 77, 78, 90]), min_size=1, max_size=3)
SPARSE = {"swing_high", "swing_low"}
NUMBER = pl.int_range(pl.len()).over("instrument_id")


def bars_of(lengths: list[int], seed: int = 1) -> pl.DataFrame:
    """Return bars of one instrument per length, of different kinds and first sessions: see `candle_bars.series`."""
    kinds = list(series(seed, max(lengths)))
    frames = [(kinds[n % len(kinds)].tail(length) * 0.05).select(pl.all().round(2)) for n, length in enumerate(lengths)]
    return pl.concat(
        frame.with_columns(
            instrument_id=pl.lit(f"I{number}"),
            symbol=pl.lit(f"S{number}"),
            trade_date=pl.lit(FIRST) + pl.duration(days=pl.int_range(pl.len()) + 7 * number),
        )
        for number, frame in enumerate(frames)
    )


def same(left: pl.DataFrame, right: pl.DataFrame) -> None:
    assert_frame_equal(left, right, check_exact=True)


def test_the_set_matches_its_contract() -> None:
    contract = contracts.load(SET.contract)
    built = features.build(bars_of([80]), SET)
    assert dict(built.schema) == {n: t for n, t in contract.polars_schema.items() if n != "feature_timestamp"}
    assert features.groups("technical") == {group: list(names) for group, names in contract.groups.items()}
    assert {field.name: field.unit for field in contract.fields if field.group} == {
        f.name: f.unit for f in SET.features
    }
    state = contracts.load(SET.state_contract).polars_schema
    assert {name: state[name] for name in features.carried_schema(SET)} == features.carried_schema(SET)
    assert len(features.groups("technical")["candles"]) == 61


def test_patterns_equal_talib_with_many_instruments_in_one_frame() -> None:
    bars = bars_of([200, 1, 12, 90])
    built = features.build(bars, SET)
    for instrument, own in bars.partition_by("instrument_id", as_dict=True).items():
        units = [np.rint(own[name].to_numpy() * PRICE_UNIT) for name in PRICES]
        got = built.filter(pl.col("instrument_id") == instrument[0])
        for feature in SET.features[:61]:
            theirs = getattr(talib, feature.name.replace("cdl_", "CDL").upper())(*units)
            assert got[feature.name].to_list()[feature.lookback - 1 :] == theirs[feature.lookback - 1 :].tolist()
            assert got[feature.name].head(feature.lookback - 1).null_count() == min(feature.lookback - 1, own.height)


def test_kernels_equal_expressions() -> None:
    bars = bars_of([130, 40])
    built = features.build(bars, SET).with_columns(bar=NUMBER)
    for feature in SET.features:
        alone = bars.select(feature.expression.over("instrument_id").alias(feature.name)).to_series()
        if feature.dtype.is_float():
            alone = alone.to_frame().select(pl.when(pl.col(feature.name).is_finite()).then(feature.name)).to_series()
        full = built["bar"] >= feature.lookback - 1
        assert alone.filter(full).equals(built[feature.name].filter(full)), feature.name


def test_levels_scale_with_the_price_and_all_other_features_do_not() -> None:
    bars = bars_of([200, 90])
    built = features.build(bars, SET)
    dearer = features.build(bars.with_columns(pl.col(PRICES) * 8), SET)
    for feature in SET.features:
        times = 8 if feature.unit == "rupee" else 1
        assert dearer[feature.name].equals(built[feature.name] * times), feature.name
    assert {feature.unit for feature in SET.features} == {"rupee", "1"}


def test_models_take_the_features_without_a_unit() -> None:
    columns = model_columns("technical")
    assert columns.names == [feature.name for feature in SET.features if feature.unit == "1"]
    assert columns.notes == ("22 levels in rupees, such as swing_high, not trained on: they do not compare",)
    assert {"close_to_support", "channel_slope_20", "cdl_doji"} < {*columns.names}
    mixed = features.FeatureSet("mixed", "mixed1", (*features.V1.features, *SET.features))
    assert model_columns(mixed).names == [*model_columns("v1").names, *columns.names]
    lines = tuple(feature for feature in SET.features if feature.unit == "rupee")
    with pytest.raises(UsageError, match="all its features are in rupees"):
        model_columns(features.FeatureSet("lines", "lines1", lines))


@LAW
@given(lengths=LENGTHS, seed=st.integers(0, 2**20), data=st.data())
def test_values_do_not_depend_on_later_bars_row_order_or_other_instruments(
    lengths: list[int], seed: int, data: st.DataObject
) -> None:
    bars = bars_of(lengths, seed)
    whole = features.build(bars, SET)
    known = pl.col("trade_date") <= FIRST + timedelta(days=data.draw(st.integers(0, 150)))
    same(features.build(bars.filter(known), SET), whole.filter(known))
    same(features.build(bars.sample(fraction=1, shuffle=True, seed=seed), SET), whole)
    same(pl.concat(features.build(own, SET) for own in bars.partition_by("instrument_id", maintain_order=True)), whole)


@LAW
@given(lengths=LENGTHS, seed=st.integers(0, 2**20), back=st.integers(1, 5))
def test_session_by_session_equals_the_whole_history(lengths: list[int], seed: int, back: int) -> None:
    bars = bars_of(lengths, seed)
    whole = features.build(bars, SET)
    since = bars["trade_date"].max() - timedelta(days=back)  # type: ignore[operator]
    state = features.state_after(bars.filter(pl.col("trade_date") <= since), SET)
    steps = [whole.clear()]
    later = bars.filter(pl.col("trade_date") > since).partition_by("trade_date", as_dict=True)
    for _, session in sorted(later.items()):
        rows, state = features.advance(state, session, SET)
        steps.append(rows)
    same(pl.concat(steps).sort("instrument_id", "trade_date"), whole.filter(pl.col("trade_date") > since))
    same(state, features.state_after(bars, SET))


def test_sessions_from_the_first_bar_equal_the_whole_history() -> None:
    bars = bars_of([26, 14])
    state, steps = pl.DataFrame(), []
    for _, session in sorted(bars.partition_by("trade_date", as_dict=True).items()):
        rows, state = features.advance(state, session, SET)
        steps.append(rows)
    same(pl.concat(steps).sort("instrument_id", "trade_date"), features.build(bars, SET))


def test_lookback_equals_its_declaration() -> None:
    bars = bars_of([150, 1, 150]).filter(pl.col("instrument_id") != "I1")
    built = features.build(bars, SET).with_columns(bar=NUMBER + 1)
    last = built.group_by("instrument_id", maintain_order=True).last()
    lookbacks = sorted({feature.lookback for feature in SET.features})
    tails = [
        bars.group_by("instrument_id", maintain_order=True).tail(lookback).with_columns(symbol=pl.lit(str(lookback)))
        for lookback in lookbacks
    ]
    named = pl.concat(tails).with_columns(pl.col("instrument_id") + pl.col("symbol"))
    ends = features.build(named, SET).group_by("instrument_id", "symbol", maintain_order=True).last()
    for lookback in lookbacks:
        declared = [feature for feature in SET.features if feature.lookback == lookback]
        windows = [feature.name for feature in declared if not feature.recursive]
        same(ends.filter(symbol=str(lookback)).select(windows), last.select(windows))
        full = built.filter(pl.col("bar") == lookback).select(name for name in windows if name not in SPARSE)
        assert full.null_count().sum_horizontal().sum() == 0
        early = built.filter(pl.col("bar") < lookback).select(feature.name for feature in declared)
        assert early.null_count().row(0) == (early.height,) * early.width


def test_state_has_lists_of_swings_and_nulls_before_the_first() -> None:
    bars = bars_of([150, 3])
    state = features.state_after(bars, SET)
    assert state["swing_prices"].list.len().to_list()[1] == 0
    assert 0 < state["swing_prices"].list.len()[0] <= 32
    assert state["last_swing_high"].to_list()[1] is None


def test_empty_bars_give_empty_features() -> None:
    bars = bars_of([3])
    assert features.build(bars.clear(), SET).schema == features.build(bars, SET).schema


def test_a_flat_huge_price_gives_no_swings_and_no_invalid_numbers() -> None:
    flat = bars_of([130, 130]).with_columns(pl.col(PRICES) * 0 + 1e9)
    last = features.build(flat, SET).group_by("instrument_id", maintain_order=True).last()
    unknown = {name for name in SET.columns if last[name].null_count()}
    levels = {name for name in SET.columns if "swing" in name or "resistance" in name or "support" in name}
    assert unknown == levels | {"channel_position_20", "channel_position_60", "donchian_position_20"}
    assert last["supertrend"].to_list() == [1e9, 1e9]
    assert last["close_to_cloud"].to_list() == [0.0, 0.0]
