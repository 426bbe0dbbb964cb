"""Attribution of a simulated account sums to its profit; groups and exposures are known before the session."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from accounts import RULES, random_bars, random_factors, run, sessions
from hypothesis import given, settings, strategies as st

from champion.errors import UsageError
from champion.portfolio.arrays import market_arrays
from champion.portfolio.attribution import (
    CHARACTERISTICS,
    ROUNDING,
    UNKNOWN,
    by_group,
    by_instrument,
    by_session,
    capacity,
    characteristics,
    exposures,
    quantile_groups,
)
from champion.portfolio.contract_note import PLANS, SEGMENTS
from champion.portfolio.history import EXPLAINED
from champion.portfolio.simulator import simulate

SEEDS = st.integers(0, 10**9)


@settings(max_examples=15)
@given(SEEDS, st.sampled_from(["discount", "institution", "none"]), st.booleans())
def test_profit_by_instrument_and_by_group_sums_to_the_profit(seed: int, plan: str, whole: bool) -> None:
    market, _, found = run(seed, replace(RULES, plan=plan, whole_shares=whole))
    profit = found.account["equity"][-1] - RULES.capital
    precision = 1e-9 * RULES.capital
    each = by_instrument(found, plan)
    assert each["profit"].sum() == pytest.approx(profit, abs=precision)
    known = characteristics(market)
    for name in CHARACTERISTICS:
        grouped = by_group(found, quantile_groups(known, name), plan)
        assert grouped["profit"].sum() == pytest.approx(profit, abs=precision)
        assert grouped["group"].n_unique() == grouped.height
    for name in (*EXPLAINED, "charges"):
        assert each[name].sum() == pytest.approx(found.account[name].sum(), abs=precision)
    daily = by_session(found, plan).group_by("trade_date").agg(pl.col("profit").sum()).sort("trade_date")
    changed = found.account.with_columns(gained=pl.col("equity").diff().fill_null(0.0)).filter(
        pl.col("trade_date").is_in(daily["trade_date"].implode())
    )
    assert (daily["profit"] - changed["gained"]).abs().max() < precision  # type: ignore[operator]


@settings(max_examples=10)
@given(SEEDS)
def test_positions_hold_what_trades_actions_and_closings_leave(seed: int) -> None:
    _, _, found = run(seed)
    last = found.positions.filter(pl.col("trade_date") == found.account["trade_date"][-1], pl.col("quantity") > 0)
    assert last.select("instrument_id", "quantity", "value").equals(found.holdings)
    valued = found.positions.group_by("trade_date").agg(pl.col("value").sum())
    both = found.account.join(valued, on="trade_date", how="left").with_columns(pl.col("value").fill_null(0.0))
    assert (both["value"] - both["holdings"]).abs().max() < 1e-6  # type: ignore[operator]


@settings(max_examples=10)
@given(SEEDS, st.integers(3, 14))
def test_characteristics_use_no_bar_of_their_session_or_later(seed: int, place: int) -> None:
    """Another close, volume and turnover from a session on change no characteristic up to it."""
    bars, day = random_bars(seed), sessions(15)[place]
    later = pl.col("trade_date") >= day
    other = bars.with_columns(
        pl.when(later).then(pl.col("close") * 3).otherwise("close").alias("close"),
        pl.when(later).then(pl.col("high") * 4).otherwise("high").alias("high"),
        pl.when(later).then(pl.col("volume") * 7 + 1).otherwise("volume").alias("volume"),
    )
    factors = random_factors(seed)
    ours, theirs = (
        characteristics(market_arrays(each, factors)).filter(pl.col("trade_date") <= day) for each in (bars, other)
    )
    assert ours.equals(theirs)


def test_beta_is_the_slope_of_a_regression() -> None:
    random = np.random.default_rng(3)
    days, slopes = sessions(80), np.array([0.5, 1.0, 1.5, 1.0])
    moves = slopes * random.normal(0, 0.02, (80, 1)) + random.normal(0, 0.01, (80, 4))
    closes = 100 * np.cumprod(1 + moves, axis=0)
    previous = np.vstack([np.full((1, 4), 100.0), closes[:-1]])
    names = {"open": previous, "high": closes * 1.1, "low": closes * 0.9, "close": closes, "prev_close": previous}
    keys = pl.DataFrame({"trade_date": days}).join(pl.DataFrame({"instrument_id": list("ABCD")}), how="cross")
    bars = keys.with_columns(
        **{name: pl.Series(each.ravel()) for name, each in names.items()},
        volume=pl.lit(1000),
        turnover=pl.Series(closes.ravel() * 1000),
    )
    known = characteristics(market_arrays(bars)).filter(pl.col("trade_date") == days[-1]).sort("instrument_id")
    index = pl.DataFrame({"trade_date": days, "daily_return": moves.mean(axis=1)})
    for names_held in ("AB", "ABCD"):  # with an index, no other instrument matters
        held = bars.filter(pl.col("instrument_id").is_in(list(names_held)))
        betas = characteristics(market_arrays(held), index).filter(trade_date=days[-1]).sort("instrument_id")["beta"]
        assert betas.to_list() == pytest.approx(known["beta"][: len(names_held)].to_list(), rel=1e-9)
    with pytest.raises(UsageError, match="have a session twice"):
        characteristics(market_arrays(bars), pl.concat([index, index]))
    past = moves[19:79]  # the 60 sessions before the last
    expected = [np.polyfit(past.mean(axis=1), past[:, place], 1)[0] for place in range(4)]
    assert known["beta"].to_list() == pytest.approx(expected, rel=1e-9)
    assert known["traded_value"].to_list() == pytest.approx(np.median(closes[59:79] * 1000, axis=0), rel=1e-9)
    assert known["volatility"].to_list() == pytest.approx(np.log1p(moves[59:79]).std(axis=0, ddof=1), rel=1e-6)


def test_exposures_name_what_is_unknown() -> None:
    market, _, found = run(5)
    sectors = pl.DataFrame({"trade_date": market.sessions, "instrument_id": "A", "group": "Metals"})
    shown = exposures(found, characteristics(market), sectors)
    shares = shown.filter(exposure="sector")
    assert set(shares["name"]) == {"Metals", UNKNOWN}
    invested = found.account.select("trade_date", pl.col("holdings") / pl.col("equity")).filter(pl.col("holdings") > 0)
    summed = shares.group_by("trade_date").agg(pl.col("value").sum()).sort("trade_date")
    assert summed["value"].to_list() == pytest.approx(invested["holdings"].to_list())
    assert shown.filter(exposure="beta")["value"].null_count() == shown.filter(exposure="beta").height, "15 sessions"
    assert set(shown.filter(exposure="known", name="beta")["value"]) == {0.0}


def test_another_plan_than_the_account_s_is_refused() -> None:
    _, _, found = run(5)
    with pytest.raises(UsageError, match=r"paid .* rupees of charges on .*, the plan asks for .*: give the brokerage"):
        by_instrument(found, "institution")


def test_more_capital_and_impact_fill_less_and_cost_more() -> None:
    market, weights, _ = run(7)
    found = capacity(market, weights, RULES)
    assert found["capital"].to_list() == [1e6, 1e7, 1e8, 1e9, 1e6, 1e6]
    assert found["impact"].to_list() == [1.0, 1.0, 1.0, 1.0, 0.5, 2.0]
    assert found["cash_share"][1:4].is_sorted()
    assert found["invested_share"].to_list() == pytest.approx((1 - found["cash_share"]).to_list())
    for row, capital in enumerate((1e6, 1e7, 1e8, 1e9)):
        account = simulate(market, weights, replace(RULES, capital=capital)).account
        first = max(int((account["bought"] > 0).arg_max() or 0) - 1, 0)
        held = account[first + 1 :].select((pl.col("holdings") / pl.col("equity")).mean()).item()
        assert found["invested_share"][row] == pytest.approx(held)
    half, whole, twice = (found.filter(capital=1e6, impact=each)["impact_bps"].item() for each in (0.5, 1.0, 2.0))
    assert half < whole < twice
    assert ROUNDING not in market.instruments


def test_capacity_takes_a_plan_of_ones_own() -> None:
    market, weights, _ = run(7)
    named, own = capacity(market, weights, RULES, capitals=(1e6, 1e7)), replace(PLANS["discount"], name="own")
    assert capacity(market, weights, replace(RULES, plan=own), capitals=(1e6, 1e7)).equals(named)
    dear = replace(own, brokerage=dict.fromkeys(SEGMENTS, (0.01, 0.0, math.inf)), earlier={})
    found = capacity(market, weights, replace(RULES, plan=dear), capitals=(1e6, 1e7))
    assert (found["charges_bps"] > named["charges_bps"] + 100).all()
