"""Normalize full reports to delivery figures: `raw_equity_delivery` in, `normalized_equity_delivery` out.

The delivered share is computed, because the report rounds it to two decimals (and was once wrong: OLECTRA on
2023-09-04). No value is filled in: a series that is not deliverable has no figures.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from champion import contracts
from champion.contracts.datasets import DELIVERY
from champion.market.envelope import envelope_of_raw
from champion.market.equity_bars import instrument_id

VERSION = "2"  # raise it when the meaning of the output changes: committed partitions are then rebuilt
EXCHANGE = "NSE"


def normalize(raw: pl.DataFrame, names: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return one row per raw row, in the same order, with `row_number` if the raw frame has it.

    `names` maps renamed symbols to the names of their instruments (`SymbolHistory.names`).
    """
    contract = contracts.load(DELIVERY)
    share = pl.col("DELIV_QTY") / pl.col("TTL_TRD_QNTY")
    named = raw.with_columns(
        trade_date=pl.col("DATE1"),
        instrument_id=instrument_id(pl.col("SYMBOL").replace(names or {}), pl.col("SERIES"), pl.lit(EXCHANGE)),
    )
    return named.select(
        *envelope_of_raw(contract, "instrument_id"),
        "instrument_id",
        pl.col("SYMBOL").alias("symbol"),
        pl.lit(EXCHANGE).alias("exchange"),
        pl.col("SERIES").alias("series"),
        "trade_date",
        pl.col("TTL_TRD_QNTY").alias("volume"),
        pl.col("DELIV_QTY").alias("delivered_volume"),
        pl.when(pl.col("TTL_TRD_QNTY") > 0).then(share).alias("delivered_share"),
        pl.col("AVG_PRICE").alias("average_price"),
        pl.col("NO_OF_TRADES").alias("trades"),
        *(name for name in ("row_number",) if name in raw.columns),
    )
