"""Laws of a simulated account, under random markets, orders and corporate actions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from accounts import NAMES, RULES, random_bars, random_factors, random_weights, run
from hypothesis import given, settings, strategies as st

from champion.portfolio.arrays import market_arrays
from champion.portfolio.contract_note import COMPONENTS, PLANS, charges, contract_notes
from champion.portfolio.settlement import T1_SINCE, settlement_rows
from champion.portfolio.simulator import REASONS, simulate

SEEDS = st.integers(0, 10**9)
PLAN_NAMES = st.sampled_from(sorted(PLANS))


@settings(max_examples=60)
@given(SEEDS, PLAN_NAMES, st.booleans())
def test_cash_and_holdings_are_the_equity_to_the_paisa(seed: int, plan: str, settles: bool) -> None:
    _, _, found = run(seed, replace(RULES, plan=plan, settlement=settles))
    account = found.account
    paise = {
        name: (account[name] * 100).round(6) for name in ("cash", "holdings", "equity", "charges", "bought", "sold")
    }
    assert all((column == column.round(0)).all() for column in paise.values()), "amounts are whole paise"
    assert (paise["cash"] + paise["holdings"] == paise["equity"]).all()
    assert (account["cash"] >= 0).all()
    held = found.holdings
    assert (held["quantity"] == held["quantity"].floor()).all()
    assert (held["quantity"] > 0).all()
    assert (found.trades["quantity"] == found.trades["quantity"].floor()).all()
    assert held["value"].sum() == pytest.approx(account["holdings"][-1], abs=1e-9)


@settings(max_examples=60)
@given(SEEDS, st.booleans())
def test_attribution_sums_to_the_change_of_equity(seed: int, whole: bool) -> None:
    _, _, found = run(seed, replace(RULES, whole_shares=whole))
    account = found.account
    parts = ("holding_profit", "trading_profit", "dividends", "entitlements")
    gained = account.select(pl.sum_horizontal(parts) - pl.col("impact") - pl.col("write_offs") - pl.col("charges"))
    changed = account["equity"] - account["equity"].shift(1, fill_value=RULES.capital)
    assert (gained.to_series() - changed).abs().max() < 1e-6  # type: ignore[operator]
    assert account.select((pl.sum_horizontal(COMPONENTS) - pl.col("charges")).abs().max()).item() < 1e-6
    assert (account["impact"] > -1e-9).all()


@settings(max_examples=60)
@given(SEEDS)
def test_no_fill_breaks_a_rule_of_the_market(seed: int) -> None:
    market, _, found = run(seed)
    bars = random_bars(seed)
    trades = found.trades.join(bars, on=["trade_date", "instrument_id"], how="left")
    assert trades["close"].null_count() == 0, "a share without a bar traded"
    assert trades.filter(pl.col("quantity") > RULES.participation * pl.col("volume")).is_empty()
    assert trades.filter((pl.col("price") > pl.col("high")) | (pl.col("price") < pl.col("low"))).is_empty()
    only = pl.col("low") == pl.col("high")
    up, down = pl.col("close") > pl.col("prev_close"), pl.col("close") < pl.col("prev_close")
    assert trades.filter(only & up & (pl.col("side") == "buy")).is_empty()
    assert trades.filter(only & down & (pl.col("side") == "sell")).is_empty()
    sign = pl.when(pl.col("side") == "buy").then(1).otherwise(-1)
    assert trades.filter(sign * (pl.col("price") - pl.col("reference")) < 0).is_empty(), "impact never helps"
    assert trades.select(pl.struct("trade_date", "instrument_id").is_duplicated().any()).item() in {False, None}
    assert set(found.cuts["reason"]) <= set(REASONS)
    assert (found.cuts["filled"] < found.cuts["wanted"]).all()
    assert market.sessions[0] not in set(found.trades["trade_date"]), "weights of a session trade after it"


@settings(max_examples=40)
@given(SEEDS)
def test_no_fill_breaks_a_rule_of_its_series_or_published_band(seed: int) -> None:
    random, plain = np.random.default_rng([seed, 4]), random_bars(seed)
    small = pl.when(pl.col("instrument_id") == "C").then(pl.lit("SM")).otherwise("series")
    limited = pl.Series(random.random(plain.height) < 0.3)
    bars = plain.with_columns(
        series=small,
        upper_band=pl.when(limited).then(pl.max_horizontal("close", pl.col("high") * random.choice([1, 2]))),
        lower_band=pl.when(limited).then(pl.min_horizontal("close", pl.col("low") / random.choice([1, 2]))),
    )
    market = market_arrays(bars)
    found = simulate(market, random_weights(market, seed), RULES)
    trades = found.trades.join(bars, on=["trade_date", "instrument_id"])
    assert trades.filter(pl.col("side") == "buy", pl.col("close") >= pl.col("upper_band")).is_empty()
    assert trades.filter(pl.col("side") == "sell", pl.col("close") <= pl.col("lower_band")).is_empty()
    assert trades.filter(instrument_id="C").is_empty(), "lots of small companies are not known"
    assert set(found.cuts.filter(instrument_id="C")["reason"]) <= {"sme_series", "no_bar", "locked_band"}
    places = {day: row for row, day in enumerate(market.sessions)}
    due, delivered = settlement_rows(market.sessions), 0.0
    mine = trades.filter(instrument_id="B").select("side", "quantity", row=pl.col("trade_date").replace_strict(places))
    for side, quantity, row in mine.iter_rows():
        arrived = sum(bought for kind, bought, when in mine.iter_rows() if kind == "buy" and due[when] <= row)
        delivered += quantity if side == "sell" else 0.0
        assert delivered <= arrived, "shares were sold before their delivery"


@settings(max_examples=40)
@given(SEEDS)
def test_a_later_bar_changes_nothing_before_it(seed: int) -> None:
    bars, factors = random_bars(seed), random_factors(seed)
    market = market_arrays(bars, factors)
    weights = random_weights(market, seed)
    day = market.sessions[9]
    known = market_arrays(
        bars.filter(pl.col("trade_date") <= day), factors.filter(pl.col("ex_date").cast(pl.Date) <= day)
    )
    early = simulate(
        known, weights.filter(pl.col("trade_date") <= day, pl.col("instrument_id").is_in(known.instruments)), RULES
    )
    late = simulate(market, weights, RULES)
    assert early.account.equals(late.account.filter(pl.col("trade_date") <= day))
    assert early.trades.equals(late.trades.filter(pl.col("trade_date") <= day))


@settings(max_examples=40)
@given(SEEDS, PLAN_NAMES)
def test_charges_of_the_account_are_those_of_its_contract_notes(seed: int, plan: str) -> None:
    _, _, found = run(seed, replace(RULES, plan=plan))
    notes = contract_notes(charges(found.trades, plan)) if found.trades.height else None
    paid = found.account.filter(pl.col("charges") > 0)
    assert (notes is None) == paid.is_empty()
    if notes is not None:
        billed = notes.filter(pl.col("charges") > 0).select("trade_date", *COMPONENTS, "charges")
        assert paid.select(billed.columns).equals(
            billed.with_columns(pl.col(billed.columns[1:]).round(2)), null_equal=True
        ) or (
            (paid.select(billed.columns[1:]).to_numpy() - billed.select(billed.columns[1:]).to_numpy()).__abs__().max()
            < 1e-6
        )


@settings(max_examples=40)
@given(SEEDS)
def test_equity_falls_by_exactly_the_extra_charges_of_the_same_fills(seed: int) -> None:
    """Without a limit on money the fills are the same until the next decision, which is made from the equity."""
    market = market_arrays(random_bars(seed))
    weights = random_weights(market, seed)
    once = weights.filter(pl.col("trade_date") == weights["trade_date"].min())
    rules = replace(RULES, borrows=True)
    free, paying = (simulate(market, once, replace(rules, charged=charged)) for charged in (False, True))
    assert free.trades.equals(paying.trades)
    paid = paying.account["charges"].sum()
    assert free.account["equity"][-1] - paying.account["equity"][-1] == pytest.approx(paid, abs=1e-6)


@settings(max_examples=40)
@given(SEEDS)
def test_without_frictions_it_equals_a_plain_loop(seed: int) -> None:
    bars = random_bars(seed)
    market = market_arrays(bars)
    weights = random_weights(market, seed)
    found = simulate(market, weights, replace(RULES, delisted_after=10**6).without_frictions())
    decided = {
        day: dict(rows.select("instrument_id", "weight").iter_rows()) for (day,), rows in weights.group_by("trade_date")
    }
    cash, held, wanted, close = (
        RULES.capital,
        dict.fromkeys(NAMES, 0.0),
        dict.fromkeys(NAMES, 0.0),
        dict.fromkeys(NAMES, 0.0),
    )
    equities = []
    for day in market.sessions:
        for bar in bars.filter(trade_date=day).iter_rows(named=True):
            name = bar["instrument_id"]
            if bar["volume"]:
                price = min(max(bar["turnover"] / bar["volume"], bar["low"]), bar["high"])
                cash -= (wanted[name] - held[name]) * price
                held[name] = wanted[name]
            close[name] = bar["close"]
        equity = cash + sum(held[name] * close[name] for name in NAMES)
        equities.append(equity)
        if day in decided:
            wanted = {name: decided[day][name] * equity / close[name] if close[name] else 0.0 for name in NAMES}
    assert found.account["equity"].to_list() == pytest.approx(equities, rel=1e-9)


@settings(max_examples=60)
@given(SEEDS, st.sampled_from([None, 0, 3]), st.integers(0, 3), st.integers(0, 4))
def test_new_shares_are_sold_and_entitlements_spent_only_when_they_are_credited(
    seed: int, bonus: int | None, split: int, entitlement: int
) -> None:
    """Against lots: each has the session from which its shares can be sold."""
    bars, factors = random_bars(seed).with_columns(series=pl.lit("EQ")), random_factors(seed)
    market = market_arrays(bars, factors)
    rules = replace(RULES, bonus_credit=bonus, split_credit=split, entitlement_credit=entitlement)
    found = simulate(market, random_weights(market, seed), rules)
    for name in NAMES:
        mine = found.trades.filter(instrument_id=name).select("trade_date", "side", "quantity")
        trades = {(day, side): quantity for day, side, quantity in mine.iter_rows()}
        lots, slack = list[tuple[float, int]](), 0
        for row, day in enumerate(market.sessions):
            acted = factors.filter(pl.col("instrument_id") == name, pl.col("ex_date").cast(pl.Date) == day)
            record = 0 if day >= T1_SINCE else 1
            for kind, ratio in acted.select("kind", "volume_factor").iter_rows() if row else ():
                slack += 2  # fractions
                if kind == "bonus":
                    after = row + (10 + record if bonus is None else bonus)
                    lots += [(quantity * (ratio - 1), max(after, when)) for quantity, when in lots]
                elif ratio != 1:
                    after = row + (split + record if split else 0)
                    lots = [(quantity * ratio, max(after, when)) for quantity, when in lots]
            left = trades.get((day, "sell"), 0.0)
            assert left <= sum(quantity for quantity, when in lots if when <= row) + slack, (name, day)
            for place, (quantity, when) in enumerate(lots):
                sold = min(left, quantity) if when <= row else 0.0
                lots[place], left = (quantity - sold, when), left - sold
            lots.append((trades.get((day, "buy"), 0.0), row))
    waiting = found.account["entitlements"].rolling_sum(max(entitlement, 1), min_samples=1) * (entitlement > 0)
    assert (found.account["cash"] >= waiting - 0.01).all()
