"""Simulate a cash account at the NSE, session by session, over arrays of all instruments.

Weights are decided after the close of a session and are traded from the next one on. In each session, in this order:

1. On ex-dates holdings are multiplied by splits and bonuses. Fractions of a share, dividends and other entitlements are
   paid in cash. The new shares are sold, and entitlements other than dividends spent, when they are credited (see
   `settlement`). Where the effect of an action is not known, neither is the number of shares: a holding keeps its last
   value, is counted in shares of that value at the first price after the action, and is sold from that session on by
   the rules below, at its price, volume, band and charges. The action itself earns and loses nothing.
2. A holding that ended pays what the market's `ending` says, on the session after its last one. Where that is not known
   and it has no bar for `delisted_after` sessions, it is written off at its last close less `haircut`. The share is
   not ordered again before it has a bar.
3. Sales, then purchases. Nothing trades without a bar, buys at a locked upper band or sells at a locked lower one, and
   no order exceeds `participation` of the session's volume. Series SM and ST are not bought, because their lots are in
   no dataset. In series BE, BZ, ST and SZ, shares are sold only after their delivery. The rest is tried again until the
   next decision. A ban in the market of derivatives stops no trade of shares.
4. Purchases are paid from settled money and from `sale_credit` of unsettled sales; if it does not suffice, all are cut
   in proportion. Shares that are not held cannot be sold.
5. The contract note is paid, and the account is valued at the close, or at the last close known.

Money is counted in paise, exactly: cash plus holdings is equity in every session.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl

from champion.errors import UsageError
from champion.portfolio.arrays import Floats, MarketArrays
from champion.portfolio.contract_note import COMPONENTS, Plan, billed, find_plan
from champion.portfolio.decisions import decisions
from champion.portfolio.history import REASONS, History, Simulation
from champion.portfolio.inputs import is_number, is_whole
from champion.portfolio.settlement import Awaited, Deliveries, bonus_sessions, settlement_rows

__all__ = ["REASONS", "MarketRules", "Simulation", "simulate"]
__dir__ = __all__.copy
_PAISE = 100.0
_MOST_ROUNDING = 200.0  # paise that the rounding of a contract note can add to the exact charges


@dataclass(frozen=True, slots=True)
class MarketRules:
    """The rules an account trades under.

    Args:
        capital: rupees at the start.
        plan: brokerage plan, by its name or itself.
        participation: largest share of a session's volume that an order takes.
        impact: coefficient of the square-root law: an order of the share x of the volume moves its price by impact
            times daily volatility (of the median share where it is not known yet) times the root of x, within the
            session's low and high. Measured values are near 1
            (Toth et al. 2011, Anomalous price impact, Physical Review X 1, 021006).
        bands: whether locked bars refuse orders.
        settlement: whether only `sale_credit` of a sale can be spent before it is settled, and shares and money of
            corporate actions only when they are credited.
        charged: whether charges are paid.
        borrows: whether purchases may exceed the money there is.
        whole_shares: whether quantities are whole numbers and prices are in paise.
        sme: whether shares in the series of small companies are bought, as if they traded one by one.
        delisted_after: sessions without a bar after which a holding is written off.
        haircut: share of the last close that is lost then. The bars do not say whether a share ended in a merger, which
            pays about the last close, or in an insolvency, which pays nothing: simulate with 0 and 1 for the bounds.
        bonus_credit: sessions from the ex-date until bonus shares can be sold; by default `settlement.bonus_sessions`.
        split_credit: sessions from the record date until the shares after a split can be sold.
        entitlement_credit: sessions until what rights, demerged shares, fractions and mergers pay can be spent.
    """

    capital: float = 1e7
    plan: str | Plan = "discount"
    participation: float = 0.05
    impact: float = 1.0
    bands: bool = True
    settlement: bool = True
    charged: bool = True
    borrows: bool = False
    whole_shares: bool = True
    sme: bool = False
    delisted_after: int = 60
    haircut: float = 0.5
    bonus_credit: int | None = None
    split_credit: int = 2
    entitlement_credit: int = 20

    def __post_init__(self) -> None:
        """Refuse values that no account can have."""
        find_plan(self.plan)
        allowed = {
            "capital": is_number(self.capital) and self.capital > 0,
            "participation": is_number(self.participation) and 0 < self.participation <= 1,
            "impact": is_number(self.impact) and self.impact >= 0,
            "haircut": is_number(self.haircut) and 0 <= self.haircut <= 1,
            "delisted_after": is_whole(self.delisted_after) and self.delisted_after > 0,
        }
        credit = {name: getattr(self, name) for name in ("bonus_credit", "split_credit", "entitlement_credit")}
        credit |= {} if self.bonus_credit is not None else {"bonus_credit": 0}
        allowed |= {name: is_whole(value) and value >= 0 for name, value in credit.items()}
        switches = ("bands", "settlement", "charged", "borrows", "whole_shares", "sme")
        allowed |= {name: isinstance(getattr(self, name), bool) for name in switches}
        if wrong := [f"{name} {getattr(self, name)!r}" for name, holds in allowed.items() if not holds]:
            raise UsageError(
                f"no account can have {', '.join(wrong)}: capital is above 0, delisted_after a whole number above 0, "
                f"{', '.join(credit)} whole numbers from 0 on, "
                "participation above 0 and at most 1, impact at least 0, haircut from 0 to 1, and each is finite; "
                f"{', '.join(switches)} are True or False"
            )

    def without_frictions(self) -> MarketRules:
        """Return rules under which each order is filled whole, at the reference price and free of charge.

        >>> MarketRules().without_frictions().charged
        False
        """
        return replace(
            self, participation=1.0, impact=0.0, bands=False, settlement=False, charged=False, borrows=True,
            whole_shares=False, sme=True,
        )  # fmt: skip


def simulate(market: MarketArrays, weights: pl.DataFrame, rules: MarketRules | None = None) -> Simulation:
    """Trade target weights under the market's rules.

    Args:
        market: the bars of every session, from `market_arrays`.
        weights: trade_date, instrument_id and weight, a share of the equity. They are decided after the close of
            trade_date for the whole account: instruments without a row are sold. A day's weights sum to at most 1.
        rules: the market's rules; by default those of a small account at a discount broker.

    Raises:
        UsageError: a weight is negative, not finite or of an instrument without bars, or a day's weights sum to more
            than 1. A short leg needs stock futures, whose prices and lots are in no dataset yet.

    >>> from datetime import date
    >>> from champion.portfolio.arrays import market_arrays
    >>> names = ("open", "high", "low", "close", "prev_close")
    >>> bar = {"instrument_id": "A", **dict.fromkeys(names, 100.0), "volume": 10_000, "turnover": 1_000_000.0}
    >>> bars = pl.DataFrame([bar | {"trade_date": date(2024, 1, day)} for day in (1, 2, 3)])
    >>> weights = pl.DataFrame({"trade_date": [date(2024, 1, 1)], "instrument_id": ["A"], "weight": [0.4]})
    >>> found = simulate(market_arrays(bars), weights, MarketRules(capital=100_000))
    >>> isinstance(found, Simulation), found.trades.select("quantity", "price").rows()
    (True, [(400.0, 100.0)])
    >>> found.account["equity"].to_list()  # charges of 47.62 rupees
    [100000.0, 99952.38, 99952.38]
    """
    decided = decisions(market, weights)
    account = _Account(market, rules or MarketRules())
    for row in range(len(market.sessions)):
        account.trade_session(row)
        if row in decided:
            account.decide(decided[row])
    return account.history.result(account.held, account.held * account.close)


class _Fills(NamedTuple):
    """Quantities sold and bought, with reference and price in paise, by instrument."""

    sold: Floats
    bought: Floats
    reference: Floats
    sale_price: Floats
    purchase_price: Floats


class _Account:
    """Cash, holdings and history of one account; amounts are in paise."""

    def __init__(self, market: MarketArrays, rules: MarketRules) -> None:
        self.market, self.rules, self.plan = market, rules, find_plan(rules.plan)
        count = len(market.instruments)
        self.cash = self.equity = rules.capital * _PAISE
        self.held, self.wanted, self.missing = np.zeros(count), np.zeros(count), np.zeros(count)
        self.volatility = np.zeros(count)
        self.unknown = np.zeros(count, bool)  # since an undecided action there was no price: in which shares is unknown
        self.forced = np.zeros(count, bool)  # sold because of an undecided action, until the next decision
        self.close = np.zeros(count)  # the last known one, in the scale of the present shares
        self.unsettled, self.receivable = Awaited(1), Awaited(1)  # money of sales, and of corporate actions
        self.deliveries = Deliveries(count)
        self.settles = settlement_rows(market.sessions)
        self.history = History(market.sessions, market.instruments)

    def decide(self, weights: Floats) -> None:
        """Turn target weights into wanted quantities, at the close."""
        value = weights * self.equity
        wanted = np.divide(value, self.close, out=np.zeros_like(value), where=self.close > 0)
        self.wanted = np.floor(wanted) if self.rules.whole_shares else wanted
        self.wanted[(self.missing >= self.rules.delisted_after) | self.unknown] = 0.0
        self.forced = self.unknown.copy()

    def trade_session(self, row: int) -> None:
        """Carry the account through one session."""
        before = self.held * self.close
        for awaited in (self.unsettled, self.receivable, self.deliveries):
            awaited.arrive(row)
        dividends, entitlements = self._receive_entitlements(row)
        written_off, lost = self._write_off(row)
        fractions = self._value_undecided(row)
        kept = self.held.copy()
        fills = self._fill(row)
        sold, bought = fills.sold * fills.sale_price, fills.bought * fills.purchase_price
        note = self._note(row, sold, bought)
        self.cash -= note["charges"]
        has_bar = ~np.isnan(self.market.close[row]) & ~self.unknown
        self.close = np.where(has_bar, self._paise(self.market.close[row]), self.close)
        self.missing = np.where(has_bar, 0.0, self.missing + 1)
        value = self.held * self.close
        holdings = float(value.sum())
        self.equity = self.cash + holdings
        sales, purchases = fills.reference - fills.sale_price, fills.purchase_price - fills.reference
        by_instrument = {
            "impact": fills.sold * sales + fills.bought * purchases, "dividends": dividends,
            "entitlements": entitlements, "write_offs": lost,
            "holding_profit": kept * self.close - (before - written_off - fractions),
            "trading_profit": (fills.bought - fills.sold) * (self.close - fills.reference),
        }  # fmt: skip
        amounts = {
            "equity": self.equity, "cash": self.cash, "holdings": holdings,
            "unsettled": float((self.unsettled.total + self.receivable.total)[0]),
            "bought": bought.sum(), "sold": sold.sum(),
            "unfilled": (np.abs(self.wanted - self.held) * self.close).sum(),
            **note, **{name: each.sum() for name, each in by_instrument.items()},
        }  # fmt: skip
        self.history.close_session(row, amounts, self.held, value, by_instrument)

    def _paise(self, rupees: Floats) -> Floats:
        paise = np.nan_to_num(rupees) * _PAISE
        return np.rint(paise) if self.rules.whole_shares else paise

    def _receive_entitlements(self, row: int) -> tuple[Floats, Floats]:
        """Apply the corporate actions of the session; return what dividends and other entitlements paid for each."""
        ratio = self.market.ratio[row]
        dividend, entitlement = (self._paise(each[row]) for each in (self.market.dividend, self.market.entitlement))
        changed = (ratio != 1) | (dividend != 0) | (entitlement != 0)
        if not changed.any():
            return np.zeros_like(self.held), np.zeros_like(self.held)
        dividends, entitlements = self.held * dividend, self.held * entitlement
        shares = np.where(changed, self.held * ratio, self.held)
        self.close = np.where(changed, self._paise((self.close - dividend - entitlement) / ratio / _PAISE), self.close)
        whole = np.floor(shares + 1e-9) if self.rules.whole_shares else shares  # 1e-9: ratios such as 3.3 are inexact
        fractions = (shares - whole).clip(0) * self.close
        entitlements += np.rint(fractions) if self.rules.whole_shares else fractions
        self.wanted = np.where(changed, self.wanted * ratio, self.wanted)
        self.wanted = np.floor(self.wanted + 1e-9) if self.rules.whole_shares else self.wanted
        self._await_credit(row, whole)
        self.held = whole
        self._await_money(row, float(entitlements.sum()))
        self.cash += float((dividends + entitlements).sum())
        return dividends, entitlements

    def _await_credit(self, row: int, held: Floats) -> None:
        """Await what the actions of the session make of the holdings, `held` shares, until it is credited."""
        if self.rules.settlement:
            market, rules = self.market, self.rules
            bonus = bonus_sessions(market.sessions[row]) if rules.bonus_credit is None else rules.bonus_credit
            split = rules.split_credit and rules.split_credit + self.settles[row] - row - 1  # from the record date
            action = market.ratio[row], market.bonus[row], market.replaced[row]
            self.deliveries.act(self.held, held, action, (row + bonus, row + split), whole=rules.whole_shares)
            self.deliveries.arrive(row)

    def _await_money(self, row: int, amount: float) -> None:
        """Await money of corporate actions, which is cash already, until it can be spent."""
        if amount and self.rules.settlement and self.rules.entitlement_credit:
            self.receivable.add(row + self.rules.entitlement_credit, np.array([amount]))

    def _value_undecided(self, row: int) -> Floats:
        """Count holdings after an action of unknown effect in shares of their last value, and order their sale.

        Return the cash for the fraction of a share of each. Without a price in the session they wait for one.
        """
        self.unknown |= self.market.undecided[row]
        fractions = np.zeros_like(self.held)
        if not self.unknown.any():
            return fractions
        ordered = np.where(self.unknown, (self.wanted - self.held).clip(0), 0.0)
        why = np.full(len(ordered), REASONS.index("undecided_action"))  # the quantity from before is another value now
        self.history.log(row, "buy", ordered, np.zeros_like(ordered), (self.close, self.close), why)
        self.wanted, self.forced = np.where(self.unknown, 0.0, self.wanted), self.forced | self.unknown
        reference = self._paise(self.market.fill[row])
        known = self.unknown & (reference > 0) & (self.market.volume[row] > 0)
        self.unknown &= ~known
        if not (valued := known & (self.held > 0)).any():
            return fractions
        value = self.held * self.close
        shares = np.divide(value, reference, out=self.held.copy(), where=valued)
        shares = np.where(valued & self.rules.whole_shares, np.floor(shares), shares)
        fractions = np.where(valued, value - shares * reference, 0.0) if self.rules.whole_shares else fractions
        ratio = np.divide(shares, self.held, out=np.ones_like(shares), where=valued)
        self.deliveries.scale(ratio, whole=self.rules.whole_shares)
        self.held, self.close = shares, np.where(valued, reference, self.close)
        self.cash += float(fractions.sum())
        return fractions

    def _write_off(self, row: int) -> tuple[Floats, Floats]:
        """Pay holdings that ended, by their terms or less the haircut; return for each its value before, and the loss.

        In which shares a holding is after an undecided action is not known, so its terms are not either.
        """
        ending = self.market.ending[row] * _PAISE
        known = ~np.isnan(ending) & ~self.unknown
        self.missing = np.where(known, np.maximum(self.missing, self.rules.delisted_after), self.missing)
        gone = self.missing >= self.rules.delisted_after
        self.wanted = np.where(gone, 0.0, self.wanted)
        gone &= self.held > 0
        value = np.where(gone, self.held * self.close, 0.0)
        if not gone.any():
            return value, value
        wanted = np.where(gone, self.held, 0.0)
        why = np.where(known, REASONS.index("ended"), REASONS.index("written_off"))
        self.history.log(row, "sell", wanted, np.zeros_like(wanted), (self.close, self.close), why)
        proceeds = np.where(known & gone, self.held * np.nan_to_num(ending), value * (1 - self.rules.haircut))
        proceeds = np.rint(proceeds) if self.rules.whole_shares else proceeds
        self.held, self.cash = np.where(gone, 0.0, self.held), self.cash + float(proceeds.sum())
        self._await_money(row, float(proceeds[known].sum()))
        self.deliveries.scale(np.where(gone, 0.0, 1.0), whole=False)
        return value, value - proceeds

    def _fill(self, row: int) -> _Fills:
        """Fill the orders of the session, sales first, and log fills and cuts."""
        market, rules = self.market, self.rules
        self.volatility = self._typical_volatility(row)
        sales, purchases = (self.held - self.wanted).clip(0), (self.wanted - self.held).clip(0)
        reference, volume = self._paise(market.fill[row]), market.volume[row]
        has_bar = (reference > 0) & (volume > 0)
        most = rules.participation * volume if rules.participation < 1 or rules.whole_shares else np.inf
        most = np.where(has_bar, np.floor(most) if rules.whole_shares else most, 0.0)
        locked_up, locked_down = (flags[row] & rules.bands for flags in (market.locked_up, market.locked_down))
        credited, delivered = self.deliveries.sellable(self.held, market.delivery_only[row])
        sold = np.minimum(sales, np.where(locked_down, 0.0, np.minimum(most, delivered)))
        sale_price = self._price(row, reference, sold, -1)
        proceeds = float(sold @ sale_price)
        self.cash += proceeds
        if proceeds and rules.settlement:
            self.unsettled.add(self.settles[row], np.array([proceeds]))
        small = market.sme[row] & (not rules.sme)
        affordable = np.minimum(purchases, np.where(locked_up | small, 0.0, most))
        bought = self._afford(row, sold * sale_price, affordable, reference)
        purchase_price = self._price(row, reference, bought, 1)
        self.cash -= float(bought @ purchase_price)
        self.held = self.held - sold + bought
        if rules.settlement and bought.any():
            self.deliveries.bought.add(self.settles[row], bought)
        fills = _Fills(sold, bought, reference, sale_price, purchase_price)
        enough, volume = np.minimum(sales, most), REASONS.index("volume")
        kept = np.where(delivered < enough, REASONS.index("delivery"), volume)
        kept = np.where(credited < enough, REASONS.index("not_credited"), kept)
        short_of_cash = np.where(bought < affordable, REASONS.index("cash"), volume)
        refused = np.where(small, REASONS.index("sme_series"), short_of_cash)
        for side, wanted, filled, price, locked, otherwise in (
            ("sell", sales, sold, sale_price, locked_down, kept),
            ("buy", purchases, bought, purchase_price, locked_up, refused),
        ):
            why = np.where(locked, REASONS.index("locked_band"), otherwise)
            why = np.where(has_bar, why, REASONS.index("no_bar"))
            self.history.log(row, side, wanted, filled, (reference, price), why, self.forced)
        return fills

    def _typical_volatility(self, row: int) -> Floats:
        """Return the volatilities; an unknown one, as in the first sessions of a listing, is the median of them."""
        known = self.market.volatility[row]
        median = float(np.median(known[known > 0])) if (known > 0).any() else 0.0
        return np.where(known > 0, known, median)

    def _price(self, row: int, reference: Floats, quantity: Floats, sign: int) -> Floats:
        """Return the price of an order with its impact, within the session's low and high."""
        if not self.rules.impact:
            return reference
        volume = self.market.volume[row]
        share = np.divide(quantity, volume, out=np.zeros_like(quantity), where=volume > 0)
        moved = reference * (1 + sign * self.rules.impact * self.volatility * np.sqrt(share)) / _PAISE
        low, high = np.nan_to_num(self.market.low[row]), np.nan_to_num(self.market.high[row])
        return self._paise(np.where(quantity > 0, np.clip(moved, low, high), reference / _PAISE))

    def _afford(self, row: int, sold: Floats, wanted: Floats, reference: Floats) -> Floats:
        """Return the purchases that the money there is can pay, cut in proportion."""
        if self.rules.borrows or not wanted.any():
            return wanted
        blocked = float(((1 - self.plan.sale_credit) * self.unsettled.total + self.receivable.total)[0])
        fee = self._note(row, sold, np.zeros_like(sold))["charges"]
        money = self.cash - blocked - fee - _MOST_ROUNDING * self.rules.charged
        cut = wanted
        for _ in range(20):  # the price of a smaller order is lower: a few steps suffice, and each only cuts
            cost = cut * self._price(row, reference, cut, 1)
            total = float(cost.sum()) + self._note(row, np.zeros_like(sold), cost)["charges"]
            if total <= max(money, 0.0):
                return cut
            share = max(money, 0.0) / total
            cut = np.floor(cut * share) if self.rules.whole_shares else cut * share * (1 - 1e-12)
        return np.zeros_like(wanted)

    def _note(self, row: int, sold: Floats, bought: Floats) -> dict[str, float]:
        """Return what the contract note of the session bills, in paise, by component."""
        if not self.rules.charged:
            return dict.fromkeys((*COMPONENTS, "charges", "rounding"), 0.0)
        values = (each[each > 0] / _PAISE for each in (bought, sold))
        note = billed(self.market.sessions[row], self.plan, *values, rounded=self.rules.whole_shares)
        paise = {name: amount * _PAISE for name, amount in note.items()}
        return paise | {"charges": round(paise["charges"])} if self.rules.whole_shares else paise
