"""Normalize lists that the exchange updates under one name: lots, and the index provider's histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

import polars as pl

from champion import contracts
from champion.base.clock import INDIA
from champion.contracts.datasets import INDEX_HISTORY, LOTS
from champion.market import validation
from champion.market.envelope import stamp_list
from champion.market.equity_bars import instrument_id
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.index_bars import index_id

VERSION = "1"  # raise it when the meaning of an output changes: committed lists are then rebuilt
_VALUES = ("open", "high", "low", "close", "total_return", "price_earnings", "price_book", "dividend_yield")


@dataclass(frozen=True, slots=True)
class ListOrigin:
    """The format of a list, its digest, the time it was first read, and for a dated copy the date of keeping."""

    source: str
    sha256: str
    fetched_at: datetime
    dated: date | None = None

    @property
    def list_date(self) -> date:
        """The date from which the list counts: that of keeping, else that of the first reading in India."""
        return self.dated or self.fetched_at.astimezone(INDIA).date()

    @property
    def known_at(self) -> datetime:
        """When the list was known: at the end of the date of keeping, or when it was read."""
        if self.dated is None:
            return self.fetched_at
        return min(self.fetched_at, datetime.combine(self.dated, time.max, tzinfo=INDIA))


def lots(rows: pl.DataFrame, history: SymbolHistory, origin: ListOrigin) -> pl.DataFrame:
    """Return the rows of `sources.lists.fo_lots` by contract normalized_fo_lots; indices have no instrument.

    Raises:
        ContractError: a row breaks the contract.
    """
    names = history.names(rows["symbol"], origin.list_date)
    share = instrument_id(pl.col("symbol").replace(names), pl.lit("EQ"), pl.lit("NSE"))
    named = rows.with_columns(instrument_id=pl.when(pl.col("kind") == "security").then(share))
    return _stamped(named, LOTS, "symbol", origin, ("lot breaks", "lots break"), ["symbol", "expiry_month"])


def index_history(rows: pl.DataFrame, origin: ListOrigin) -> pl.DataFrame:
    """Return the rows of `sources.lists.index_history` by contract normalized_index_history.

    Raises:
        ContractError: a row breaks the contract.
    """
    named = rows.with_columns(index_id=index_id(pl.col("index_name")))
    breaks = "session of an index breaks", "sessions of indices break"
    return _stamped(named, INDEX_HISTORY, "index_id", origin, breaks, ["index_name", "trade_date"])


def merged_history(rows: pl.DataFrame, index: str) -> pl.DataFrame:
    """Return the history of one index by its id, oldest first: trade_date and all values.

    Each value is that of the file that was read last, of those that have it; null where none has.
    """
    latest = [pl.col(name).drop_nulls().last() for name in _VALUES]
    own = rows.filter(pl.col("index_id") == index).sort("known_at")
    return own.group_by("trade_date", maintain_order=True).agg(latest).sort("trade_date")


def _stamped(
    rows: pl.DataFrame, name: str, entity: str, origin: ListOrigin, breaks: tuple[str, str], shown: Sequence[str]
) -> pl.DataFrame:
    contract = contracts.load(name)
    read_at = pl.lit(origin.fetched_at).cast(pl.Datetime("ms", "UTC"))
    stamped = stamp_list(
        rows,
        contract,
        source=pl.lit(origin.source),
        read_at=read_at,
        entity=entity,
        list_date=origin.list_date,
        known_at=origin.known_at,
        sha256=origin.sha256,
    )
    return validation.require_valid(stamped, contract, breaks, shown)
