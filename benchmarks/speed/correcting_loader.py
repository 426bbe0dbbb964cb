"""A loader beside the query benchmark: corrects the last month of bars again and again until it is stopped."""

import sys
import time
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks.speed import big_market
from champion import contracts, warehouse
from champion.settings import Settings

PAUSE = 2.0  # seconds between commits


def main(home: str, log: str) -> None:
    """Load the last month with growing volumes, and write a line to `log` for each commit."""
    settings, contract, month = Settings(home=Path(home)), contracts.load(big_market.BARS), date(2025, 12, 1)
    bars = warehouse.sql(settings, "select * from normalized_equity_ohlc where trade_date >= '2025-12-01'")
    warehouse.close()
    ids = pl.col("event_id").str.replace_all("-", "", literal=True).str.decode("hex")
    bars = bars.with_columns(ids).cast(dict(contract.polars_schema)).select(list(contract.polars_schema))  # type: ignore[arg-type]
    print("ready", flush=True)
    count = 0
    while True:
        count += 1
        with warehouse.writer(settings) as client:
            warehouse.load_month(client, contract, month, bars.with_columns(pl.col("volume") + count), f"{count}")
        with Path(log).open("a", encoding="ascii") as file:
            file.write(f"{time.time()}\n")
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
