"""Normalize full reports to delivery figures: `raw_equity_delivery` in, `normalized_equity_delivery` out.

The delivered share is computed, because the report rounds it to two decimals (and was once wrong: OLECTRA on
2023-09-04). No value is filled in: a series that is not deliverable has no figures.
"""

from collections.abc import Mapping

import polars as pl

from champion import contracts
from champion.contracts.datasets import DELIVERY
from champion.market.envelope import normalize_rows
from champion.market.equity_bars import instrument_id

VERSION = "2"  # raise it when the meaning of the output changes: committed partitions are then rebuilt
EXCHANGE = "NSE"


def normalize(raw: pl.DataFrame, names: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return one row per raw row, in the same order, with `row_number` if the raw frame has it.

    `names` maps renamed symbols to the names of their instruments (`SymbolHistory.names`).
    """
    share = pl.col("DELIV_QTY") / pl.col("TTL_TRD_QNTY")
    return normalize_rows(
        raw,
        contracts.load(DELIVERY),
        "instrument_id",
        trade_date="DATE1",
        instrument_id=instrument_id(pl.col("SYMBOL").replace(names or {}), pl.col("SERIES"), pl.lit(EXCHANGE)),
        symbol="SYMBOL",
        exchange=pl.lit(EXCHANGE),
        series="SERIES",
        volume="TTL_TRD_QNTY",
        delivered_volume="DELIV_QTY",
        delivered_share=pl.when(pl.col("TTL_TRD_QNTY") > 0).then(share),
        average_price="AVG_PRICE",
        trades="NO_OF_TRADES",
    )
