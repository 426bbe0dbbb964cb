"""Record what an account did: a row per session, fill, order that was not filled whole, and position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from champion.portfolio.arrays import Floats

REASONS = (
    "no_bar",
    "locked_band",
    "volume",
    "cash",
    "undecided_action",
    "sme_series",
    "delivery",
    "written_off",
    "ended",
    "not_credited",
)
"""Why an order was not filled whole; `undecided_action` is also the reason of a sale.

A holding that is traded no more is `ended` if its terms are known, and `written_off` with the haircut if not.
"""
SIDES = ("sell", "buy")
EXPLAINED = ("holding_profit", "trading_profit", "dividends", "entitlements", "impact", "write_offs")
"""What explains a change of equity, by instrument, besides charges; impact and write_offs are costs."""
_PAISE = 100.0
_DELIVERY = "equity_delivery"
_NOTHING = 1e-9  # shares: a rest of this size is an error of rounding
_TRADES = ("trade_date", "instrument_id", "segment", "side", "quantity", "reference", "price", "reason")
_DECISION, _UNDECIDED = "decision", "undecided_action"
_CUTS = ("trade_date", "instrument_id", "side", "reason", "wanted", "filled")


@dataclass(frozen=True, slots=True)
class Simulation:
    """The result of a simulation.

    `account` has a row per session, in rupees: trade_date, equity, cash, holdings and unsettled (sales that are not
    settled, and entitlements that are not credited; both are in cash) at the close; bought,
    sold; charges with their components and rounding; impact, dividends, entitlements, write_offs, holding_profit,
    trading_profit; unfilled, the value of the orders that are still open; and positions. Equity changes by
    holding_profit + trading_profit + dividends + entitlements - impact - write_offs - charges.

    `trades` has a row per fill: trade_date, instrument_id, segment, side, quantity, reference and price in rupees, and
    reason, `decision` or `undecided_action`. `cuts` has a row per order that was not filled whole: trade_date,
    instrument_id, side, reason, wanted and filled in shares; and one per holding that ended. write_offs are what such
    holdings lost of their last value, below 0 if their terms were worth more. `holdings` has instrument_id, quantity
    and value in rupees after the last session. `positions` has a row per session and instrument held or traded:
    trade_date, instrument_id, quantity and value at the close, and its part of each amount of the account that explains
    the change of equity but charges: holding_profit, trading_profit, dividends, entitlements, impact and write_offs, in
    rupees.

    >>> empty = pl.DataFrame()
    >>> Simulation(empty, empty, empty, empty).trades.height
    0
    """

    account: pl.DataFrame
    trades: pl.DataFrame
    cuts: pl.DataFrame
    holdings: pl.DataFrame
    positions: pl.DataFrame = field(default_factory=pl.DataFrame)


_Rows: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Floats]
"""Session, instrument and a code of each row by their places, and its numbers, a row of the array for each column."""


class History:
    """The history of one account; amounts come in paise and leave in rupees.

    Rows are kept as arrays until the end, because a frame for each session would cost more than the account itself.

    >>> history, two = History([date(2024, 1, 1)], ["A"]), np.array([2.0])
    >>> history.log(0, "buy", two, two, (100 * two, 100 * two), np.array([0]))
    >>> history.close_session(0, {"equity": 400.0}, two, 200 * two, dict.fromkeys(EXPLAINED, np.zeros(1)))
    >>> found = history.result(two, 200 * two)
    >>> found.trades.select("side", "quantity", "price").rows(), found.holdings.rows()
    ([('buy', 2.0, 2.0)], [('A', 2.0, 4.0)])
    """

    def __init__(self, sessions: Sequence[date], instruments: Sequence[str]) -> None:
        self._sessions, self._names = pl.Series(list(sessions), dtype=pl.Date), pl.Series(list(instruments))
        self._account = list[dict[str, Any]]()
        self._trades, self._cuts, self._positions = list[_Rows](), list[_Rows](), list[_Rows]()

    def close_session(
        self, row: int, amounts: Mapping[str, float], held: Floats, value: Floats, explained: Mapping[str, Floats]
    ) -> None:
        """Record the account at the close, and each position with its part of `EXPLAINED`."""
        rupees = {name: float(amount) / _PAISE for name, amount in amounts.items()}
        positions = int(np.count_nonzero(held))
        self._account.append({"trade_date": self._sessions[row], **rupees, "positions": positions})
        parts = np.array([held * _PAISE, value, *(explained[name] for name in EXPLAINED)])
        at = np.flatnonzero((parts != 0).any(axis=0))
        self._positions.append((np.full(at.size, row), at, np.zeros_like(at), parts[:, at] / _PAISE))

    def log(
        self,
        row: int,
        side: str,
        wanted: Floats,
        fills: Floats,
        prices: tuple[Floats, Floats],
        why: NDArray[np.intp],
        forced: NDArray[np.bool_] | None = None,
    ) -> None:
        """Record the fills of one side, and the orders that were not filled whole with their reason.

        `forced` marks the orders that an undecided action gave.
        """
        place = SIDES.index(side)
        if (at := np.flatnonzero(fills)).size:
            reference, price = (each[at] / _PAISE for each in prices)
            numbers = np.array([fills[at], reference, price])
            origins = np.full(at.size, 2 * place, np.int64)
            if forced is not None:
                origins += forced[at]
            self._trades.append((np.full(at.size, row), at, origins, numbers))
        if (at := np.flatnonzero(wanted - fills > _NOTHING)).size:
            codes = place * len(REASONS) + why[at]
            self._cuts.append((np.full(at.size, row), at, codes, np.array([wanted[at], fills[at]])))

    def result(self, held: Floats, value: Floats) -> Simulation:
        """Return the history; `held` and `value` are shares and paise after the last session."""
        at = np.flatnonzero(held)
        names = self._names.gather(at)
        holdings = pl.DataFrame({"instrument_id": names, "quantity": held[at], "value": value[at] / _PAISE})
        reasons = [(side, reason) for side in SIDES for reason in REASONS]
        kinds = {"side": [side for side, _ in reasons], "reason": [reason for _, reason in reasons]}
        origins = {"side": [side for side in SIDES for _ in range(2)], "reason": [_DECISION, _UNDECIDED] * len(SIDES)}
        trades = self._frame(self._trades, ("quantity", "reference", "price"), origins)
        return Simulation(
            account=pl.DataFrame(self._account),
            trades=trades.with_columns(segment=pl.lit(_DELIVERY)).select(_TRADES),
            cuts=self._frame(self._cuts, ("wanted", "filled"), kinds).select(_CUTS),
            holdings=holdings,
            positions=self._frame(self._positions, ("quantity", "value", *EXPLAINED), {}),
        )

    def _frame(self, kept: list[_Rows], columns: Sequence[str], texts: Mapping[str, list[str]]) -> pl.DataFrame:
        """Return the rows as a frame; `texts` has for each text column the text of each code."""
        nothing = (np.zeros(0, np.int64),) * 3
        rows, places, codes, numbers = (
            np.concatenate(each, axis=-1) for each in zip((*nothing, np.zeros((len(columns), 0))), *kept, strict=True)
        )
        keys = {"trade_date": self._sessions.gather(rows), "instrument_id": self._names.gather(places)}
        named = {name: pl.Series(each).gather(codes) for name, each in texts.items()}
        return pl.DataFrame(keys | named | dict(zip(columns, numbers, strict=True)))
