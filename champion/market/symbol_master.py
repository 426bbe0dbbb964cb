"""Normalize the published list of shares to contract `normalized_symbol_master`."""

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

VERSION = "3"  # raise it when the meaning of the output changes: committed lists are then rebuilt
EXCHANGE = "NSE"
_SECTORS = dict.fromkeys(("instrument_id", "sector", "industry"), pl.String())


def normalize(
    rows: pl.DataFrame,
    lineage: SymbolHistory,
    source: str,
    sha256: str,
    read: datetime,
    sectors: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return one row per symbol of `rows`, which `sources.masters` parses; contract normalized_symbol_master.

    `lineage` gives the instruments of the symbols on the list's day; `read` is the time the list was first read.
    `sectors` has instrument_id, sector and industry of companies on that day, because the list has neither; both are
    null for other companies.

    Raises:
        ContractError: a row breaks the contract, as a repeated symbol.
    """
    read_at = pl.lit(read).cast(pl.Datetime("ms", "UTC"))
    list_date = read.astimezone(INDIA).date()
    names = lineage.names(rows["symbol"], list_date)
    named = rows.with_columns(
        instrument_id=instrument_id(pl.col("symbol").replace(names), pl.col("series"), pl.lit(EXCHANGE)),
        exchange=pl.lit(EXCHANGE),
        instrument_kind=instrument_kind.kind(
            pl.col("isin"), pl.col("series"), pl.col("symbol"), pl.col("company").str.to_uppercase()
        ),
    )
    known = pl.DataFrame(schema=_SECTORS) if sectors is None else sectors
    named = named.join(known, on="instrument_id", how="left", maintain_order="left")
    contract, breaks = contracts.load(SYMBOLS), ("listed share breaks", "listed shares break")
    stamped = stamp_list(
        named,
        contract,
        source=pl.lit(source),
        read_at=read_at,
        entity="instrument_id",
        list_date=list_date,
        known_at=read,
        sha256=sha256,
    )
    return validation.require_valid(stamped, contract, breaks, ["symbol", "company"])
