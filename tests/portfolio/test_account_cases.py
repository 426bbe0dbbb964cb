"""What an account does on single markets: actions, ends of listings, bands, refusals, settlement."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from accounts import RULES, all_in, bars_of, sessions

from champion.errors import UsageError
from champion.portfolio.arrays import market_arrays
from champion.portfolio.report import costs, summary
from champion.portfolio.simulator import MarketRules, simulate


@pytest.mark.parametrize(
    ("kind", "price_factor", "volume_factor", "after", "column"),
    [
        ("split", 5.0, 5.0, 20.0, None),
        ("bonus", 2.0, 2.0, 50.0, None),
        ("dividend", 1.25, 1.0, 80.0, "dividends"),
        ("rights", 1.25, 1.0, 80.0, "entitlements"),
    ],
)
def test_a_corporate_action_alone_changes_no_equity(
    kind: str, price_factor: float, volume_factor: float, after: float, column: str | None
) -> None:
    bars = bars_of([100.0, 100.0, 100.0, after, after])
    ex_date = bars["trade_date"][3]
    factors = pl.DataFrame(
        {
            "instrument_id": ["A"],
            "ex_date": [ex_date],
            "kind": [kind],
            "price_factor": [price_factor],
            "volume_factor": [volume_factor],
        }
    )
    found = all_in(bars, replace(RULES, charged=False, impact=0.0), factors)
    assert found.account["equity"].to_list() == [1e6] * 5
    shares = 5_000 * volume_factor
    assert found.holdings["quantity"].to_list() == [shares]
    if column:
        assert found.account[column].sum() == 100_000.0


def test_a_split_or_dividend_is_no_volatility_and_locks_no_bar() -> None:
    """A share that falls on its ex-dates alone does not move, also if it is not traded on the ex-date itself."""
    bars = bars_of([100.0, 100.0, 50.0, 50.0, 50.0, 40.0, 40.0])
    bars = bars.filter(pl.col("trade_date") != bars["trade_date"][2]).with_columns(
        pl.when(pl.col("trade_date") == bars["trade_date"][3]).then(100.0).otherwise("prev_close").alias("prev_close"),
        high="close",
        low="close",
    )
    ex_dates = [bars_of([1.0] * 7)["trade_date"][place] for place in (2, 5)]
    factors = pl.DataFrame(
        {
            "instrument_id": ["A", "A"],
            "ex_date": ex_dates,
            "kind": ["split", "dividend"],
            "price_factor": [2.0, 1.25],
            "volume_factor": [2.0, 1.0],
        }
    )
    others = bars_of([10.0] * 7).with_columns(instrument_id=pl.lit("B"))
    market, naive = (market_arrays(pl.concat([bars, others]), each) for each in (factors, None))
    assert market.volatility[:, 0].tolist() == [0.0] * 7
    assert not market.locked_down.any()
    assert naive.volatility[6, 0] > 0.1
    assert naive.locked_down[[3, 5], 0].all()


def test_cash_drag_is_what_the_cash_would_have_earned_in_the_holdings() -> None:
    found = all_in(bars_of([100.0, 100.0, 110.0, 99.0]), replace(RULES, charged=False, impact=0.0))
    drag = 500_000 * 0.1 - 500_000 * 0.1  # half of the equity is cash; the holdings rise and fall by a tenth
    assert summary(found)["cash_drag_bps"] == pytest.approx(drag)
    rising = all_in(bars_of([100.0, 100.0, 110.0, 121.0]), replace(RULES, charged=False, impact=0.0))
    mean, days = (1e6 + 1e6 + 1.05e6 + 1.105e6) / 4, rising.account["trade_date"]
    of_a_year = 365.25 / (days[-1] - days[0]).days
    assert summary(rising)["cash_drag_bps"] == pytest.approx(2 * 500_000 * 0.1 / mean * of_a_year * 1e4)
    assert "cash_drag" not in costs(summary(rising))["component"]


@pytest.mark.parametrize("scale", [0.1, 0.75, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("waits", [0, 2])  # sessions without a price from the ex-date on
def test_an_action_of_unknown_effect_earns_nothing_and_its_holding_is_sold_by_the_rules(
    scale: float, waits: int
) -> None:
    """After an undecided action, a share may be a tenth of one, or ten: only the last value is known."""
    bars = bars_of([100.0, 100.0, 110.0, *[110.0 * scale] * 13], volume=20_000)
    days = bars["trade_date"]
    ex_date, first = days[3], days[3 + waits]
    bars = bars.filter((pl.col("trade_date") < ex_date) | (pl.col("trade_date") >= first))
    undecided = pl.DataFrame({"instrument_id": ["A"], "session": [ex_date]})
    weights = pl.DataFrame({"trade_date": [days[0]], "instrument_id": ["A"], "weight": [0.1]})
    market = market_arrays(bars, undecided=undecided, sessions=days.to_list())
    free = simulate(market, weights, replace(RULES, charged=False, impact=0.0, delisted_after=9))
    assert free.account["equity"].to_list() == [1e6, 1e6, *[1_010_000.0] * 14]
    paying = simulate(market, weights, replace(RULES, delisted_after=9))
    sales = paying.trades.filter(side="sell")
    assert sales["trade_date"][0] == first, "there is no price before it"
    assert set(sales["reason"]) == {"undecided_action"}
    assert paying.trades.filter(side="buy")["reason"].to_list() == ["decision"]
    assert (sales["quantity"] <= 1_000).all(), "more than 5% of the volume"
    shares = paying.account["holdings"][2] // (110.0 * scale)
    assert sales["quantity"].sum() == shares
    assert sales.height == -(-shares // 1_000)
    assert paying.cuts.filter(trade_date=first)["reason"].to_list() == (["volume"] if shares > 1_000 else [])
    assert paying.account.filter(trade_date=first)["charges"].item() > 0
    assert paying.holdings.is_empty()
    late = pl.concat([weights, weights.with_columns(trade_date=days[2], weight=pl.lit(0.9))])
    more = simulate(market, late, replace(RULES, charged=False, impact=0.0, delisted_after=9))
    dropped = more.cuts.filter(side="buy", reason="undecided_action")
    assert dropped["trade_date"].to_list() == [ex_date], "an order from before the action is of another share"


@pytest.mark.parametrize(
    ("kind", "start", "sales"),
    [
        ("bonus", date(2024, 5, 1), {0: 5_000.0, 10: 5_000.0}),  # credited two weeks after the ex-date
        ("bonus", date(2022, 6, 1), {0: 5_000.0, 11: 5_000.0}),  # whose record date was one session later then
        ("bonus", date(2024, 12, 2), {0: 5_000.0, 2: 5_000.0}),  # SEBI's circular of 2024-09-16
        ("split", date(2024, 5, 1), {2: 10_000.0}),  # the old ISIN is not traded any more
        ("split", date(2022, 6, 1), {3: 10_000.0}),
        ("capital_reduction", date(2024, 5, 1), {0: 10_000.0}),  # trading starts after the credit
    ],
)
def test_new_shares_count_from_the_ex_date_and_are_sold_from_their_credit(
    kind: str, start: date, sales: dict[int, float]
) -> None:
    bars = bars_of([100.0, 100.0, 100.0, *[50.0] * 14], start=start)
    days = bars["trade_date"].to_list()
    action = {"ex_date": [days[3]], "kind": [kind], "price_factor": [2.0], "volume_factor": [2.0]}
    factors = pl.DataFrame({"instrument_id": ["A"], **action})
    weights = pl.DataFrame({"trade_date": [days[0], days[2]], "instrument_id": ["A"] * 2, "weight": [0.5, 0.0]})
    rules = replace(RULES, charged=False, impact=0.0)
    found = simulate(market_arrays(bars, factors), weights, rules)
    assert found.account["equity"].to_list() == [1e6] * 17
    sold = found.trades.filter(side="sell")
    places = {days.index(day) - 3: quantity for day, quantity in sold.select("trade_date", "quantity").iter_rows()}
    assert places == sales
    assert set(found.cuts["reason"]) == ({"not_credited"} if set(sales) != {0} else set())
    at_once = simulate(market_arrays(bars, factors), weights, replace(rules, bonus_credit=0, split_credit=0))
    assert at_once.trades.filter(side="sell")["trade_date"].to_list() == [days[3]]
    free = simulate(market_arrays(bars, factors), weights, rules.without_frictions())
    assert free.trades.filter(side="sell")["trade_date"].to_list() == [days[3]], "without rules there is no credit"


@pytest.mark.parametrize("ends", [False, True])
def test_what_a_right_or_a_merger_pays_is_spent_when_it_is_credited(ends: bool) -> None:
    length = 3 if ends else 28
    first = bars_of([100.0] * 3 + [80.0] * (length - 3))
    days = sessions(28, date(2024, 1, 1))
    bars = pl.concat([first, bars_of([10.0] * 28).with_columns(instrument_id=pl.lit("B"))])
    action = {"ex_date": [days[3]], "kind": ["rights"], "price_factor": [1.25], "volume_factor": [1.0]}
    factors = None if ends else pl.DataFrame({"instrument_id": ["A"], **action})
    endings = pl.DataFrame({"instrument_id": ["A"], "last": [days[2]], "kind": ["merger"], "value": [20.0]})
    market = market_arrays(bars, factors, endings=endings if ends else None)
    later = [("A", 0.0), ("B", 1.0)] if ends else [("A", 0.8), ("B", 0.2)]
    rows = [(days[0], "A", 1.0), *((days[3], name, weight) for name, weight in later)]
    weights = pl.DataFrame(rows, schema=["trade_date", "instrument_id", "weight"], orient="row")
    found = simulate(market, weights, replace(RULES, charged=False, impact=0.0))
    spent = found.trades.filter(instrument_id="B").select("trade_date", "quantity").rows()
    assert spent == [(days[23], 20_000.0)], "20 sessions after the ex-date"
    assert set(found.cuts.filter(instrument_id="B")["reason"]) == {"cash"}
    assert found.account["unsettled"].to_list()[3:23] == [200_000.0] * 20
    assert found.account["unsettled"][23] == 0.0


def test_a_fraction_of_a_share_is_paid_in_cash() -> None:
    bars = bars_of([300.0, 300.0, 300.0, 200.0])
    factors = pl.DataFrame(
        {
            "instrument_id": ["A"],
            "ex_date": [bars["trade_date"][3]],
            "kind": ["bonus"],
            "price_factor": [1.5],
            "volume_factor": [1.5],
        }
    )
    found = all_in(bars, replace(RULES, charged=False, impact=0.0), factors, weight=0.3)
    assert found.holdings["quantity"].to_list() == [1500.0]
    odd = all_in(bars, replace(RULES, charged=False, impact=0.0, capital=300.0 * 3 / 0.9), factors, weight=0.9)
    assert odd.holdings["quantity"].to_list() == [4.0]
    assert odd.account["entitlements"].sum() == 100.0
    assert odd.account["equity"].to_list() == [1000.0] * 4


def test_a_holding_without_bars_is_written_off_with_its_haircut() -> None:
    bars = pl.concat([bars_of([100.0] * 3), bars_of([50.0] * 9).with_columns(instrument_id=pl.lit("B"))])
    found = all_in(bars, replace(RULES, charged=False, impact=0.0))
    assert found.account["write_offs"].sum() == 250_000.0
    assert found.holdings.is_empty()
    assert found.account["equity"][-1] == 750_000.0


@pytest.mark.parametrize("previous", [8.35, 101.3, 402.55, 1999.95])
@pytest.mark.parametrize("band", [-20, -10, -5, -2, 2, 5, 10, 20])
def test_a_close_at_the_limit_of_a_usual_band_is_locked_where_no_band_is_known(previous: float, band: int) -> None:
    paise, step = round(previous * 100) * (100 + band), 500
    close = (paise // step if band > 0 else -(-paise // step)) * 5 / 100
    bar = bars_of([previous, close]).with_columns(high=pl.max_horizontal("open", "close"))
    bar = bar.with_columns(low=pl.min_horizontal("open", "close"), prev_close=pl.lit(previous))
    inside = bar.with_columns(high=pl.col("high") + 0.05, low=pl.col("low") - 0.05)
    short = bar.with_columns(close=pl.col("close") - (0.05 if band > 0 else -0.05))
    short = short.with_columns(high=pl.max_horizontal("open", "close"), low=pl.min_horizontal("open", "close"))
    known = bar.with_columns(upper_band=pl.lit(1e4), lower_band=pl.lit(0.0))
    market, within, below, listed = (market_arrays(each) for each in (bar, inside, short, known))
    assert (market.locked_up[1, 0], market.locked_down[1, 0]) == (band > 0, band < 0)
    for free in (within, below, listed):
        assert not free.locked_up[1, 0]
        assert not free.locked_down[1, 0]


@pytest.mark.parametrize(
    ("before", "series", "ticks"),
    [
        (date(2024, 6, 6), "EQ", {5}),
        (date(2024, 6, 7), "EQ", {1, 5}),
        (date(2024, 6, 7), None, {1, 5}),
        (date(2024, 6, 7), "SM", {5}),
    ],
)
@pytest.mark.parametrize("previous", [100.32, 300.32])
def test_limits_of_both_ticks_lock_a_close_from_10_june_2024_on(
    before: date, series: str | None, ticks: set[int], previous: float
) -> None:
    """The tick is assigned by a close of the month before, so that above 250 rupees both are possible as below."""
    closes, rows = dict[str, tuple[float, bool]](), []
    for band in (-20, -10, -5, -2, 2, 5, 10, 20):
        for tick in (1, 5):
            exact, name = round(previous * 100) * (100 + band), f"{band}% of {tick}"
            close = (exact // (100 * tick) if band > 0 else -(-exact // (100 * tick))) * tick / 100
            closes[name] = close, band > 0
            rows.append(bars_of([previous, close], start=before).with_columns(instrument_id=pl.lit(name)))
    bars = pl.concat(rows).with_columns(series=pl.lit(series, pl.String), prev_close=pl.lit(previous))
    bars = bars.with_columns(high=pl.max_horizontal("open", "close"), low=pl.min_horizontal("open", "close"))
    market = market_arrays(bars)
    for place, name in enumerate(market.instruments):
        close, rose = closes[name]
        locked = 1 in ticks or round(close * 100) % 5 == 0
        assert (market.locked_up[1, place], market.locked_down[1, place]) == (locked and rose, locked and not rose), (
            name
        )


@pytest.mark.parametrize("last", [{}, {"series": "BE"}, {"series": None}, {"volume": 0}])
def test_a_share_that_ended_for_an_unknown_reason_loses_the_haircut(last: dict[str, object]) -> None:
    """Its last bar does not tell a merger from an insolvency."""
    bars = bars_of([100.0] * 3).with_columns(series=pl.lit("EQ"))
    is_last = pl.col("trade_date") == bars["trade_date"][-1]
    bars = bars.with_columns(pl.when(is_last).then(pl.lit(v)).otherwise(k).alias(k) for k, v in last.items())
    days = sessions(9, bars["trade_date"][0])
    weights = pl.DataFrame({"trade_date": [days[0], days[-3]], "instrument_id": ["A", "A"], "weight": [0.5, 0.5]})
    found = simulate(market_arrays(bars, sessions=days), weights, replace(RULES, charged=False, impact=0.0))
    assert found.account["write_offs"].sum() == 250_000.0
    assert summary(found)["write_offs_bps"] > 0
    assert "write_offs" not in costs(summary(found))["component"]
    assert found.cuts.select("trade_date", "side", "reason", "wanted").rows() == [
        (days[6], "sell", "written_off", 5000.0)
    ], "a share that was written off is ordered again, or its write-off is in no cut"


@pytest.mark.parametrize("value", [0.0, 1.0, 74.8, 100.0, 102.0])
def test_a_share_that_ended_by_known_terms_pays_them_in_the_next_session(value: float) -> None:
    bars = bars_of([100.0] * 3)
    days = sessions(9, bars["trade_date"][0])
    weights = pl.DataFrame({"trade_date": [days[0], days[-3]], "instrument_id": ["A", "A"], "weight": [0.5, 0.5]})
    endings = pl.DataFrame({"instrument_id": ["A", "Z"], "last": [days[2]] * 2, "kind": "merger", "value": value})
    market = market_arrays(bars, sessions=days, endings=endings)
    found = simulate(market, weights, replace(RULES, charged=False, impact=0.0))
    assert found.account["equity"].to_list() == [1e6] * 3 + [500_000 + 5_000 * value] * 6
    assert found.account["write_offs"].to_list()[3] == pytest.approx(5_000 * (100 - value))
    assert found.cuts.select("trade_date", "reason", "wanted").rows() == [(days[3], "ended", 5_000.0)]
    early = endings.with_columns(last=pl.lit(days[1]))
    traded = simulate(market_arrays(bars, sessions=days, endings=early), weights, replace(RULES, charged=False))
    assert "ended" not in traded.cuts["reason"], "the share has bars after this end"


def test_sessions_without_any_bar_of_the_instruments_count() -> None:
    bars, days = bars_of([100.0] * 3), sessions(9, date(2024, 1, 1))
    weights = pl.DataFrame({"trade_date": [days[0]], "instrument_id": ["A"], "weight": [0.5]})
    market = market_arrays(bars, sessions=days)
    found = simulate(market, weights, replace(RULES, charged=False, impact=0.0))
    assert found.account["trade_date"].to_list() == days
    assert found.account["write_offs"].sum() == 250_000.0, "a share that ended stays at its last close"
    with pytest.raises(UsageError, match="outside the bars"):
        market_arrays(bars, sessions=days[1:])


def test_an_unknown_factor_of_a_corporate_action_is_refused() -> None:
    bars = bars_of([100.0] * 4)
    factors = pl.DataFrame(
        {
            "instrument_id": ["A"],
            "ex_date": [bars["trade_date"][2]],
            "kind": ["demerger"],
            "price_factor": [None],
            "volume_factor": [1.0],
        },
        schema_overrides={"price_factor": pl.Float64},
    )
    with pytest.raises(UsageError, match="1 corporate action without a factor, first demerger of A on"):
        market_arrays(bars, factors)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"A": -0.2}, "the weight of A on 2024-01-01 is -0.2.* A short position needs stock futures"),
        ({"A": float("nan")}, "the weight of A on 2024-01-01 is nan"),
        ({"A": 0.7, "B": 0.7}, r"the weights of 2024-01-01 sum to 1\.4000"),
        ({"Z": 0.1}, "1 row outside the bars, first Z on 2024-01-01"),
    ],
)
def test_wrong_weights_are_refused(weights: dict[str, float], message: str) -> None:
    bars = pl.concat([bars_of([100.0] * 3).with_columns(instrument_id=pl.lit(name)) for name in "AB"])
    frame = pl.DataFrame(
        {"trade_date": date(2024, 1, 1), "instrument_id": list(weights), "weight": list(weights.values())}
    )
    with pytest.raises(UsageError, match=message):
        simulate(market_arrays(bars), frame)


@pytest.mark.parametrize(
    "values", [{"capital": 0.0}, {"participation": 0.0}, {"impact": -1.0}, {"haircut": 1.5}, {"plan": "gold"}]
)
def test_impossible_rules_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"no account can have|no brokerage plan"):
        MarketRules(**values)  # type: ignore[arg-type]


def test_a_sale_pays_for_a_purchase_only_in_part_before_its_settlement() -> None:
    bars = pl.concat([bars_of([100.0] * 6, start=date(2022, 6, 1)).with_columns(instrument_id=pl.lit(n)) for n in "AB"])
    days = bars["trade_date"].unique().sort()
    weights = pl.DataFrame({"trade_date": [days[0], days[1]], "instrument_id": ["A", "B"], "weight": [1.0, 1.0]})
    rules = MarketRules(capital=1e5, charged=False, impact=0.0)
    found = simulate(market_arrays(bars), weights, rules)
    bought = (
        found.trades.filter(instrument_id="B").group_by("trade_date").agg(pl.col("quantity").sum()).sort("trade_date")
    )
    assert bought.rows() == [(days[2], 800.0), (days[4], 200.0)], (
        "80% of the sale on its day, the rest after two sessions"
    )
    assert found.cuts.filter(side="buy")["reason"].to_list() == ["cash", "cash"]


def test_a_new_listing_pays_the_impact_of_the_median_share() -> None:
    days = sessions(8)
    closes: dict[str, list[float | None]] = {
        "OLD": [100.0, 102, 99, 101, 103, 100, 102, 101],
        "NEW": [None] * 5 + [50.0, 51.0, 50.5],
    }
    bars = pl.DataFrame(
        {"instrument_id": name, "trade_date": day, "close": close, "prev_close": close, "volume": 10_000}
        for name, prices in closes.items()
        for day, close in zip(days, prices, strict=True)
        if close
    ).with_columns(
        open="close", high=pl.col("close") * 1.04, low=pl.col("close") * 0.96, turnover=pl.col("close") * 10_000
    )
    market = market_arrays(bars)
    weights = pl.DataFrame({"trade_date": [days[5]] * 2, "instrument_id": ["NEW", "OLD"], "weight": [0.2, 0.2]})
    trades = simulate(market, weights, MarketRules(capital=100_000)).trades.sort("instrument_id")
    moved = trades.select(
        pl.col("instrument_id"), (pl.col("price") / pl.col("reference") - 1) / (pl.col("quantity") / 10_000).sqrt()
    )
    assert moved["instrument_id"].to_list() == ["NEW", "OLD"]
    assert moved["price"].to_list() == pytest.approx([market.volatility[6, 1]] * 2, rel=0.02)  # prices are in paise
