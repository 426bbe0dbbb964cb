"""Model inputs have no price scale, are ranked within a session, and use no later data."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from champion import features
from champion.errors import ContractError
from champion.modeling.model_inputs import LOOKBACK, MODEL_INPUTS, model_inputs, rank, scale_free

FIRST = date(2024, 1, 1)
KEY = ["instrument_id", "symbol", "trade_date"]


def market(instruments: int = 7, sessions: int = 230) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    frames = []
    for number in range(instruments):
        close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.02, sessions))), 2)
        high, low = np.round(close * (1 + rng.uniform(0, 0.02, sessions)), 2), np.round(close * 0.99, 2)
        volume = rng.integers(1, 10**6, sessions)
        frame = pl.DataFrame(
            {
                "instrument_id": [f"I{number}"] * sessions,
                "symbol": [f"S{number}"] * sessions,
                "trade_date": [FIRST + timedelta(days=row) for row in range(sessions)],
                "high": high,
                "low": low,
                "close": close,
                "volume": volume,
                "turnover": volume * close,
            }
        )
        frames.append(
            frame.tail(sessions - 40 * number)
        )  # the last instruments are young, so their long windows warm up
    return pl.concat(frames)


def test_ranks_equal_a_plain_loop() -> None:
    bars = market()
    built = features.build(bars)
    raw, ranked = scale_free(bars, built), model_inputs(bars, built)
    assert ranked.columns == raw.columns == [*KEY, *MODEL_INPUTS]
    assert_frame_equal(ranked.select(KEY), built.select(KEY))
    last = FIRST + timedelta(days=229)
    for name in MODEL_INPUTS:
        values = raw.filter(pl.col("trade_date") == last)[name].to_list()
        known = [value for value in values if value is not None]
        expected = [
            None
            if value is None
            else (sum(v < value for v in known) + sum(v == value for v in known) / 2) / len(known) - 0.5
            for value in values
        ]
        assert ranked.filter(pl.col("trade_date") == last)[name].to_list() == pytest.approx(expected), name
        assert ranked[name].is_between(-0.5, 0.5).all()
        assert ranked[name].is_null().to_list() == raw[name].is_null().to_list()
        assert raw[name].is_finite().all()
    assert ranked["close_to_sma_200"].null_count() > 0


def test_returns_use_the_instruments_own_bars() -> None:
    bars = market()
    raw = scale_free(bars, features.build(bars)).with_columns(bar=pl.int_range(pl.len()).over("instrument_id"))
    for name, lag in (("return_1", 1), ("return_5", 5), ("return_20", 20), ("obv_flow_20", 20)):
        assert raw.filter(pl.col(name).is_null())["bar"].to_list() == list(range(lag)) * 7, name


def test_values_of_one_row_by_hand() -> None:
    bars = market(2, 230).filter(pl.col("instrument_id") == "I0")
    built = features.build(bars)
    got, f = scale_free(bars, built).row(-1, named=True), built.row(-1, named=True)
    close, volume = bars["close"].to_list(), bars["volume"].to_list()
    moved = [v * ((b > a) - (b < a)) for a, b, v in zip(close[-21:-1], close[-20:], volume[-20:], strict=True)]
    expected = {
        "close_to_sma_20": close[-1] / f["sma_20"] - 1,
        "close_to_vwap": close[-1] / f["vwap"] - 1,
        "macd_to_close": f["macd"] / close[-1],
        "atr_14_to_close": f["atr_14"] / close[-1],
        "rsi_14": f["rsi_14"] / 100,
        "bb_position": (close[-1] - f["bb_lower"]) / (f["bb_upper"] - f["bb_lower"]),
        "bb_width": f["bb_width"],
        "volume_to_ma_20": volume[-1] / f["volume_ma_20"] - 1,
        "obv_flow_20": sum(moved) / sum(volume[-20:]),
        "return_1": close[-1] / close[-2] - 1,
        "return_20": close[-1] / close[-21] - 1,
    }
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=1e-12), name


def test_prices_in_another_unit_give_the_same_inputs() -> None:
    bars = market()
    paise = bars.with_columns(pl.col("high", "low", "close", "turnover") * 100)
    left, right = (
        scale_free(frame, features.build(frame)) for frame in (bars, paise.with_columns(pl.col("close").round(2)))
    )
    assert_frame_equal(left, right, rel_tol=1e-9, abs_tol=1e-12)


def test_one_session_needs_only_the_lookback() -> None:
    bars = market()
    built, last = features.build(bars), pl.col("trade_date") == FIRST + timedelta(days=229)
    recent = bars.filter(pl.col("trade_date") > FIRST + timedelta(days=229 - LOOKBACK))
    shuffled = recent.sample(fraction=1, shuffle=True, seed=1)
    assert_frame_equal(
        model_inputs(shuffled, built.filter(last)), model_inputs(bars, built).filter(last), check_exact=True
    )


def test_flat_instrument_has_a_null_band_position() -> None:
    bars = market(1, 60).with_columns(
        high=pl.lit(50.0), low=pl.lit(50.0), close=pl.lit(50.0), volume=pl.lit(0, pl.Int64)
    )
    raw = scale_free(bars, features.build(bars))
    assert (
        raw["bb_position"].null_count() == raw["volume_to_ma_20"].null_count() == raw["obv_flow_20"].null_count() == 60
    )
    assert raw["close_to_sma_20"].drop_nulls().unique().to_list() == [0.0]
    assert raw["macd_to_close"].drop_nulls().unique().to_list() == [0.0]


def test_rank_of_ties_and_of_one() -> None:
    frame = pl.DataFrame({"x": [4.0, 4.0, None, 1.0], "y": [None, None, 7.0, None]})
    ranks = frame.select(rank(pl.col("x")), rank(pl.col("y")))
    assert ranks["x"].to_list() == pytest.approx([1 / 6, 1 / 6, None, -1 / 3])
    assert ranks["y"].to_list() == [None, None, 0.0, None]


def test_features_without_bars_and_missing_columns_are_refused() -> None:
    bars = market(2, 60)
    built = features.build(bars)
    with pytest.raises(ContractError, match="20 of 80 feature rows have no bar"):
        model_inputs(bars.filter(pl.col("instrument_id") != "I1"), built)
    with pytest.raises(ContractError, match="lack rsi_14"):
        model_inputs(bars, built.drop("rsi_14"))
