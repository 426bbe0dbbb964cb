"""Normalize the lists that the exchange publishes every session: raw rows in, normalized rows out, row by row.

Price bands, the F&O ban list, circuit hits, new 52-week highs and lows, and the index table of the market activity
report. `names` maps renamed symbols to the names of their instruments (`SymbolHistory.names`).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from champion import contracts
from champion.contracts.datasets import BAN_LIST, CIRCUIT_HITS, EXTREMES, MARKET_ACTIVITY, PRICE_BANDS
from champion.market.envelope import normalize_rows
from champion.market.equity_bars import instrument_id
from champion.market.index_bars import index_id
from champion.market.reference.index_short_names import FULL_NAMES
from champion.market.reference.price_bands import DYNAMIC, FIXED

VERSION = "1"  # raise it when the meaning of an output changes: committed partitions are then rebuilt
_EXCHANGE = pl.lit("NSE")
_EQUITY = pl.lit("EQ")  # the ban list has no series; only shares have derivatives
_NO_BAND = "No Band"
_SIDES = {"H": "high", "L": "low"}


def price_bands(raw: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return the bands, trade_date being the session after which the list is published; it applies to the next one."""
    is_dynamic = pl.col("Band") == _NO_BAND
    return normalize_rows(
        raw,
        contracts.load(PRICE_BANDS),
        "instrument_id",
        trade_date="List_Date",
        instrument_id=_instrument("Symbol", pl.col("Series"), names),
        symbol="Symbol",
        exchange=_EXCHANGE,
        series="Series",
        security_name="Security_Name",
        band_kind=pl.when(is_dynamic).then(pl.lit(DYNAMIC)).otherwise(pl.lit(FIXED)),
        band_percent=pl.when(~is_dynamic).then("Band").cast(pl.Int64, strict=False),
        surveillance="Remarks",
    )


def ban_list(raw: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return the banned securities of a trade date; an empty list gives no rows."""
    return normalize_rows(
        raw,
        contracts.load(BAN_LIST),
        "instrument_id",
        trade_date="Trade_Date",
        instrument_id=_instrument("Symbol", _EQUITY, names),
        symbol="Symbol",
        exchange=_EXCHANGE,
        serial="Serial",
    )


def circuit_hits(raw: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return the securities that hit their band in a session, `side` being high or low."""
    return normalize_rows(
        raw,
        contracts.load(CIRCUIT_HITS),
        "instrument_id",
        trade_date="Hit_Date",
        instrument_id=_instrument("SYMBOL", pl.col("SERIES"), names),
        symbol="SYMBOL",
        exchange=_EXCHANGE,
        series="SERIES",
        security_name="SECURITY",
        side=pl.col("HIGH_LOW").replace(_SIDES),
        index_flag="INDEX_FLAG",
    )


def extremes(raw: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return the securities with a new 52-week high or low; the instrument is null where the name is not unique."""
    return normalize_rows(
        raw,
        contracts.load(EXTREMES),
        "security_name",
        trade_date="Extreme_Date",
        instrument_id=_instrument("SYMBOL", pl.col("SERIES"), names),
        symbol="SYMBOL",
        exchange=_EXCHANGE,
        series="SERIES",
        security_name="SECURITY",
        side=pl.col("NEW_STATUS").replace(_SIDES),
        price="NEW",
        previous_price="PREVIOUS",
    )


def market_activity(raw: pl.DataFrame, _names: Mapping[str, str]) -> pl.DataFrame:
    """Return the index levels; `index_id` is that of the index closes, where the short name is known."""
    full = pl.col("Index_Name").str.to_uppercase().replace(FULL_NAMES)
    return normalize_rows(
        raw,
        contracts.load(MARKET_ACTIVITY),
        "index_id",
        trade_date="Report_Date",
        index_id=index_id(full),
        index_name="Index_Name",
        exchange=_EXCHANGE,
        previous_close="Previous_Close",
        open="Open",
        high="High",
        low="Low",
        close="Close",
        points_change="Gain_Loss",
    )


def _instrument(symbol: str, series: pl.Expr, names: Mapping[str, str]) -> pl.Expr:
    return instrument_id(pl.col(symbol).replace(names), series, _EXCHANGE)
