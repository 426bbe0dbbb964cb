"""Feature set v1: its contract, its values, its independence of later bars and other instruments, and its errors."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings, strategies as st
from markets import FIRST, market
from polars.testing import assert_frame_equal

from champion import contracts, features
from champion.errors import ContractError, UsageError

SIMPLE = talib.MA_Type.SMA  # type: ignore[attr-defined]  # missing in its stub
LAW = settings(max_examples=15)
LENGTHS = st.lists(st.sampled_from([1, 2, 14, 15, 18, 20, 26, 34, 60, 210]), min_size=1, max_size=5)


def same(left: pl.DataFrame, right: pl.DataFrame) -> None:
    """Assert equality to the last bit."""
    assert_frame_equal(left, right, check_exact=True)


def test_v1_matches_its_contract() -> None:
    contract = contracts.load("features_equity_indicators")
    built = features.build(market([30, 5]))
    declared = {name: dtype for name, dtype in contract.polars_schema.items() if name != "feature_timestamp"}
    assert dict(built.schema) == declared
    assert built.columns == list(declared)
    assert features.groups("v1") == {group: list(names) for group, names in contract.groups.items()}
    assert {f.name: f.dtype for f in features.find("v1").features} == {
        n: declared[n] for n in features.find("v1").columns
    }
    assert built["feature_version"].unique().to_list() == ["v1"]


def test_equals_talib_with_many_instruments_in_one_frame() -> None:
    bars = market([600, 1, 60, 34, 2, 33, 250, 17])
    built = features.build(bars)
    for (instrument,), own in bars.group_by("instrument_id", maintain_order=True):
        close, high, low = (own[name].to_numpy() for name in ("close", "high", "low"))
        macd, stochastic = talib.MACD(close), talib.STOCH(high, low, close, 14, 3, SIMPLE, 3, SIMPLE)
        upper, middle, lower = talib.BBANDS(close, 20, 2, 2, SIMPLE)
        expected = {
            **{f"sma_{n}": talib.SMA(close, n) for n in (5, 10, 20, 50, 100, 200)},
            **{f"ema_{n}": talib.EMA(close, n) for n in (12, 26, 50)},
            **dict(zip(("macd", "macd_signal", "macd_histogram"), macd, strict=True)),
            **dict(zip(("stochastic_k", "stochastic_d"), stochastic, strict=True)),
            "bb_upper": upper,
            "bb_middle": middle,
            "bb_lower": lower,
            "bb_width": (upper - lower) / middle,
            "rsi_14": talib.RSI(close, 14),
            "atr_14": talib.ATR(high, low, close, 14),
            "obv": talib.OBV(close, own["volume"].cast(pl.Float64).to_numpy()),
            "volume_ma_20": talib.SMA(own["volume"].cast(pl.Float64).to_numpy(), 20),
        }
        assert set(expected) == set(features.find("v1").columns) - {"vwap"}
        got = built.filter(pl.col("instrument_id") == instrument)
        for name, theirs in expected.items():
            assert got[name].is_null().to_list() == np.isnan(theirs).tolist(), (instrument, name)
            atol = 1e-9 if "stochastic" in name else 4 * float(np.spacing(close.max())) if "macd" in name else 0.0
            np.testing.assert_allclose(
                got[name].cast(pl.Float64).to_numpy(), theirs, rtol=1e-9, atol=atol, err_msg=name
            )


def test_vwap_is_turnover_over_volume_of_the_session() -> None:
    bars = market([40])
    for volume, turnover, vwap in zip(bars["volume"], bars["turnover"], features.build(bars)["vwap"], strict=True):
        assert vwap == (turnover / volume if volume else None)
    assert (bars["volume"] == 0).any()


def by_expression(bars: pl.DataFrame) -> pl.DataFrame:
    """Return each feature as its expression over the instrument."""
    return bars.select(f.expression.over("instrument_id").alias(f.name) for f in features.find("v1").features)


def test_kernels_equal_expressions() -> None:
    calm, leap = market([400, 19, 20, 60]), pl.int_range(pl.len()) % 7 == 0
    wild = market([90]).with_columns(pl.when(leap).then(1e9).otherwise(n).alias(n) for n in ("high", "close"))
    still = market([90]).with_columns(pl.lit(10.0).alias(n) for n in ("high", "low", "close"))
    bars = pl.concat(
        [calm, still.with_columns(instrument_id=pl.lit("S")), wild.with_columns(instrument_id=pl.lit("W"))]
    )
    same(features.build(bars).select(features.find("v1").columns), by_expression(bars))


def test_values_do_not_depend_on_parts_of_a_long_computation() -> None:
    bars = market([300, 2**18, 40])  # more than one part
    alone = [features.build(own) for own in bars.partition_by("instrument_id", maintain_order=True)]
    same(features.build(bars), pl.concat(alone))


def test_build_does_not_modify_bars() -> None:
    bars = market([60, 34])
    before = bars.clone().with_columns(pl.col("close") * 1.0)
    features.build(bars)
    same(bars, before)


@LAW
@given(lengths=LENGTHS, seed=st.integers(0, 2**20), data=st.data())
def test_no_look_ahead(lengths: list[int], seed: int, data: st.DataObject) -> None:
    bars = market(lengths, seed)
    known = pl.col("trade_date") <= FIRST + timedelta(days=data.draw(st.integers(0, 240)))
    same(features.build(bars.filter(known)), features.build(bars).filter(known))


@LAW
@given(lengths=LENGTHS, seed=st.integers(0, 2**20))
def test_row_order_does_not_matter(lengths: list[int], seed: int) -> None:
    bars = market(lengths, seed)
    built = features.build(bars.sample(fraction=1, shuffle=True, seed=seed))
    same(built, features.build(bars))
    same(built, built.sort("instrument_id", "trade_date"))


@LAW
@given(lengths=LENGTHS, seed=st.integers(0, 2**20))
def test_values_do_not_depend_on_other_instruments(lengths: list[int], seed: int) -> None:
    bars = market(lengths, seed)
    alone = [features.build(own) for own in bars.partition_by("instrument_id", maintain_order=True)]
    same(pl.concat(alone), features.build(bars))


@pytest.mark.parametrize("feature", features.find("v1").features, ids=lambda feature: feature.name)
def test_lookback_equals_its_declaration(feature: features.Feature) -> None:
    bars = market([260, 260, 260])
    built = features.build(bars)
    first = built.with_columns(bar=pl.int_range(1, pl.len() + 1).over("instrument_id"))
    valued = first.filter(pl.col(feature.name).is_not_null()).group_by("instrument_id").agg(pl.col("bar").min())
    assert all(bar >= feature.lookback for bar in valued["bar"])
    if feature.name != "vwap":  # null on a session without volume
        assert valued["bar"].unique().to_list() == [feature.lookback]
    tail = features.build(bars.group_by("instrument_id").tail(feature.lookback)).group_by("instrument_id").last()
    whole = built.group_by("instrument_id").last()
    unchanged = tail.sort("instrument_id")[feature.name].equals(whole.sort("instrument_id")[feature.name])
    assert unchanged is not feature.recursive


def test_lookback_of_a_set_is_its_longest_window() -> None:
    assert features.find("v1").lookback == 200


def test_empty_bars_give_empty_features() -> None:
    empty = features.build(market([3]).clear())
    assert empty.schema == features.build(market([3])).schema
    assert empty.height == 0


@pytest.mark.parametrize(
    "column", ["instrument_id", "symbol", "trade_date", "high", "low", "close", "volume", "turnover"]
)
def test_missing_columns_and_nulls_are_refused(column: str) -> None:
    bars = market([5])
    with pytest.raises(ContractError, match=f"lack {column}"):
        features.build(bars.drop(column))
    holed = bars.with_columns(pl.when(pl.int_range(pl.len()) != 3).then(pl.col(column)))
    with pytest.raises(ContractError, match=f"{column} is null, in 1 of 5 rows"):
        features.build(holed)


@pytest.mark.parametrize("price", [0.0, -1.0, 2e9, float("nan"), float("inf")])
def test_invalid_prices_are_refused(price: float) -> None:
    bars = market([5]).with_columns(close=pl.when(pl.int_range(pl.len()) == 2).then(price).otherwise(pl.col("close")))
    with pytest.raises(ContractError, match=r"close is not above 0.*I0 2024-01-03"):
        features.build(bars)


def test_duplicate_bars_are_refused() -> None:
    bars = market([5, 5])
    with pytest.raises(ContractError, match="several bars in one session, in 2 of 11 rows: I0 2024-01-01"):
        features.build(pl.concat([bars, bars.head(1)]))


def test_invalid_volume_and_turnover_are_refused() -> None:
    bars = market([5])
    with pytest.raises(ContractError, match="whole shares"):
        features.build(bars.with_columns(pl.col("volume").cast(pl.Float64)))
    with pytest.raises(ContractError, match="found Int32"):
        features.build(bars.with_columns(pl.col("volume").cast(pl.Int32)))
    with pytest.raises(ContractError, match="volume is negative"):
        features.build(bars.with_columns(volume=-pl.col("volume") - 1))
    with pytest.raises(ContractError, match="turnover is negative or not a number"):
        features.build(bars.with_columns(turnover=pl.lit(float("nan"))))


def test_unknown_feature_set_is_refused() -> None:
    with pytest.raises(UsageError, match="'v9' is not known; known are v1"):
        features.build(market([5]), "v9")
