"""Check the bars that indicators, inputs and labels are computed from. Invalid bars are an error, never repaired."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from champion.base.counting import quantity
from champion.errors import ContractError

MAX_PRICE = 1e9
"""In rupees. Above it, the sum of 200 prices in units of 1/10,000 rupee is not exact in a double."""

_KEY = ("instrument_id", "trade_date")
_PRICES = frozenset({"open", "high", "low", "close"})
_AMOUNTS = frozenset({"volume", "turnover"})
_SHOWN = 5


def check_bars(bars: pl.DataFrame, columns: Sequence[str]) -> None:
    """Raise ContractError unless the bars hold valid values in these columns, one bar per instrument and session.

    No value may be null; prices must be above 0 and at most `MAX_PRICE`, volume must be Int64, volume and turnover must
    not be negative.
    """
    if missing := [name for name in columns if name not in bars.columns]:
        raise ContractError(f"bars lack {', '.join(missing)}; needed are {', '.join(columns)}; found {bars.columns}")
    if "volume" in columns and bars.schema["volume"] != pl.Int64:
        raise ContractError(f"volume must be whole shares (Int64), found {bars.schema['volume']}; round it first")
    for name in columns:
        _reject(bars, pl.col(name).is_null(), f"{name} is null")
        if name in _PRICES:
            valid = pl.col(name).is_between(0, MAX_PRICE, closed="right")
            _reject(bars, ~valid, f"{name} is not above 0 and at most {MAX_PRICE:.0f} rupees")
        if name in _AMOUNTS:
            _reject(bars, ~((pl.col(name) >= 0) & pl.col(name).is_finite()), f"{name} is negative or not a number")
    if not in_order(bars):
        _reject(bars, pl.struct(_KEY).is_duplicated(), "an instrument has several bars in one session")


def in_order(bars: pl.DataFrame) -> bool:
    """Return whether the bars are sorted by instrument and session, without duplicates.

    >>> in_order(pl.DataFrame({"instrument_id": ["A", "A", "B"], "trade_date": [1, 2, 1]}))
    True
    """
    instrument, session = (pl.col(name) for name in _KEY)
    same = instrument == instrument.shift(1)
    follows = pl.when(same).then(session > session.shift(1)).otherwise(instrument > instrument.shift(1))
    return bool(bars.select(follows.slice(1).all()).item())


def _reject(bars: pl.DataFrame, invalid: pl.Expr, problem: str) -> None:
    """Raise ContractError with the first invalid rows, if any."""
    if bars.select(invalid.any()).item():
        rows = bars.filter(invalid)
        shown = ", ".join(f"{instrument} {session}" for instrument, session in rows.select(_KEY).head(_SHOWN).rows())
        where = f"in {rows.height} of {quantity(bars.height, 'row')}"
        raise ContractError(f"bars break their contract: {problem}, {where}: {shown}")
