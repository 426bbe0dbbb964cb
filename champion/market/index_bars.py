"""Normalize index closes: `raw_index_ohlc` in, `normalized_index_ohlc` out.

Names changed: `S&P CNX Nifty` became `CNX Nifty` in 2013 and `Nifty 50` on 2015-11-09, when the index company put Nifty
into all its names (IISL press release of 2015-09-22). The map has the well-known indices whose successor is certain.
Any other index keeps its name, so a rename that is missing here starts a new index_id.
"""

import polars as pl

from champion import contracts
from champion.contracts.datasets import INDEX_BARS
from champion.market.envelope import normalize_rows

VERSION = "2"  # raise it when the meaning of the output changes: committed partitions are then rebuilt
EXCHANGE = "NSE"
_CRORE = 1e7  # rupees
_SAME = "AUTO BANK ENERGY FMCG IT MEDIA METAL MNC PHARMA PSE REALTY COMMODITIES INFRASTRUCTURE 100 200 500".split()
RENAMED = {
    "S&P CNX NIFTY": "NIFTY 50", "CNX NIFTY": "NIFTY 50", "CNX NIFTY JUNIOR": "NIFTY NEXT 50",
    "S&P CNX 500": "NIFTY 500", "BANK NIFTY": "NIFTY BANK", "CNX BANK NIFTY": "NIFTY BANK",
    "CNX PSU BANK": "NIFTY PSU BANK", "CNX FINANCE": "NIFTY FINANCIAL SERVICES",
    "CNX SERVICE SECTOR": "NIFTY SERVICES SECTOR", "CNX CONSUMPTION": "NIFTY INDIA CONSUMPTION",
    "CNX DIVIDEND OPPORTUNITIES": "NIFTY DIVIDEND OPPORTUNITIES 50",
    **{f"CNX {name}": f"NIFTY {name}" for name in _SAME},
}  # fmt: skip
"""Earlier names in capitals, and the current name of the index."""
_COLUMNS = {
    "trade_date": "Index_Date", "index_name": "Index_Name", "open": "Open_Index_Value", "high": "High_Index_Value",
    "low": "Low_Index_Value", "close": "Closing_Index_Value", "points_change": "Points_Change", "volume": "Volume",
    "price_earnings": "P_E", "price_book": "P_B", "dividend_yield": "Div_Yield",
}  # fmt: skip


def index_id(name: pl.Expr) -> pl.Expr:
    """Return an id for each index name that renames do not change.

    >>> frame = pl.DataFrame({"name": ["S&P CNX Nifty", "CNX Nifty", "Nifty 50", "NIFTY Midcap 50"]})
    >>> frame.select(index_id(pl.col("name")))["name"].to_list()
    ['NSE:NIFTY 50', 'NSE:NIFTY 50', 'NSE:NIFTY 50', 'NSE:NIFTY MIDCAP 50']
    """
    return pl.format("{}:{}", pl.lit(EXCHANGE), name.str.to_uppercase().replace(RENAMED)).alias(name.meta.output_name())


def normalize(raw: pl.DataFrame) -> pl.DataFrame:
    """Return one row per raw row, in the same order, turnover in rupees; missing values stay null."""
    return normalize_rows(
        raw,
        contracts.load(INDEX_BARS),
        "index_id",
        index_id=index_id(pl.col("Index_Name")),
        exchange=pl.lit(EXCHANGE),
        # Crores have two decimals: rounding to rupees removes the error of the multiplication.
        turnover=(pl.col("Turnover_Rs_Cr") * _CRORE).round(0),
        **_COLUMNS,
    )
