"""Charges of a trade at the NSE by component, from a dated table with a source for each rate.

- `brokerage` of the value or the order, by the plan;
- `stt`, securities transaction tax, of the value, premium or intrinsic value;
- `exchange` and `ipft`, for the exchange and its investor protection fund;
- `sebi`, for the regulator;
- `stamp` duty of the state, on purchases since 2020-07-01;
- `tax` of brokerage, exchange, ipft, and since 2022-07-18 sebi: GST, before 2017-07-01 service tax;
- `depository`, a fee with tax for each instrument that leaves the demat account on a day.

A contract note bills STT and stamp duty of the whole day in rupees, the others in paise, and the two halves of GST
apart. `charges.csv` has the rates; a day that it does not cover is refused. Its open rows were compared with their
sources on `CHECKED`: a later day is charged at the rates of that day, and `unchecked` says so.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from champion.base.counting import quantity
from champion.errors import UsageError
from champion.portfolio.inputs import require_frame, require_numbers

Segment: TypeAlias = Literal["equity_delivery", "equity_intraday", "futures", "options", "options_exercised"]
Side: TypeAlias = Literal["buy", "sell"]
Floats: TypeAlias = NDArray[np.float64]
COMPONENTS = ("brokerage", "stt", "exchange", "ipft", "sebi", "stamp", "tax", "depository")
"""The columns of charges, in rupees."""
SEGMENTS = ("equity_delivery", "equity_intraday", "futures", "options", "options_exercised")
CHECKED = date(2026, 11, 29)
"""The day on which rates and plans without a last day were compared with their sources."""
_DELIVERY = "equity_delivery"
_NEEDED = ("trade_date", "instrument_id", "segment", "side", "quantity", "price")
_PLACES, _TOO_LOW = {"stt": 0, "stamp": 0}, 1e-7  # decimals of rupees, 2 for the others; of a half as a double
_TABLE = Path(__file__).with_name("charges.csv")
_WITHIN = {"equity_delivery": ("equity",), "equity_intraday": ("equity",)}  # further names a rate may be listed under
_NOT_CHARGED = {"options_exercised": {"exchange", "ipft", "stamp"}}


class Rates(NamedTuple):
    """The rates of one day, segment and side, as fractions: of the value, `tax` of what is taxed."""

    stt: float
    exchange: float
    ipft: float
    sebi: float
    stamp: float
    tax: float
    taxed_sebi: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a broker charges.

    `brokerage` gives for a segment the share of the value, the least and the most rupees of an order. `depository` is
    the fee without tax for each instrument sold on a day, from its first day. `sale_credit` is the share of a sale that
    can pay for purchases before it is settled. `earlier` gives for a segment the first day of its `brokerage`, and what
    an order cost before.

    >>> fund = Plan("fund", "0.02% of every order.", dict.fromkeys(SEGMENTS, (0.0002, 0.0, float("inf"))))
    >>> fund.sale_credit, fund.depository_fee(date(2024, 12, 31))
    (1.0, 0.0)
    >>> [PLANS["discount"].of_day("equity_delivery", date(2015, month, 30)) for month in (11, 12)]
    [(0.001, 0.0, 20.0), (0.0, 0.0, 0.0)]
    """

    name: str
    doc: str
    brokerage: Mapping[str, tuple[float, float, float]]
    depository: tuple[tuple[date, float], ...] = ()
    sale_credit: float = 1.0
    earlier: Mapping[str, tuple[date, tuple[float, float, float]]] = field(default_factory=dict)

    def of_day(self, segment: str, day: date) -> tuple[float, float, float]:
        """Return the brokerage of an order on a day: share of the value, least and most rupees."""
        first, before = self.earlier.get(segment, (date.min, self.brokerage[segment]))
        return self.brokerage[segment] if day >= first else before

    def depository_fee(self, day: date) -> float:
        """Return the fee of the day in rupees, without tax; 0 for a plan without one.

        Raises:
            UsageError: the day is before the first known fee.

        >>> PLANS["discount"].depository_fee(date(2024, 9, 16)), PLANS["discount"].depository_fee(date(2024, 9, 17))
        (13.5, 13.0)
        """
        if self.depository and day < self.depository[0][0]:
            free = ", ".join(name for name, plan in PLANS.items() if not plan.depository)
            raise UsageError(
                f"no depository fee of plan {self.name} is known on {day}; it is known since {self.depository[0][0]}: "
                f"simulate later sessions, or take a plan without it ({free}) or your own `Plan`"
            )
        return next((fee for first, fee in reversed(self.depository) if first <= day), 0.0)


_FREE, _AT_MOST_20, _EACH_20 = (0.0, 0.0, 0.0), (0.0003, 0.0, 20.0), (0.0, 20.0, 20.0)
PLANS: dict[str, Plan] = {
    plan.name: plan
    for plan in (
        Plan(
            "discount",
            "A discount broker's plan for individuals: delivery is free since 2015-12-01, other orders cost up to 20 "
            "rupees. When intraday orders and derivatives got their brokerage is in no source: it is that of today.",
            dict(zip(SEGMENTS, (_FREE, _AT_MOST_20, _AT_MOST_20, _EACH_20, _EACH_20), strict=True)),
            depository=((date(2016, 10, 9), 13.5), (date(2024, 9, 17), 13.0)),
            sale_credit=0.8,
            earlier={_DELIVERY: (date(2015, 12, 1), (0.001, 0.0, 20.0))},
        ),
        Plan(
            "institution",
            "An assumed plan of an institution: 0.05% of the value of every order.",
            dict.fromkeys(SEGMENTS, (0.0005, 0.0, float("inf"))),
        ),
        Plan("none", "Only what exchange and state charge.", dict.fromkeys(SEGMENTS, _FREE)),
    )
}
"""Brokerage plans by name."""


def find_plan(plan: str | Plan) -> Plan:
    """Return a plan by its name; a plan is returned unchanged.

    Raises:
        UsageError: there is no such plan.

    >>> find_plan("discount").sale_credit
    0.8
    """
    if isinstance(plan, Plan):
        return plan
    if not isinstance(plan, str) or plan not in PLANS:
        raise UsageError(f"no brokerage plan {plan!r}; the plans are {', '.join(PLANS)}")
    return PLANS[plan]


@cache
def rates(day: date, segment: str, side: str) -> Rates:
    """Return the rates of one day.

    Raises:
        UsageError: the segment or side is unknown, or the table has no rate of a component on the day.

    >>> today = rates(date(2024, 12, 31), "equity_delivery", "buy")
    >>> today.stt, today.stamp, today.tax
    (0.001, 0.00015, 0.18)
    >>> rates(date(2024, 12, 31), "equity_intraday", "buy").stt
    0.0
    """
    listed = [row for row in _rows() if row["segment"] in {segment, "all", *_WITHIN.get(segment, ())}]
    if side not in {"buy", "sell"} or segment not in SEGMENTS:
        allowed = f"sides are buy and sell, segments {', '.join(SEGMENTS)}"
        raise UsageError(f"no charges of side {side!r} in segment {segment!r}; {allowed}")
    found = {}
    for component in Rates._fields:
        if component in _NOT_CHARGED.get(segment, ()):
            found[component] = 0.0
            continue
        of_days = [row for row in listed if row["component"] == component]
        of_day = [row for row in of_days if row["first"] <= day.isoformat() <= (row["last"] or "9999")]
        if not of_day:
            ranges = ", ".join(f"{row['first']} to {row['last'] or 'now'}" for row in of_days)
            raise UsageError(f"no rate of {component} for {segment} on {day}; it is known for {ranges or 'no day'}")
        of_side = [row for row in of_day if row["side"] in {side, "both"}]
        found[component] = float(of_side[0]["percent"]) / 100 if of_side else 0.0
    return Rates(**found)


def charges(trades: pl.DataFrame, plan: str | Plan = "discount") -> pl.DataFrame:
    """Return `trades` with a column for each of `COMPONENTS`, their sum `charges` in rupees, not rounded, and rates_of.

    Each row is one order: trade_date, instrument_id, segment, side, quantity, and price in rupees (a premium for
    options, the intrinsic value for `options_exercised`). The depository fee is divided among the sales of an
    instrument on a day. rates_of is the day whose rates are taken: trade_date, or `CHECKED` if that is later.

    Raises:
        UsageError: an unknown plan, segment or side, a quantity or price that is not above 0, or a day that the table
            of rates, or the plan's depository fee, does not cover.

    >>> order = {"trade_date": date(2024, 12, 31), "instrument_id": "NSE:TCS", "segment": "equity_delivery"}
    >>> sale = pl.DataFrame([order | {"side": "sell", "quantity": 100, "price": 1000.0}])
    >>> {name: round(value, 2) for name, value in charges(sale).select(COMPONENTS).row(0, named=True).items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'brokerage': 0.0, 'stt': 100.0, 'exchange': 2.97, 'ipft': 0.1, 'sebi': 0.1, 'stamp': 0.0, 'tax': 0.57,
     'depository': 15.34}
    """
    chosen = find_plan(plan)
    require_frame("trades", trades, _NEEDED)
    require_numbers("trades", trades, ("quantity", "price"))
    if (blank := trades.filter(pl.any_horizontal(pl.col(_NEEDED[:4]).is_null()))).height:
        first = ", ".join(map(str, blank.select(_NEEDED).row(0)))
        raise UsageError(f"{quantity(blank.height, 'order')} without {', '.join(_NEEDED[:4])}, first {first}")
    amounts = pl.col("quantity", "price").cast(pl.Float64)
    is_order = pl.all_horizontal(amounts > 0, amounts.is_finite()).fill_null(value=False)
    if (wrong := trades.filter(~is_order)).height:
        first = ", ".join(map(str, wrong.select("trade_date", "instrument_id", "quantity", "price").row(0)))
        raise UsageError(f"{quantity(wrong.height, 'order')} without a quantity and a price above 0, first {first}")
    kinds = trades.select("trade_date", "segment", "side").unique()
    terms = pl.DataFrame(
        [
            {
                "trade_date": day, "segment": segment, "side": side,
                **rates(day, segment, side)._asdict(),
                **dict(zip(("share", "least", "most"), chosen.of_day(segment, day), strict=True)),
                "fee": chosen.depository_fee(day) if (segment, side) == ("equity_delivery", "sell") else 0.0,
            }
            for day, segment, side in kinds.iter_rows()
        ],
        schema={
            **kinds.schema, **dict.fromkeys((*Rates._fields, "share", "least", "most", "fee"), pl.Float64()),
        },
    )  # fmt: skip
    # The names of rates and charges coincide, so the rates get a prefix.
    terms = terms.rename({name: f"_{name}" for name in terms.columns[3:]})
    value = pl.col("quantity") * pl.col("price")
    sold = pl.when(pl.col("_fee") > 0).then(
        pl.lit(1.0) / pl.len().over("trade_date", "instrument_id", "segment", "side")
    )
    charged = trades.join(terms, on=["trade_date", "segment", "side"], how="left", maintain_order="left").with_columns(
        brokerage=(value * pl.col("_share")).clip("_least", "_most"),
        **{name: value * pl.col(f"_{name}") for name in ("stt", "exchange", "ipft", "sebi", "stamp")},
        depository=(sold * pl.col("_fee") * (1 + pl.col("_tax"))).fill_null(0.0),
    )
    taxed = pl.col("brokerage") + pl.col("exchange") + pl.col("ipft") + pl.col("sebi") * pl.col("_taxed_sebi")
    total = charged.with_columns(tax=taxed * pl.col("_tax")).with_columns(charges=pl.sum_horizontal(COMPONENTS))
    rates_of = pl.min_horizontal("trade_date", pl.lit(CHECKED)).alias("rates_of")
    return total.select(*trades.columns, *COMPONENTS, "charges", rates_of)


def unchecked(last: date) -> str:
    """Return one sentence if charges up to a day are partly those of an earlier day; empty up to `CHECKED`.

    >>> unchecked(date(2026, 11, 27)), unchecked(date(2027, 3, 1))
    ('', 'charges after 2026-11-29 are at the rates of 2026-11-29, the last day that the table was checked for')
    """
    if last <= CHECKED:
        return ""
    return f"charges after {CHECKED} are at the rates of {CHECKED}, the last day that the table was checked for"


def contract_notes(charged: pl.DataFrame) -> pl.DataFrame:
    """Return one row per trade_date with what a contract note bills, from the result of `charges`.

    STT and stamp duty are in whole rupees, the halves of tax and all others in paise, each half up. `rounding` is the
    billed sum, `charges`, less the sum that is not rounded.

    >>> order = {"trade_date": date(2024, 6, 25), "instrument_id": "NFO:BANKNIFTY", "segment": "futures"}
    >>> sale = pl.DataFrame([order | {"side": "sell", "quantity": 15, "price": 48_480.0}])
    >>> contract_notes(charges(sale)).select("stt", "tax", "charges").row(0)
    (91.0, 6.32, 132.45)
    """
    sums = charged.group_by("trade_date").agg(pl.col(*COMPONENTS, "charges").sum()).sort("trade_date")
    notes = sums.select("trade_date", *_BILLED, exact="charges")
    total = notes.with_columns(charges=pl.sum_horizontal(COMPONENTS).round(2))
    return total.with_columns(rounding=pl.col("charges") - pl.col("exact")).drop("exact")


def billed(day: date, plan: Plan, bought: Floats, sold: Floats, *, rounded: bool = True) -> dict[str, float]:
    """Return what the contract note of a day bills for delivery, by component, with `charges` and `rounding`.

    `bought` and `sold` are the values of the day's orders in rupees, one sale for each instrument. It equals
    `contract_notes(charges(...))` of these orders; without `rounded`, the sum of `charges`.

    >>> note = billed(date(2024, 12, 31), PLANS["discount"], np.array([50_000.0]), np.array([30_000.0]))
    >>> note["stt"], note["depository"], note["charges"]
    (80.0, 15.34, 106.34)
    """
    exact = dict.fromkeys(COMPONENTS, 0.0)
    for side, values in (("buy", bought), ("sell", sold)):
        if not values.size:
            continue
        of_day, value = rates(day, _DELIVERY, side), float(values.sum())
        share, least, most = plan.of_day(_DELIVERY, day)
        brokerage = float(np.clip(values * share, least, most).sum())
        exchange, ipft, sebi = value * of_day.exchange, value * of_day.ipft, value * of_day.sebi
        fee = plan.depository_fee(day) * values.size if side == "sell" else 0.0
        parts = {
            "brokerage": brokerage, "stt": value * of_day.stt, "exchange": exchange, "ipft": ipft, "sebi": sebi,
            "stamp": value * of_day.stamp,
            "tax": (brokerage + exchange + ipft + sebi * of_day.taxed_sebi) * of_day.tax,
            "depository": fee * (1 + of_day.tax),
        }  # fmt: skip
        exact = {name: exact[name] + part for name, part in parts.items()}
    total = sum(exact.values())
    if not rounded:
        return exact | {"charges": total, "rounding": 0.0}
    note = _note(exact)
    charged = round(sum(note.values()), 2)
    return note | {"charges": charged, "rounding": charged - total}


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with _TABLE.open(encoding="utf-8", newline="") as stream:
        return tuple(csv.DictReader(stream))


def _note(exact: Mapping[str, float]) -> dict[str, float]:
    """Return the components as `_BILLED` does for a frame; a simulated account asks for thousands of notes."""

    def half_up(amount: float, places: int) -> float:
        scale = 10.0**places
        return math.floor(amount * scale + 0.5 + _TOO_LOW) / scale

    note = {name: half_up(amount, _PLACES.get(name, 2)) for name, amount in exact.items()}
    note["exchange"] = half_up(exact["exchange"] + exact["ipft"], 2) - note["ipft"]
    note["tax"] = half_up(exact["tax"] / 2, 2) * 2
    return note


def _half_up(amount: pl.Expr, places: int) -> pl.Expr:
    """Round an amount that is not negative; a half that doubles hold a little too low still goes up."""
    scale = 10.0**places
    return ((amount * scale + 0.5 + _TOO_LOW).floor() / scale).alias(amount.meta.output_name())


_BILLED = [
    _half_up(pl.col("brokerage"), 2),
    _half_up(pl.col("stt"), _PLACES["stt"]),
    # The note shows exchange charge and IPFT in one line, rounded together.
    (_half_up(pl.col("exchange") + pl.col("ipft"), 2) - _half_up(pl.col("ipft"), 2)).alias("exchange"),
    _half_up(pl.col("ipft"), 2),
    _half_up(pl.col("sebi"), 2),
    _half_up(pl.col("stamp"), _PLACES["stamp"]),
    (_half_up(pl.col("tax") / 2, 2) * 2).alias("tax"),
    _half_up(pl.col("depository"), 2),
]
