"""Normalize raw rows to bars: contract `raw_equity_ohlc` in, contract `normalized_equity_ohlc` out.

Prices stay as traded, and no value is filled in or corrected. Validation refuses rows that break the normalized
contract.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from champion import contracts
from champion.contracts.datasets import BARS
from champion.market.envelope import envelope_of_raw

VERSION = "3"  # raise it when the meaning of the output changes: committed bars are then rebuilt

EQUITY_SERIES = ("EQ", "BE", "BZ", "SM", "ST")
"""NSE's series in which a company's shares trade; a symbol is in one at a time, so it keeps its id when it moves."""
BSE_EQUITY_GROUPS = ("A", "B", "T", "TS", "X", "XT", "Z", "ZP", "P", "M", "MT", "MS")
"""BSE's groups in which a company's shares trade: main board, trade to trade, listed on BSE alone, SME."""


def instrument_id(symbol: pl.Expr, series: pl.Expr, exchange: pl.Expr) -> pl.Expr:
    """Return an id that is the same in all equity series; other series are separate instruments.

    >>> row = pl.DataFrame({"t": ["ABB", "ABB", "ABB"], "s": ["EQ", "N1", "A"], "x": ["NSE", "NSE", "BSE"]})
    >>> row.select(instrument_id(pl.col("t"), pl.col("s"), pl.col("x")))["t"].to_list()
    ['NSE:ABB', 'NSE:ABB:N1', 'BSE:ABB']
    """
    equity = pl.format("{}:{}", exchange, symbol)
    other = pl.format("{}:{}:{}", exchange, symbol, series)
    shares = series.is_in(EQUITY_SERIES) & (exchange == "NSE") | series.is_in(BSE_EQUITY_GROUPS) & (exchange == "BSE")
    return pl.when(shares).then(equity).otherwise(other).alias(symbol.meta.output_name())


def normalize(raw: pl.DataFrame, names: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return one bar per raw row, in the same order; a missing price stays null.

    `names` maps renamed symbols to the names of their instruments (`SymbolHistory.names`). `row_number` is kept if the
    raw frame has it, so that a refused bar can be traced to its line.
    """
    contract = contracts.load(BARS)
    named = raw.with_columns(
        trade_date=pl.col("TradDt"),
        instrument_id=instrument_id(pl.col("TckrSymb").replace(names or {}), pl.col("SctySrs"), pl.col("Src")),
    )
    return named.select(
        *envelope_of_raw(contract, "instrument_id"),
        "instrument_id",
        pl.col("TckrSymb").alias("symbol"),
        pl.col("Src").alias("exchange"),
        pl.col("ISIN").alias("isin"),
        pl.col("FinInstrmTp").alias("instrument_type"),
        pl.col("SctySrs").alias("series"),
        "trade_date",
        pl.col("PrvsClsgPric").alias("prev_close"),
        pl.col("OpnPric").alias("open"),
        pl.col("HghPric").alias("high"),
        pl.col("LwPric").alias("low"),
        pl.col("ClsPric").alias("close"),
        pl.col("LastPric").alias("last_price"),
        pl.col("SttlmPric").alias("settlement_price"),
        pl.col("TtlTradgVol").alias("volume"),
        pl.col("TtlTrfVal").alias("turnover"),
        pl.col("TtlNbOfTxsExctd").alias("trades"),
        pl.lit(1.0).alias("adjustment_factor"),
        pl.lit(None, pl.Date).alias("adjustment_date"),
        pl.lit(value=True).alias("is_trading_day"),
        *(name for name in ("row_number",) if name in raw.columns),
    )
