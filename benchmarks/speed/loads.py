"""Rows a second into the lake and into the warehouse, by route, and the cost of one more session from end to end.

`.venv/bin/python benchmarks/speed/loads.py [--sessions N] [--instruments N] [--json PATH]` makes a year of 2,500
instruments. The engine is timed alone, and with the steps of a safe load: staging, comparison with the lake, swap.
"""

import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import meter
from benchmarks.speed import big_market
from champion import contracts, warehouse
from champion.lake import Lake, partitions
from champion.pipeline.maintenance.load_warehouse import load
from champion.settings import Settings
from champion.warehouse import insert_paths

LAST = date(2025, 12, 31)
NAME = big_market.BARS


def main() -> None:
    """Make a year, write and load it by every route, print."""
    given = meter.arguments(__doc__, sessions=261, instruments=2500, json=Path)
    days, names = big_market.sessions(LAST, given.sessions), big_market.symbols(given.instruments)
    year = contracts.load(NAME).conform(big_market.bars(days, names))
    with tempfile.TemporaryDirectory(prefix="champion-loads-") as folder:
        rows = [*into_the_lake(Path(folder) / "lake", year, days), *into_the_warehouse(Path(folder), year, days)]
    table = [
        [what, count, cost.wall, cost.cpu, round(count / cost.wall), round(count / cost.cpu)]
        for what, count, cost in rows
    ]
    meter.print_table("", ["what", "rows", "wall s", "CPU s", "rows/s", "rows/CPU s"], table)
    meter.write_json(given.json, table)


def into_the_lake(folder: Path, year: pl.DataFrame, days: list[date]) -> list[tuple[str, int, meter.Cost]]:
    """Return the cost of writes into the lake: a year in one file, as sealing does, and a year in day partitions."""
    contract, found = contracts.load(NAME), []
    for compression in ("snappy", "zstd"):
        path = folder / f"{compression}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        _, cost = meter.measured(lambda path=path, c=compression: partitions.write_data_file(path, contract, year, c))  # type: ignore[misc]
        found.append((f"lake: one file of a year, {compression}, flushed and hashed", year.height, cost))
    by_day = {key[0]: frame for key, frame in year.partition_by(contract.session, as_dict=True).items()}
    lake = Lake(folder / "days")

    def write_days() -> None:
        for day in days:
            lake.write(NAME, day, by_day[day], {"made": str(day)})

    _, cost = meter.measured(write_days)
    found.append((f"lake: {len(days)} day partitions, committed one by one", year.height, cost))
    return found


def into_the_warehouse(folder: Path, year: pl.DataFrame, days: list[date]) -> list[tuple[str, int, meter.Cost]]:
    """Return the cost of each route, of a whole load, and of one more session."""
    contract, found = contracts.load(NAME), []
    settings = Settings(home=folder / "home")
    settings.home.mkdir()
    (folder / "lake" / "days").rename(settings.lake)
    lake = Lake(settings.lake)
    files = [lake.sessions_by_file(NAME, days[0], days[-1])]
    one_file = [{folder / "lake" / "snappy.parquet": days}]
    with warehouse.writer(settings) as client:
        warehouse.migrate(client)
        ways: dict[str, Any] = {"file(), one file of a year": one_file, "file(), day files": files, "Arrow": ()}
        for what, given in ways.items():
            client.command(f"create table staging_bench as {NAME}")
            insert: Callable[[], str] = lambda given=given: insert_paths.insert(  # type: ignore[misc]  # noqa: E731
                client, contract, "staging_bench", year, given
            )
            _, cost = meter.measured(insert)
            found.append((f"warehouse: {what}, inserted only", year.height, cost))
            client.command("drop table staging_bench sync")
    _, cost = meter.measured(lambda: load(settings, days[0], days[-1], (NAME,)))
    found.append(("warehouse: a year loaded, compared, swapped and merged", year.height, cost))
    return [*found, *_one_more(settings, lake, year, days[-1])]


def _one_more(settings: Settings, lake: Lake, year: pl.DataFrame, day: date) -> list[tuple[str, int, meter.Cost]]:
    rows = year.filter(pl.col("trade_date") == day)
    _, written = meter.measured(
        lambda: lake.write(NAME, day, rows.with_columns(volume=pl.col("volume") + 1), {"v": "2"})
    )
    _, loaded = meter.measured(lambda: load(settings, day, day, (NAME,)))
    with warehouse.reader(settings) as client:
        stored = warehouse.frame(
            client, "select sum(volume) from normalized_equity_ohlc where trade_date = {d:Date}", {"d": day}
        )
    if stored.item() != int(rows["volume"].sum()) + rows.height:
        raise RuntimeError(f"{day}: the correction did not arrive")
    return [
        ("one more session: lake write", rows.height, written),
        ("one more session: warehouse load", rows.height, loaded),
    ]


if __name__ == "__main__":
    main()
