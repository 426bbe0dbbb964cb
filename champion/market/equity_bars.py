"""Normalize raw rows to bars: contract `raw_equity_ohlc` in, contract `normalized_equity_ohlc` out.

Prices stay as traded, and no value is filled in or corrected. Validation refuses rows that break the normalized
contract.
"""

from collections.abc import Mapping

import polars as pl

from champion import contracts
from champion.contracts.datasets import BARS
from champion.market.envelope import normalize_rows

VERSION = "3"  # raise it when the meaning of the output changes: committed bars are then rebuilt

EQUITY_SERIES = ("EQ", "BE", "BZ", "SM", "ST", "SZ")
"""NSE's series in which a company's shares trade; a symbol is in one at a time, so it keeps its id when it moves."""
BSE_EQUITY_GROUPS = ("A", "B", "T", "TS", "X", "XT", "Z", "ZP", "P", "M", "MT", "MS")
"""BSE's groups in which a company's shares trade: main board, trade to trade, listed on BSE alone, SME."""
_COLUMNS = {
    "symbol": "TckrSymb", "exchange": "Src", "isin": "ISIN", "instrument_type": "FinInstrmTp", "series": "SctySrs",
    "trade_date": "TradDt", "prev_close": "PrvsClsgPric", "open": "OpnPric", "high": "HghPric", "low": "LwPric",
    "close": "ClsPric", "last_price": "LastPric", "settlement_price": "SttlmPric", "volume": "TtlTradgVol",
    "turnover": "TtlTrfVal", "trades": "TtlNbOfTxsExctd",
}  # fmt: skip


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
    return normalize_rows(
        raw,
        contracts.load(BARS),
        "instrument_id",
        instrument_id=instrument_id(pl.col("TckrSymb").replace(names or {}), pl.col("SctySrs"), pl.col("Src")),
        adjustment_factor=pl.lit(1.0),
        adjustment_date=pl.lit(None, pl.Date),
        is_trading_day=pl.lit(value=True),
        **_COLUMNS,
    )
