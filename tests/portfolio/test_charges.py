"""Charges reproduce contract notes and published calculations to the printed digits."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, strategies as st

from champion.errors import UsageError
from champion.portfolio.contract_note import (
    CHECKED,
    COMPONENTS,
    PLANS,
    SEGMENTS,
    Plan,
    charges,
    contract_notes,
    rates,
    unchecked,
)

EXAMPLES = "facts/charges_examples.csv"
PRINTED = ("brokerage", "stt", "exchange", "sebi", "stamp", "gst", "dp", "total")
# Where a printed figure differs from the rates in force, what it was computed with instead.
NO_IPFT = {8, 9, 13, 14, 15, 16, 17, 20, 21, 22, 23}
OLD_EXCHANGE_RATE = {13: 0.0000297, 14: 0.0000297, 15: 0.0000297, 16: 0.0000297, 17: 0.0000297}
"""TRAP: the tests of 2026-05-08 use the rate that ended on 2026-02-28."""
TOLERANCES = {2: 0.02, 19: 0.0001, 24: 0.005}
"""Rupees. The note's averages have two decimals. DISAGREE: the other two split 3,553.00 rupees per crore as
3,552.99 + 0.01, instead of 3,552.00 + 1.00 as in the circular."""
OLD_DEPOSITORY_FEE = {14: 15.93}
"""The fee of 13.50 rupees and tax, which ended on 2024-09-16."""
WHOLE_RUPEES = {1, 2, 3, 5}
"""STT and stamp duty as on a contract note; the other rows print paise, or do not round."""


def order(segment: str, side: str, quantity: float, price: float, day: date) -> dict[str, object]:
    head = {"trade_date": day, "instrument_id": "X", "segment": segment, "side": side}
    return head | {"quantity": float(quantity), "price": float(price)}


def last_day(text: str) -> date:
    """Return the day of an example, the last one of a range; a month stands for its middle."""
    days = re.findall(r"\d{4}-\d\d-\d\d", text)
    return date.fromisoformat(days[-1] if days else f"{text[:7]}-14")


def orders(row: dict[str, str]) -> list[dict[str, object]]:
    day, segment = last_day(row["date"]), row["segment"].removesuffix(" with brokerage")
    if row["id"] == "2":  # the pairs are in the note: quantity @ average of purchases / of sales
        pairs = re.findall(r"(\d+)@([\d.]+)/([\d.]+)", row["note"])
        return [
            order(segment, side, float(q), float(p), day)
            for q, *both in pairs
            for side, p in zip(("buy", "sell"), both, strict=True)
        ]
    if segment == "options_exercised":
        return [order(segment, "buy", 1, 50_000, day)]
    quantity, price = float(row["quantity"]), float(row["price"])
    sides = {"ROUND": ("buy", "sell"), "BUY": ("buy",), "SELL": ("sell",)}[row["side"]]
    prices = (price, float(row["price2"] or price))
    return [order(segment, side, quantity, each, day) for side, each in zip(sides, prices, strict=False)]


def plan_of(row: dict[str, str], count: int) -> Plan:
    """Return the plan with the brokerage the example states."""
    printed = float(row["brokerage"] or 0) / count
    depository = () if "no DP" in row["note"] else PLANS["discount"].depository
    return Plan("printed", "", dict.fromkeys(SEGMENTS, (0.0, printed, printed)), depository)


def computed(row: dict[str, str]) -> dict[str, float]:
    number, asked = int(row["id"]), orders(row)
    frame = charges(pl.DataFrame(asked), plan_of(row, len(asked)))
    if number in OLD_EXCHANGE_RATE:
        value = pl.col("quantity") * pl.col("price")
        frame = frame.with_columns(exchange=value * OLD_EXCHANGE_RATE[number])
    if number in NO_IPFT:
        frame = frame.with_columns(ipft=pl.lit(0.0))
    taxed = pl.col("brokerage") + pl.col("exchange") + pl.col("ipft") + pl.col("sebi")
    if number in NO_IPFT | set(OLD_EXCHANGE_RATE):
        frame = frame.with_columns(tax=taxed * 0.18)
    frame = frame.with_columns(charges=pl.sum_horizontal(COMPONENTS))
    if number in WHOLE_RUPEES:
        tax = float(frame["tax"].sum())
        frame = contract_notes(frame)
        if row["kind"] == "broker calculator":  # it shows the tax in one line, a note shows two halves
            whole = round(tax, 2)
            frame = frame.with_columns(tax=pl.lit(whole), charges=pl.col("charges") - pl.col("tax") + whole)
    sums = frame.select(*COMPONENTS, "charges").sum().row(0, named=True)
    exchange = sums["exchange"] + sums["ipft"]
    depository = OLD_DEPOSITORY_FEE.get(number, sums["depository"])
    named = {"brokerage": "brokerage", "stt": "stt", "sebi": "sebi", "stamp": "stamp", "gst": "tax", "total": "charges"}
    return {printed: sums[ours] for printed, ours in named.items()} | {"exchange": exchange, "dp": depository}


def test_worked_examples_come_out_to_the_printed_digits(nse_products: Path) -> None:
    with (nse_products / EXAMPLES).open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["exchange"] == "NSE"]
    assert len(rows) == 27
    wrong, compared = [], 0
    for row in rows:
        ours = computed(row)
        for name in PRINTED:
            column = "exchange_txn_incl_ipft" if name == "exchange" else name
            text = row[column]
            if not text:
                continue
            compared += 1
            places = len(text.partition(".")[2])
            allowed = max(TOLERANCES.get(int(row["id"]), 0.0), 0.5001 * 10**-places)
            if abs(ours[name] - float(text)) > allowed:
                wrong.append((row["id"], name, text, round(ours[name], places + 3)))
    assert wrong == []
    assert compared == 118


def test_every_trap_and_disagreement_of_the_sources_is_decided(nse_products: Path) -> None:
    with (nse_products / EXAMPLES).open(newline="") as stream:
        marked = {int(row["id"]) for row in csv.DictReader(stream) if re.search("TRAP|DISAGREE", row["note"])}
    assert marked <= OLD_EXCHANGE_RATE.keys() | TOLERANCES.keys()
    with (nse_products / "facts/charges_history.csv").open(newline="") as stream:
        disputed = [row for row in csv.DictReader(stream) if re.search("TRAP|DISAGREE", str(row))]
    taken = {(row["component"].removesuffix("_txn_nse"), row["effective_from"]) for row in disputed}
    decided = {
        (row["component"], row["first"]) for row in table() if "3,552" in row["source"] or row["segment"] == "options"
    }
    assert taken <= decided


def test_rates_equal_the_collected_history(nse_products: Path) -> None:
    per = {"percent": 100.0, "rupees per lakh": 1e5, "rupees per crore": 1e7}
    names = {"stt": "stt", "exchange_txn_nse": "exchange", "ipft": "ipft", "sebi_fee": "sebi", "stamp_duty": "stamp"}
    with (nse_products / "facts/charges_history.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["component"] in names and row["rate"]]
    compared = 0
    for row in rows:
        unit = next(divisor for words, divisor in reversed(per.items()) if row["unit"].startswith(words))
        segment = {"equity": "equity_delivery", "all": "equity_delivery"}.get(row["segment"], row["segment"])
        side = "sell" if "sell" in row["side"] else "buy"
        for day in (row["effective_from"], row["effective_to"]):
            first = "2023-04-01" if segment in {"futures", "options"} else "2019-04-01"
            if not day or day < first:  # before it, another component of the segment is in no source
                continue
            found = getattr(rates(date.fromisoformat(day), segment, side), names[row["component"]])
            assert found == pytest.approx(float(row["rate"]) / unit, rel=1e-12), row
            compared += 1
    assert compared > 40


def test_the_discount_plan_equals_the_collected_history_and_covers_no_day_before_it(nse_products: Path) -> None:
    with (nse_products / "facts/charges_history.csv").open(newline="") as stream:
        rows = [
            row for row in csv.DictReader(stream) if row["component"].endswith("_zerodha") and row["effective_from"]
        ]
    plan = PLANS["discount"]
    assert len(rows) == 4
    for row in rows:
        first, last = (date.fromisoformat(row[f"effective_{end}"] or "2026-11-29") for end in ("from", "to"))
        for day in (first, last):
            if row["component"].startswith("dp_"):
                assert plan.depository_fee(day) == float(row["rate"])
            else:
                share, least, most = plan.of_day("equity_delivery", day)
                assert (share, least) == (float(row["rate"]) / 100, 0.0)
                assert most == (20.0 if "20 rupees" in row["unit"] else 0.0)
    unknown = date.fromisoformat(min(row["effective_from"] for row in rows if row["component"].startswith("dp_")))
    sale = order("equity_delivery", "sell", 100, 1000, unknown - timedelta(days=1))
    with pytest.raises(
        UsageError, match=r"no depository fee of plan discount is known on 2016-10-08; it is known since"
    ):
        charges(pl.DataFrame([sale]))
    purchase = charges(pl.DataFrame([order("equity_delivery", "buy", 100, 1000, date(2015, 6, 1))]))
    assert purchase.select("brokerage", "tax").row(0) == pytest.approx((20.0, (20 + 3.25 + 0.0001) * 0.14))


@given(st.dates(date(2019, 4, 1), date(2035, 12, 31)))
def test_a_day_after_the_last_check_is_charged_at_the_rates_of_that_check_and_says_so(day: date) -> None:
    found = charges(pl.DataFrame([order("equity_delivery", "sell", 10, 100, day)])).row(0, named=True)
    assert found["rates_of"] == min(day, CHECKED)
    same = charges(pl.DataFrame([order("equity_delivery", "sell", 10, 100, found["rates_of"])])).row(0, named=True)
    assert [found[name] for name in COMPONENTS] == [same[name] for name in COMPONENTS]
    assert bool(unchecked(day)) == (day > CHECKED)


def table() -> list[dict[str, str]]:
    path = Path("champion/portfolio/charges.csv")
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_rates_follow_each_other_without_gap_or_overlap_and_have_a_source() -> None:
    series: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in table():
        assert row["evidence"] in {"official", "note", "broker", "secondary", "assumed"}
        assert len(row["source"]) > 8
        series.setdefault((row["component"], row["segment"]), []).append(row)
    for rows in series.values():
        for before, after in pairwise(rows):
            assert date.fromisoformat(before["last"]) + timedelta(days=1) == date.fromisoformat(after["first"])


@pytest.mark.parametrize(
    ("segment", "side", "day", "message"),
    [
        (
            "equity_delivery",
            "buy",
            date(2009, 1, 1),
            "no rate of stt for equity_delivery on 2009-01-01; it is known for",
        ),
        ("options", "sell", date(2019, 6, 3), "no rate of exchange for options on 2019-06-03"),
        ("equity", "sell", date(2024, 1, 1), "no charges of side 'sell' in segment 'equity'"),
        ("futures", "hold", date(2024, 1, 1), "no charges of side 'hold'"),
    ],
)
def test_a_trade_without_known_rates_is_refused(segment: str, side: str, day: date, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        charges(pl.DataFrame([order(segment, side, 1, 100, day)]))


def test_an_unknown_plan_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no brokerage plan 'gold'; the plans are discount, institution, none"):
        charges(pl.DataFrame([order("equity_delivery", "buy", 1, 100, date(2024, 1, 1))]), "gold")


ORDERS = st.lists(
    st.builds(
        order,
        st.sampled_from(["equity_delivery", "equity_intraday"]),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 10**6),
        st.decimals("0.05", "90000", places=2).map(float),
        st.dates(date(2019, 4, 1), date(2026, 11, 30)),
    ),
    min_size=1,
    max_size=30,
)


@given(ORDERS, st.sampled_from(sorted(PLANS)))
def test_charges_are_the_sum_of_components_none_negative(orders: list[dict[str, object]], plan: str) -> None:
    charged = charges(pl.DataFrame(orders), plan)
    assert charged.height == len(orders)
    components = charged.select(COMPONENTS)
    assert (components.min_horizontal() >= 0).all()
    assert charged.select((pl.sum_horizontal(COMPONENTS) - pl.col("charges")).abs().max()).item() < 1e-6
    sales = charged.filter(side="sell", segment="equity_delivery")
    fees = sales.group_by("trade_date").agg(pl.col("depository").sum())
    expected = {
        day: PLANS[plan].depository_fee(day) * (1 + rates(day, "equity_delivery", "sell").tax)
        for day in fees["trade_date"]
    }
    assert dict(fees.iter_rows()) == pytest.approx(expected)


@given(ORDERS)
def test_a_contract_note_differs_from_exact_charges_by_its_rounding_only(orders: list[dict[str, object]]) -> None:
    charged = charges(pl.DataFrame(orders))
    notes = contract_notes(charged)
    exact = charged.group_by("trade_date").agg(pl.col("charges").sum()).sort("trade_date")["charges"]
    assert notes["trade_date"].is_sorted()
    assert ((notes["charges"] - notes["rounding"] - exact).abs() < 1e-6).all()
    assert (notes["rounding"].abs() <= 1.05).all()
    for name in ("stt", "stamp"):
        assert (notes[name] == notes[name].round(0)).all()


@pytest.mark.parametrize("wrong", [-5.0, 0.0, float("nan"), float("inf"), None])
@pytest.mark.parametrize("column", ["quantity", "price"])
def test_orders_without_a_quantity_and_a_price_are_not_charged(column: str, wrong: float | None) -> None:
    order = {"trade_date": date(2024, 12, 31), "instrument_id": "NSE:TCS", "segment": "equity_delivery", "side": "buy"}
    trades = pl.DataFrame([order | {"quantity": 10.0, "price": 100.0}, order | {"quantity": 10.0, "price": 100.0}])
    trades = trades.with_row_index().with_columns(pl.when(index=0).then(pl.lit(wrong)).otherwise(column).alias(column))
    with pytest.raises(UsageError, match="1 order without a quantity and a price above 0, first 2024-12-31, NSE:TCS"):
        charges(trades)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.lazy(), r"the trades are a polars LazyFrame; give a polars DataFrame: call \.collect\(\)"),
        (lambda rows: rows.drop("segment"), "the trades lack segment; they have trade_date, instrument_id, side"),
        (lambda rows: rows.cast({"trade_date": pl.String}), r"trade_date of the trades are String; give dates, as by"),
        (lambda rows: rows.cast({"trade_date": pl.Datetime}), r"trade_date of the trades are Datetime.*; give dates"),
        (lambda rows: rows.cast({"price": pl.String}), "price of the trades are String; give numbers"),
        *(
            (
                lambda rows, name=name: rows.with_columns(pl.lit(None, rows.schema[name]).alias(name)),
                "1 order without trade_date, instrument_id, segment, side, first",
            )
            for name in ("trade_date", "instrument_id", "segment", "side")
        ),
    ],
)
def test_trades_of_another_kind_are_refused(change: Callable[[pl.DataFrame], pl.DataFrame], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        charges(change(pl.DataFrame([order("equity_delivery", "buy", 10, 100, date(2024, 12, 31))])))
