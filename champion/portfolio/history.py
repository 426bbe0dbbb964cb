"""Record what an account did: a row per session, fill, order that was not filled whole, and position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from champion.portfolio.arrays import Floats

REASONS = ("no_bar", "locked_band", "volume", "cash", "undecided_action")
"""Why an order was not filled whole."""
EXPLAINED = ("holding_profit", "trading_profit", "dividends", "entitlements", "impact", "write_offs")
"""What explains a change of equity, by instrument, besides charges; impact and write_offs are costs."""
_PAISE = 100.0
_DELIVERY = "equity_delivery"
_NOTHING = 1e-9  # shares: a rest of this size is an error of rounding
_NO_TRADES = pl.DataFrame(
    schema={
        "trade_date": pl.Date, "instrument_id": pl.String, "segment": pl.String, "side": pl.String,
        "quantity": pl.Float64, "reference": pl.Float64, "price": pl.Float64,
    }
)  # fmt: skip
_NO_CUTS = pl.DataFrame(
    schema={
        "trade_date": pl.Date, "instrument_id": pl.String, "side": pl.String, "reason": pl.String,
        "wanted": pl.Float64, "filled": pl.Float64,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Simulation:
    """The result of a simulation.

    `account` has a row per session, in rupees: trade_date, equity, cash, holdings and unsettled at the close; bought,
    sold; charges with their components and rounding; impact, dividends, entitlements, write_offs, holding_profit,
    trading_profit; and positions. Equity changes by holding_profit + trading_profit + dividends + entitlements - impact
    - write_offs - charges.

    `trades` has a row per fill: trade_date, instrument_id, segment, side, quantity, reference and price in rupees.
    `cuts` has a row per order that was not filled whole: trade_date, instrument_id, side, reason, wanted and filled in
    shares; and one per holding that was closed because of an undecided action. `holdings` has instrument_id, quantity
    and value in rupees after the last session. `positions` has a row per session and instrument that was held or
    traded: trade_date, instrument_id, quantity and value at the close, and its part of each amount of the account that
    explains the change of equity but charges: holding_profit, trading_profit, dividends, entitlements, impact and
    write_offs, in rupees.

    >>> empty = pl.DataFrame()
    >>> Simulation(empty, empty, empty, empty).trades.height
    0
    """

    account: pl.DataFrame
    trades: pl.DataFrame
    cuts: pl.DataFrame
    holdings: pl.DataFrame
    positions: pl.DataFrame = field(default_factory=pl.DataFrame)


class History:
    """The history of one account; amounts come in paise and leave in rupees."""

    def __init__(self, sessions: Sequence[date], instruments: Sequence[str]) -> None:
        self._sessions, self._names = sessions, np.asarray(instruments)
        self._account, self._trades, self._cuts = list[dict[str, Any]](), list[pl.DataFrame](), list[pl.DataFrame]()
        self._positions = list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]]()

    def close_session(
        self, row: int, amounts: Mapping[str, float], held: Floats, value: Floats, explained: Mapping[str, Floats]
    ) -> None:
        """Record the account at the close, and each position with its part of `EXPLAINED`."""
        rupees = {name: float(amount) / _PAISE for name, amount in amounts.items()}
        positions = int(np.count_nonzero(held))
        self._account.append({"trade_date": self._sessions[row], **rupees, "positions": positions})
        parts = np.array([held * _PAISE, value, *(explained[name] for name in EXPLAINED)])
        at = np.flatnonzero((parts != 0).any(axis=0))
        self._positions.append((np.full(at.size, row), at, parts[:, at] / _PAISE))

    def log(
        self, row: int, side: str, wanted: Floats, fills: Floats, prices: tuple[Floats, Floats], why: NDArray[np.intp]
    ) -> None:
        """Record the fills of one side, and the orders that were not filled whole with their reason."""
        names, day = self._names, self._sessions[row]
        if (at := np.flatnonzero(fills)).size:
            reference, price = (each[at] / _PAISE for each in prices)
            self._trades.append(
                pl.DataFrame(
                    {"instrument_id": names[at], "quantity": fills[at], "reference": reference, "price": price}
                )
                .with_columns(trade_date=pl.lit(day), segment=pl.lit(_DELIVERY), side=pl.lit(side))
                .select(_NO_TRADES.columns)
            )
        if (at := np.flatnonzero(wanted - fills > _NOTHING)).size:
            reasons = np.asarray(REASONS)[why[at]]
            columns = {"instrument_id": names[at], "reason": reasons, "wanted": wanted[at], "filled": fills[at]}
            constant = {"trade_date": pl.lit(day), "side": pl.lit(side)}
            self._cuts.append(pl.DataFrame(columns).with_columns(**constant).select(_NO_CUTS.columns))

    def result(self, held: Floats, value: Floats) -> Simulation:
        """Return the history; `held` and `value` are shares and paise after the last session."""
        at = np.flatnonzero(held)
        holdings = pl.DataFrame({"instrument_id": self._names[at], "quantity": held[at], "value": value[at] / _PAISE})
        trades, cuts = pl.concat([_NO_TRADES, *self._trades]), pl.concat([_NO_CUTS, *self._cuts])
        return Simulation(pl.DataFrame(self._account), trades, cuts, holdings, self._by_position())

    def _by_position(self) -> pl.DataFrame:
        rows, places, parts = (np.concatenate(each, axis=-1) for each in zip(*self._positions, strict=True))
        days = pl.Series(list(self._sessions), dtype=pl.Date)
        keys = {"trade_date": days.gather(rows), "instrument_id": pl.Series(self._names).gather(places)}
        return pl.DataFrame(keys | dict(zip(("quantity", "value", *EXPLAINED), parts, strict=True)))
