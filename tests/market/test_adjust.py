"""Adjustment compared with a plain loop, its laws, and the two scales for features and models."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from polars.testing import assert_frame_equal

from champion import features
from champion.market.actions import adjustment

LAW = settings(max_examples=60)
FIRST = date(2024, 1, 1)
KNOWN = datetime(2024, 6, 1, tzinfo=UTC)
FACTORS = (2.0, 5.0, 10.0, 1.5, 1.25, 1.04, 0.1)
SCHEMA: dict[str, Any] = {
    "instrument_id": pl.String,
    "ex_date": pl.Date,
    "kind": pl.String,
    "price_factor": pl.Float64,
    "volume_factor": pl.Float64,
    "known_at": pl.Datetime("ms", "UTC"),
}
PRICES = ("open", "high", "low", "close", "prev_close")


def session(number: int) -> date:
    return FIRST + timedelta(days=number)


def actions(*rows: tuple[str, int, float | None]) -> pl.DataFrame:
    """Return factors by instrument, number of the session, and factor."""
    values = [(one, session(n), "split", factor, factor, KNOWN) for one, n, factor in rows]
    return pl.DataFrame(values, schema=SCHEMA, orient="row")


def dividend(instrument: str, number: int, factor: float) -> pl.DataFrame:
    return pl.DataFrame([(instrument, session(number), "dividend", factor, 1.0, KNOWN)], schema=SCHEMA, orient="row")


def bars(traded: dict[str, list[int]], ticks: int = 2000) -> pl.DataFrame:
    """Return bars on the numbered sessions of each instrument, prices in ticks of 5 paise."""
    rows: list[dict[str, Any]] = []
    for place, (instrument, numbers) in enumerate(traded.items()):
        last = None
        for number in sorted(numbers):
            close = round((ticks + 37 * place + 11 * (number % 7)) * 0.05, 2)
            rows.append(
                {
                    "instrument_id": instrument,
                    "symbol": instrument,
                    "trade_date": session(number),
                    "prev_close": last,
                    "open": close,
                    "high": round(close + 0.05 * (number % 3), 2),
                    "low": round(close - 0.05 * (number % 2), 2),
                    "close": close,
                    "volume": 1000 + 7 * number,
                    "turnover": close * (1000 + 7 * number),
                }
            )
            last = close
    schema: dict[str, Any] = {"instrument_id": pl.String, "symbol": pl.String, "trade_date": pl.Date}
    schema |= dict.fromkeys(("prev_close", "open", "high", "low", "close"), pl.Float64)
    return pl.DataFrame(rows, schema=schema | {"volume": pl.Int64, "turnover": pl.Float64})


MARKETS = st.dictionaries(
    st.sampled_from(["A", "B", "C"]), st.lists(st.integers(0, 20), min_size=1, unique=True), min_size=1
)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["A", "B", "C", "D"]), st.integers(-2, 25), st.sampled_from([*FACTORS, None])),
    max_size=6,
)


def factor_by_loop(rows: list[tuple[str, int, float | None]], instrument: str, after: date, last: date) -> float:
    product = 1.0
    for one, number, factor in rows:
        if one == instrument and after < session(number) <= last:
            product *= factor or 1.0
    return product


@LAW
@given(MARKETS, EVENTS)
def test_adjust_equals_a_plain_loop(traded: dict[str, list[int]], rows: list[tuple[str, int, float | None]]) -> None:
    given_bars = bars(traded)
    adjusted = adjustment.adjust(given_bars, actions(*rows))
    last = max(given_bars["trade_date"])
    before: dict[str, date] = {}
    for was, now in zip(given_bars.to_dicts(), adjusted.to_dicts(), strict=True):
        instrument = was["instrument_id"]
        factor = factor_by_loop(rows, instrument, was["trade_date"], last)
        assert now["adjustment_factor"] == pytest.approx(factor, rel=1e-12)
        for name in ("open", "high", "low", "close"):
            assert now[name] == pytest.approx(was[name] / factor, abs=5.1e-5)
        if was["prev_close"] is not None:
            then = factor_by_loop(rows, instrument, before[instrument], last)
            assert now["prev_close"] == pytest.approx(was["prev_close"] / then, abs=5.1e-5)
        assert abs(now["volume"] - was["volume"] * factor) <= 0.5 + 1e-6
        assert now["turnover"] == was["turnover"]
        before[instrument] = was["trade_date"]


@LAW
@given(MARKETS, EVENTS, st.integers(0, 20))
def test_chained_closes_equal_a_plain_loop_and_keep_each_bit_when_later_bars_and_actions_come(
    traded: dict[str, list[int]], rows: list[tuple[str, int, float | None]], until: int
) -> None:
    given_bars, ever = bars(traded), session(-100)
    found = adjustment.chained(given_bars, actions(*rows))
    for was, now in zip(given_bars.to_dicts(), found.to_dicts(), strict=True):
        factor = factor_by_loop(rows, was["instrument_id"], ever, was["trade_date"])
        assert now["close"] == pytest.approx(was["close"] * factor, rel=1e-12)
    early = pl.col("trade_date") <= session(until)
    alone = adjustment.chained(given_bars.filter(early), actions(*(row for row in rows if row[1] <= until)))
    assert alone["close"].to_numpy().tobytes() == found.filter(early)["close"].to_numpy().tobytes()
    assert_frame_equal(found.drop("close"), given_bars.drop("close"), check_exact=True)
    mixed = adjustment.chained(given_bars.reverse(), actions(*reversed(rows)))
    assert_frame_equal(mixed.reverse(), found, check_exact=True)


@LAW
@given(MARKETS, EVENTS)
def test_order_and_prefix_of_prices_survive(
    traded: dict[str, list[int]], rows: list[tuple[str, int, float | None]]
) -> None:
    given_bars, events = bars(traded), actions(*rows)
    adjusted = adjustment.adjust(given_bars, events)
    assert adjusted.filter((pl.col("low") > pl.col("close")) | (pl.col("close") > pl.col("high"))).is_empty()
    mixed = adjustment.adjust(given_bars.reverse(), events.reverse())
    assert_frame_equal(mixed.reverse(), adjusted, check_exact=True)


@LAW
@given(MARKETS, EVENTS)
def test_adjustment_is_invertible(traded: dict[str, list[int]], rows: list[tuple[str, int, float | None]]) -> None:
    given_bars = bars(traded)
    adjusted = adjustment.adjust(given_bars, actions(*rows))
    prices = pl.col("open", "high", "low", "close") * pl.col("adjustment_factor")
    shares = pl.col("volume") / pl.col("volume_factor")
    back = adjusted.with_columns(prices.round(2), shares.round().cast(pl.Int64))
    exact = (adjusted["adjustment_factor"] <= 50) & (adjusted["volume_factor"] >= 1)
    columns = ["open", "high", "low", "close", "volume", "turnover"]
    assert_frame_equal(back.filter(exact).select(columns), given_bars.filter(exact).select(columns), check_exact=True)
    slack = adjusted["adjustment_factor"] * 5.1e-5 + 0.005
    assert ((back["close"] - given_bars["close"]).abs() <= slack).all()
    assert ((back["volume"] - given_bars["volume"]).abs() <= 0.5 / adjusted["volume_factor"] + 0.5).all()


@LAW
@given(MARKETS, EVENTS)
def test_actions_without_effect_change_no_bar(
    traded: dict[str, list[int]], rows: list[tuple[str, int, float | None]]
) -> None:
    given_bars = bars(traded)
    untouched = adjustment.adjust(given_bars, actions())
    assert_frame_equal(untouched.select(given_bars.columns), given_bars, check_exact=True)
    assert untouched["adjustment_factor"].unique().to_list() == [1.0]
    assert untouched["adjustment_date"].null_count() == given_bars.height
    late = [(one, number + 30, factor) for one, number, factor in rows]
    assert_frame_equal(adjustment.adjust(given_bars, actions(*late)), untouched, check_exact=True)
    empty = [(one, number, None) for one, number, _ in rows]
    assert_frame_equal(adjustment.adjust(given_bars, actions(*empty)), untouched, check_exact=True)


@LAW
@given(MARKETS, EVENTS, st.integers(0, 20))
def test_a_view_has_the_scale_of_its_session(
    traded: dict[str, list[int]], rows: list[tuple[str, int, float | None]], since: int
) -> None:
    given_bars, events = bars(traded), actions(*rows)
    seen, whose = adjustment.views(given_bars, events, session(since))
    assert whose["view"].is_unique().all()
    for now in given_bars["trade_date"].unique().filter(given_bars["trade_date"].unique() >= session(since)):
        here = whose.filter((pl.col("view_from") <= now) & (now < pl.col("view_to")))
        assert sorted(here["instrument_id"]) == sorted(set(given_bars["instrument_id"]))
        view = seen.filter(pl.col("trade_date") <= now).join(
            here.select(pl.col("view").alias("instrument_id"), mine="instrument_id"), on="instrument_id"
        )
        wanted = adjustment.adjust(given_bars.filter(pl.col("trade_date") <= now), events)
        got = view.with_columns(instrument_id="mine").select(wanted.columns)
        assert_frame_equal(got, wanted, check_row_order=False, check_exact=True)


def test_one_split_by_hand() -> None:
    adjusted = adjustment.adjust(bars({"A": [0, 1, 2]}), actions(("A", 1, 5.0), ("A", 1, 2.0)))
    as_traded = bars({"A": [0, 1, 2]})
    assert adjusted["adjustment_factor"].to_list() == [10.0, 1.0, 1.0]
    assert adjusted["adjustment_date"].to_list() == [session(1), None, None]
    assert adjusted["close"].to_list() == [10.0, *as_traded["close"][1:]]
    assert adjusted["prev_close"].to_list() == [None, 10.0, as_traded["prev_close"][2]]
    assert adjusted["volume"].to_list() == [10_000, 1007, 1014]


def test_an_ex_date_without_a_bar_reaches_the_next_previous_close() -> None:
    adjusted = adjustment.adjust(bars({"A": [0, 3], "B": [2]}), actions(("A", 1, 2.0)))
    assert adjusted.filter(pl.col("instrument_id") == "A")["prev_close"].to_list() == [None, 50.0]


def test_unknown_factors_are_not_used() -> None:
    events, market = actions(("A", 1, 2.0)), bars({"A": [0, 1]})
    before = adjustment.adjust(market, events, as_of=KNOWN - timedelta(milliseconds=1))
    assert before["adjustment_factor"].to_list() == [1.0, 1.0]
    assert adjustment.adjust(market, events, as_of=KNOWN)["adjustment_factor"].to_list() == [2.0, 1.0]


def test_dividends_count_for_total_returns_only() -> None:
    market, paid = bars({"A": [0, 1]}), dividend("A", 1, 1.25)
    assert adjustment.adjust(market, paid)["close"].to_list() == market["close"].to_list()
    earned = adjustment.adjust(market, paid, total_return=True)
    assert earned["close"].to_list() == [80.0, market["close"][1]]
    assert earned["volume"].to_list() == market["volume"].to_list()  # a share stays a share
    split_too = adjustment.adjust(market, pl.concat([paid, actions(("A", 1, 2.0))]), total_return=True)
    assert split_too["adjustment_factor"].to_list() == [2.5, 1.0]
    assert split_too["volume_factor"].to_list() == [2.0, 1.0]


def test_adjust_accepts_few_columns_and_no_bars() -> None:
    few = bars({"A": [0, 1]}).select("instrument_id", "trade_date", "close")
    assert adjustment.adjust(few, actions(("A", 1, 2.0))).columns == [
        *few.columns,
        "adjustment_factor",
        "adjustment_date",
        "volume_factor",
    ]
    assert adjustment.adjust(few.clear(), actions(("A", 1, 2.0))).is_empty()
    seen, whose = adjustment.views(few.clear(), actions(("A", 1, 2.0)), FIRST)
    assert seen.is_empty()
    assert whose.is_empty()


def test_rescaled_features_of_views_equal_those_of_adjusted_bars() -> None:
    market, events = bars({"A": list(range(60)), "B": list(range(60))}), actions(("A", 30, 5.0), ("A", 45, 2.0))
    adjusted = adjustment.adjust(market, events)
    seen, whose = adjustment.views(market, events, FIRST)
    made = features.build(seen).rename({"instrument_id": "view"}).join(whose, on="view")
    mine = made.filter(pl.col("trade_date").is_between("view_from", "view_to", closed="left"))
    units = {
        "sma_20": "rupee",
        "atr_14": "rupee",
        "vwap": "rupee",
        "volume_ma_20": "share",
        "obv": "share",
        "rsi_14": "1",
    }
    columns = ["instrument_id", "trade_date", *units]
    rescaled = adjustment.rescale(mine.select(columns), adjusted, units).sort("instrument_id", "trade_date")
    assert_frame_equal(rescaled, features.build(adjusted).select(columns), abs_tol=1e-3, rel_tol=1e-4)
    assert mine.filter((pl.col("instrument_id") == "A") & (pl.col("trade_date") == session(29)))["sma_20"].item() > 90
