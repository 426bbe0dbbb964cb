"""Raw full reports to delivery figures: `raw_equity_delivery` in, `normalized_equity_delivery` out.

The delivered share is computed, exact, where the report rounds it to two decimals (and was once wrong: OLECTRA on
2023-09-04). Nothing is filled in: a series that is not deliverable has neither.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from champion import contracts
from champion.contracts.datasets import DELIVERY
from champion.market.envelope import envelope
from champion.market.equity_bars import instrument_id

VERSION = "2"  # raise it when the meaning of the output changes: committed partitions are then made anew
EXCHANGE = "NSE"


def normalize(raw: pl.DataFrame, names: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return one row per raw row, in the same order, `row_number` carried along where the raw frame has it.

    `names` has, for symbols that were renamed, the name that identifies the instrument (`identity.Lineage.names`).
    """
    contract = contracts.load(DELIVERY)
    share = pl.col("DELIV_QTY") / pl.col("TTL_TRD_QNTY")
    named = raw.with_columns(
        trade_date=pl.col("DATE1"),
        instrument_id=instrument_id(pl.col("SYMBOL").replace(names or {}), pl.col("SERIES"), pl.lit(EXCHANGE)),
    )
    return named.select(
        *envelope(
            contract,
            source=pl.col("source"),
            ingest_time=pl.col("ingest_time"),
            entity_id=pl.col("instrument_id"),
            key=[pl.col("trade_date"), pl.col("instrument_id"), pl.col("event_id").bin.encode("hex")],
        ),
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
