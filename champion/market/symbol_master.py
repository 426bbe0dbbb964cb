"""Normalize the published list of shares to contract `normalized_symbol_master`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from champion import contracts
from champion.base.clock import INDIA
from champion.contracts.datasets import SYMBOLS
from champion.market import validation
from champion.market.envelope import stamp_list
from champion.market.equity_bars import instrument_id
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference import instrument_kind

VERSION = "2"  # raise it when the meaning of the output changes: committed lists are then rebuilt
EXCHANGE = "NSE"


@dataclass(frozen=True, slots=True)
class MasterOrigin:
    """The source of a list, and the time it was first read."""

    source: str
    sha256: str
    fetched_at: datetime


def normalize(rows: pl.DataFrame, lineage: SymbolHistory, origin: MasterOrigin) -> pl.DataFrame:
    """Return one row per symbol of `rows`, which `sources.masters` parses; contract normalized_symbol_master.

    `lineage` gives the instruments of the symbols on the list's day.

    Raises:
        ContractError: a row breaks the contract, as a repeated symbol.
    """
    contract = contracts.load(SYMBOLS)
    read_at = pl.lit(origin.fetched_at).cast(pl.Datetime("ms", "UTC"))
    list_date = origin.fetched_at.astimezone(INDIA).date()
    names = lineage.names(rows["symbol"], list_date)
    named = rows.with_columns(
        list_date=pl.lit(list_date),
        instrument_id=instrument_id(pl.col("symbol").replace(names), pl.col("series"), pl.lit(EXCHANGE)),
        exchange=pl.lit(EXCHANGE),
        known_at=read_at,
        source_sha256=pl.lit(origin.sha256),
        instrument_kind=instrument_kind.kind(
            pl.col("isin"), pl.col("series"), pl.col("symbol"), pl.col("company").str.to_uppercase()
        ),
        sector=pl.lit(None, pl.String),  # the list has neither
        industry=pl.lit(None, pl.String),
    )
    stamped = stamp_list(named, contract, source=pl.lit(origin.source), read_at=read_at, entity="instrument_id")
    return validation.require_valid(
        stamped, contract, ("listed share breaks", "listed shares break"), ["symbol", "company"]
    )
